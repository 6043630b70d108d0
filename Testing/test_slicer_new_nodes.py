"""Regions and segmentations that are made for a volume, by a selector or by a run."""

from __future__ import annotations

import numpy as np
import pytest
from bright_models import write_model
from scenes import HEAD_MATRIX, add_head

from TumorSegLib.slicer_io.images import matrix_of

OBLIQUE = np.array(
    [
        [-0.8, 0.0, 1.8, 11.0],
        [0.0, 1.5, 0.0, -7.0],
        [-0.6, 0.0, -2.4, 30.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""Voxel indices to RAS: rotated about the y axis and left-handed, 1 x 1.5 x 3 mm."""


def open_with(bench, matrix=HEAD_MATRIX):
    write_model(bench.models, "tiny")
    bench.open()
    bench.volume, bench.mask = add_head(bench.slicer, matrix=matrix)
    bench.parameters.volume = bench.volume
    bench.turn()
    return bench


def put_under_transform(slicer, volume, matrix):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def put_into_study(slicer, node):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, "Study")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), study)
    return hierarchy, study


@pytest.mark.parametrize("matrix", [HEAD_MATRIX, OBLIQUE], ids=["axial", "oblique"])
@pytest.mark.parametrize("moved", [False, True], ids=["still", "transformed"])
def test_a_region_made_by_the_selector_holds_the_whole_volume(bench, matrix, moved):
    from TumorSegLib.slicer_io.geometry import placement_of
    from TumorSegModule.logic.run_extent import box_of_region

    open_with(bench, matrix)
    slicer, ui = bench.slicer, bench.panel.ui
    if moved:
        turn = np.array([[0, -2.0, 0, 5], [2.0, 0, 0, 6], [0, 0, 2.0, 7], [0, 0, 0, 1]])
        put_under_transform(slicer, bench.volume, turn)
    bench.parameters.extent = "region"
    region = ui.regionSelector.addNode()
    bench.turn()
    assert bench.parameters.region is region
    assert box_of_region(placement_of(bench.volume), region) == (0, 12, 0, 64, 0, 64)
    box = [0.0] * 6
    region.GetRASBounds(box)
    edges = [0.0] * 6
    bench.volume.GetRASBounds(edges)
    assert box == pytest.approx(edges, abs=1e-6)
    lengths = np.array([64, 64, 12]) * np.linalg.norm(matrix[:3, :3], axis=0) * (2 if moved else 1)
    assert region.GetSize() == pytest.approx(tuple(lengths))
    axes = slicer.util.arrayFromVTKMatrix(region.GetObjectToNodeMatrix())[:3, :3]
    assert np.linalg.det(axes) == pytest.approx(1.0)


def test_the_region_is_where_crop_volume_would_put_it(bench):
    open_with(bench, OBLIQUE)
    slicer = bench.slicer
    region = bench.panel.ui.regionSelector.addNode()
    parameters = slicer.mrmlScene.AddNode(slicer.vtkMRMLCropVolumeParametersNode())
    parameters.SetInputVolumeNodeID(bench.volume.GetID())
    theirs = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    parameters.SetROINodeID(theirs.GetID())
    slicer.vtkSlicerCropVolumeLogic.SnapROIToVoxelGrid(parameters)
    slicer.vtkSlicerCropVolumeLogic.FitROIToInputVolume(parameters)
    assert region.GetSize() == pytest.approx(theirs.GetSize())
    assert region.GetCenterWorld() == pytest.approx(theirs.GetCenterWorld())


def test_a_run_on_a_new_region_segments_the_tumour(bench):
    open_with(bench)
    bench.parameters.extent = "region"
    bench.panel.ui.regionSelector.addNode()
    bench.turn()
    status = bench.run()
    assert not status.failed, status.line
    assert "nothing was found" not in status.line


def test_an_empty_region_is_refused_with_a_line(bench):
    open_with(bench)
    region = bench.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "R")
    bench.parameters.extent, bench.parameters.region = "region", region
    bench.turn()
    status = bench.run()
    assert status.failed
    assert status.line.startswith("R: the region is empty")
    assert bench.parameters.target is None


def test_a_region_made_before_a_volume_is_chosen_stays_empty(bench):
    open_with(bench)
    bench.parameters.volume = None
    region = bench.panel.ui.regionSelector.addNode()
    bench.turn()
    assert region.GetSize() == (0, 0, 0)


@pytest.mark.parametrize("made_by", ["the run", "the selector"])
def test_a_new_segmentation_lies_in_the_volumes_study_grid_and_transform(bench, made_by):
    open_with(bench, OBLIQUE)
    slicer = bench.slicer
    hierarchy, study = put_into_study(slicer, bench.volume)
    transform = put_under_transform(slicer, bench.volume, np.diag([1.0, -1.0, -1.0, 1.0]))
    if made_by == "the selector":
        bench.panel.ui.targetSelector.addNode()
        bench.turn()
    else:
        assert not bench.run().failed
    target = bench.parameters.target
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(target)) == study
    assert target.GetParentTransformNode() is transform
    segmentation = target.GetSegmentation()
    conversion = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    geometry = segmentation.GetConversionParameter(conversion)
    image = slicer.vtkOrientedImageData()
    assert slicer.vtkSegmentationConverter.DeserializeImageGeometry(geometry, image, False)
    assert image.GetDimensions() == (64, 64, 12)
    assert image.GetSpacing() == pytest.approx((1.0, 1.5, 3.0))
    matrix = matrix_of(image.GetImageToWorldMatrix)
    np.testing.assert_allclose(matrix, matrix_of(bench.volume.GetIJKToRASMatrix), atol=1e-6)
    assert target.GetNodeReference("referenceImageGeometryRef") is bench.volume
    assert target.GetDisplayNode() is not None


def test_a_volume_outside_any_study_leaves_its_segmentation_there(bench):
    open_with(bench)
    assert not bench.run().failed
    slicer = bench.slicer
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(bench.parameters.target)
    assert hierarchy.GetItemParent(item) == hierarchy.GetSceneItemID()
