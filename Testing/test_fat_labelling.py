"""Fat labels by Hounsfield window and morphology: a phantom, and a real CT with a reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_writing import write_slices
from tiny_models import CT_INPUT, ORGAN, ct_specification, write_tiny_bundle

from TumorSegLib import cli, writing
from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import AxialView, Grid
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference import fat_labelling
from TumorSegLib.inference.fat_labelling import SUBCUTANEOUS, VISCERAL, label_fat
from TumorSegLib.model.labelled_volume import LabelledVolume
from TumorSegLib.model.specification import CodedConcept, Label
from TumorSegLib.phantom import abdomen_phantom, brain_phantom
from TumorSegLib.reading import read_volume

ADIPOSE = CodedConcept("SCT", "55603005", "Adipose tissue")
FAT_LABELS = (
    Label(1, "Subcutaneous fat", (255, 235, 130), ORGAN, ADIPOSE),
    Label(2, "Visceral fat", (240, 170, 80), ORGAN, ADIPOSE),
)


@pytest.fixture(scope="module")
def phantom():
    return abdomen_phantom(shape=(8, 160, 160), spacing=(2.4, 2.4, 25.0))[0]


@pytest.fixture(scope="module")
def labelled(phantom):
    return label_fat(phantom)


def dice(found, reference):
    return 2 * np.count_nonzero(found & reference) / (found.sum() + reference.sum())


def test_both_kinds_of_fat_are_found_where_they_are(phantom, labelled):
    centre = labelled[:, 60:110, 60:100]
    assert np.count_nonzero(centre == VISCERAL) > 500
    assert not (centre == SUBCUTANEOUS).any()
    below_skin = [plane[:, 80][np.flatnonzero(phantom.voxels[z, :, 80] > -300)[0] + 3 :][0]
                  for z, plane in enumerate(labelled)]  # fmt: skip
    assert below_skin.count(SUBCUTANEOUS) == len(below_skin)


def test_a_couch_and_a_sheet_below_the_patient_are_not_labelled(phantom):
    voxels = phantom.voxels.copy()
    last = max(np.flatnonzero((plane > -300).any(axis=1))[-1] for plane in voxels)
    voxels[:, 140:146, 20:140] = -100  # foam as dense as fat
    assert last < 138
    assert not label_fat(replace(phantom, voxels=voxels))[:, 138:].any()


def test_labels_lie_on_the_grid_of_a_volume_stored_in_another_order(phantom, labelled):
    turned = np.ascontiguousarray(phantom.voxels[::-1].transpose(1, 0, 2))
    spacing = phantom.grid.spacing
    grid = Grid(
        turned.shape,
        (spacing[0], spacing[2], spacing[1]),
        direction=((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),
    )
    volume = Volume(turned, grid, modality="CT")
    assert np.array_equal(AxialView.of(grid).apply(turned), phantom.voxels)
    found = label_fat(volume)
    assert np.array_equal(AxialView.of(grid).apply(found), labelled)


@pytest.mark.slow
def test_what_is_no_ct_or_shows_no_body_is_refused(phantom):
    flair = brain_phantom()[0]["flair"]
    with pytest.raises(InputError, match="seems to be MR, expected CT"):
        label_fat(flair)
    air = np.full(phantom.voxels.shape, -1000, np.int16)
    air[0, 0, 0] = 0
    with pytest.raises(InputError, match="found no body"):
        label_fat(replace(phantom, voxels=air))


def test_a_real_ct_agrees_with_its_reference(shared):
    folder = shared / "data" / "volumes"
    found = label_fat(read_volume(folder / "abdomen_ct_small.nii.gz"))
    for value, name, least in ((1, "subcutaneous_fat", 0.93), (2, "torso_fat", 0.84)):
        path = folder / "abdomen_ct_small_tissue" / f"{name}.nii.gz"
        reference = sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0
        assert dice(found == value, reference) >= least


@pytest.fixture
def fat_model(tmp_path, monkeypatch):
    write_tiny_bundle(
        tmp_path / "models",
        ct_specification(id="fat-ct-fcn8s", input=CT_INPUT, labels=FAT_LABELS),
    )
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))


@pytest.mark.slow
@pytest.mark.usefixtures("fat_model")
def test_the_command_says_what_is_odd_about_a_ct(phantom, tmp_path, capsys):
    shifted = replace(phantom, voxels=np.clip(phantom.voxels + 1024, 0, 2047))
    write_series(tmp_path / "shifted", shifted)
    words = ["label-fat", str(tmp_path / "shifted"), "-o", str(tmp_path / "fat.nii.gz")]
    assert cli.main(words) == 0
    said = capsys.readouterr().err
    assert "not those of a body in Hounsfield units; do not rely on the result" in said
    assert cli.main([*words, "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.usefixtures("fat_model")
def test_dicom_segments_are_refused_before_the_work_where_the_images_lack_something(
    phantom, tmp_path, monkeypatch, capsys
):
    pytest.importorskip("highdicom", reason="it writes DICOM segmentations")
    series, output = tmp_path / "series", tmp_path / "fat.dcm"
    words = ["label-fat", str(series), "-o", str(output), "--overwrite"]
    given = {"StudyInstanceUID": "1.2.4", "PatientID": "1", "PatientName": "A"}
    write_series(series, phantom, FrameOfReferenceUID="1.2.5", **given)
    assert cli.main(words) == 0
    assert pydicom.dcmread(output).Modality == "SEG"
    capsys.readouterr()
    monkeypatch.setattr(fat_labelling, "label_fat", None)
    write_series(series, phantom, **given)
    assert cli.main(words) == 2
    assert "FrameOfReferenceUID" in capsys.readouterr().err


def write_series(folder, volume, **attributes):
    """Write a volume as a DICOM series."""
    height = volume.grid.spacing[2]
    places = [(0, 0, height * index) for index in range(len(volume.voxels))]
    spacing = volume.grid.spacing[1], volume.grid.spacing[0]
    write_slices(folder, volume.voxels, places, spacing=spacing, **attributes)


@pytest.mark.slow
@pytest.mark.usefixtures("fat_model")
def test_the_command_writes_segments_to_correct(phantom, tmp_path, monkeypatch, capsys):
    sitk.WriteImage(to_sitk(phantom.voxels, phantom.grid), str(tmp_path / "ct.nrrd"))
    output = tmp_path / "fat.seg.nrrd"
    handed_over = []
    write = writing.write_segmentation
    monkeypatch.setattr(
        writing,
        "write_segmentation",
        lambda labelled, path, **how: (handed_over.append(labelled), write(labelled, path, **how)),
    )
    assert cli.main(["label-fat", str(tmp_path / "ct.nrrd"), "-o", str(output)]) == 0
    assert "Visceral fat: " in capsys.readouterr().out
    written = sitk.ReadImage(str(output))
    assert written.GetMetaData("Segment0_Name") == "Subcutaneous fat"
    assert np.array_equal(sitk.GetArrayFromImage(written), label_fat(phantom))
    assert [type(labelled) for labelled in handed_over] == [LabelledVolume], "a rule ran no network"

    monkeypatch.chdir(tmp_path)
    (tmp_path / "ct.nrrd").rename(tmp_path / "CT: portal?.nrrd")
    assert cli.main(["label-fat", "CT: portal?.nrrd", "--quiet"]) == 0
    assert (tmp_path / "CT_ portal_-fat.seg.nrrd").is_file()
    (tmp_path / "CT: portal?.nrrd").rename(tmp_path / "ct.nrrd")

    assert cli.main(["label-fat", str(tmp_path / "ct.nrrd"), "-o", str(tmp_path / "fat.txt")]) == 2
    assert "expected a file name that ends in" in capsys.readouterr().err

    before = (tmp_path / "ct.nrrd").read_bytes()
    same = str(tmp_path / "ct.nrrd")
    assert cli.main(["label-fat", same, "-o", same, "--overwrite"]) == 2
    assert "is an input" in capsys.readouterr().err
    assert (tmp_path / "ct.nrrd").read_bytes() == before
