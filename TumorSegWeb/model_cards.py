"""Cards of models for the page: what the panel says of each, and the card in the model's folder.

Markdown is read by markdown-it-py, which rich brings.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from markdown_it import MarkdownIt

from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.bundle_folder import CARD_FILE
from TumorSegLib.model.catalogue import SHIPPED, Catalogue, user_folder
from TumorSegModule.logic.model_choice import called
from TumorSegModule.logic.model_texts import details_of, headline, picture_of, searched_text

MAXIMUM_CARD_BYTES = 1 << 20
MAXIMUM_PICTURE_BYTES = 1 << 20


def cards_of(bundles: Iterable[Bundle]) -> list[dict[str, Any]]:
    """Return what the page shows of each model."""
    return [
        {
            "id": bundle.id,
            "title": called(bundle.specification),
            "headline": headline(bundle.specification),
            "picture": _picture(bundle),
            "details": [list(row) for row in details_of(bundle.specification)],
            "card": _card(bundle),
            "searched": searched_text(bundle.specification),
        }
        for bundle in bundles
    ]


def unusable(catalogue: Catalogue, *, with_places: bool) -> list[str]:
    """Return a line for each model that cannot be used.

    Args:
        catalogue: of all models.
        with_places: name the folders of models, too, which are no concern of a host's guests.
    """
    lines = list(catalogue.broken)
    if not with_places:
        for folder in (user_folder(), SHIPPED):
            lines = [line.replace(f"{folder}{os.sep}", "") for line in lines]
    return lines


def line_of(bundle: Bundle | None) -> str:
    """Return what to know of a model in a line: what it draws and how well, and its licence."""
    if bundle is None:
        return ""
    specification = bundle.specification
    return f"{headline(specification)} · {specification.licence}"


def as_html(markdown: str) -> str:
    """Return a card as HTML: headings, lists and tables, without what is fetched or run."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    return str(reader.disable(["image", "link", "autolink"]).render(markdown))


def _card(bundle: Bundle) -> str:
    path = bundle.folder / CARD_FILE
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return as_html(file.read(MAXIMUM_CARD_BYTES))
    except OSError:
        return ""


def _picture(bundle: Bundle) -> str:
    try:
        with picture_of(bundle).open("rb") as file:
            content = file.read(MAXIMUM_PICTURE_BYTES)
    except OSError:
        return ""
    return f"data:image/png;base64,{b64encode(content).decode()}"
