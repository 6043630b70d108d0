"""A report as one HTML page that needs nothing else: for screens, phones and A4."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from TumorSegLib.report.blocks import Document, printable

TEMPLATES = Path(__file__).parent / "templates"
LETTERS = r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]"
RIGHT_TO_LEFT = re.compile(rf"{LETTERS}+(?:\s+{LETTERS}+)*")
"""Words in Hebrew, Arabic and their like."""


def page_of(report: Document) -> str:
    """Return the page.

    Its content security policy allows the page's own style and pictures and nothing else: no
    script runs and nothing is fetched, whatever the names in the report are.
    """
    pages = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_text,
    )
    pages.filters["base64"] = _base64
    style = (TEMPLATES / "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = pages.get_template("report.html")
    return page.render(report=report, style=Markup(style), style_hash=digest)  # noqa: S704 - ours


def _text(value: Any) -> Any:
    """Return a text without controls; words from right to left keep the numbers behind in order."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = str(escape(printable(value)))
    return Markup(RIGHT_TO_LEFT.sub(r"<bdi>\g<0></bdi>", text))  # noqa: S704 - escaped above


def _base64(data: bytes) -> Markup:
    return Markup(base64.b64encode(data).decode())  # noqa: S704 - letters, digits, +, /, =
