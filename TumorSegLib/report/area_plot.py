"""A plot on white of the area of every structure over a volume's slices."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from TumorSegLib.report.findings import Finding
from TumorSegLib.report.slice_picture import Colour
from TumorSegLib.report.slice_profile import numbered_slices

WIDTH, HEIGHT = 620, 250
SCALE = 2
"""Pixels a unit of the drawing, so that print and small screens stay sharp."""
SMOOTHING = 2

LEFT, RIGHT, TOP, BOTTOM = 66, 14, 34, 40
TEXT, AXIS = (40, 50, 60), (205, 211, 217)
FONT = 14


def area_plot(findings: Sequence[Finding], unsure: Collection[int], count: int) -> Image.Image:
    """Return the plot: a line a structure, and a mark below each slice that is unsure.

    Args:
        findings: structures; what was not found is left out.
        unsure: indices of slices.
        count: slices of the volume.
    """
    found = [finding for finding in findings if finding.measurement.voxels]
    factor = SCALE * SMOOTHING
    plot = Image.new("RGB", (WIDTH * factor, HEIGHT * factor), (255, 255, 255))
    draw = ImageDraw.Draw(plot)
    largest = max((max(one.measurement.areas_mm2) for one in found), default=0.0) / 100
    top = _round_up(largest)
    step = (WIDTH - LEFT - RIGHT) / count
    height = HEIGHT - TOP - BOTTOM

    def place(index: float, square_centimetres: float) -> tuple[float, float]:
        x = LEFT + (index + 0.5) * step
        y = HEIGHT - BOTTOM - square_centimetres / top * height
        return x * factor, y * factor

    for level in (0.0, 0.5, 1.0):
        y = (HEIGHT - BOTTOM - level * height) * factor
        draw.line((LEFT * factor, y, (WIDTH - RIGHT) * factor, y), fill=AXIS, width=factor)
    for finding in found:
        points = [
            place(index, area / 100) for index, area in enumerate(finding.measurement.areas_mm2)
        ]
        if len(points) == 1:
            points = [(LEFT * factor, points[0][1]), ((WIDTH - RIGHT) * factor, points[0][1])]
        colour = on_white(finding.colour)
        draw.line(points, fill=colour, width=round(2.2 * factor), joint="curve")
    for index in unsure:
        x, y = place(index, 0)
        draw.polygon(
            [
                (x, y + 3 * factor),
                (x - 4 * factor, y + 10 * factor),
                (x + 4 * factor, y + 10 * factor),
            ],
            fill=(192, 57, 43),
        )
    plot = plot.resize((WIDTH * SCALE, HEIGHT * SCALE), Image.Resampling.BOX)
    _labels(plot, top, count, step, any_unsure=bool(unsure))
    return plot


def legend(findings: Sequence[Finding]) -> tuple[tuple[str, Colour], ...]:
    """Return the names of the structures in the plot, with their lines' colours."""
    return tuple((one.name, on_white(one.colour)) for one in findings if one.measurement.voxels)


def on_white(colour: Colour) -> Colour:
    """Return a colour that can be told from white: as dark as it must be, of the same hue."""
    values = np.array(colour, float)
    light = float(values @ np.array([0.299, 0.587, 0.114]))
    red, green, blue = (values * min(1.0, 150 / max(light, 1.0))).round().astype(int).tolist()
    return red, green, blue


def _labels(plot: Image.Image, top: float, count: int, step: float, *, any_unsure: bool) -> None:
    draw, font = ImageDraw.Draw(plot), ImageFont.load_default(FONT * SCALE)
    height = HEIGHT - TOP - BOTTOM

    def write(x: float, y: float, text: str, colour: Colour, anchor: str) -> None:
        draw.text((x * SCALE, y * SCALE), text, colour, font, anchor=anchor)

    for level in (0.0, 0.5, 1.0):
        write(LEFT - 8, HEIGHT - BOTTOM - level * height, f"{level * top:g}", TEXT, "rm")
    for index in numbered_slices(count, most=12):
        write(LEFT + (index + 0.5) * step, HEIGHT - BOTTOM + 13, str(index + 1), TEXT, "ma")
    write(8, 8, "sq cm", TEXT, "la")
    if any_unsure:
        write(WIDTH - RIGHT, 8, "marked: check first", (192, 57, 43), "ra")


def _round_up(value: float) -> float:
    """Return the next round number whose half is round, too."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(
        next(step * power for step in (1, 2, 4, 5, 8, 10) if step * power >= value * 0.999)
    )
