"""Files that go by a number: whether each number is one file, and whether one is missing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import pairwise
from pathlib import Path

MOST_SHOWN = 5


def by_number(files: Iterable[tuple[int, Path]]) -> dict[int, list[Path]]:
    """Return the files of each number, in the order of their paths."""
    found: dict[int, list[Path]] = {}
    for number, path in sorted(files):
        found.setdefault(number, []).append(path)
    return found


def several(files: Collection[Path], folder: Path) -> str:
    """Return that there is more than one file where one is expected below a folder."""
    names = " and ".join(path.relative_to(folder).as_posix() for path in files)
    return f"{names} have the same number, expected one of them; remove or rename the others"


def missing_slices(numbers: Collection[int]) -> tuple[str, ...]:
    """Return a note if slices are missing between others: every second one is as good as every."""
    ordered = sorted(numbers)
    step = min((after - before for before, after in pairwise(ordered)), default=1)
    missing = [
        str(number) for number in range(min(ordered), max(ordered), step) if number not in numbers
    ]
    if not missing:
        return ()
    shown = ", ".join(missing[:MOST_SHOWN]) + (", ..." if len(missing) > MOST_SHOWN else "")
    return (
        f"{len(missing)} of {len(numbers) + len(missing)} slices are missing ({shown});"
        " those beside them are taken for neighbours",
    )
