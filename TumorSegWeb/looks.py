"""How the panel's widgets look, given to each when it is built."""

from __future__ import annotations

from typing import Any

FIELD: dict[str, Any] = {
    "density": "compact",
    "variant": "outlined",
    "hide_details": True,
    "classes": "mb-2",
}
"""Of what one of several is chosen in."""

SWITCH: dict[str, Any] = {
    "density": "compact",
    "color": "primary",
    "hide_details": True,
    "classes": "ml-2",
}
