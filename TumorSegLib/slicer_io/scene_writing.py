"""Scenes of 3D Slicer (`.mrb`): the volume and its segmentation, made with Slicer's own MRML."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from TumorSegLib.image.display_window import display_window
from TumorSegLib.image.grid import LPS_FROM_RAS, Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.labelled_volume import LabelledVolume
from TumorSegLib.slicer_io.images import vtk_matrix
from TumorSegLib.slicer_io.segments import SOURCE, new_segment, segment_id, segment_tags
from TumorSegLib.slicer_io.terminology import DICOM_MASTER_LIST

VIEWS = (
    ("Red", "Axial", (0.953, 0.290, 0.200)),
    ("Yellow", "Sagittal", (0.929, 0.835, 0.298)),
    ("Green", "Coronal", (0.431, 0.690, 0.294)),
)
"""Slicer's slice views, what they show and the colour of their bars."""

VIEW_PIXELS = 400
FILL_OPACITY = 0.3


def write_scene(labelled: LabelledVolume, path: Path) -> bool:
    """Write a scene to `path`; tell whether all of it was written.

    Its parts are left in the folder "segmentation" beside `path`, nothing is written elsewhere.
    """
    from slicer import vtkMRMLScene

    scene = vtkMRMLScene()
    _add_colours(scene)
    volume = _add_volume(scene, labelled.volume)
    _add_segmentation(scene, labelled, volume)
    _add_views(scene, labelled, volume)
    folder = path.absolute().with_name("segmentation")
    folder.mkdir()
    if not scene.SaveSceneToSlicerDataBundleDirectory(str(folder)):
        return False
    if not _holds(folder, labelled.volume.voxels) or not _holds(folder, labelled.labelmap):
        return False
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
        for file in sorted(folder.rglob("*")):
            bundle.write(file, file.relative_to(folder.parent))
    return True


def _holds(folder: Path, voxels: NDArray[Any]) -> bool:
    """Tell whether an image file in `folder` holds these voxels."""
    for file in folder.rglob("*.nrrd"):
        try:
            image = sitk.ReadImage(str(file))
        except RuntimeError:
            continue
        if np.array_equal(sitk.GetArrayViewFromImage(image), voxels):
            return True
    return False


def _add_colours(scene: Any) -> None:
    """Add the colour tables that display nodes refer to."""
    from slicer import vtkMRMLColorLogic

    logic = vtkMRMLColorLogic()
    logic.SetMRMLScene(scene)
    logic.AddDefaultColorNodes()


def _add_volume(scene: Any, volume: Volume) -> Any:
    from slicer import vtkMRMLScalarVolumeNode

    node = vtkMRMLScalarVolumeNode()
    node.SetName(volume.name)
    node.SetIJKToRASMatrix(_ijk_to_ras(volume.grid))
    node.SetAndObserveImageData(_image(volume.voxels, oriented=False))
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*display_window(volume))
    return node


def _add_segmentation(scene: Any, labelled: LabelledVolume, volume: Any) -> None:
    """Add a segmentation whose segments share one label map on the volume's grid."""
    from slicer import vtkMRMLSegmentationNode

    node = vtkMRMLSegmentationNode()
    node.SetName(f"{labelled.volume.name} segmentation")
    scene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation = node.GetSegmentation()
    segmentation.SetSourceRepresentationName(SOURCE)
    image = _image(labelled.labelmap, oriented=True)
    image.SetImageToWorldMatrix(_ijk_to_ras(labelled.volume.grid))
    for label in labelled.specification.labels:
        segment = new_segment(label, context=DICOM_MASTER_LIST)
        for name, value in segment_tags(labelled, label).items():
            segment.SetTag(name, value)
        segment.AddRepresentation(SOURCE, image)
        segmentation.AddSegment(segment, segment_id(labelled.specification, label))
    node.GetDisplayNode().SetAllSegmentsOpacity2DFill(FILL_OPACITY)


def _add_views(scene: Any, labelled: LabelledVolume, volume: Any) -> None:
    """Add slice views that show the volume where most of it is labelled, else its middle."""
    from slicer import vtkMRMLSliceLogic, vtkMRMLSliceNode

    vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    grid = labelled.volume.grid
    centre = [(count - 1) / 2 for count in grid.shape]
    if labelled.labelmap.any():
        counts = [np.count_nonzero(plane) for plane in labelled.labelmap]
        fullest = int(np.argmax(counts))
        rows, columns = np.nonzero(labelled.labelmap[fullest])
        centre = [fullest, float(np.median(rows)), float(np.median(columns))]
    position = LPS_FROM_RAS @ grid.affine @ [*centre[::-1], 1.0]
    for name, orientation, colour in VIEWS:
        logic = vtkMRMLSliceLogic()
        logic.SetMRMLScene(scene)
        slice_node = logic.AddSliceNode(name)
        slice_node.SetLayoutLabel(name[0])
        slice_node.SetLayoutColor(*colour)
        slice_node.SetOrientation(orientation)
        slice_node.SetDimensions(VIEW_PIXELS, VIEW_PIXELS, 1)
        logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        logic.FitSliceToAll(VIEW_PIXELS, VIEW_PIXELS)
        slice_node.JumpSliceByOffsetting(*position[:3])


def _image(voxels: NDArray[Any], *, oriented: bool) -> Any:
    """Return a copy of (z, y, x) voxels as an image of VTK, with or without orientation."""
    from slicer import vtkOrientedImageData
    from vtk import vtkImageData
    from vtk.util.numpy_support import numpy_to_vtk

    native = voxels.astype(_slicer_type(voxels), copy=False)
    image = vtkOrientedImageData() if oriented else vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(native.ravel(), deep=True))
    return image


def _slicer_type(voxels: NDArray[Any]) -> np.dtype[Any]:
    """Return the number type in which Slicer can keep these voxels, in the machine's byte order."""
    if voxels.dtype == np.float16:
        return np.dtype(np.float32)
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize == 8:
        smallest = np.result_type(
            np.min_scalar_type(voxels.min()), np.min_scalar_type(voxels.max())
        )
        return smallest if smallest.itemsize < 8 else np.dtype(np.float64)
    return voxels.dtype.newbyteorder("=")


def _ijk_to_ras(grid: Grid) -> Any:
    return vtk_matrix(LPS_FROM_RAS @ grid.affine)
