"""Compiled Python files that were cut short, as Python before 3.12.8 leaves them on a full disk.

Such a file ends every later import of its module with "EOFError: marshal data too short".
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Iterable
from importlib.util import MAGIC_NUMBER
from pathlib import Path

HEADER_BYTES = 16


def is_cut_short(path: Path) -> bool:
    """Tell whether this interpreter would take a compiled file and fail on it."""
    content = path.read_bytes()
    if not content.startswith(MAGIC_NUMBER):
        return False  # of another version, which compiles anew
    try:
        marshal.loads(content[HEADER_BYTES:])  # noqa: S302 # nosec B302
    except (EOFError, ValueError, TypeError):
        return True
    return False


def remove_cut_short(folders: Iterable[Path]) -> list[Path]:
    """Remove the compiled files below `folders` that are cut short, and return their paths."""
    pattern = f"**/__pycache__/*.{sys.implementation.cache_tag}*.pyc"
    found = [path for folder in folders for path in folder.glob(pattern) if is_cut_short(path)]
    for path in found:
        path.unlink(missing_ok=True)
    return found
