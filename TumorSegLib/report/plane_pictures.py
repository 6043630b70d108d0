"""Planes of a volume with contours: the most affected slices, and three through the finding."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from TumorSegLib.image.display_window import display_window
from TumorSegLib.image.grid import AxialView
from TumorSegLib.measurement.component import Component
from TumorSegLib.report.blocks import Picture
from TumorSegLib.report.findings import Finding
from TumorSegLib.report.overview_picture import PICTURES_OF_NOTHING, most_affected
from TumorSegLib.report.slice_picture import Colour, contoured, picture_size
from TumorSegLib.report.subject import Subject

QUALITY = 92
LETTERS: Colour = (200, 205, 210)
CROSS: Colour = (150, 150, 150)
GAP_PIXELS = 26
"""Half the gap in the lines that say where the other planes lie: what they meet in stays free."""

AIR_SHARE, TISSUE_SHARE = 0.12, 0.005
"""Part of the window above which a voxel is no air, and of a row's voxels that are none."""

TILE_PIXELS, VIEW_PIXELS = 340, 440
MOST_NUMBERED = 30
"""Lesions that have their number beside them; with more, numbers would hide the image."""


@dataclass(frozen=True)
class Plane:
    """One of the three directions in which planes are cut from the axial view (z, y, x).

    Attributes:
        name: "Axial".
        axis: across which it is.
        upward: its rows run downward as the axis of the array does, else upward.
        left, right, top, bottom: letters at its edges.
    """

    name: str
    axis: int
    upward: bool
    left: str
    right: str
    top: str
    bottom: str

    def turned(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return a plane of the array as it is looked at."""
        return plane[::-1] if self.upward else plane


AXIAL = Plane("Axial", 0, False, "R", "L", "A", "P")
CORONAL = Plane("Coronal", 1, True, "R", "L", "S", "I")
SAGITTAL = Plane("Sagittal", 2, True, "A", "P", "S", "I")


class PlanePictures:
    """Makes the pictures of one subject's planes."""

    def __init__(self, subject: Subject) -> None:
        """Prepare what all pictures share: the window, the view, the order of contours."""
        self._subject = subject
        self._view = AxialView.of(subject.volume.grid)
        self._voxels = self._view.apply(subject.volume.voxels)
        self._window = display_window(subject.volume)
        # what is drawn last is on top, and lesions lie in organs
        self._findings = sorted(subject.findings, key=lambda finding: finding.is_lesion)
        self._shown = self._body()

    def shown_slices(self) -> list[int]:
        """Return the axial slices to show, in anatomical order."""
        count = len(self._voxels)
        lesions = [one for one in self._findings if one.is_lesion and one.measurement.voxels]
        areas = np.zeros(count)
        for finding in lesions or self._findings:
            areas += finding.measurement.areas_mm2
        if not areas.any():
            middles = (np.arange(PICTURES_OF_NOTHING) + 0.5) / PICTURES_OF_NOTHING * count
            return sorted({int(middle) for middle in middles})
        return most_affected(np.ceil(areas).astype(np.int64))

    def slices(self) -> tuple[Picture, ...]:
        """Return pictures of these slices."""
        count, pictures = len(self._voxels), []
        for index in self.shown_slices():
            picture = self._drawn(AXIAL, index, TILE_PIXELS)
            self._number_lesions(picture, index)
            pictures.append(encoded(picture, f"Slice {index + 1} of {count}"))
        return tuple(pictures)

    def through_the_largest(self) -> tuple[str, tuple[Picture, ...]]:
        """Return three planes through the largest lesion, or else structure, and what it is."""
        where, name = self._place()
        pictures = []
        for plane in (AXIAL, CORONAL, SAGITTAL):
            picture = self._drawn(plane, where[plane.axis], VIEW_PIXELS)
            self._cross(picture, plane, where)
            number = f"slice {where[0] + 1} of {len(self._voxels)}" if plane is AXIAL else ""
            pictures.append(encoded(picture, f"{plane.name} {number}".strip()))
        return name, tuple(pictures)

    def _body(self) -> tuple[slice, slice, slice]:
        """Return the part of the view to show: all slices, and in them the patient without air."""
        low, high = self._window
        steps = tuple(slice(None, None, max(1, count // 100)) for count in self._voxels.shape)
        tissue = self._voxels[steps] > low + AIR_SHARE * (high - low)
        sides = [slice(0, self._voxels.shape[0])]
        for axis in (1, 2):
            share = tissue.mean(axis=tuple(other for other in range(3) if other != axis))
            hit = np.flatnonzero(share > TISSUE_SHARE) * steps[axis].step
            boxes = [one.box[axis] for one in self._findings if one.mask.size]
            edges = [*hit[[0, -1]].tolist()] if hit.size else [0, self._voxels.shape[axis]]
            first = min([edges[0], *(box.start for box in boxes)]) - 2 * steps[axis].step
            last = max([edges[1], *(box.stop for box in boxes)]) + 2 * steps[axis].step
            sides.append(slice(max(0, first), min(self._voxels.shape[axis], last + 1)))
        return sides[0], sides[1], sides[2]

    def _place(self) -> tuple[tuple[int, int, int], str]:
        """Return a voxel of the view within the largest lesion, and what that is."""
        found = [one for one in self._findings if one.measurement.parts]
        lesions = [one for one in found if one.is_lesion]
        best = max(
            lesions or found, key=lambda one: one.measurement.largest_component_ml, default=None
        )
        if best is None:
            z, y, x = (count // 2 for count in self._voxels.shape)
            return (z, y, x), "the middle of the volume"
        part = best.measurement.parts[0]
        name = f"{best.name} {part.number}, the largest" if best.is_lesion else best.name
        _, y, x = self._inside(best, part)
        return (part.slice_index, y, x), name

    def _inside(self, finding: Finding, part: Component) -> tuple[int, int, int]:
        """Return the voxel of a structure that is nearest to a part's centroid."""
        box = self._box(part)
        within = tuple(
            slice(side.start - whole.start, side.stop - whole.start)
            for side, whole in zip(box, finding.box, strict=True)
        )
        indices = np.argwhere(finding.mask[within]) + [side.start for side in box]
        (centroid,) = self._subject.volume.grid.indices(np.array([part.centroid_mm]))
        stored = centroid[list(self._view.axes)]
        shape = self._voxels.shape
        centre = [
            count - 1 - value if flip else value
            for value, flip, count in zip(stored, self._view.flips, shape, strict=True)
        ]
        # rounded, so that round-off does not choose between two that are as near
        apart = (indices - np.round(centre, 3)) * np.round(self._view.spacing_zyx, 6)
        nearest = indices[int((apart**2).sum(axis=1).argmin())]
        return int(nearest[0]), int(nearest[1]), int(nearest[2])

    def _drawn(self, plane: Plane, index: int, longer: int) -> Image.Image:
        shape = self._voxels.shape
        rows, columns = (axis for axis in range(3) if axis != plane.axis)
        part = self._shown[rows], self._shown[columns]
        spacing = self._view.spacing_zyx
        grey = plane.turned(self._voxels.take(index, plane.axis)[part])
        size = picture_size(
            (grey.shape[0], grey.shape[1]), (spacing[rows], spacing[columns]), longer
        )
        contours = [
            (plane.turned(one.plane(plane.axis, index, shape)[part]), one.colour)
            for one in self._findings
        ]
        picture = contoured(grey, contours, window=self._window, size=size)
        _letters(picture, plane)
        return picture

    def _cross(self, picture: Image.Image, plane: Plane, where: Sequence[int]) -> None:
        """Draw where the other two planes cut this one."""
        rows, columns = (axis for axis in range(3) if axis != plane.axis)
        width, height = picture.size
        down = self._across(rows, where[rows] + 0.5)
        y = round((1 - down if plane.upward else down) * height)
        x = round(self._across(columns, where[columns] + 0.5) * width)
        draw = ImageDraw.Draw(picture)
        for line in (
            (0, y, x - GAP_PIXELS, y),
            (x + GAP_PIXELS, y, width, y),
            (x, 0, x, y - GAP_PIXELS),
            (x, y + GAP_PIXELS, x, height),
        ):
            if line[0] <= line[2] and line[1] <= line[3]:
                draw.line(line, fill=CROSS)

    def _number_lesions(self, picture: Image.Image, index: int) -> None:
        """Write the number of each lesion beside it."""
        draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
        for finding in self._findings:
            parts = finding.measurement.parts
            if not finding.is_lesion or len(parts) > MOST_NUMBERED:
                continue
            for part in parts:
                box = self._box(part)
                if not box[0].start <= index < box[0].stop:
                    continue
                x = min(self._across(2, box[2].stop) * picture.width + 3, picture.width - 18)
                y = max(self._across(1, box[1].start) * picture.height - 8, 2)
                draw.text(
                    (x, y), str(part.number), finding.colour, font, stroke_width=1, stroke_fill=0
                )

    def _across(self, axis: int, index: float) -> float:
        """Return where along a shown axis a voxel's edge lies, 0 to 1."""
        start, stop = self._shown[axis].start, self._shown[axis].stop
        return float((index - start) / (stop - start))

    def _box(self, part: Component) -> list[slice]:
        """Return a part's box in the axial view."""
        sides = []
        for axis, flip in zip(self._view.axes, self._view.flips, strict=True):
            start, stop = part.box[axis]
            count = self._subject.volume.voxels.shape[axis]
            sides.append(slice(count - stop, count - start) if flip else slice(start, stop))
        return sides


def encoded(picture: Image.Image, caption: str, *, lossless: bool = False) -> Picture:
    """Return a picture as JPEG whose contours keep their colour, or as PNG."""
    file = io.BytesIO()
    if lossless:
        picture.save(file, "PNG")
        return Picture(caption, file.getvalue(), "image/png", picture.size)
    picture.save(file, "JPEG", quality=QUALITY, subsampling=0)
    return Picture(caption, file.getvalue(), "image/jpeg", picture.size)


def _letters(picture: Image.Image, plane: Plane) -> None:
    """Write at the edges which side of the patient they are."""
    width, height = picture.size
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for letter, place, anchor in (
        (plane.left, (5, height / 2), "lm"),
        (plane.right, (width - 5, height / 2), "rm"),
        (plane.top, (width / 2, 4), "ma"),
        (plane.bottom, (width / 2, height - 4), "md"),
    ):
        draw.text(place, letter, LETTERS, font, anchor=anchor, stroke_width=1, stroke_fill=0)
