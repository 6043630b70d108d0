"""Where the files lie that come with the library, and those that it keeps for the user."""

from __future__ import annotations

import os
from pathlib import Path

from TumorSegLib.support.system import is_mac, is_windows

PACKAGE = Path(__file__).resolve().parent.parent


def resources() -> Path:
    """Return the folder with models, terminology and colour tables.

    It lies in the package where that is installed, and beside it in a checkout.
    """
    inside = PACKAGE / "Resources"
    return inside if inside.is_dir() else PACKAGE.parent / "Resources"


def data_folder() -> Path:
    r"""Return the folder of what TumorSeg keeps for this user, which need not be there yet.

    That is `TumorSeg` in $XDG_DATA_HOME where that is set, otherwise in `~/.local/share`, on
    Windows in `%LOCALAPPDATA%` and on a Mac in `~/Library/Application Support`: where platformdirs
    says. That package cannot be asked, since Slicer's panel needs the folder before the user has
    agreed to install any. A Mac's folder that an earlier version made stays in use.
    """
    if given := os.environ.get("XDG_DATA_HOME"):
        return Path(given).expanduser() / "TumorSeg"
    if is_windows() and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "TumorSeg"
    usual = Path.home() / ".local" / "share" / "TumorSeg"
    if is_mac() and not usual.is_dir():
        return Path.home() / "Library" / "Application Support" / "TumorSeg"
    return usual
