"""The main job with the shipped models on phantoms, which stand in for images of patients.

`test_working_data.py` has the same on real images, where they are at hand.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_writing import write_slices

from TumorSegLib import cli
from TumorSegLib.image.itk import grid_of_image, to_sitk
from TumorSegLib.phantom import abdomen_phantom, brain_phantom

pytestmark = pytest.mark.slow

QUICKEST = "brain-lgg-linknet"
OBLIQUE = [0.8660254, -0.4698463, 0.1710101, 0.5, 0.8137977, -0.2961981, 0, 0.3420201, 0.9396926]


@pytest.fixture(autouse=True)
def only_shipped_models(monkeypatch, tmp_path):
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def head():
    return brain_phantom(shape=(12, 256, 256), spacing=(0.9, 0.9, 10.0))


@pytest.fixture(scope="module")
def body():
    return abdomen_phantom(shape=(10, 256, 256), spacing=(1.5, 1.5, 20.0))


def segment(*words, capsys):
    status = cli.main(["segment", *map(str, words), "--json"])
    captured = capsys.readouterr()
    return status, json.loads(captured.out) if status == 0 else captured.err


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def test_a_tumour_is_found_in_a_head(head, capsys):
    volumes, truth = head
    for name, volume in volumes.items():
        sitk.WriteImage(to_sitk(volume.voxels, volume.grid), f"{name}.nii.gz")
    words = ["flair.nii.gz", "--channel=t1=t1.nii.gz", "--channel=t1c=t1c.nii.gz"]
    status, said = segment(*words, "--model", QUICKEST, "-o", "out.nrrd", capsys=capsys)
    assert (status, said["warnings"]) == (0, [])
    found = sitk.GetArrayFromImage(sitk.ReadImage("out.nrrd")) > 0
    assert dice(found, truth > 0) >= 0.8


def test_liver_and_fat_are_found_in_an_abdomen(body, capsys):
    ct, truth = body
    sitk.WriteImage(to_sitk(ct.voxels, ct.grid), "ct.nrrd")
    status, said = segment("ct.nrrd", "-o", "liver.nrrd", capsys=capsys)  # the default of CT
    assert (status, said["model"], said["modality_known_by"]) == (0, "liver-ct-unet", "values")
    found = sitk.GetArrayFromImage(sitk.ReadImage("liver.nrrd")) > 0
    assert dice(found, truth > 0) >= 0.85
    status, said = segment("ct.nrrd", "--model=fat-ct-fcn8s", "-o", "fat.nrrd", capsys=capsys)
    assert status == 0
    fat = sitk.GetArrayFromImage(sitk.ReadImage("fat.nrrd"))
    assert {1, 2} <= set(np.unique(fat).tolist())
    assert ct.voxels[fat > 0].mean() == pytest.approx(-100, abs=40)  # Hounsfield units of fat


@pytest.mark.parametrize("form", [".nrrd", ".nii.gz", ".mha", "left-handed", "oblique", "tilted"])
def test_every_form_of_a_volume_keeps_its_grid(head, capsys, form):
    volume = head[0]["flair"]
    image = to_sitk(volume.voxels[::3], volume.grid)
    image.SetSpacing((0.9, 0.9, 30.0))
    path = f"flair{form if form.startswith('.') else '.nrrd'}"
    if form == "left-handed":
        image = sitk.Flip(image, (False, True, False))
    elif form == "oblique":
        image.SetDirection(OBLIQUE)
    sitk.WriteImage(image, path)
    if form == "tilted":  # 15 degrees of the gantry: slices go along z, not along their normal
        path = "series"
        voxels = sitk.GetArrayFromImage(image)
        axes = [1, 0, 0, 0, np.cos(np.radians(15)), np.sin(np.radians(15))]
        places = [(0.0, 0.0, 30.0 * index) for index in range(len(voxels))]
        write_slices(
            Path(path), voxels, places, orientation=axes, spacing=(0.9, 0.9), Modality="MR"
        )
    status, said = segment(path, "--model", QUICKEST, "-o", "out.nrrd", capsys=capsys)
    assert status == 0, said
    found = sitk.ReadImage("out.nrrd")
    if form == "tilted":
        assert any("gantry tilt of 15.0 degrees" in line for line in said["warnings"])
    else:
        assert found.GetSize() == image.GetSize()
        assert grid_of_image(found).geometry_equal(grid_of_image(image), 1e-3)


def test_a_segmentation_is_no_volume(head, capsys):
    volume = head[0]["flair"]
    sitk.WriteImage(to_sitk(volume.voxels, volume.grid), "flair.nrrd")
    words = ["flair.nrrd", "--model", QUICKEST, "-o", "first.seg.nrrd"]
    assert segment(*words, capsys=capsys)[0] == 0
    status, said = segment("first.seg.nrrd", "--model", QUICKEST, "-o", "out.nrrd", capsys=capsys)
    assert status == 2
    assert "a segmentation made by 3D Slicer" in said
