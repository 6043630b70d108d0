"""The volumes and models that are measured, made on the spot; no patient's data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import SimpleITK as sitk

from TumorSegLib.image.itk import to_sitk
from TumorSegLib.model.catalogue import SHIPPED
from TumorSegLib.phantom import abdomen_phantom, brain_phantom

FIELD_MM, LENGTH_MM = 384.0, 200.0


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
