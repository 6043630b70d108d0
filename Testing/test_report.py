from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from results import names_in, result_of, two_structures
from test_grid import ORIENTATIONS, rotation_about, stored_as
from tiny_models import brain_specification, ct_specification

from TumorSegLib.errors import OutputError
from TumorSegLib.image.display_window import display_window
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.image.volume import Volume
from TumorSegLib.report import write_report
from TumorSegLib.report.overview_picture import most_affected, report_picture
from TumorSegLib.report.picture_text import plain
from TumorSegLib.report.slice_picture import (
    YELLOW,
    count_by_slice,
    outlines,
    picture_size,
    slice_picture,
)

pytestmark = pytest.mark.slow


def is_colour(picture, colour):
    return np.abs(np.asarray(picture, float) - colour).max(axis=-1) < 60


def test_contour_runs_along_the_border():
    pixels = np.full((40, 60), 100)
    labels = np.zeros((40, 60), np.uint8)
    labels[10:20, 30:50] = 1
    picture = slice_picture(
        pixels, labels, outlines(brain_specification().labels), window=(0, 200), size=(480, 320)
    )
    yellow = is_colour(picture, YELLOW)
    rows, columns = np.nonzero(yellow)
    assert (rows.min(), rows.max()) == pytest.approx((80, 160), abs=2)
    assert (columns.min(), columns.max()) == pytest.approx((240, 400), abs=2)
    assert not yellow[90:150, 250:390].any()
    assert np.asarray(picture)[0, 0].tolist() == [127, 127, 127]


def test_contour_at_the_edge_of_the_slice_is_closed():
    labels = np.ones((40, 60), np.uint8)
    picture = slice_picture(
        np.zeros((40, 60)),
        labels,
        outlines(brain_specification().labels),
        window=(0, 1),
        size=(300, 200),
    )
    yellow = np.asarray(picture)[..., 0] > 80
    for edge in (yellow[:2], yellow[-2:], yellow[:, :2].T, yellow[:, -2:].T):
        assert edge.any(axis=0).mean() > 0.95


def test_first_label_is_yellow_and_others_have_their_colours():
    liver, tumour = outlines(ct_specification().labels)
    assert (liver.values, liver.colour) == ((1, 2), YELLOW)
    assert (tumour.values, tumour.colour) == ((2,), (144, 238, 144))


def test_pictures_have_the_physical_shape():
    assert picture_size((100, 200), (2.0, 1.0), 320) == (320, 320)
    assert picture_size((100, 200), (0.5, 1.0), 400) == (400, 100)
    assert picture_size((1, 4000), (0.1, 1.0), 400) == (400, 1)


def test_most_affected_slices():
    assert most_affected(np.array([0, 3, 9, 1, 0])) == [1, 2, 3]
    assert most_affected(np.zeros(5, int)) == []
    counts = np.minimum(np.arange(100), np.arange(100)[::-1])
    counts[60] = 1000
    chosen = most_affected(counts)
    assert len(chosen) == 12
    assert 60 in chosen
    assert chosen == sorted(chosen)
    assert max(np.diff(chosen)) < 20


def test_lesions_choose_the_slices_where_there_are_some():
    labelmap = np.zeros((4, 5, 5), np.uint8)
    labelmap[:3] = 1
    assert count_by_slice(labelmap, ct_specification().labels).tolist() == [25, 25, 25, 0]
    labelmap[1, 2, 2] = 2
    assert count_by_slice(labelmap, ct_specification().labels).tolist() == [0, 1, 0, 0]


def test_same_pictures_whatever_the_order_of_the_array():
    rotation = rotation_about(0, 15) @ rotation_about(2, 8)
    voxels = np.random.default_rng(0).integers(0, 500, (7, 20, 24)).astype(np.int16)
    expected = None
    for axes, signs in ORIENTATIONS:
        labelmap, direction = stored_as(two_structures(), axes, signs, rotation)
        stored, _ = stored_as(voxels, axes, signs)
        spacing_zyx = np.array([4.5, 0.7, 0.9])[list(axes)]
        picture = report_picture(
            result_of(
                labelmap,
                ct_specification(),
                spacing=tuple(spacing_zyx[::-1].tolist()),
                direction=direction,
                voxels=np.ascontiguousarray(stored),
            )
        )
        content = picture.tobytes()
        expected = expected or content
        assert content == expected


