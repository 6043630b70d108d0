"""Runs on a part of the volume: the slice that is shown, or a region of interest."""

from __future__ import annotations

from itertools import product

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.slicer_io.geometry import Placement, parent_matrix, placement_of
from TumorSegLib.slicer_io.images import Box


def box_of_shown_slice(placement: Placement) -> Box:
    """Return the box along (z, y, x) of the axial slice at the red view's position.

    Raises:
        InputError: there is no red view, or it does not meet the volume.
    """
    view = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    if view is None:
        raise InputError(_("There is no red slice view; choose a layout with one."))
    centre = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, 3]
    index = _axial_slice_at(placement, centre)
    return placement.box_of_slices(index, index + 1)


def box_of_region(placement: Placement, region: slicer.vtkMRMLMarkupsROINode) -> Box:
    """Return the box along (z, y, x), on the volume's axes, around a region of interest.

    Raises:
        InputError: there is no region, it is empty, or it lies outside the volume.
    """
    if region is None:
        raise InputError(_("No region is chosen; choose or create a region of interest."))
    size = region.GetSize()
    if min(size) <= 0:
        raise InputError(
            _(
                "{name}: the region is empty; drag its handles in a view, or create a new one,"
                " which is fitted to the volume."
            ).format(name=region.GetName())
        )
    to_world = slicer.util.arrayFromVTKMatrix(region.GetObjectToWorldMatrix())
    corners = np.array(list(product(*((-mm / 2, mm / 2) for mm in size))))
    return _box_around(placement, to_world @ np.c_[corners, np.ones(8)].T)


def fit_region(
    region: slicer.vtkMRMLMarkupsROINode, volume: slicer.vtkMRMLScalarVolumeNode
) -> None:
    """Give a region of interest the volume's axes and its whole extent, as Crop Volume does.

    Raises:
        InputError: a transform warps the volume or the region.
    """
    to_node = np.linalg.inv(parent_matrix(region)) @ placement_of(volume).ijk_to_world
    count = np.array(volume.GetImageData().GetDimensions())
    millimetres = np.linalg.norm(to_node[:3, :3], axis=0)
    axes = np.eye(4)
    axes[:3, :3] = to_node[:3, :3] / millimetres
    if np.linalg.det(axes) < 0:  # the box is the same with an axis turned round
        axes[:3, 0] *= -1
    axes[:3, 3] = (to_node @ [*(count - 1) / 2, 1.0])[:3]
    region.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(axes))
    region.SetSize(*(count * millimetres))


def _axial_slice_at(placement: Placement, position: NDArray[np.float64]) -> int:
    """Return the index of the axial slice, 0 the most inferior, at a position (3,) in the world.

    Raises:
        InputError: the position is outside the volume.
    """
    ijk = np.linalg.inv(placement.ijk_to_world) @ [*position, 1.0]
    view = placement.view
    axis = view.axes[0]
    index, count = round(ijk[2 - axis]), placement.grid.shape[axis]
    if not 0 <= index < count:
        raise InputError(_("The slice shown does not meet the volume; scroll to a slice of it."))
    return count - 1 - index if view.flips[0] else index


def _box_around(placement: Placement, points: NDArray[np.float64]) -> Box:
    """Return the box along (z, y, x) of the voxels around points of the world, (4, n).

    Raises:
        InputError: no voxel is among them.
    """
    ijk = (np.linalg.inv(placement.ijk_to_world) @ points)[:3]
    box = []
    for axis, count in enumerate(placement.grid.shape):
        along = ijk[2 - axis]
        start, stop = max(0, int(np.ceil(along.min()))), min(count, int(along.max()) + 1)
        if start >= stop:
            raise InputError(_("The region lies outside the volume; move it onto the volume."))
        box += [start, stop]
    return tuple(box)
