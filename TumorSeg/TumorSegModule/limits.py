"""Runs on a part of the volume: the slice that is shown, or a region of interest."""

from itertools import product

import numpy as np
import slicer
import vtk

from TumorSegLib.errors import InputError


def box_of_shown_slice(placement):
    """Return the box along (z, y, x) of the axial slice at the red view's position.

    Raises:
        InputError: there is no red view, or it does not meet the volume.
    """
    view = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    if view is None:
        raise InputError("there is no red slice view; choose a layout with one")
    to_ras = view.GetSliceToRAS()
    centre = [to_ras.GetElement(row, 3) for row in range(3)]
    return placement.box_of_slice(placement.axial_slice_at(centre))


def box_of_region(placement, region):
    """Return the box along (z, y, x), on the volume's axes, around a region of interest.

    Raises:
        InputError: there is no region, or it lies outside the volume.
    """
    if region is None:
        raise InputError("no region is chosen; choose or create a region of interest")
    size, to_world = region.GetSize(), vtk.vtkMatrix4x4()
    to_world.DeepCopy(region.GetObjectToWorldMatrix())
    corners = np.array(list(product(*((-mm / 2, mm / 2) for mm in size))))
    world = slicer.util.arrayFromVTKMatrix(to_world) @ np.c_[corners, np.ones(8)].T
    return placement.box_around(world[:3].T)
