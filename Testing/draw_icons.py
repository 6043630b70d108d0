"""Draws the module's icons from the digital phantoms: `python Testing/draw_icons.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

ROOT = Path(__file__).resolve().parent.parent
ICONS = ROOT / "TumorSeg" / "Resources" / "Icons"
SIZE = 128
YELLOW = np.array([255, 196, 0])
LIVER = np.array([221, 130, 101])
TUMOUR = np.array([144, 238, 144])


def main() -> None:
    """Write all icons."""
    sys.path.insert(0, str(ROOT))
    from TumorSegLib.phantom import abdomen_phantom, brain_phantom

    volumes, labels = brain_phantom()
    flair = volumes["flair"].voxels
    bright = float(np.percentile(flair, 99.5))
    brain = picture(flair, labels, (0, bright), {1: YELLOW}, crop=(16, 20))
    ct, ct_labels = abdomen_phantom()
    liver = picture(ct.voxels, ct_labels, (-160, 240), {1: LIVER, 2: TUMOUR}, crop=(30, 8))
    rounded(brain).save(ICONS / "brain.png")
    rounded(liver).save(ICONS / "abdomen.png")
    rounded(brain).save(ICONS / "TumorSeg.png")
    generic = Image.new("RGB", (SIZE, SIZE), (70, 92, 120))
    draw = ImageDraw.Draw(generic)
    for width, x in zip((64, 44, 26, 44, 64), (18, 40, 62, 84, 106), strict=True):
        draw.rectangle((x - 6, 64 - width / 2, x + 6, 64 + width / 2), fill=(225, 232, 240))
    rounded(generic).save(ICONS / "model.png")


def picture(voxels, labels, window, colours, *, crop):
    """Return the slice with the most label as a picture, its labels tinted."""
    index = int(np.argmax((labels == max(colours)).sum(axis=(1, 2))))
    rows, columns = crop
    plane = voxels[index, rows:-rows, columns:-columns].astype(float)
    mask = labels[index, rows:-rows, columns:-columns]
    low, high = window
    grey = np.clip((plane - low) / (high - low), 0, 1)[..., None] * 255
    tinted = np.repeat(grey, 3, axis=2)
    for value, colour in colours.items():
        tinted[mask == value] = 0.45 * tinted[mask == value] + 0.55 * colour
    image = Image.fromarray(tinted.astype(np.uint8))
    side = max(image.size)
    square = Image.new("RGB", (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def rounded(image):
    """Return the picture with rounded corners."""
    mask = Image.new("L", (SIZE * 4, SIZE * 4))
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, SIZE * 4 - 1, SIZE * 4 - 1), SIZE * 0.6, fill=255)
    image = image.filter(ImageFilter.SHARPEN).convert("RGBA")
    image.putalpha(mask.resize((SIZE, SIZE), Image.Resampling.LANCZOS))
    return image


if __name__ == "__main__":
    main()
