"""Numbers with a decimal point, also where the program that we run in writes commas."""

from __future__ import annotations

import locale
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def decimal_point() -> Iterator[None]:
    """Have C and C++ write and read numbers with a point within the block, in the whole process.

    Qt and `locale.setlocale(locale.LC_ALL, "")` turn to the user's locale, whose comma makes NRRD
    headers that nobody can read.
    """
    kept = locale.setlocale(locale.LC_NUMERIC)
    locale.setlocale(locale.LC_NUMERIC, "C")
    try:
        yield
    finally:
        locale.setlocale(locale.LC_NUMERIC, kept)
