"""Pages that are made of templates and need nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def page_templates(folder: Path, finalize: Callable[[Any], Any] | None = None) -> Environment:
    """Return the templates in a folder: what stands in them is escaped, what is missing fails.

    Args:
        folder: that they lie in.
        finalize: what every value passes through first.
    """
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )


def policy_hash(text: str) -> str:
    """Return the SHA-256 by which a content security policy allows a page's own style or script."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
