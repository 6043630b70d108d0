"""Letters at the sides of a slice view, for the patient's directions there."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray
from trame.widgets import html
from trame_server import Server
from trame_slicer.views import SliceView

from TumorSegWeb.clock import Paced

TOWARDS, AWAY = "RAS", "LPI"

LEAST = 0.4
"""Cosine from which on a direction is named; of a plane that was turned there may be two."""

PLACES = (
    "left: 6px; top: 50%;",
    "right: 6px; top: 50%;",
    "left: 50%; top: 4px; transform: translateX(-50%);",
    "left: 50%; bottom: 40px; transform: translateX(-50%);",
)

LOOKS = (
    "position: absolute; pointer-events: none; user-select: none; font: 600 13px sans-serif;"
    " color: #fff; text-shadow: 0 0 3px #000, 0 0 3px #000;"
)


def directions_of(view: SliceView) -> list[str]:
    """Return the patient's directions to the left, the right, the top and the bottom of a view."""
    to_ras = slicer.util.arrayFromVTKMatrix(view.get_view_node().GetSliceToRAS())
    right, up = to_ras[:3, 0], to_ras[:3, 1]
    return [_letters(-right), _letters(right), _letters(up), _letters(-up)]


def build_directions(server: Server, view_id: str, view: SliceView) -> None:
    """Build the letters over a view, which follow its plane."""
    name = f"ts_directions_{view_id}"

    def show() -> None:
        server.state[name] = directions_of(view)

    show()
    paced = Paced(server.state, show)
    view.modified.connect(lambda _view: paced.start())
    for number, place in enumerate(PLACES):
        html.Div(f"{{{{ {name}[{number}] }}}}", classes="direction", style=LOOKS + place)


def _letters(direction: NDArray[np.float64]) -> str:
    """Return "R" for the patient's right, "RA" between that and the front."""
    axes = np.argsort(-np.abs(direction), kind="stable")
    return "".join(
        (TOWARDS if direction[axis] > 0 else AWAY)[axis]
        for axis in axes
        if abs(direction[axis]) >= LEAST
    )
