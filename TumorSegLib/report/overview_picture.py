"""One picture: the most affected axial slices with contours, and all slices' figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from TumorSegLib.image.display_window import display_window
from TumorSegLib.image.grid import AxialView
from TumorSegLib.inference.result import SegmentationResult, SliceMetrics
from TumorSegLib.measurement.derived import derive
from TumorSegLib.measurement.lesions import with_lesions
from TumorSegLib.measurement.quantities import shown
from TumorSegLib.measurement.segment import Measurement, measure
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.report.picture_text import fitting_font, plain
from TumorSegLib.report.slice_picture import (
    Outline,
    count_by_slice,
    outlines,
    picture_size,
    slice_picture,
)
from TumorSegLib.report.slice_profile import slice_profile
from TumorSegLib.support.words import counted

MAXIMUM_PICTURES = 12
PICTURES_OF_NOTHING = 4
COLUMNS = 4
MOST_LESIONS = 8
MINIMUM_WIDTH = 900
MARGIN = 20
GAP = 12
CAPTION = 24
PROFILE = 170

BACKGROUND = (18, 20, 23)
TEXT = (235, 237, 240)
FAINT = (160, 166, 172)


def report_picture(
    result: SegmentationResult,
    *,
    named: bool = True,
    measurements: Sequence[Measurement] | None = None,
) -> Image.Image:
    """Return the report as a picture.

    Args:
        result: of a run.
        named: show the volume's name, which may be the patient's.
        measurements: of every label, if they are known already.
    """
    measurements = measure(result) if measurements is None else measurements
    view = AxialView.of(result.volume.grid)
    labelmap = view.apply(result.labelmap)
    indices = most_affected(count_by_slice(labelmap, result.specification.labels))
    found = bool(indices)
    if not found:
        indices = _evenly_spaced(len(labelmap))
    pictures = _pictures(result, view, indices)
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    tile_width, tile_height = pictures[0].size
    width = max(MINIMUM_WIDTH, 2 * MARGIN + columns * (tile_width + GAP) - GAP)

    header = _header(result, measurements, found=found, width=width, named=named)
    height = header.height + rows * (tile_height + CAPTION + GAP) + PROFILE + MARGIN
    report = Image.new("RGB", (width, height), BACKGROUND)
    report.paste(header, (0, 0))
    draw = ImageDraw.Draw(report)
    start = (width - columns * (tile_width + GAP) + GAP) // 2
    for position, (index, picture) in enumerate(zip(indices, pictures, strict=True)):
        x = start + position % columns * (tile_width + GAP)
        y = header.height + position // columns * (tile_height + CAPTION + GAP)
        report.paste(picture, (x, y))
        caption = _caption(result.slices[index], len(labelmap))
        font = fitting_font(caption, 13, tile_width)
        draw.text((x + tile_width / 2, y + tile_height + 5), caption, FAINT, font, anchor="ma")
    profile = slice_profile(
        result.slices, set(indices), size=(width, PROFILE), background=BACKGROUND
    )
    report.paste(profile, (0, height - MARGIN // 2 - PROFILE))
    return report


def most_affected(counts: NDArray[np.int64]) -> list[int]:
    """Return at most twelve slices to show, in anatomical order, none if nothing was found.

    Affected slices are divided into twelve runs of neighbours; the most affected of each is shown,
    so that the pictures cover all of a large structure.
    """
    affected = np.flatnonzero(counts)
    runs = np.array_split(affected, min(MAXIMUM_PICTURES, max(len(affected), 1)))
    return [int(run[counts[run].argmax()]) for run in runs if run.size]


def _evenly_spaced(count: int) -> list[int]:
    middles = (np.arange(PICTURES_OF_NOTHING) + 0.5) / PICTURES_OF_NOTHING * count
    return sorted({int(middle) for middle in middles})


def _pictures(result: SegmentationResult, view: AxialView, indices: list[int]) -> list[Image.Image]:
    voxels, labelmap = view.apply(result.volume.voxels), view.apply(result.labelmap)
    longer = 600 if len(indices) <= 2 else 420 if len(indices) <= 6 else 320
    spacing = view.spacing_zyx[1:]
    size = picture_size((voxels.shape[1], voxels.shape[2]), (spacing[0], spacing[1]), longer)
    window = display_window(result.volume)
    contours = outlines(result.specification.labels)
    pictures = []
    for index in indices:
        picture = slice_picture(voxels[index], labelmap[index], contours, window=window, size=size)
        draw = ImageDraw.Draw(picture)
        middle, font = size[1] / 2, ImageFont.load_default(13)
        draw.text((5, middle), "R", FAINT, font, anchor="lm")
        draw.text((size[0] - 5, middle), "L", FAINT, font, anchor="rm")
        pictures.append(picture)
    return pictures


def _header(
    result: SegmentationResult,
    measurements: Sequence[Measurement],
    *,
    found: bool,
    width: int,
    named: bool,
) -> Image.Image:
    """Return the lines above the pictures: the volume, the model, what was measured."""
    specification = result.specification
    contours: list[Outline | None] = [*outlines(specification.labels)]
    lines = [plain(_measured(measurement)) for measurement in measurements]
    more = [plain(line) for line in figure_lines(specification, measurements)]
    lines, contours = lines + more, contours + [None] * len(more)
    if not found:
        lines, contours = ["no structure found"], [None]
    header = Image.new("RGB", (width, 80 + 22 * len(lines)), BACKGROUND)
    draw = ImageDraw.Draw(header)
    space = width - 2 * MARGIN
    name = plain(result.volume.name if named else "Segmentation")
    draw.text((MARGIN, 14), name, TEXT, fitting_font(name, 24, space))
    model = plain(f"{specification.title} {specification.version}")
    model += f" ({result.device}, {result.precision})"
    draw.text((MARGIN, 46), model, FAINT, fitting_font(model, 15, space))
    for number, (line, contour) in enumerate(zip(lines, contours, strict=True)):
        y = 70 + 22 * number
        left = MARGIN
        if contour is not None:
            draw.rectangle((left, y + 3, left + 12, y + 15), outline=contour.colour, width=3)
            left += 22
        draw.text((left, y), line, TEXT, fitting_font(line, 15, space - left))
    return header


def _measured(measurement: Measurement) -> str:
    if measurement.voxels == 0:
        return f"{measurement.name}: not found"
    parts = counted(measurement.components, "part")
    return (
        f"{measurement.name}: {shown(measurement.volume_ml)} ml in {parts},"
        f" longest axial diameter {measurement.longest_axial_diameter_mm:.1f} mm"
    )


def figure_lines(
    specification: ModelSpecification, measurements: Sequence[Measurement]
) -> list[str]:
    """Return what the model derives, and its lesions, the largest first, a line each."""
    lines = [f"{value.name}: {value.text}" for value in derive(specification.derived, measurements)]
    lesions = [
        f"{segment.name} {part.number}: {shown(part.volume_ml)} ml,"
        f" {part.longest_axial_diameter_mm:.1f} x {part.perpendicular_diameter_mm:.1f} mm"
        f" on slice {part.slice_index + 1}"
        for segment in with_lesions(specification, measurements)
        for part in segment.parts
    ]
    rest = len(lesions) - MOST_LESIONS
    return lines + lesions[:MOST_LESIONS] + ([f"and {rest} more"] if rest > 0 else [])


def _caption(figure: SliceMetrics, count: int) -> str:
    return (
        f"slice {figure.index + 1} of {count}  ·  {figure.area_mm2:.0f} sq mm"
        f"  ·  uncertainty {figure.uncertainty:.2f}"
    )
