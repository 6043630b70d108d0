"""Texts that people's programs have saved, in UTF-8 or UTF-16."""

from __future__ import annotations

import codecs

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def decoded(content: bytes) -> str:
    """Return a text, without the sign of its coding (BOM) that Windows' programs put before it.

    Raises:
        ValueError: it is in another coding, or none.
    """
    text = content.decode("utf-16" if content.startswith(UTF_16) else "utf-8-sig")
    if "\0" in text:
        raise ValueError("holds zeros")
    return text
