"""Where the files lie that come with the library."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent


def resources() -> Path:
    """Return the folder with models, terminology and colour tables.

    It lies in the package where that is installed, and beside it in a checkout.
    """
    inside = PACKAGE / "Resources"
    return inside if inside.is_dir() else PACKAGE.parent / "Resources"
