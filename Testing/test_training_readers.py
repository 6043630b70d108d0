from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from synthetic_data import (
    SHAPE,
    ball_case,
    write_ircad,
    write_kaggle,
    write_lits,
    write_nnunet,
    write_png,
)
from tiny_models import TUMOUR, brain_specification, ct_specification

from tumorseg_training.case import Case, CaseList, ReaderOptions, noted, reader_options_for
from tumorseg_training.labelling import LabelError, model_values
from tumorseg_training.readers import read_cases
from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.model.code import CodedConcept
from TumorSegLib.model.specification import Channel, Label, ModelSpecification, Network

CT = ReaderOptions((Channel("ct", "CT"),), (1, 2, 3), modality="CT")
TISSUE = CodedConcept("SCT", "85756007", "Tissue")
MR = ReaderOptions(
    (Channel("flair", "FLAIR"), Channel("t1", "T1", "flair"), Channel("t1c", "T1c", "flair")),
    (1,),
    modality="MR",
)


def by_name(found: CaseList) -> dict[str, Case]:
    return {case.name: case for case in found.cases}


def reasons(found: CaseList) -> dict[str, str]:
    return {item.name: item.reason for item in found.unusable}


def test_kaggle_gives_three_sequences_and_the_mask(tmp_path: Path) -> None:
    found = read_cases(write_kaggle(tmp_path, 2), "kaggle_3m", MR)
    assert [case.patient for case in found.cases] == [
        "TCGA_XX_0000_19990101",
        "TCGA_XX_0001_19990101",
    ]
    content = found.cases[1].decode()
    assert set(content.volumes) == {"flair", "t1", "t1c"}
    np.testing.assert_array_equal(content.labelmap, ball_case(1)[1])
    flair, t1 = content.volumes["flair"].voxels, content.volumes["t1"].voxels
    assert (t1 == flair // 2).all()


def test_the_example_of_made_up_heads_is_a_data_set_of_its_layout(tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "docs" / "examples" / "phantom_data_set.py"
    script = run_path(str(path))
    script["write_data_set"](tmp_path / "heads", 2, (4, 32, 32))
    found = read_cases(tmp_path / "heads", "nnunet", MR)
    assert [case.patient for case in found.cases] == ["head0", "head1"]
    content = found.cases[0].decode()
    assert set(content.volumes) == {"flair", "t1", "t1c"}
    assert content.labelmap.any()
    assert content.volumes["flair"].grid.spacing == pytest.approx((7.2, 7.2, 30.0))


def test_kaggle_lists_what_cannot_be_paired(tmp_path: Path) -> None:
    folder = write_kaggle(tmp_path, 2)
    (folder / "TCGA_XX_0000_19990101" / "TCGA_XX_0000_19990101_3_mask.tif").unlink()
    (folder / "empty").mkdir()
    found = read_cases(folder, "kaggle_3m", MR)
    assert reasons(found) == {
        "TCGA_XX_0000_19990101": "slices without partner: 3",
        "empty": "no slices",
    }
    assert len(found.cases) == 1


def test_a_case_whose_name_is_not_unicode_is_left_out(tmp_path: Path) -> None:
    folder = write_kaggle(tmp_path, 2)
    odd = folder / os.fsdecode(b"TCGA_\xff")
    try:
        (folder / "TCGA_XX_0000_19990101").rename(odd)
    except (OSError, UnicodeError):
        pytest.skip("the system takes Unicode alone")
    found = read_cases(folder, "kaggle_3m", MR)
    assert reasons(found) == {r"TCGA_\udcff": "the name is not valid Unicode; rename it"}
    assert list(by_name(found)) == ["TCGA_XX_0001_19990101"]


def test_kaggle_names_the_file_that_is_cut_off(tmp_path: Path) -> None:
    folder = write_kaggle(tmp_path, 1)
    path = next(folder.glob("*/*_5.tif"))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=path.name):
        read_cases(folder, "kaggle_3m", MR).cases[0].decode()


@pytest.mark.parametrize(("layout", "pattern"), [("kaggle_3m", "*.tif"), ("png_pairs", "*.png")])
def test_masks_of_one_bit_a_pixel_are_label_1(tmp_path: Path, layout: str, pattern: str) -> None:
    """In the one layout they ended an evaluation, in the other they were background."""
    write, reading = (write_kaggle, MR) if layout == "kaggle_3m" else (write_png, CT)
    folder = write(tmp_path, 1)
    for path in folder.glob(f"*/{pattern.replace('*', '*_mask')}"):
        Image.fromarray(np.asarray(Image.open(path)) > 0).save(path)
    case = read_cases(folder, layout, replace(reading, spacing=(1.1, 1.1, 2.0))).cases[0]
    labelmap = case.decode().labelmap
    assert labelmap.dtype == np.uint8
    np.testing.assert_array_equal(labelmap, ball_case(0)[1])


def changed_pictures(
    folder: Path, pattern: str, change: Callable[[Image.Image], Image.Image]
) -> None:
    for path in folder.glob(pattern):
        with Image.open(path) as image:
            changed = change(image.copy())
        changed.save(path)


@pytest.mark.parametrize(
    "stored",
    [lambda mask: mask.point(lambda value: value // 255), lambda mask: mask.convert("1")],
    ids=["0 or 1", "a bit a pixel"],
)
def test_kaggle_masks_are_whatever_is_not_0(
    tmp_path: Path, stored: Callable[[Image.Image], Image.Image]
) -> None:
    folder = write_kaggle(tmp_path, 1)
    changed_pictures(folder, "*/*_mask.tif", stored)
    (case,) = read_cases(folder, "kaggle_3m", MR).cases
    np.testing.assert_array_equal(case.decode().labelmap, ball_case(0)[1])


def test_ircad_merges_tumours_and_keeps_cysts_apart(tmp_path: Path) -> None:
    names = ["liver", "livertumor01", "livertumor02", "liverkyst", "bone"]
    folder = write_ircad(tmp_path, {"3Dircadb1.1": names})
    reading = ReaderOptions(
        CT.channels, (1, 2, 3), {"liver": 1, "livertumor*": 2, "liver*yst*": 3}, modality="CT"
    )
    labelmap = read_cases(folder, "3Dircadb1", reading).cases[0].decode().labelmap
    assert np.unique(labelmap).tolist() == [0, 1, 2, 3]
    one_structure = 2 * 3 * 4
    assert (labelmap == 2).sum() == 2 * one_structure
    assert (labelmap == 3).sum() == one_structure
    assert (labelmap == 1).sum() == 6 * 32 * 32 - 3 * one_structure


def test_ircad_leaves_stray_folders_alone_and_lists_short_masks(tmp_path: Path) -> None:
    folder = write_ircad(tmp_path, {"3Dircadb1.1": ["liver", "check"], "3Dircadb1.2": ["liver"]})
    stray = sorted((folder / "3Dircadb1.1" / "MASKS_DICOM" / "check").iterdir())
    for path in stray[1:]:
        path.unlink()
    next((folder / "3Dircadb1.2" / "MASKS_DICOM" / "liver").iterdir()).unlink()
    found = read_cases(folder, "3Dircadb1", CT)
    assert list(by_name(found)) == ["3Dircadb1.1"]
    assert found.cases[0].decode().labelmap.any()
    assert reasons(found) == {"3Dircadb1.2": "the CT has 8 slices, but liver 7"}


@pytest.mark.slow
def test_ircad_as_published(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "ircad" / "3Dircadb1.17"
    patient = tmp_path / source.name
    with zipfile.ZipFile(source / "MASKS_DICOM.zip") as masks:
        masks.extractall(patient)
    (patient / "PATIENT_DICOM").symlink_to(source / "PATIENT_DICOM")
    content = read_cases(tmp_path, "3Dircadb1", CT).cases[0].decode()
    grid = content.volumes["ct"].grid
    assert grid.shape == (119, 512, 512)
    liver_ml = (content.labelmap > 0).sum() * grid.voxel_ml
    assert 1000 < liver_ml < 2500
    assert content.volumes["ct"].voxels[content.labelmap == 1].mean() > 60
    assert (content.labelmap == 2).any()


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_nnunet_reads_its_file_endings(tmp_path: Path, ending: str) -> None:
    found = read_cases(write_nnunet(tmp_path, 2, ending=ending), "nnunet", CT)
    content = found.cases[1].decode()
    image, label = ball_case(1)
    np.testing.assert_array_equal(content.labelmap, label)
    np.testing.assert_array_equal(content.volumes["ct"].voxels, image)
    assert content.volumes["ct"].grid.spacing == (1.5, 1.5, 3.0)


def test_nnunet_finds_channels_by_name_in_any_order(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, 1)
    grid = Grid(SHAPE, (1.5, 1.5, 3.0), (-10.0, 20.0, 5.0))
    t1 = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    sitk.WriteImage(to_sitk(t1, grid), str(folder / "imagesTr" / "BALL_000_0001.nii.gz"))
    content = json.loads((folder / "dataset.json").read_text())
    content["channel_names"] = {"0": "flair", "1": "T1"}
    (folder / "dataset.json").write_text(json.dumps(content))
    volumes = read_cases(folder, "nnunet", MR).cases[0].decode().volumes
    assert set(volumes) == {"flair", "t1"}
    np.testing.assert_array_equal(volumes["t1"].voxels, t1)


def with_channels(folder: Path, *names: str) -> Path:
    """Write a case with these channels, whose brightest voxels are their numbers."""
    write_nnunet(folder, 1)
    content = json.loads((folder / "dataset.json").read_text())
    content["channel_names"] = {str(number): name for number, name in enumerate(names)}
    (folder / "dataset.json").write_text(json.dumps(content))
    grid = Grid(SHAPE, (1.5, 1.5, 3.0), (-10.0, 20.0, 5.0))
    for number in range(len(names)):
        voxels = np.full(SHAPE, number, np.int16)
        voxels[0] = -1
        image = to_sitk(voxels, grid)
        sitk.WriteImage(image, str(folder / "imagesTr" / f"BALL_000_{number:04d}.nii.gz"))
    return folder


@pytest.mark.parametrize(
    ("names", "numbers", "note"),
    [
        (
            ("T1", "T1ce", "T2", "FLAIR"),
            {"flair": 3, "t1": 0, "t1c": 1},
            "channels: T1ce is taken for t1c; not used: T2",
        ),
        (
            ("t1n", "t1c", "t2w", "t2f"),
            {"flair": 3, "t1": 0, "t1c": 1},
            "channels: t1n is taken for t1; t2f is taken for flair; not used: t2w",
        ),
        (
            ("T1gd", "flair"),
            {"flair": 1, "t1c": 0},
            "channels: T1gd is taken for t1c; t1 is missing, flair stands in",
        ),
        (
            ("MRI",),
            {"flair": 0},
            "channels: MRI is taken for flair; t1 is missing, flair stands in;"
            " t1c is missing, flair stands in",
        ),
        (("t1", "flair", "t1c"), {"flair": 1, "t1": 0, "t1c": 2}, None),
    ],
)
def test_nnunet_knows_what_sequences_are_called(
    tmp_path: Path, names: tuple[str, ...], numbers: dict[str, int], note: str | None
) -> None:
    (case,) = read_cases(with_channels(tmp_path, *names), "nnunet", MR).cases
    volumes = case.decode().volumes
    assert {name: int(volume.voxels.max()) for name, volume in volumes.items()} == numbers
    assert case.notes == (() if note is None else (note,))


def test_nnunet_finds_the_ct_among_other_channels(tmp_path: Path) -> None:
    (case,) = read_cases(with_channels(tmp_path, "PET", "CT, venous"), "nnunet", CT).cases
    assert case.decode().volumes["ct"].voxels.max() == 1
    assert case.notes == ("channels: CT, venous is taken for ct; not used: PET",)


@pytest.mark.parametrize("names", [("FLAIR", "flair"), ("flair", "T1ce", "T1gd")])
def test_nnunet_refuses_two_channels_that_are_the_same(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    with pytest.raises(InputError, match=f"channels {' and '.join(names[-2:])} are both"):
        read_cases(with_channels(tmp_path, *names), "nnunet", MR)


def test_nnunet_lists_unpaired_and_misshaped_cases(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, 4)
    (folder / "labelsTr" / "BALL_000.nii.gz").unlink()
    (folder / "imagesTr" / "BALL_001_0000.nii.gz").unlink()
    small = to_sitk(np.zeros((4, 48, 48), np.uint8), Grid((4, 48, 48), (1.5, 1.5, 3.0)))
    sitk.WriteImage(small, str(folder / "labelsTr" / "BALL_002.nii.gz"))
    (folder / "labelsTr" / "BALL_003.nii.gz").write_text("not an image")
    found = read_cases(folder, "nnunet", CT)
    assert not found.cases
    assert reasons(found) == {
        "BALL_000": "no label map in labelsTr",
        "BALL_001": "no image of channel 0000 in imagesTr",
        "BALL_002": "BALL_002.nii.gz has shape 48x48x4, BALL_002_0000.nii.gz 48x48x8",
        "BALL_003": "BALL_003.nii.gz: not a NIfTI file, or a damaged one; copy or export it again",
    }


@pytest.mark.parametrize("place", ["name", "label", "image"])
@pytest.mark.parametrize("path", ["../../elsewhere", "/elsewhere", "..\\elsewhere", "C:/elsewhere"])
def test_nnunet_names_no_place_outside_its_folder(tmp_path: Path, place: str, path: str) -> None:
    folder = write_nnunet(tmp_path, 1)
    content = json.loads((folder / "dataset.json").read_text())
    label, image = "labelsTr/BALL_000.nii.gz", "imagesTr/BALL_000_0000.nii.gz"
    entry = {
        "images": [path if place == "image" else image],
        "label": path if place == "label" else label,
    }
    content["dataset"] = {path if place == "name" else "BALL_000": entry}
    (folder / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="outside the folder; expected names of cases"):
        read_cases(folder, "nnunet", CT)


def test_nnunet_needs_its_dataset_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.json"):
        read_cases(tmp_path, "nnunet", CT)


def test_lits_pairs_volumes_and_segmentations(tmp_path: Path) -> None:
    folder = write_lits(tmp_path, 3)
    (folder / "batch1" / "segmentation-2.nii").unlink()
    found = read_cases(folder, "lits", CT)
    assert list(by_name(found)) == ["volume-0", "volume-1"]
    np.testing.assert_array_equal(found.cases[0].decode().labelmap, ball_case(0)[1])
    assert reasons(found) == {"volume-2": "no segmentation"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("batch1/segmentation-0.nii", "predictions/segmentation-0.nii"),
        ("batch1/volume-0.nii", "batch1/volume-00.nii"),
    ],
)
def test_lits_leaves_out_a_number_of_several_files(tmp_path: Path, first: str, second: str) -> None:
    folder = write_lits(tmp_path, 2)
    (folder / second).parent.mkdir(exist_ok=True)
    shutil.copyfile(folder / first, folder / second)
    found = read_cases(folder, "lits", CT)
    assert list(by_name(found)) == ["volume-1"]
    assert reasons(found) == {
        "volume-0": f"{first} and {second} have the same number, expected one of them; remove or"
        " rename the others"
    }


def test_colours_that_the_model_does_not_take_are_refused(tmp_path: Path) -> None:
    pictures = write_png(tmp_path, 2)
    for path in pictures.glob("volume-*/[0-9]*.png"):
        if path.stem.isdecimal():
            with Image.open(path) as image:
                colours = np.stack([np.asarray(image)] * 3, axis=-1)
            if path.parent.name == "volume-1":
                colours[0, 0] = (255, 0, 0)
            Image.fromarray(colours).save(path)
    grey, coloured = read_cases(pictures, "png_pairs", replace(CT, spacing=(1.1, 1.1, 2.0))).cases
    (volume,) = grey.decode().volumes.values()
    assert volume.voxels.ndim == 3
    with pytest.raises(InputError, match=r"volume-1: pictures are coloured, .* shades of grey"):
        coloured.decode()


@pytest.mark.parametrize("kind", ["", "_mask"])
def test_pictures_of_one_number_are_no_case(tmp_path: Path, kind: str) -> None:
    pictures = write_png(tmp_path / "png", 2)
    shutil.copyfile(pictures / "volume-0" / f"4{kind}.png", pictures / "volume-0" / f"04{kind}.png")
    found = read_cases(pictures, "png_pairs", replace(CT, spacing=(1.1, 1.1, 2.0)))
    assert list(by_name(found)) == ["volume-1"]
    assert reasons(found)["volume-0"].startswith(f"04{kind}.png and 4{kind}.png have the same")
    heads = write_kaggle(tmp_path / "kaggle", 1)
    (first,) = heads.glob(f"*/*_3{kind}.tif")
    shutil.copyfile(first, first.with_name(f"other_3{kind}.tif"))
    found = read_cases(heads, "kaggle_3m", MR)
    assert not found.cases
    assert f"{first.name} and other_3{kind}.tif have the same" in found.unusable[0].reason


def test_missing_slices_between_others_are_told(tmp_path: Path) -> None:
    pictures, heads = write_png(tmp_path / "png", 2), write_kaggle(tmp_path / "kaggle", 1)
    for path in (*pictures.glob("volume-1/[68]*.png"), *heads.glob("*/*_4*.tif")):
        path.unlink()
    for path in (pictures / "volume-0").glob("1[24]*.png"):  # the last ones
        path.unlink()
    found = read_cases(pictures, "png_pairs", replace(CT, spacing=(1.1, 1.1, 2.0)))
    told = "slices are missing ({}); those beside them are taken for neighbours"
    assert noted(found.cases) == [f"volume-1: 2 of 8 {told.format('6, 8')}"]
    (case,) = read_cases(heads, "kaggle_3m", MR).cases
    assert case.notes == (f"1 of 8 {told.format('4')}",)


def test_pictures_become_hounsfield_units_and_groups_patients(tmp_path: Path) -> None:
    reading = ReaderOptions(
        CT.channels, (1, 2), spacing=(1.1, 1.1, 2.0), window=(-40.0, 160.0), modality="CT"
    )
    found = read_cases(write_png(tmp_path, 3), "png_pairs", reading)
    assert [case.patient for case in found.cases] == ["0-1", "0-1", "2"]
    image, label = ball_case(0)
    content = found.cases[0].decode()
    np.testing.assert_array_equal(content.labelmap, label)
    np.testing.assert_allclose(
        content.volumes["ct"].voxels, np.clip(image, -40, 160), atol=200 / 255
    )
    assert content.volumes["ct"].grid.spacing == (1.1, 1.1, 2.0)


def test_pictures_with_a_palette_are_what_they_show(tmp_path: Path) -> None:
    folder = write_png(tmp_path, 1)
    reading = replace(CT, spacing=(1.1, 1.1, 2.0))
    (case,) = read_cases(folder, "png_pairs", reading).cases
    shown = case.decode().volumes["ct"].voxels
    backwards = [value for level in range(255, -1, -1) for value in (level,) * 3]

    def with_palette(image: Image.Image) -> Image.Image:
        stored = Image.fromarray(255 - np.asarray(image)).convert("P")
        stored.putpalette(backwards)
        return stored

    changed_pictures(folder, "*/*[0-9].png", with_palette)
    np.testing.assert_array_equal(case.decode().volumes["ct"].voxels, shown)


def test_masks_as_pictures_are_numbers_of_colours_or_bits(tmp_path: Path) -> None:
    folder = write_png(tmp_path, 1)
    (case,) = read_cases(folder, "png_pairs", replace(CT, spacing=(1.1, 1.1, 2.0))).cases

    def with_palette(mask: Image.Image) -> Image.Image:
        stored = mask.convert("P")
        stored.putpalette([0, 0, 0, 200, 30, 30])
        return stored

    for stored in (with_palette, lambda mask: Image.fromarray(np.asarray(mask) > 0)):
        changed_pictures(folder, "*/*_mask.png", stored)
        np.testing.assert_array_equal(case.decode().labelmap, ball_case(0)[1])


def test_pictures_need_a_spacing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"data\.spacing"):
        read_cases(write_png(tmp_path, 1), "png_pairs", CT)


def test_pictures_may_have_a_spacing_of_their_own(tmp_path: Path) -> None:
    folder = write_png(tmp_path, 2)
    known = json.loads((folder / "volumes.json").read_text())
    known["1"]["spacing"] = [0.8, 0.9, 5]
    (folder / "volumes.json").write_text(json.dumps(known))
    cases = read_cases(folder, "png_pairs", replace(CT, spacing=(1.1, 1.1, 2.0))).cases
    spacings = [case.decode().volumes["ct"].grid.spacing for case in cases]
    assert spacings == [(1.1, 1.1, 2.0), (0.8, 0.9, 5.0)]
    assert cases[0].recipe != cases[1].recipe
    known["1"]["spacing"] = [0.8, 0.9]
    (folder / "volumes.json").write_text(json.dumps(known))
    with pytest.raises(InputError, match=r"volume-1: spacing is \[0\.8, 0\.9\], expected"):
        read_cases(folder, "png_pairs", replace(CT, spacing=(1.1, 1.1, 2.0)))


def test_unknown_label_values_are_named(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, 1)
    labels = np.zeros(SHAPE, np.uint8)
    labels[0, 0, :3] = (1, 7, 9)
    grid = Grid(SHAPE, (1.5, 1.5, 3.0), (-10.0, 20.0, 5.0))
    sitk.WriteImage(to_sitk(labels, grid), str(folder / "labelsTr" / "BALL_000.nii.gz"))
    with pytest.raises(LabelError, match=r"BALL_000: label values 7, 9 .*\(1, 2, 3\)"):
        read_cases(folder, "nnunet", CT).cases[0].decode()


def test_labels_are_mapped_by_number_name_and_pattern() -> None:
    annotation = np.array([0, 1, 2, 3, 4])
    names = {1: "liver", 2: "tumor left", 3: "tumor right", 4: "artefact"}
    reading = ReaderOptions(CT.channels, (1, 2), {"liver": 1, "tumor*": 2, "4": 0})
    assert model_values(annotation, reading, "case", names).tolist() == [0, 1, 2, 2, 0]
    with pytest.raises(LabelError, match=r"4 \(artefact\)"):
        model_values(annotation, ReaderOptions(CT.channels, (1, 2), {"[123]": 1}), "case", names)


def of_liver(tmp_path: Path, names: dict[str, int], **labels: int) -> np.ndarray:
    """The label map of a case with values 1 and 2, whose set gives them names, for a liver model.

    The values are in the first voxels: 1, 2.
    """
    folder = write_nnunet(tmp_path, 1)
    values = np.zeros(SHAPE, np.uint8)
    values[0, 0, :2] = 1, 2
    grid = Grid(SHAPE, (1.5, 1.5, 3.0), (-10.0, 20.0, 5.0))
    sitk.WriteImage(to_sitk(values, grid), str(folder / "labelsTr" / "BALL_000.nii.gz"))
    content = json.loads((folder / "dataset.json").read_text())
    content["labels"] = {"background": 0, **names}
    (folder / "dataset.json").write_text(json.dumps(content))
    reading = reader_options_for(ct_specification(), labels=labels)
    return read_cases(folder, "nnunet", reading).cases[0].decode().labelmap[0, 0, :2]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"Liver": 1, "Liver tumour": 2}, [1, 2]),
        ({"Liver tumour": 1, "Liver": 2}, [2, 1]),  # the liver was measured as a tumour
        ({"liver  TUMOUR": 1, "LIVER": 2}, [2, 1]),
        ({"first": 1, "second": 2}, [1, 2]),
        ({"Liver tumour": 2, "both": [1, 2]}, [1, 2]),  # regions
    ],
)
def test_values_are_what_their_names_say_to_the_model(tmp_path, names, expected) -> None:
    assert of_liver(tmp_path, names).tolist() == expected


