"""The volumes and models that are measured, made on the spot; no patient's data."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.catalogue import SHIPPED
from TumorSegLib.phantom import abdomen_phantom, brain_phantom

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Testing"))

FIELD_MM, LENGTH_MM, TRUNK_MM = 384.0, 200.0, 500.0


def write_mri(folder: Path, slices: int = 40, size: int = 256) -> list[Path]:
    """Write a phantom's FLAIR, T1 and T1 after contrast as NIfTI; return the paths."""
    volumes, _ = brain_phantom(
        shape=(slices, size, size), spacing=(230 / size, 230 / size, 140 / slices)
    )
    return [_written(volumes[name], folder / f"{name}.nii.gz") for name in ("flair", "t1", "t1c")]


def write_ct(folder: Path, slices: int = 200, size: int = 512) -> Path:
    """Write a phantom abdomen in Hounsfield units as NIfTI; return the path."""
    spacing = (FIELD_MM / size, FIELD_MM / size, LENGTH_MM / slices)
    phantom, _ = abdomen_phantom(shape=(slices, size, size), spacing=spacing)
    return _written(phantom, folder / f"ct-{slices}.nii.gz")


def write_trunk(folder: Path, slices: int = 200, size: int = 512) -> Path:
    """Write a CT of half a metre, 2.5 mm a slice, whose liver takes up a third; return the path.

    The phantom's 200 mm, beneath and above which its outermost 10 mm, bowel and lungs, come again
    and again.
    """
    apart = TRUNK_MM / slices
    within, edge = round(LENGTH_MM / apart), round(10 / apart)
    spacing = (FIELD_MM / size, FIELD_MM / size, apart)
    phantom, _ = abdomen_phantom(shape=(within, size, size), spacing=spacing)
    beneath, above = (slices - within) // 2, (slices - within + 1) // 2
    order = [*(np.arange(-beneath, 0) % edge), *range(within)]
    order += [within - edge + index % edge for index in range(above)]
    voxels = phantom.voxels[order]
    grid = Grid(voxels.shape, spacing, phantom.grid.origin, phantom.grid.direction)
    return _written(Volume(voxels, grid, "CT"), folder / f"trunk-{slices}.nii.gz")


def write_series(
    folder: Path, voxels: np.ndarray, spacing: tuple[float, float, float]
) -> list[Path]:
    """Write an axial CT as uncompressed DICOM, a file a slice; return the paths.

    Args:
        folder: is made.
        voxels: Hounsfield units (z, y, x).
        spacing: mm along (x, y, z).
    """
    from dicom_writing import write_slices

    stored = (voxels.astype(np.int32) + 1024).astype(np.uint16)
    x, y, z = spacing
    places = [(0.0, 0.0, z * k) for k in range(len(stored))]
    bits = {"BitsStored": 12, "HighBit": 11, "RescaleIntercept": -1024}
    return write_slices(folder, list(stored), places, spacing=(y, x), **bits)


def _written(volume: object, path: Path) -> Path:
    image = to_sitk(volume.voxels, volume.grid)
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


def without_mirroring(model: str, folder: Path) -> Path:
    """Write a copy of a shipped model that does not average with mirrored slices."""
    copy = folder / f"{model}-plain"
    shutil.copytree(SHIPPED / model, copy)
    path = copy / "model.json"
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content | {"flips": False, "first_alone": 0.0}), "utf-8")
    return copy
