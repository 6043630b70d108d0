"""The documentation that comes with the module; it needs no internet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import qt

PAGE = Path(__file__).resolve().parents[2] / "Resources" / "Documentation" / "TumorSeg.html"


def open_documentation(*_checked: Any) -> None:
    """Show the page in the browser of the computer."""
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(PAGE)))