def test_names_of_which_a_model_knows_some_have_to_be_explained(tmp_path: Path) -> None:
    names = {"Liver": 1, "Spleen": 2}
    with pytest.raises(LabelError, match=r"dataset\.json: Spleen \(2\) are no labels of the model"):
        of_liver(tmp_path, names)
    assert of_liver(tmp_path, names, Liver=1, Spleen=0).tolist() == [1, 0]


def write_layout(layout: str, folder: Path) -> Path:
    if layout == "3Dircadb1":
        return write_ircad(folder, {"3Dircadb1.1": ["liver", "livertumor01"]})
    return write_lits(folder, 1) if layout == "lits" else write_kaggle(folder, 1)


def ct_model(*labels: Label, **changes: str) -> ModelSpecification:
    """A model for CT with these labels, by default liver and its tumours."""
    if not labels:
        return ct_specification(**changes)
    arguments = {"in_channels": 1, "out_channels": 1 + len(labels), "width": 4, "depth": 2}
    return ct_specification(labels=labels, network=Network("U-Net", arguments), **changes)


LIVER, LIVER_TUMOUR = ct_specification().labels
FAT = ct_model(replace(TUMOUR, name="Subcutaneous fat", category=TISSUE))
TURNED = ct_model(replace(LIVER_TUMOUR, value=1), replace(LIVER, value=2, includes=()))


