"""A plot of area and uncertainty over a volume's slices."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from PIL import Image, ImageDraw, ImageFont

from TumorSegLib.inference.result import SliceMetrics
from TumorSegLib.report.slice_picture import YELLOW

AREA = YELLOW
UNCERTAINTY = (90, 190, 255)
AXIS = (110, 116, 122)
TEXT = (205, 208, 212)

SMOOTHING = 3
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 84, 56, 30, 34


def slice_profile(
    figures: Sequence[SliceMetrics],
    shown: Collection[int],
    *,
    size: tuple[int, int],
    background: tuple[int, int, int],
) -> Image.Image:
    """Return a plot with bars for the area and a line for the uncertainty of every slice.

    Args:
        figures: of all slices, the most inferior first.
        shown: indices of the slices whose pictures stand beside the plot; they are marked.
        size: width and height in pixels.
        background: colour.
    """
    width, height = size
    left, right = MARGIN_LEFT, width - MARGIN_RIGHT
    top, bottom = MARGIN_TOP, height - MARGIN_BOTTOM
    step = (right - left) / max(len(figures), 1)
    largest = max((figure.area_mm2 for figure in figures), default=0.0) or 1.0
    doubt = max(0.1, max((figure.uncertainty for figure in figures), default=0.0))
    plot = Image.new("RGB", (width * SMOOTHING, height * SMOOTHING), background)
    draw = ImageDraw.Draw(plot)

    def scaled(*numbers: float) -> list[float]:
        return [number * SMOOTHING for number in numbers]

    for level in (0.0, 0.5, 1.0):
        y = bottom - level * (bottom - top)
        draw.line(
            scaled(left, y, right, y), fill=tuple(part // 2 for part in AXIS), width=SMOOTHING
        )
    for index, figure in enumerate(figures):
        x = left + index * step
        y = bottom - figure.area_mm2 / largest * (bottom - top)
        gap = min(1.0, step / 5)
        if figure.area_mm2 > 0:
            draw.rectangle(scaled(x + gap, y, x + step - gap, bottom), fill=_dimmed(AREA))
        if figure.index in shown:
            middle = x + step / 2
            draw.polygon(
                scaled(middle, bottom + 2, middle - 4, bottom + 9, middle + 4, bottom + 9),
                fill=TEXT,
            )
    points = [
        (
            (left + (index + 0.5) * step) * SMOOTHING,
            (bottom - figure.uncertainty / doubt * (bottom - top)) * SMOOTHING,
        )
        for index, figure in enumerate(figures)
    ]
    if len(points) > 1:
        draw.line(points, fill=UNCERTAINTY, width=2 * SMOOTHING, joint="curve")
    for x, y in points if len(points) <= 40 else []:
        radius = 3 * SMOOTHING
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=UNCERTAINTY)
    plot = plot.resize(size, Image.Resampling.BOX)

    draw = ImageDraw.Draw(plot)
    font = ImageFont.load_default(12)
    draw.text((left, 4), "area of all structures, sq mm", font=font, fill=AREA)
    draw.text((right, 4), "uncertainty", font=font, fill=UNCERTAINTY, anchor="ra")
    for level in (0.0, 0.5, 1.0):
        y = bottom - level * (bottom - top)
        area = f"{level * largest:.0f}" if largest >= 10 else f"{level * largest:.2g}"
        draw.text((left - 8, y), area, font=font, fill=AREA, anchor="rm")
        draw.text((right + 8, y), f"{level * doubt:.2f}", font=font, fill=UNCERTAINTY, anchor="lm")
    for index in numbered_slices(len(figures), most=25):
        x = left + (index + 0.5) * step
        draw.text((x, bottom + 11), str(index + 1), font=font, fill=TEXT, anchor="ma")
    draw.text((left - 8, bottom + 11), "slice", font=font, fill=TEXT, anchor="ra")
    return plot


def numbered_slices(count: int, *, most: int) -> list[int]:
    """Return the indices of the slices to number along an axis.

    The first and every so many-th, in round steps (1, 2, 5, 10, ...), `most` besides the first.
    """
    steps = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)
    step = next((step for step in steps if count <= most * step), count)
    return sorted({0, *range(step - 1, count, step)} if count else set())


def _dimmed(colour: tuple[int, int, int]) -> tuple[int, ...]:
    return tuple(round(part * 0.72) for part in colour)
