"""The documentation that comes with the module; it needs no internet."""

from pathlib import Path

import qt

PAGE = Path(__file__).resolve().parents[2] / "Resources" / "Documentation" / "TumorSeg.html"


def open_documentation(*_checked):
    """Show the page in the browser of the computer."""
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(PAGE)))
