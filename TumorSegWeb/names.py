"""Names for screen readers on trame-slicer's buttons that have an icon and a tooltip alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from trame.widgets import html
from trame_client.widgets.core import AbstractElement
from trame_server import Server

ICONS = {
    "mdi-circle": "Colour of the segment",
    "mdi-delete-outline": "Delete the segment",
    "mdi-plus": "Add a segment",
}
"""What buttons with these icons do, where no tooltip says it."""

BY_STATE = {"mdi-eye": "Show or hide the segment", "mdi-chevron": "Show more or less"}
"""What buttons do whose icon changes, by how its name begins."""

FILES = {"mdi-file-upload": "Open files", "mdi-folder-upload": "Open a folder"}
"""Names of what opens files, by icon; Vuetify adds “prepended action”."""

LONGEST_HEADING = 40
"""Characters of words that may name the slider below them."""

Build = Callable[[Server, str, Any], None]


def name_buttons(root: Any, slider: str = "") -> None:
    """Give each button below a widget its tooltip's text, or what its icon means, as a name.

    Args:
        root: widget.
        slider: name of what slides in it; the words before it if not given.
    """
    said = ""
    for element in _all_below(root):
        kind, attributes = element._elem_name, element._attributes
        if kind in ("div", "span") and 0 < len(_text_of(element)) < LONGEST_HEADING:
            said = _text_of(element)
        if any("aria-label" in attribute for attribute in attributes.values()):
            continue
        if kind == "VFileInput":
            icon = element._impl.py_attr.get("prepend_icon")
            attributes["named"] = f'label="{FILES.get(icon, "Open")}"'
        name = _name_of(element, slider or said)
        if name.startswith("{{"):
            expression = name.strip("{} ").replace('"', "'")
            attributes["named"] = f':aria-label="{expression}"'
        elif name:
            attributes["named"] = f'aria-label="{name}"'


def named(build: Build) -> Build:
    """Return what builds the same with named buttons, for a view."""

    def build_named(server: Server, view_id: str, view: Any) -> None:
        with html.Div() as place:
            build(server, view_id, view)
        name_buttons(place, slider="Slice")

    return build_named


def _name_of(element: Any, slider: str) -> str:
    """Return what a widget is to be called, "" if it says so itself or is none to be named."""
    kind, given = element._elem_name, element._impl.py_attr
    if kind == "VBtn" and not _text_of(element):
        name = _tooltip_of(element) or given.get("title") or _meaning(given.get("icon"))
        return name if isinstance(name, str) else ""  # an expression, which is its title already
    if kind == "VIcon" and given.get("click"):
        return _meaning(given.get("icon"))
    if kind in ("VSlider", "VRangeSlider") and not given.get("label"):
        return slider
    return ""


def _meaning(icon: Any) -> str:
    """Return what an icon stands for; a tuple is an expression with icons in it."""
    if isinstance(icon, tuple):
        return next((name for part, name in BY_STATE.items() if part in icon[0]), "")
    return ICONS.get(icon, "")


def _all_below(element: Any) -> Iterator[Any]:
    for child in element.children:
        if isinstance(child, AbstractElement):
            yield child
        if hasattr(child, "children"):
            yield from _all_below(child)


def _text_of(element: Any) -> str:
    """Return the words in a widget, without those of its tooltip and the names of its icons."""
    words = [str(element._impl.py_attr.get("text") or "")]
    for child in element.children:
        if isinstance(child, str):
            words.append(child)
        elif isinstance(child, AbstractElement) and child._elem_name not in ("VTooltip", "VIcon"):
            words.append(_text_of(child))
    return " ".join(words).strip()


def _tooltip_of(button: Any) -> str:
    found = (child for child in button.children if isinstance(child, AbstractElement))
    return next((_text_of(one) for one in found if one._elem_name == "VTooltip"), "")
