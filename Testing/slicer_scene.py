"""A scene of 3D Slicer without the application, for looking at files as Slicer sees them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np


def new_scene(folder: Path) -> SimpleNamespace:
    """A scene that can read bundles, with the logics for colours, volumes and segmentations."""
    import slicer

    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetTemporaryPath(str(folder))
    application.SetMRMLScene(scene)
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()
    application.SetModuleLogic("Colors", application.GetColorLogic())
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(str(folder))
    manager = slicer.vtkDataIOManager()
    manager.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(manager)
    logics = {}
    for name, kind in (
        ("Volumes", slicer.vtkSlicerVolumesLogic),
        ("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic),
    ):
        logics[name] = kind()
        logics[name].SetMRMLApplicationLogic(application)
        logics[name].SetMRMLScene(scene)
        application.SetModuleLogic(name, logics[name])
    return SimpleNamespace(scene=scene, application=application, keep=(cache, manager), **logics)


def array_of(image) -> np.ndarray:
    """The voxels (z, y, x) of an image of VTK."""
    from vtk.util.numpy_support import vtk_to_numpy

    scalars = image.GetPointData().GetScalars()
    return vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])


def matrix_of(get) -> np.ndarray:
    """The matrix that a getter of VTK fills."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    get(matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def placed_on(grid, voxels, first, ijk_to_ras) -> np.ndarray:
    """Voxels that Slicer keeps with their own matrix, put where they lie on `grid`.

    Args:
        grid: of the volume.
        voxels: array (z, y, x).
        first: index along (x, y, z) of its first voxel.
        ijk_to_ras: 4x4 matrix.
    """
    indices = np.indices(voxels.shape)[::-1].reshape(3, -1) + np.array(first)[:, None]
    homogeneous = np.vstack([indices, np.ones(indices.shape[1])])
    there = np.linalg.inv(grid.affine) @ np.diag([-1, -1, 1, 1]) @ ijk_to_ras @ homogeneous
    rounded = np.rint(there[:3]).astype(int)
    np.testing.assert_allclose(there[:3], rounded, atol=2e-3)
    placed = np.zeros(grid.shape, voxels.dtype)
    placed[rounded[2], rounded[1], rounded[0]] = voxels.ravel()
    return placed


def segments_of(node, grid) -> dict[str, SimpleNamespace]:
    """The segments of a segmentation node by id, with their masks on `grid`."""
    import vtk

    segmentation = node.GetSegmentation()
    segments = {}
    for number in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(number)
        image = segment.GetRepresentation("Binary labelmap")
        mask = np.zeros(grid.shape, bool)
        if not image.IsEmpty():
            matrix = matrix_of(image.GetImageToWorldMatrix)
            mask = placed_on(grid, array_of(image), image.GetExtent()[::2], matrix)
            mask = mask == segment.GetLabelValue()
        entry = vtk.mutable("")
        segment.GetTag("TerminologyEntry", entry)
        segments[segmentation.GetNthSegmentID(number)] = SimpleNamespace(
            name=segment.GetName(),
            colour=segment.GetColor(),
            value=segment.GetLabelValue(),
            terminology=str(entry),
            mask=mask,
        )
    return segments