@pytest.mark.parametrize(
    ("layout", "model", "found"),
    [
        ("3Dircadb1", FAT, "value 1 is Subcutaneous fat to the model, the data set is CT with"),
        ("lits", FAT, "value 1 is Subcutaneous fat to the model"),
        ("lits", TURNED, "is Liver.* to the model, the data set is CT with 1 liver, 2 liver"),
        ("lits", brain_specification(), "the model is for MR, the data set is CT"),
        ("kaggle_3m", ct_specification(), "the model is for CT, the data set is MR with 1 tumour"),
        ("kaggle_3m", replace(brain_specification(), anatomy="prostate"), "is for the prostate"),
    ],
)
def test_a_layout_whose_values_are_something_else_to_the_model_is_refused(
    tmp_path, layout, model, found
) -> None:
    """Fat was measured against livers, before anybody noticed by its figures."""
    folder = write_layout(layout, tmp_path / "data")
    with pytest.raises(LabelError, match=f"layout {layout}: .*{found}"):
        read_cases(folder, layout, reader_options_for(model))
    said = reader_options_for(model, labels={"1": 1, "liver": 1})
    assert len(read_cases(folder, layout, said).cases) == 1


@pytest.mark.parametrize(
    ("layout", "model"),
    [
        ("3Dircadb1", ct_specification()),
        ("lits", ct_model(anatomy="Oberbauch")),
        ("lits", ct_model(replace(LIVER, includes=()))),
        ("kaggle_3m", replace(brain_specification(), anatomy="brain")),
        ("kaggle_3m", replace(brain_specification(), labels=(replace(TUMOUR, name="Edema"),))),
    ],
)
def test_a_layout_is_read_for_models_that_fit(tmp_path, layout, model) -> None:
    folder = write_layout(layout, tmp_path / "data")
    assert len(read_cases(folder, layout, reader_options_for(model)).cases) == 1


