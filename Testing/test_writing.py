from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from results import names_in, result_of, two_structures
from slicer_scene import new_scene, segments_of
from test_grid import rotation_about, stored_as
from tiny_models import brain_specification, ct_specification

from TumorSegLib.errors import OutputError
from TumorSegLib.image.itk import grid_of_image
from TumorSegLib.slicer_io.segmentation_file import read_segments
from TumorSegLib.support.version import __version__
from TumorSegLib.writing import LABELMAP_ENDINGS, write_segmentation

IMAGE_ENDINGS = (*LABELMAP_ENDINGS, ".seg.nrrd")
TERMINOLOGY = (
    "Segmentation category and type - DICOM master list"
    "~SCT^49755003^Morphologically Altered Structure~SCT^4147007^Mass~^^"
    "~Anatomic codes - DICOM master list~SCT^10200004^Liver~^^"
)
PLACEMENTS = [
    pytest.param((0, 1, 2), (1, 1, 1), None, id="axial"),
    pytest.param((0, 1, 2), (-1, 1, -1), None, id="flipped"),
    pytest.param((0, 1, 2), (1, -1, 1), None, id="left-handed"),
    pytest.param((2, 0, 1), (1, -1, 1), None, id="sagittal"),
    pytest.param(
        (1, 2, 0), (-1, 1, 1), rotation_about(0, 23) @ rotation_about(2, 11), id="oblique"
    ),
]


def placed(axes, signs, rotation, **options):
    labelmap, direction = stored_as(two_structures(), axes, signs, rotation)
    return result_of(labelmap, ct_specification(anatomy="liver"), direction=direction, **options)


@pytest.mark.parametrize("ending", IMAGE_ENDINGS)
@pytest.mark.parametrize(("axes", "signs", "rotation"), PLACEMENTS)
def test_label_map_lies_on_the_volumes_grid(tmp_path, ending, axes, signs, rotation):
    result = placed(axes, signs, rotation)
    path = tmp_path / f"out{ending}"
    write_segmentation(result, path)
    image = sitk.ReadImage(str(path))
    assert image.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), result.labelmap)
    tolerance = 1e-4 if ".nii" in ending else 1e-9  # NIfTI keeps 32-bit numbers
    assert grid_of_image(image).geometry_equal(result.volume.grid, tolerance)
    assert names_in(tmp_path) == [path.name]


@pytest.mark.parametrize(("axes", "signs", "rotation"), PLACEMENTS)
def test_slicer_sees_names_colours_codes_and_voxels(tmp_path, axes, signs, rotation):
    pytest.importorskip("slicer")
    result = placed(axes, signs, rotation)
    path = tmp_path / "out.seg.nrrd"
    write_segmentation(result, path)
    slicer = new_scene(tmp_path)
    node = slicer.Segmentations.LoadSegmentationFromFile(str(path))
    segments = segments_of(node, result.volume.grid)
    assert list(segments) == ["TumorSeg_liver_Liver", "TumorSeg_liver_Liver_tumour"]
    for label, segment in zip(result.specification.labels, segments.values(), strict=True):
        assert segment.name == label.name
        assert segment.value == label.value
        assert segment.colour == pytest.approx(np.array(label.colour) / 255, abs=1e-5)
        np.testing.assert_array_equal(segment.mask, result.labelmap == label.value)
    assert segments["TumorSeg_liver_Liver_tumour"].terminology == TERMINOLOGY
    geometry = node.GetSegmentation().GetConversionParameter("Reference image geometry")
    numbers = [float(number) for number in geometry.rstrip(";").split(";")]
    ras = np.diag([-1, -1, 1, 1]) @ result.volume.grid.affine
    np.testing.assert_allclose(numbers[:16], ras.ravel(), atol=1e-12)
    assert numbers[16:] == [0, result.labelmap.shape[2] - 1, 0, result.labelmap.shape[1] - 1, 0,
                            result.labelmap.shape[0] - 1]  # fmt: skip


@pytest.mark.parametrize("found", [(), (2,)])
def test_segments_stay_when_nothing_is_found(tmp_path, found):
    pytest.importorskip("slicer")
    labelmap = two_structures()
    labelmap[~np.isin(labelmap, found)] = 0
    result = result_of(labelmap, ct_specification(anatomy="liver"))
    path = tmp_path / "out.seg.nrrd"
    write_segmentation(result, path)
    slicer = new_scene(tmp_path)
    segments = segments_of(
        slicer.Segmentations.LoadSegmentationFromFile(str(path)), result.volume.grid
    )
    assert [segment.name for segment in segments.values()] == ["Liver", "Liver tumour"]
    assert [segment.value for segment in segments.values()] == [1, 2]
    for segment in segments.values():
        np.testing.assert_array_equal(segment.mask, labelmap == segment.value)


def test_region_is_left_open_where_the_model_names_none(tmp_path):
    path = tmp_path / "out.seg.nrrd"
    write_segmentation(result_of(two_structures() % 2, brain_specification()), path)
    tags = sitk.ReadImage(str(path)).GetMetaData("Segment0_Tags")
    assert "~SCT^4147007^Mass~^^~Anatomic codes - DICOM master list~^^~^^|" in tags