def test_patients_right_is_on_the_left_and_anterior_is_up():
    labelmap = np.zeros((1, 64, 64), np.uint8)
    labelmap[0, 8:16, 4:12] = 1  # low x and low y: right and anterior in LPS
    result = result_of(labelmap, brain_specification(), spacing=(1.0, 1.0, 3.0))
    yellow = is_colour(report_picture(result), YELLOW)
    rows, columns = np.nonzero(yellow[110:600])
    assert columns.mean() < yellow.shape[1] / 2
    assert rows.mean() < 245


def test_report_is_written(tmp_path):
    result = result_of(two_structures(), ct_specification())
    paths = write_report(result, tmp_path / "new" / "report")
    assert sorted(path.name for path in paths) == names_in(tmp_path / "new" / "report")
    with Image.open(tmp_path / "new" / "report" / "report.png") as picture:
        assert picture.format == "PNG"
        assert is_colour(picture, YELLOW).any()
        assert is_colour(picture, (144, 238, 144)).any()


def test_nothing_found():
    result = result_of(np.zeros((9, 64, 64)), brain_specification())
    found = result_of(np.ones((9, 64, 64)), brain_specification())
    empty = report_picture(result)
    tiles = slice(100, empty.height - 200)
    assert not is_colour(np.asarray(empty)[tiles], YELLOW).any()
    assert is_colour(np.asarray(report_picture(found))[tiles], YELLOW).any()


@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 1, 300), (300, 1, 1), (2, 512, 512), (900, 4, 5)])
@pytest.mark.parametrize("value", [0, 1])
def test_odd_shapes(shape, value):
    voxels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    picture = report_picture(
        result_of(np.full(shape, value), brain_specification(), voxels=voxels, name="ü脑 " * 200)
    )
    assert 900 <= picture.width < 2000


def test_unwritable_places(tmp_path):
    (tmp_path / "file").touch()
    result = result_of(two_structures() % 2, brain_specification())
    for folder in (tmp_path / "file", tmp_path / "file" / "report"):
        with pytest.raises(OutputError) as refused:
            write_report(result, folder)
        assert "\n" not in str(refused.value)
    assert names_in(tmp_path) == ["file"]


def test_windows():
    voxels = np.full((4, 32, 32), -1000, np.int16)
    voxels[:, 8:24, 8:24] = 50
    grid = Grid(voxels.shape, (1, 1, 1))
    assert display_window(Volume(voxels, grid, modality="CT")) == (-160, 240)
    assert display_window(Volume(voxels, grid)) == (-160, 240)
    rng = np.random.default_rng(0)
    head = np.abs(rng.normal(0, 5, (4, 32, 32)))
    head[:, 8:24, 8:24] = rng.normal(400, 40, (4, 16, 16))
    low, high = display_window(Volume(head, grid, modality="MR"))
    assert low < 5
    assert 440 < high < 520
    sparse = np.zeros((4, 32, 32))
    sparse[0, 0, 0] = 1e-3
    low, high = display_window(Volume(sparse, grid, modality="MR"))
    assert low < high


def test_letters_that_the_font_lacks():
    assert plain("Müller · Åse") == "Muller · Ase"
    assert plain("脑 T1\n") == "? T1?"


def test_model_and_uncertainty_change_the_picture():
    result = result_of(two_structures() % 2, brain_specification())
    other = replace(result, specification=brain_specification(title="Another model"))
    doubtful = replace(
        result, slices=tuple(replace(figure, uncertainty=0.9) for figure in result.slices)
    )
    pictures = {report_picture(each).tobytes() for each in (result, other, doubtful)}
    assert len(pictures) == 3


@pytest.mark.parametrize("place", ["file", "file/below", "none/file/below"])
def test_a_place_that_cannot_be_written_to_is_refused_before_the_run(
    tmp_path, monkeypatch, capfd, place
):
    from TumorSegLib.cli import main
    from TumorSegLib.commands import segment

    def run(*_arguments, **_options):
        raise AssertionError("the model ran")

    monkeypatch.setattr(segment, "with_model", run)
    (tmp_path / "none").mkdir()
    (tmp_path / place.partition("/below")[0]).write_text("mine")
    volume = result_of(two_structures(), ct_specification()).volume
    sitk.WriteImage(to_sitk(volume.voxels, volume.grid), str(tmp_path / "ct.nrrd"))
    words = ["segment", str(tmp_path / "ct.nrrd"), "-o", str(tmp_path / "out.seg.nrrd")]
    assert main([*words, "--report", str(tmp_path / place)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert str(tmp_path / place) in line
    assert not (tmp_path / "out.seg.nrrd").exists()
