"""Targets: images, label maps and segmentations in files."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np

from fuzz import image_seeds
from fuzz.binary_changes import nifti_changed, within_gzip
from fuzz.changes import BYTES, Files, in_one_file
from fuzz.origin import check_in_file
from fuzz.target import Arrays, Target
from fuzz.text_changes import header_lines, number_changed


def first(folder: Path, *stems: str) -> Path:
    """Return the file that a user would name: the one that seeds call so."""
    found = [path for stem in stems for path in sorted(folder.glob(f"{stem}.*"))]
    return found[0] if found else folder / f"{stems[0]}.nii.gz"


def read_image(folder: Path) -> Arrays:
    """Read the volume in `folder` and check that its voxels are the file's."""
    from TumorSegLib.reading import read_volume

    path = next(
        (path for path in sorted(folder.iterdir()) if path.suffix in (".nhdr", ".mhd")),
        first(folder, "image"),
    )
    volume = read_volume(path)
    assert volume.voxels.shape == volume.grid.shape
    check_in_file(path, volume.voxels)
    return volume.voxels, volume.grid, volume.warnings


def import_images() -> None:
    import TumorSegLib.reading
    import TumorSegLib.slicer_io.segmentation_file  # noqa: F401


def read_case(folder: Path) -> Arrays:
    """Read segments, and export them with their image to a new data set."""
    from TumorSegLib.export.case import ExportCase, append_case
    from TumorSegLib.export.identity import ExportKey
    from TumorSegLib.reading import read_volume
    from TumorSegLib.slicer_io.segmentation_file import read_segments

    masks = read_segments(folder / "case.seg.nrrd")
    found = [(mask.id, mask.name, mask.value, mask.model, mask.affine.tolist()) for mask in masks]
    arrays = [mask.labelmap for mask in masks]
    if not (folder / "image.nii").exists():
        return [*found, *arrays]
    volume = read_volume(folder / "image.nii")
    with tempfile.TemporaryDirectory() as place:
        dataset = Path(place) / "Dataset501_liver"
        case = ExportCase({"ct": volume}, masks, {"A" * 300: "Liver"})
        done = append_case(dataset, case, _model(), ExportKey(bytes(32)))
        written = sorted(path.relative_to(place) for path in Path(place).rglob("*.nii.gz"))
        record = json.loads((dataset / "cases" / f"{done.case}.json").read_text())
        assert list(json.loads((dataset / "dataset.json").read_text())["dataset"]) == [done.case]
    return [*found, *arrays, volume.voxels, written, record]


def _model():
    from tiny_models import ct_specification

    return ct_specification()


def export_seeds() -> list[Files]:
    """Return segmentations, each with the image that it was drawn on."""
    image = np.frombuffer(image_seeds.nifti("i2"), np.uint8).copy()
    matrix = np.array([[-0.7, 0, 0, 12.5], [0, -0.48, -2, -3], [0, -0.64, 1.5, 40.25]], "<f4")
    image[280:328] = np.frombuffer(matrix.tobytes(), np.uint8)
    image[76:108] = np.frombuffer(
        np.array([1, 0.7, 0.8, 2.5, 0, 0, 0, 0], "<f4").tobytes(), np.uint8
    )
    image[252:254] = 0
    return [{**seed, "image.nii": image.tobytes()} for seed in image_seeds.segmentation_seeds()]


def import_export() -> None:

    _model()


nrrd_lines = in_one_file(header_lines(b"\n\n"), ".nrrd", ".nhdr")
nrrd_numbers = in_one_file(number_changed, ".nrrd", ".nhdr")
meta_lines = in_one_file(header_lines(b"LOCAL\n"), ".mha", ".mhd")
meta_numbers = in_one_file(number_changed, ".mha", ".mhd")

nrrd = (nrrd_lines, nrrd_numbers)
meta = (meta_lines, meta_numbers)
niftis = (
    in_one_file(nifti_changed, ".nii"),
    in_one_file(within_gzip(nifti_changed, nifti_changed, *BYTES), ".gz"),
)

TARGETS = (
    Target("NIfTI", image_seeds.nifti_seeds, read_image, niftis, import_images),
    Target("NRRD", image_seeds.nrrd_seeds, read_image, nrrd, import_images),
    Target("MetaImage", image_seeds.meta_seeds, read_image, meta, import_images),
    Target("segmentation", image_seeds.segmentation_seeds, read_case, nrrd, import_images),
    Target("export", export_seeds, read_case, nrrd, import_export, seconds=15),
)
