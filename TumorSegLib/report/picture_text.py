"""Text in pictures, in the one font that Pillow always has."""

from __future__ import annotations

import unicodedata

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

SMALLEST = 6


def plain(text: str) -> str:
    """Return `text` in the letters that the font has: accents go, others become question marks."""
    letters = unicodedata.normalize("NFKD", text)
    kept = (letter for letter in letters if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" or letter == "·" else "?" for letter in kept)


def fitting_font(text: str, size: int, width: float) -> Font:
    """Return the font of `size`, or a smaller one with which `text` is no wider than `width`."""
    font = ImageFont.load_default(size)
    while size > SMALLEST and font.getlength(text) > width:
        size -= 1
        font = ImageFont.load_default(size)
    return font
