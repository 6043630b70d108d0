from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from results import names_in, result_of, two_structures
from slicer_scene import array_of, matrix_of, new_scene, placed_on, segments_of
from test_grid import rotation_about, stored_as
from test_writing import PLACEMENTS, TERMINOLOGY
from tiny_models import brain_specification, ct_specification

from TumorSegLib.writing import write_segmentation

ROOT = Path(__file__).resolve().parent.parent


def reopened(path, folder):
    slicer = new_scene(folder)
    assert slicer.scene.ReadFromMRB(str(path))
    return slicer


@pytest.mark.parametrize(("axes", "signs", "rotation"), PLACEMENTS)
def test_slicer_sees_the_volume_and_its_segments(tmp_path, axes, signs, rotation):
    pytest.importorskip("slicer")
    labelmap, direction = stored_as(two_structures(), axes, signs, rotation)
    result = result_of(labelmap, ct_specification(anatomy="liver"), direction=direction)
    grid = result.volume.grid
    path = tmp_path / "out.mrb"
    write_segmentation(result, path)
    assert names_in(tmp_path) == ["out.mrb"]

    slicer = reopened(path, tmp_path)
    volume = slicer.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert volume.GetName() == "a volume"
    voxels = placed_on(
        grid, array_of(volume.GetImageData()), (0, 0, 0), matrix_of(volume.GetIJKToRASMatrix)
    )
    np.testing.assert_array_equal(voxels, result.volume.voxels)
    display = volume.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (-160, 240)

    node = slicer.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    segments = segments_of(node, grid)
    assert list(segments) == ["TumorSeg_liver_Liver", "TumorSeg_liver_Liver_tumour"]
    for label, segment in zip(result.specification.labels, segments.values(), strict=True):
        assert (segment.name, segment.value) == (label.name, label.value)
        assert segment.colour == pytest.approx(np.array(label.colour) / 255, abs=1e-5)
        np.testing.assert_array_equal(segment.mask, result.labelmap == label.value)
    assert segments["TumorSeg_liver_Liver_tumour"].terminology == TERMINOLOGY
    role = node.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReference(role).GetID() == volume.GetID()


def extents(grid, across):
    """The larger extent in mm of a volume in a plane, as width and height of a square."""
    corners = np.array(
        [[x, y, z, 1] for z in (-0.5, 8.5) for y in (-0.5, 29.5) for x in (-0.5, 29.5)]
    )
    sizes = np.ptp(corners @ grid.affine.T, axis=0)[:3]
    return [max(np.delete(sizes, across))] * 2


def test_slice_views_show_the_volume_where_it_is_labelled(tmp_path):
    pytest.importorskip("slicer")
    rotation = rotation_about(0, 23)
    labelmap = np.zeros((9, 30, 30), np.uint8)
    labelmap[6, 4:9, 20:27] = 1
    labelmap, direction = stored_as(labelmap, (0, 1, 2), (1, 1, 1), rotation)
    result = result_of(labelmap, brain_specification(), direction=direction)
    write_segmentation(result, tmp_path / "out.mrb")
    slicer = reopened(tmp_path / "out.mrb", tmp_path)
    volume = slicer.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    centre = np.diag([-1, -1, 1, 1]) @ result.volume.grid.affine @ [23, 6, 6, 1]
    for name, orientation, axis in (
        ("Red", "Axial", 2),
        ("Yellow", "Sagittal", 0),
        ("Green", "Coronal", 1),
    ):
        composite = slicer.scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{name}")
        assert composite.GetBackgroundVolumeID() == volume.GetID()
        view = slicer.scene.GetNodeByID(f"vtkMRMLSliceNode{name}")
        assert view.GetOrientation() == orientation
        assert view.GetNumberOfSliceOrientationPresets() == 3
        assert view.GetFieldOfView()[:2] == pytest.approx(extents(result.volume.grid, axis))
        assert view.GetSliceToRAS().GetElement(axis, 3) == pytest.approx(centre[axis], abs=1e-3)


@pytest.mark.parametrize("dtype", ["uint8", ">i2", "uint16", "int64", "float16", "float64"])
def test_volumes_of_any_number_type(tmp_path, dtype):
    pytest.importorskip("slicer")
    voxels = np.random.default_rng(0).integers(0, 200, (7, 20, 24)).astype(dtype)
    result = result_of(two_structures() % 2, brain_specification(), voxels=voxels)
    write_segmentation(result, tmp_path / "out.mrb")
    slicer = reopened(tmp_path / "out.mrb", tmp_path)
    volume = slicer.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    np.testing.assert_array_equal(array_of(volume.GetImageData()), voxels)


