"""Whole path for a CT of which the liver takes up a third, as most CTs of the trunk are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from rows import path
from rows.pairs import Group
from rows.samples import write_trunk


def groups() -> Iterator[Group]:
    """Yield the groups of this family."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ct = [write_trunk(folder)]
        what = "CT 512x512x200 of 500 mm, U-Net"
        yield path.group(folder, what, "liver-ct-unet", ct, nnunet=(16, 256, 1.5))
