"""A report as one HTML page that needs nothing else: for screens, phones and A4."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from TumorSegLib.report.blocks import Document, printable
from TumorSegLib.support.page_templates import page_templates, policy_hash

TEMPLATES = Path(__file__).parent / "templates"
LETTERS = r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]"
RIGHT_TO_LEFT = re.compile(rf"{LETTERS}+(?:\s+{LETTERS}+)*")
"""Words in Hebrew, Arabic and their like."""


def page_of(report: Document) -> str:
    """Return the page.

    Its content security policy allows the page's own style and pictures and nothing else: no
    script runs and nothing is fetched, whatever the names in the report are.
    """
    pages = page_templates(TEMPLATES, _text)
    pages.filters["base64"] = _base64
    style = (TEMPLATES / "report.css").read_text("utf-8")
    page = pages.get_template("report.html")
    return page.render(report=report, style=Markup(style), style_hash=policy_hash(style))  # noqa: S704 - ours


def _text(value: Any) -> Any:
    """Return a text without controls; words from right to left keep the numbers behind in order."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = str(escape(printable(value)))
    return Markup(RIGHT_TO_LEFT.sub(r"<bdi>\g<0></bdi>", text))  # noqa: S704 - escaped above


def _base64(data: bytes) -> Markup:
    return Markup(base64.b64encode(data).decode())  # noqa: S704 - letters, digits, +, /, =