def test_nothing_found(tmp_path):
    pytest.importorskip("slicer")
    result = result_of(np.zeros((7, 20, 24)), brain_specification(anatomy="brain"))
    write_segmentation(result, tmp_path / "out.mrb")
    slicer = reopened(tmp_path / "out.mrb", tmp_path)
    node = slicer.scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    segments = segments_of(node, result.volume.grid)
    assert list(segments) == ["TumorSeg_brain_Tumour"]
    assert not segments["TumorSeg_brain_Tumour"].mask.any()


@pytest.mark.parametrize(
    "name", ["AX T1/POST", "a.seg", "Kopf “groß” 脑", "..", "50 % 'x'", 'x:y*?"<z>|']
)
def test_volumes_with_odd_names(tmp_path, name):
    pytest.importorskip("slicer")
    result = result_of(two_structures() % 2, brain_specification(), name=name)
    path = tmp_path / "Ergebnis für 脑.mrb"
    write_segmentation(result, path)
    with zipfile.ZipFile(path) as bundle:
        assert all(entry.isascii() for entry in bundle.namelist())  # whatever the locale
    slicer = reopened(path, tmp_path)
    volume = slicer.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
    assert volume.GetName() == name
    np.testing.assert_array_equal(array_of(volume.GetImageData()), result.volume.voxels)


def test_a_name_that_is_no_text_is_written_as_one(tmp_path):
    """As of a file whose name is not in UTF-8, and of a series description with a bell in it."""
    pytest.importorskip("slicer")
    result = result_of(two_structures() % 2, brain_specification(), name="a\udce4\x07")
    write_segmentation(result, tmp_path / "out.mrb")
    slicer = reopened(tmp_path / "out.mrb", tmp_path)
    assert slicer.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode").GetName() == "a__"


WRITE = """
import pickle, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from TumorSegLib.writing import write_segmentation
write_segmentation(pickle.loads(Path(sys.argv[2]).read_bytes()), Path(sys.argv[3]))
"""


@pytest.mark.slow
def test_nothing_is_left_elsewhere(tmp_path):
    pytest.importorskip("slicer")
    for folder in ("home", "temporary", "out"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pickle").write_bytes(
        pickle.dumps(result_of(two_structures() % 2, brain_specification()))
    )
    run = subprocess.run(
        [sys.executable, "-c", WRITE, str(ROOT), str(tmp_path / "pickle"), "x.mrb"],
        capture_output=True,
        cwd=tmp_path / "out",
        env={**os.environ, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")},
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
    assert names_in(tmp_path / "out") == ["x.mrb"]
    assert names_in(tmp_path / "temporary") == []
    assert names_in(tmp_path / "home") == []
    with zipfile.ZipFile(tmp_path / "out" / "x.mrb") as bundle:
        assert str(tmp_path).encode() not in b"".join(map(bundle.read, bundle.namelist()))


def test_no_library_of_slicers_is_needed(tmp_path, monkeypatch):
    for library in ("slicer", "slicer_core", "vtk", "vtkmodules"):
        monkeypatch.setitem(sys.modules, library, None)
    write_segmentation(result_of(two_structures() % 2, brain_specification()), tmp_path / "out.mrb")
    assert names_in(tmp_path) == ["out.mrb"]


def test_slicer_does_not_warn_of_who_saved_it(tmp_path):
    """It compares the application's name and version with its own."""
    slicer, vtk = pytest.importorskip("slicer"), pytest.importorskip("vtk")
    write_segmentation(result_of(two_structures() % 2, brain_specification()), tmp_path / "out.mrb")
    scene = reopened(tmp_path / "out.mrb", tmp_path).scene
    application, *numbers = (vtk.mutable(start) for start in ("", 0, 0, 0, 0))
    saved_by = scene.GetLastLoadedVersion()
    assert slicer.vtkMRMLScene.ParseVersion(saved_by, application, *numbers)
    assert str(application) == "Slicer"
    assert [int(number) for number in numbers[:2]] <= [5, 10]


def test_window_follows_the_intensities_of_mr(tmp_path):
    pytest.importorskip("slicer")
    result = result_of(two_structures() % 2, brain_specification())
    bright = replace(result.volume, voxels=result.volume.voxels * 10)
    windows = []
    for number, volume in enumerate((result.volume, bright)):
        path = tmp_path / f"{number}.mrb"
        write_segmentation(replace(result, volume=volume), path)
        slicer = reopened(path, tmp_path)
        node = slicer.scene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
        windows.append(node.GetDisplayNode().GetWindow())
    assert windows[1] == pytest.approx(10 * windows[0], rel=0.01)
