"""The main job on real images, with the shipped model; skipped where they are not at hand."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from TumorSegLib import cli
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import grid_of_image, to_sitk
from TumorSegLib.model.catalogue import SHIPPED

OBLIQUE = (
    (0.8660254, -0.4698463, 0.1710101),
    (0.5, 0.8137977, -0.2961981),
    (0.0, 0.3420201, 0.9396926),
)
SHIPPED_MODEL = "brain-lgg-linknet"


@pytest.fixture(autouse=True)
def only_shipped_models(monkeypatch, tmp_path):
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)


def lgg_patient(shared, patient):
    """Return {channel: (z, y, x)} and the mask, as published."""
    with zipfile.ZipFile(shared / "data" / "lgg" / f"{patient}.zip") as pack:
        slices = {}
        for name in pack.namelist():
            number = int(Path(name).stem.removesuffix("_mask").rsplit("_", 1)[1])
            kind, mode = ("mask", "L") if "_mask" in name else ("image", "RGB")
            picture = Image.open(io.BytesIO(pack.read(name))).convert(mode)
            slices.setdefault(number, {})[kind] = np.asarray(picture)
    ordered = [slices[number] for number in sorted(slices)]
    images = np.stack([entry["image"] for entry in ordered])
    masks = np.stack([entry["mask"] for entry in ordered])
    return dict(zip(("t1", "flair", "t1c"), np.moveaxis(images, -1, 0), strict=True)), masks > 127


def segment(*words, capsys):
    status = cli.main(["segment", *map(str, words), "--json"])
    captured = capsys.readouterr()
    return status, json.loads(captured.out) if status == 0 else captured.err


@pytest.mark.slow
def test_real_patients_are_segmented_as_well_as_the_card_says(shared, capsys):
    """The patients of the card's figures; the shipped weights were then trained on them, too."""
    specification = json.loads((SHIPPED / SHIPPED_MODEL / "model.json").read_text(encoding="utf-8"))
    said = specification["evaluation"]["structures"]["Tumour"]["dice"]["mean"]
    fold = json.loads((shared / "data" / "lgg" / "folds.json").read_text(encoding="utf-8"))["fold0"]
    scores = {}
    for patient in fold:
        channels, mask = lgg_patient(shared, patient)
        grid = Grid(mask.shape, (0.9, 0.9, 5.0), (-110.0, 31.5, -42.0), OBLIQUE)
        for name, voxels in channels.items():
            sitk.WriteImage(to_sitk(np.ascontiguousarray(voxels), grid), f"{name}.nii.gz")
        words = ["flair.nii.gz", "--channel=t1=t1.nii.gz", "--channel=t1c=t1c.nii.gz"]
        status, report = segment(
            *words, "--model", SHIPPED_MODEL, "-o", "out.seg.nrrd", "--overwrite", capsys=capsys
        )
        assert status == 0
        image = sitk.ReadImage("out.seg.nrrd")
        assert grid_of_image(image).geometry_equal(grid)
        found = sitk.GetArrayFromImage(image) > 0
        assert report["segments"][0]["volume_ml"] == pytest.approx(found.sum() * grid.voxel_ml)
        scores[patient] = 2 * (found & mask).sum() / (found.sum() + mask.sum())
    print(scores)
    assert np.mean(list(scores.values())) >= said >= 0.75


VOLUMES = (
    "brain1_image.nrrd",
    "CTChest4.nrrd",
    "abdomen_ct_3mm.nii.gz",
    "abdomen_ct_small.nii.gz",
    "jpeg2000_ct",
)


@pytest.mark.parametrize("name", VOLUMES)
def test_every_volume_keeps_its_grid(shared, capsys, name):
    path = shared / "data" / "volumes" / name
    status, report = segment(path, "--model", SHIPPED_MODEL, "-o", "out.nrrd", capsys=capsys)
    assert status == 0, report
    found = sitk.ReadImage("out.nrrd")
    if path.is_dir():
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
        reference = reader.Execute()
    else:
        reference = sitk.ReadImage(str(path))
    assert found.GetSize() == reference.GetSize()
    assert grid_of_image(found).geometry_equal(grid_of_image(reference), 1e-3)


def test_gantry_tilt_is_regularised_and_said(shared, capsys):
    path = shared / "data" / "volumes" / "gantry_tilt_ct"
    status, report = segment(path, "--model", SHIPPED_MODEL, "-o", "out.nrrd", capsys=capsys)
    assert status == 0
    assert any("gantry tilt of 18.5 degrees" in line for line in report["warnings"])


@pytest.mark.parametrize("name", ["Segmentation.seg.nrrd", "SegmentationOverlapping.seg.nrrd"])
def test_a_segmentation_is_no_volume(shared, capsys, name):
    status, err = segment(
        shared / "data" / "volumes" / name, "--model", SHIPPED_MODEL, capsys=capsys
    )
    assert status == 2
    assert "a segmentation made by 3D Slicer" in err
    assert not list(Path.cwd().iterdir())