def test_the_file_says_which_model_drew_it_and_how(tmp_path):
    path = tmp_path / "out.seg.nrrd"
    result = result_of(two_structures() % 2, brain_specification())
    write_segmentation(replace(result, settings={"flips": "on"}), path)
    tags = dict(
        tag.split(":", 1)
        for tag in sitk.ReadImage(str(path)).GetMetaData("Segment0_Tags").strip("|").split("|")
    )
    model = result.specification
    assert tags["TumorSeg.Model"] == f"{model.id} {model.version}"
    settings = f"device {result.device}, precision {result.precision}, flips on"
    assert tags["TumorSeg.Run"] == f"TumorSeg {__version__}, {settings}"
    (mask,) = read_segments(path)
    assert mask.changed(result.volume.grid) is False


@pytest.mark.parametrize("ending", IMAGE_ENDINGS)
def test_nothing_of_the_patient_is_in_the_file(tmp_path, ending):
    result = placed((0, 1, 2), (1, 1, 1), None, name="Doe^Jane 1950")
    path = tmp_path / f"out{ending}"
    write_segmentation(result, path)
    assert b"Doe" not in path.read_bytes()


@pytest.mark.parametrize("ending", IMAGE_ENDINGS)
def test_odd_paths(tmp_path, ending):
    folder = tmp_path / "über 脑 & 'co'"
    folder.mkdir()
    path = folder / f"результат 1{ending.upper()}"
    write_segmentation(result_of(two_structures() % 2, brain_specification()), path)
    assert [path.name] == names_in(folder)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("out.jpg", "ends in .seg.nrrd, .nii.gz, .nii, .nrrd, .mha, .mrb, .dcm"),
        ("out.dcm", "was not read from DICOM"),
        ("out", "ends in"),
        (".nrrd", "ends in"),
        ("missing/out.nrrd", "does not exist; make it first"),
        ("file/out.nrrd", "is not a folder"),
        ("folder.nrrd", "is a folder; give the name of a file in it"),
    ],
)
def test_bad_places_are_refused_in_one_line(tmp_path, name, reason):
    (tmp_path / "file").touch()
    (tmp_path / "folder.nrrd").mkdir()
    with pytest.raises(OutputError) as refused:
        write_segmentation(result_of(two_structures() % 2, brain_specification()), tmp_path / name)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)
    assert names_in(tmp_path) == ["file", "folder.nrrd"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES])
def test_what_was_there_stays_when_renaming_fails(tmp_path, monkeypatch, code):
    path = tmp_path / "out.nrrd"
    path.write_text("the former result")

    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match=os.strerror(code)):
        write_segmentation(
            result_of(two_structures() % 2, brain_specification()), path, overwrite=True
        )
    assert path.read_text() == "the former result"
    assert names_in(tmp_path) == ["out.nrrd"]


def test_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sitk, "ReadImage", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_segmentation(
            result_of(two_structures() % 2, brain_specification()), tmp_path / "out.nrrd"
        )
    assert names_in(tmp_path) == []


CHILD = """
import os, pickle, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from TumorSegLib.errors import OutputError
from TumorSegLib.writing import write_segmentation
result = pickle.loads(Path(sys.argv[2]).read_bytes())
path = Path(sys.argv[3])
write_segmentation(result, Path(sys.argv[2]).with_name(path.name))  # all is imported now
{before}
try:
    write_segmentation(result, path, overwrite=True)
except OutputError as error:
    print(error)
"""
FULL_DISK = """
import atexit, resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, most))
atexit.register(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most))  # for who measures us
"""
KILLED = "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"


def write_in_child(folder, path, *, before):
    """Write noise to `path` in a process of its own, with a handicap."""
    noise = np.random.default_rng(0).integers(0, 2, (20, 64, 64))
    pickled = folder / "result.pickle"
    pickled.write_bytes(pickle.dumps(result_of(noise, brain_specification())))
    root = Path(__file__).resolve().parent.parent
    return subprocess.run(
        [sys.executable, "-c", CHILD.format(before=before), str(root), str(pickled), str(path)],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("ending", [*IMAGE_ENDINGS, ".mrb"])
@pytest.mark.skipif(sys.platform == "win32", reason="file sizes cannot be limited")
def test_file_cut_short_is_never_seen(tmp_path, tmp_path_factory, ending):
    path = tmp_path / f"out{ending}"
    path.write_text("the former result")
    run = write_in_child(tmp_path_factory.mktemp("pickle"), path, before=FULL_DISK)
    assert run.returncode == 0, run.stderr
    assert str(path) in run.stdout
    assert run.stdout.count("\n") == 1
    assert run.stderr == ""
    assert path.read_text() == "the former result"
    assert names_in(tmp_path) == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_before_the_end_leaves_no_file(tmp_path, tmp_path_factory):
    path = tmp_path / "out.nii.gz"
    run = write_in_child(tmp_path_factory.mktemp("pickle"), path, before=KILLED)
    assert run.returncode == -9
    assert not path.exists()
