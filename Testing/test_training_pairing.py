"""Label maps and images of a case are paired by where they lie."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from synthetic_data import ball_case, write_lits, write_nnunet

from tumorseg_training.case import ReaderOptions
from tumorseg_training.readers import read_cases
from tumorseg_training.readers.pairing import reordering
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import grid_of_image, to_sitk
from TumorSegLib.model.specification import Channel

CT = ReaderOptions((Channel("ct", "CT"),), (1,), modality="CT")
ORDERS = [
    (axes, flips)
    for axes in itertools.permutations(range(3))
    for flips in itertools.product([False, True], repeat=3)
]


def stored(image: sitk.Image, axes: tuple[int, ...], flips: tuple[bool, ...]) -> sitk.Image:
    """Return an image that lies at the same place, its voxels stored in another order."""
    return sitk.Flip(sitk.PermuteAxes(image, list(axes)), list(flips))


def change(path: Path, axes: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    sitk.WriteImage(stored(sitk.ReadImage(str(path)), axes, flips), str(path))


@pytest.mark.parametrize(("axes", "flips"), ORDERS)
def test_any_order_of_axes_is_undone(axes: tuple[int, ...], flips: tuple[bool, ...]) -> None:
    angle = np.radians(20)
    turned = ((np.cos(angle), -np.sin(angle), 0), (np.sin(angle), np.cos(angle), 0), (0, 0, 1))
    grid = Grid((3, 4, 5), (0.7, 0.9, 2.5), (10.0, -20.0, 30.0), turned)
    voxels = np.random.default_rng(0).integers(0, 99, grid.shape).astype(np.int16)
    image = stored(to_sitk(voxels, grid), axes, flips)
    found = reordering(grid_of_image(image), grid)
    assert found is not None
    np.testing.assert_array_equal(found.apply(sitk.GetArrayFromImage(image)), voxels)


@pytest.mark.parametrize(
    "other",
    [
        Grid((3, 4, 4), (1, 1, 2)),
        Grid((3, 5, 4), (1, 1, 2)),
        Grid((3, 4, 5), (1, 1, 3)),
        Grid((3, 4, 5), (1, 1, 2), (0.6, 0, 0)),
        Grid((3, 4, 5), (1, 1, 2), direction=((-1, 0, 0), (0, 1, 0), (0, 0, 1))),
        Grid((3, 4, 5), (1, 1, 2), direction=((0.8, 0.6, 0), (-0.6, 0.8, 0), (0, 0, 1))),
    ],
)
def test_other_places_are_no_other_order(other: Grid) -> None:
    assert reordering(other, Grid((3, 4, 5), (1, 1, 2))) is None


@pytest.mark.parametrize(
    ("axes", "flips"),
    [
        ((0, 1, 2), (True, False, False)),
        ((0, 1, 2), (False, True, False)),
        ((0, 1, 2), (False, False, True)),
        ((1, 0, 2), (False, False, False)),
        ((2, 0, 1), (True, False, True)),
    ],
)
@pytest.mark.parametrize("layout", ["nnunet", "lits"])
def test_a_label_map_in_another_order_is_turned(
    tmp_path: Path, layout: str, axes: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    folder = write_nnunet(tmp_path, 1) if layout == "nnunet" else write_lits(tmp_path, 1)
    name = "labelsTr/BALL_000.nii.gz" if layout == "nnunet" else "batch1/segmentation-0.nii"
    change(folder / name, axes, flips)
    found = read_cases(folder, layout, CT)
    assert (found.unusable, [case.notes for case in found.cases]) == ((), [()])
    content = found.cases[0].decode()
    image, label = ball_case(0)
    np.testing.assert_array_equal(content.volumes["ct"].voxels, image)
    np.testing.assert_array_equal(content.labelmap, label)


def test_a_channel_in_another_order_is_turned(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path, 1)
    first = folder / "imagesTr" / "BALL_000_0000.nii.gz"
    second = first.with_name("BALL_000_0001.nii.gz")
    second.write_bytes(first.read_bytes())
    change(second, (1, 0, 2), (True, False, True))
    content = json.loads((folder / "dataset.json").read_text())
    content["channel_names"] = {"0": "flair", "1": "T1"}
    (folder / "dataset.json").write_text(json.dumps(content))
    reading = ReaderOptions((Channel("flair", "FLAIR"), Channel("t1", "T1", "flair")), (1,))
    volumes = read_cases(folder, "nnunet", reading).cases[0].decode().volumes
    np.testing.assert_array_equal(volumes["t1"].voxels, volumes["flair"].voxels)
    assert volumes["t1"].grid == volumes["flair"].grid


def moved(path: Path, **changes: tuple[float, ...]) -> None:
    image = sitk.ReadImage(str(path))
    for name, value in changes.items():
        getattr(image, f"Set{name}")(value)
    sitk.WriteImage(image, str(path))


@pytest.mark.parametrize(
    "changes",
    [
        {"Origin": (-10.0, 20.0, 45.0)},
        {"Spacing": (1.5, 1.5, 5.0)},
        {"Direction": (-1.0, 0, 0, 0, 1, 0, 0, 0, 1)},
    ],
)
def test_a_label_map_elsewhere_is_left_out(tmp_path: Path, changes: dict) -> None:
    folder = write_nnunet(tmp_path, 2)
    moved(folder / "labelsTr" / "BALL_000.nii.gz", **changes)
    found = read_cases(folder, "nnunet", CT)
    assert [case.name for case in found.cases] == ["BALL_001"]
    (left_out,) = found.unusable
    assert left_out.name == "BALL_000"
    assert "BALL_000.nii.gz lies on another grid than BALL_000_0000.nii.gz" in left_out.reason


def test_headers_of_lits_may_differ_with_a_line(tmp_path: Path) -> None:
    folder = write_lits(tmp_path, 2)
    moved(folder / "batch1" / "segmentation-0.nii", Origin=(0.0, 0.0, 50.0))
    moved(folder / "batch1" / "segmentation-1.nii", Direction=(-1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    found = read_cases(folder, "lits", CT)
    (case,) = found.cases
    (note,) = case.notes
    assert "segmentation-0.nii lies on another grid than volume-0.nii" in note
    np.testing.assert_array_equal(case.decode().labelmap, ball_case(0)[1])
    assert [item.name for item in found.unusable] == ["volume-1"]