def test_the_last_pattern_counts_whether_it_fits_the_name_or_the_number() -> None:
    annotation, names = np.array([0, 1, 2]), {1: "tumour", 2: "cyst"}
    for labels, expected in (
        ({"*": 0, "tumour": 1}, [0, 1, 0]),
        ({"tumour": 1, "*": 0}, [0, 0, 0]),
        ({"*": 0, "2": 2, "tum*": 1}, [0, 1, 2]),
        ({"tumour": 1, "1": 2, "cyst": 1}, [0, 2, 1]),
    ):
        reading = ReaderOptions(CT.channels, (1, 2), labels)
        assert model_values(annotation, reading, "case", names).tolist() == expected


def test_a_mapping_that_leaves_no_structure_is_told_once(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, 2)
    found = read_cases(folder, "nnunet", replace(CT, labels={"ball": 1, "*": 0}))
    assert noted(found.cases) == [
        "2 cases: the mapping of labels makes every structure background (ball)"
    ]
    found = read_cases(folder, "nnunet", replace(CT, labels={"*": 0, "ball": 1}))
    assert not noted(found.cases)
    assert found.cases[0].decode().labelmap.any()


def test_fractions_are_no_labels() -> None:
    with pytest.raises(InputError, match="fractions"):
        model_values(np.array([0.5]), CT, "case")


def test_unknown_layouts_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'brats'.*kaggle_3m"):
        read_cases(tmp_path, "brats", CT)
    with pytest.raises(InputError, match="no such folder"):
        read_cases(tmp_path / "nothing", "nnunet", CT)
