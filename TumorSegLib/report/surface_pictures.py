"""Three-dimensional pictures of what was found, where VTK and OpenGL are there to draw them."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from TumorSegLib.image.grid import Vector
from TumorSegLib.report.blocks import Picture
from TumorSegLib.report.findings import Finding
from TumorSegLib.report.plane_pictures import encoded
from TumorSegLib.support.child_process import ended_by, environment, module_command

SECONDS = 90
"""After which a drawing that hangs, as some drivers of graphics cards do, is given up."""

MOST_VOXELS = 3_000_000
"""Of a structure; a larger one is drawn coarser, which a picture of this size does not show."""

SMOOTHING_MM = 1.5

VIEWS = (
    ("From the feet", "R", "L"),
    ("From the front", "R", "L"),
    ("From the left", "A", "P"),
)
LETTERS = (90, 98, 106)
WHITE, MARGIN = 255, 8


def surface_pictures(
    findings: Sequence[Finding], spacing_zyx: Vector
) -> tuple[tuple[Picture, ...], str]:
    """Return the pictures, and in a line why there are none.

    Args:
        findings: what to draw; what was not found is left out.
        spacing_zyx: mm along the axes of the axial view.
    """
    found = [finding for finding in findings if finding.measurement.voxels]
    if not found:
        return (), "Nothing was found that could be shown in three dimensions."
    if not _has_vtk():
        return (), "No 3-D picture: VTK is not installed."
    arrays: dict[str, NDArray[Any]] = {}
    see_through = any(finding.is_lesion for finding in found)
    for number, finding in enumerate(found):
        arrays |= _arrays(finding, number, spacing_zyx)
        arrays[f"solid_{number}"] = np.array(finding.is_lesion or not see_through)
    sent = io.BytesIO()
    np.savez(sent, **arrays)  # type: ignore[arg-type]
    try:
        drawn = _drawn(sent.getvalue())
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return (), f"No 3-D picture: it could not be drawn ({_reason(error)})."
    if drawn.min() == drawn.max():
        return (), "No 3-D picture: OpenGL drew nothing on this computer."
    shown = np.flatnonzero((drawn < WHITE).any(axis=(0, 2, 3)))
    drawn = drawn[:, max(0, shown[0] - MARGIN) : shown[-1] + MARGIN]
    return tuple(_lettered(pixels, *view) for pixels, view in zip(drawn, VIEWS, strict=True)), ""


def _has_vtk() -> bool:
    return find_spec("vtkmodules") is not None


def _drawn(content: bytes) -> NDArray[np.uint8]:
    """Return what the other process draws.

    Raises:
        ValueError: it ended, or did not answer with pictures.
        OSError: it cannot be started.
        TimeoutExpired: it hangs.
    """
    ended = subprocess.run(
        module_command("TumorSegLib.report.surface_process"),
        check=False,
        input=content,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        timeout=SECONDS,
    )
    if ended.returncode:
        manner = "with" if ended.returncode > 0 else "by"
        raise ValueError(f"the process ended {manner} {ended_by(ended.returncode)}")
    drawn = np.load(io.BytesIO(ended.stdout), allow_pickle=False)
    if drawn.dtype != np.uint8 or drawn.ndim != 4 or len(drawn) != len(VIEWS):
        raise ValueError("no pictures came back")
    return np.asarray(drawn, np.uint8)


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"given up after {SECONDS} s"
    return " ".join(str(error).split())


def _arrays(finding: Finding, number: int, spacing_zyx: Vector) -> dict[str, NDArray[Any]]:
    """Return what the process is sent of one structure."""
    mask = finding.mask.astype(np.uint8) * 255
    step = [1, 1, 1]
    while mask.size > MOST_VOXELS:
        axis = int(np.argmin(np.array(spacing_zyx) * step))
        mask = _halved(mask, axis, lesion=finding.is_lesion)
        step[axis] *= 2
    if not finding.is_lesion:  # slices are thick, and their steps are not what is to be seen
        mask = gaussian_filter(mask, SMOOTHING_MM / (np.array(spacing_zyx) * step) + 0.5)
    spacing = np.array(spacing_zyx) * step
    first = np.array([side.start for side in finding.box]) * np.array(spacing_zyx)
    origin = first + (spacing - np.array(spacing_zyx)) / 2
    return {
        f"mask_{number}": mask,
        f"spacing_{number}": spacing[::-1],
        f"origin_{number}": origin[::-1],
        f"colour_{number}": np.array(finding.colour, np.float64),
    }


def _halved(mask: NDArray[np.uint8], axis: int, *, lesion: bool) -> NDArray[np.uint8]:
    """Return a mask with pairs of voxels along an axis made one; small lesions do not vanish."""
    even = mask.shape[axis] % 2
    padding = [(0, even if other == axis else 0) for other in range(3)]
    padded = np.pad(mask, padding)
    first = padded[tuple(slice(0, None, 2) if o == axis else slice(None) for o in range(3))]
    second = padded[tuple(slice(1, None, 2) if o == axis else slice(None) for o in range(3))]
    if lesion:
        return np.maximum(first, second)
    return (first // 2 + second // 2).astype(np.uint8)


def _lettered(pixels: NDArray[np.uint8], caption: str, left: str, right: str) -> Picture:
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    draw.text((6, picture.height / 2), left, LETTERS, font, anchor="lm")
    draw.text((picture.width - 6, picture.height / 2), right, LETTERS, font, anchor="rm")
    return encoded(picture, caption, lossless=True)
