"""Slices as pictures, for the readers of data sets."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tumorseg_training.readers.numbering import several
from TumorSegLib.errors import InputError

MOST_PIXELS = 1 << 25


def read_picture(path: Path, colours: str | None = None) -> NDArray[Any]:
    """Return a picture's pixels (rows, columns), or (rows, columns, channels).

    Args:
        path: of the file.
        colours: Pillow's mode to which pictures with a palette or one bit a pixel are brought, as
            what they show; none: numbers of colours and bits are kept, as masks have them.

    Raises:
        InputError: it cannot be read; Pillow has several words for that.
    """
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as image:  # a file is read beyond its end
            if image.width * image.height > MOST_PIXELS:
                raise InputError(
                    f"{path.name}: found {image.width}x{image.height} pixels, expected at most"
                    f" {MOST_PIXELS}"
                )
            shown = colours is not None and image.mode in ("1", "P", "PA")
            pixels = np.asarray(image.convert(colours) if shown else image)
            return pixels.astype(np.uint8) if pixels.dtype == np.bool_ else pixels
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise InputError(
            f"{path.name}: cannot be read as a picture; it may be damaged or cut off"
        ) from None


def why_unpaired(
    images: Mapping[int, Collection[Path]], masks: Mapping[int, Collection[Path]], folder: Path
) -> str | None:
    """Return why pictures of slices and their masks are no case; none if they are.

    Args:
        images: by the number of the slice.
        masks: likewise.
        folder: of the case.
    """
    if not images and not masks:
        return "no slices"
    for files in (*images.values(), *masks.values()):
        if len(files) > 1:
            return several(files, folder)
    unpaired = sorted(images.keys() ^ masks.keys())
    if unpaired:
        return f"slices without partner: {', '.join(map(str, unpaired))}"
    return None
