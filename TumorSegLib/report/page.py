"""A report as one HTML page that needs nothing else: for screens, phones and A4."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from TumorSegLib.report.blocks import Document, printable

TEMPLATES = Path(__file__).parent / "templates"


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
        finalize=_without_controls,
    )
    pages.filters["base64"] = _base64
    style = (TEMPLATES / "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = pages.get_template("report.html")
    return page.render(report=report, style=Markup(style), style_hash=digest)  # noqa: S704 - ours


def _without_controls(value: Any) -> Any:
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return printable(value) if is_text else value


def _base64(data: bytes) -> Markup:
    return Markup(base64.b64encode(data).decode())  # noqa: S704 - letters, digits, +, /, =
