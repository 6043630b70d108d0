"""Numbers in sentences."""

from __future__ import annotations

import pytest

from TumorSegLib.support.words import counted, is_or_are


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 cases"), (1, "1 case"), (2, "2 cases"), (1000, "1000 cases")]
)
def test_one_is_not_said_as_many(number: int, words: str) -> None:
    assert counted(number, "case") == words
    assert is_or_are(["case"] * number) == ("is" if number == 1 else "are")
