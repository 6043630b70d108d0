"""Fonts of the PDF: one that is always there, and for other letters what the system has.

Bitstream Vera comes with reportlab and is embedded; it has the letters of western Europe. Letters
that it lacks are taken from the first of the system's own fonts that has them, of which the letters
in use are embedded. Chinese, Japanese and Korean without such a font are set in one of Adobe's
standard fonts for these scripts, which readers of PDF bring. What is left is shown as a box.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

from TumorSegLib.report.blocks import printable

REGULAR, BOLD = "Vera", "VeraBd"
BOX = "\N{WHITE SQUARE}"

FAMILIES = (
    *(
        "segoeui.ttf",
        "arial.ttf",
        "seguisym.ttf",
        "msyh.ttc",
        "msyh.ttf",
        "simsun.ttc",
        "simhei.ttf",
    ),
    *("msgothic.ttc", "YuGothM.ttc", "malgun.ttf", "Nirmala.ttf", "tahoma.ttf"),
    *("Arial Unicode.ttf", "Arial.ttf", "STHeiti Light.ttc", "Hiragino Sans GB.ttc", "Geneva.ttf"),
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "FreeSans.ttf"),
    *("DroidSansFallbackFull.ttf", "DroidSansFallback.ttf", "wqy-zenhei.ttc", "wqy-microhei.ttc"),
    *("uming.ttc", "ukai.ttc", "fonts-japanese-gothic.ttf", "NanumGothic.ttf"),
)
"""Files of Windows, macOS and Linux with outlines that reportlab embeds."""

MOST_FOLDERS = 400
STANDARD = (
    ("HANGUL", "HYSMyeongJo-Medium"),
    ("HIRAGANA", "HeiseiKakuGo-W5"),
    ("KATAKANA", "HeiseiKakuGo-W5"),
    ("CJK", "STSong-Light"),
)
"""What the names of a script's letters begin with in Unicode, and Adobe's font for it."""


class Fonts:
    """Finds a font for every letter; `lacking` are those for which there is none."""

    def __init__(self) -> None:
        """Have reportlab know its own fonts."""
        self.lacking: set[str] = set()
        for name in (REGULAR, BOLD):
            _registered(name, f"{name}.ttf")

    def markup(self, text: str) -> str:
        """Return a text as reportlab's paragraphs take it, nothing in it taken for a tag."""
        parts = []
        for font, letters in groupby(printable(text), self._font):
            run = "".join(letters)
            if font is None:
                self.lacking |= set(run)
                run, font = BOX * len(run), _box_font()
                run = run if font else "?" * len(run)
            parts.append(f'<font name="{font}">{escape(run)}</font>' if font else escape(run))
        return "".join(parts)

    def _font(self, letter: str) -> str | None:
        """Return the name of a font with a letter: "" for the paragraph's own; None: no font."""
        if letter in " \N{NO-BREAK SPACE}" or _has(REGULAR, letter):
            return ""
        return _other_font(letter)


@cache
def _other_font(letter: str) -> str | None:
    for name in _system_fonts():
        if _has(name, letter):
            return name
    script = unicodedata.name(letter, "")
    for begin, name in STANDARD:
        if script.startswith(begin):
            if name not in pdfmetrics.getRegisteredFontNames():
                pdfmetrics.registerFont(UnicodeCIDFont(name))
            return name
    return None


def _box_font() -> str | None:
    return next((name for name in _system_fonts() if _has(name, BOX)), None)


def _has(font: str, letter: str) -> bool:
    face: Any = pdfmetrics.getFont(font).face
    return ord(letter) in face.charToGlyph


@cache
def _system_fonts() -> tuple[str, ...]:
    """Return the names of the system's fonts that can be embedded."""
    places: dict[str, Path] = {}
    for path in _font_files():
        places.setdefault(path.name, path)
    there = [(f"System-{file}", str(places[file])) for file in FAMILIES if file in places]
    return tuple(name for name, path in there if _registered(name, path))


def _font_files() -> Iterator[Path]:
    folders = [
        Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "Fonts",
        Path("/System/Library/Fonts"),
        Path("/Library/Fonts"),
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
    ]
    seen = 0
    for top in folders:
        for folder, _folders, files in os.walk(top):
            seen += 1
            if seen > MOST_FOLDERS:
                return
            yield from (Path(folder, file) for file in files if file in FAMILIES)


def _registered(name: str, file: str) -> bool:
    """Tell whether reportlab knows a font now; a file with other outlines cannot be embedded."""
    if name in pdfmetrics.getRegisteredFontNames():
        return True
    try:
        pdfmetrics.registerFont(TTFont(name, file))
    except Exception:  # TTFError, and whatever a damaged file of the system's brings about
        return False
    return True
