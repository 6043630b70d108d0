"""Options that the commands of training share."""

from __future__ import annotations

import pytest

from tumorseg_training.commands.options import labels_of
from TumorSegLib.errors import InputError


def test_each_structure_has_one_value():
    assert labels_of([("liver", 1), ("tumour", 1)]) == {"liver": 1, "tumour": 1}
    with pytest.raises(InputError, match="--label liver: given twice"):
        labels_of([("liver", 1), ("liver", 2)])
