"""Oblique, flipped, anisotropic, transformed volumes: results lie where the image shows them."""

from __future__ import annotations

import numpy as np
import pytest
from bright_models import write_model
from scenes import HEAD_MATRIX, add_head, dice, head, segment_mask


def rotation(degrees, axis):
    radians = np.radians(degrees)
    matrix = np.eye(4)
    first, second = [other for other in range(3) if other != axis]
    matrix[first, first] = matrix[second, second] = np.cos(radians)
    matrix[first, second], matrix[second, first] = -np.sin(radians), np.sin(radians)
    return matrix


FLIPPED = np.diag([-1.0, -1.0, -1.0, 1.0])
MATRICES = {
    "identity": HEAD_MATRIX,
    "flipped": FLIPPED @ HEAD_MATRIX,
    "left-handed": np.diag([-1.0, 1.0, 1.0, 1.0]) @ HEAD_MATRIX,
    "oblique": rotation(20, 0) @ rotation(-15, 2) @ HEAD_MATRIX,
    "anisotropic": np.diag([0.4, 1.1, 6.0, 1.0]),
    "far away": np.array([[1, 0, 0, 812.5], [0, 1, 0, -433.25], [0, 0, 5, 1500.75], [0, 0, 0, 1]]),
    "sagittal": np.array([[0, 0, 5.0, 3], [1, 0, 0, 4], [0, -1, 0, 5], [0, 0, 0, 1]]),
}


@pytest.fixture
def ready(bench):
    write_model(bench.models, "tiny")
    bench.open()
    return bench


def add_transform(slicer, matrix, name="T"):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def centre_in_world(slicer, segmentation):
    """Return the world position of a segment's centre, by Slicer's own means."""
    closed = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()
    segmentation.CreateClosedSurfaceRepresentation()
    segment = segmentation.GetSegmentation().GetNthSegment(0)
    bounds = segment.GetRepresentation(closed).GetBounds()
    local = [(bounds[2 * axis] + bounds[2 * axis + 1]) / 2 for axis in range(3)]
    import vtk

    to_world = vtk.vtkMatrix4x4()
    parent = segmentation.GetParentTransformNode()
    if parent is not None:
        parent.GetMatrixTransformToWorld(to_world)
    return np.array(to_world.MultiplyPoint([*local, 1.0])[:3])


@pytest.mark.parametrize("name", MATRICES)
def test_exact_on_any_grid(ready, name):
    volume, mask = add_head(ready.slicer, matrix=MATRICES[name])
    ready.parameters.volume = volume
    status = ready.run()
    assert not status.failed, status.line
    target = ready.parameters.target
    assert dice(segment_mask(ready.slicer, target, volume), mask) > 0.8
    import vtk

    segment = target.GetSegmentation().GetNthSegment(0)
    found = vtk.vtkMatrix4x4()
    segment.GetRepresentation("Binary labelmap").GetImageToWorldMatrix(found)
    found = ready.slicer.util.arrayFromVTKMatrix(found)
    assert np.abs(found - MATRICES[name]).max() < 1e-6


def test_a_volume_under_a_linear_transform(ready):
    slicer = ready.slicer
    plain, mask = add_head(slicer, "Plain")
    moved, _ = add_head(slicer, "Moved")
    shift = np.eye(4)
    shift[:3, 3] = (100, -50, 30)
    transform = add_transform(slicer, shift @ rotation(25, 2))
    moved.SetAndObserveTransformNodeID(transform.GetID())
    centres = []
    for volume in (plain, moved):
        ready.parameters.volume, ready.parameters.target = volume, None
        assert not ready.run().failed
        centres.append(centre_in_world(slicer, ready.parameters.target))
    assert ready.parameters.target.GetTransformNodeID() == transform.GetID()
    assert moved.GetTransformNodeID() == transform.GetID()
    expected = (shift @ rotation(25, 2) @ [*centres[0], 1])[:3]
    assert np.abs(centres[1] - expected).max() < 2.0
    moved.HardenTransform()
    ready.parameters.target.HardenTransform()
    assert dice(segment_mask(slicer, ready.parameters.target, moved), mask) > 0.8


@pytest.mark.parametrize("place", ["target", "volume"])
def test_volume_and_target_under_different_transforms(ready, place):
    slicer = ready.slicer
    volume, mask = add_head(slicer)
    target = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    transform = add_transform(slicer, rotation(90, 2) @ np.diag([1.0, 1.0, 1.0, 1.0]))
    (target if place == "target" else volume).SetAndObserveTransformNodeID(transform.GetID())
    ready.parameters.volume, ready.parameters.target = volume, target
    assert not ready.run().failed
    for node in (volume, target):
        if node.GetTransformNodeID():
            node.HardenTransform()
    assert dice(segment_mask(slicer, target, volume), mask) > 0.8


def test_a_non_linear_transform_is_refused_with_the_reason(ready):
    import vtk

    slicer = ready.slicer
    volume, _ = add_head(slicer)
    grid = slicer.vtkOrientedGridTransform()
    field = vtk.vtkImageData()
    field.SetDimensions(3, 3, 3)
    field.AllocateScalars(vtk.VTK_DOUBLE, 3)
    field.GetPointData().GetScalars().Fill(0)  # memory may hold what is no number
    grid.SetDisplacementGridData(field)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "Warp")
    node.SetAndObserveTransformFromParent(grid)
    volume.SetAndObserveTransformNodeID(node.GetID())
    ready.parameters.volume = volume
    ready.turn()
    note = ready.panel.ui.inputNote.text
    assert "Warp" in note
    assert "not linear" in note
    assert not ready.panel.ui.segmentButton.enabled
    volume.SetAndObserveTransformNodeID(None)
    target = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    target.SetAndObserveTransformNodeID(node.GetID())
    ready.parameters.target = target
    status = ready.run()
    assert status.failed
    assert "Mine" in status.line


def test_a_sheared_volume_is_refused_with_the_reason(ready):
    sheared = HEAD_MATRIX.copy()
    sheared[0, 2] = 1.5
    volume, _ = add_head(ready.slicer)
    transform = add_transform(ready.slicer, sheared @ np.linalg.inv(HEAD_MATRIX))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    ready.parameters.volume = volume
    ready.turn()
    assert "right angles" in ready.panel.ui.inputNote.text


def test_a_changed_segmentation_geometry_keeps_the_rest(ready):
    """After hand edits on a finer grid, a run on one region keeps what lies outside it."""
    slicer = ready.slicer
    volume, mask = add_head(slicer)
    ready.parameters.volume = volume
    ready.run()
    target = ready.parameters.target
    finer, _ = head((24, 128, 128))
    fine = slicer.util.addVolumeFromArray(finer, HEAD_MATRIX @ np.diag([0.5, 0.5, 0.5, 1]), "Fine")
    target.SetReferenceImageGeometryParameterFromVolumeNode(fine)
    segment_id = target.GetSegmentation().GetNthSegmentID(0)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(target, segment_id, fine)
    array[20:24, 100:104, 100:104] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, target, segment_id, fine)
    ready.answers = ["add"]
    status = ready.run()
    assert not status.failed, status.line
    found = segment_mask(slicer, target, volume)
    assert found[10:12, 50:52, 50:52].any()
    assert dice(found, mask) > 0.7
