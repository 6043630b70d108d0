"""Runs on a part of the volume: the slice that is shown, or a region of interest."""

from itertools import product

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegModule.logic.geometry import parent_matrix, placement_of


def box_of_shown_slice(placement):
    """Return the box along (z, y, x) of the axial slice at the red view's position.

    Raises:
        InputError: there is no red view, or it does not meet the volume.
    """
    view = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    if view is None:
        raise InputError(_("There is no red slice view; choose a layout with one."))
    to_ras = view.GetSliceToRAS()
    centre = [to_ras.GetElement(row, 3) for row in range(3)]
    return placement.box_of_slice(placement.axial_slice_at(centre))


def box_of_region(placement, region):
    """Return the box along (z, y, x), on the volume's axes, around a region of interest.

    Raises:
        InputError: there is no region, it is empty, or it lies outside the volume.
    """
    if region is None:
        raise InputError(_("No region is chosen; choose or create a region of interest."))
    size, to_world = region.GetSize(), vtk.vtkMatrix4x4()
    if min(size) <= 0:
        raise InputError(
            _(
                "{name}: the region is empty; drag its handles in a view, or create a new one,"
                " which is fitted to the volume."
            ).format(name=region.GetName())
        )
    to_world.DeepCopy(region.GetObjectToWorldMatrix())
    corners = np.array(list(product(*((-mm / 2, mm / 2) for mm in size))))
    world = slicer.util.arrayFromVTKMatrix(to_world) @ np.c_[corners, np.ones(8)].T
    return placement.box_around(world[:3].T)


def fit_region(region, volume):
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
