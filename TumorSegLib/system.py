"""On which operating system this is: asked here only, so that a test can pretend another one."""

from __future__ import annotations

import sys


def is_windows() -> bool:
    """Tell whether this is Windows."""
    return sys.platform == "win32"
