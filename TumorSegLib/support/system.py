"""On which operating system this is: asked here only, so that a test can pretend another one."""

from __future__ import annotations

import platform
import sys


def is_windows() -> bool:
    """Tell whether this is Windows."""
    return sys.platform == "win32"


def is_mac() -> bool:
    """Tell whether this is a Mac."""
    return sys.platform == "darwin"


def is_intel_mac() -> bool:
    """Tell whether this Python is one for Macs with Intel processors, wherever it runs."""
    return is_mac() and platform.machine() == "x86_64"
