"""Between Slicer's RAS nodes and TumorSegLib's LPS grids, parent transforms included.

This is the one place of the module where the two coordinate systems meet.
"""

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import LPS_FROM_RAS, AxialView, Grid, grid_of_affine


@dataclass(frozen=True)
class Placement:
    """Where a volume's voxels lie.

    Attributes:
        ijk_to_ras: 4x4 matrix of the node itself, below its parent transform.
        ijk_to_world: 4x4 matrix with the parent transform.
        transform: id of the parent transform node, None if there is none.
        grid: the same as `ijk_to_world`, in LPS.
    """

    ijk_to_ras: np.ndarray
    ijk_to_world: np.ndarray
    transform: str | None
    grid: Grid

    def ijk_to(self, node):
        """Return the 4x4 matrix from voxel indices to the coordinates that `node` stores.

        Raises:
            InputError: a non-linear transform lies between.
        """
        if node.GetTransformNodeID() == self.transform:
            return self.ijk_to_ras
        return np.linalg.inv(parent_matrix(node)) @ self.ijk_to_world

    @property
    def view(self):
        """The axial view of the volume's array."""
        return AxialView.of(self.grid)

    def axial_slice_at(self, ras):
        """Return the index of the axial slice, 0 the most inferior, at a world position.

        Raises:
            InputError: the position is outside the volume.
        """
        ijk = np.linalg.inv(self.ijk_to_world) @ [*ras, 1.0]
        view = self.view
        axis = view.axes[0]
        index, count = round(ijk[2 - axis]), self.grid.shape[axis]
        if not 0 <= index < count:
            raise InputError(
                _("The slice shown does not meet the volume; scroll to a slice of it.")
            )
        return count - 1 - index if view.flips[0] else index

    def box_around(self, corners):
        """Return start and stop along (z, y, x) of the voxels around world points (n, 3).

        Raises:
            InputError: no voxel is among them.
        """
        points = np.c_[corners, np.ones(len(corners))].T
        ijk = (np.linalg.inv(self.ijk_to_world) @ points)[:3]
        box = []
        for axis, count in enumerate(self.grid.shape):
            along = ijk[2 - axis]
            start, stop = max(0, int(np.ceil(along.min()))), min(count, int(along.max()) + 1)
            if start >= stop:
                raise InputError(_("The region lies outside the volume; move it onto the volume."))
            box += [start, stop]
        return tuple(box)

    def axial_slices_of(self, box):
        """Return start and stop of the axial slices that a box along (z, y, x) meets."""
        view = self.view
        axis = view.axes[0]
        start, stop = box[2 * axis], box[2 * axis + 1]
        count = self.grid.shape[axis]
        return (count - stop, count - start) if view.flips[0] else (start, stop)

    def box_of_slice(self, index):
        """Return the box along (z, y, x) of an axial slice."""
        view = self.view
        axis = view.axes[0]
        stored = self.grid.shape[axis] - 1 - index if view.flips[0] else index
        box = [edge for count in self.grid.shape for edge in (0, count)]
        box[2 * axis], box[2 * axis + 1] = stored, stored + 1
        return tuple(box)


def placement_of(volume):
    """Return where the voxels of a volume node lie.

    Raises:
        InputError: a transform warps or shears the volume, or its spacing is unusable.
    """
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    ijk_to_ras = slicer.util.arrayFromVTKMatrix(matrix)
    ijk_to_world = parent_matrix(volume) @ ijk_to_ras
    shape = volume.GetImageData().GetDimensions()[::-1]
    grid = grid_of_affine(LPS_FROM_RAS @ ijk_to_world, shape, volume.GetName())
    return Placement(ijk_to_ras, ijk_to_world, volume.GetTransformNodeID(), grid)


def parent_matrix(node):
    """Return the 4x4 matrix from the coordinates that `node` stores to the world.

    Raises:
        InputError: the parent transform is not linear.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise InputError(
            _(
                "{name}: the transform {transform} above it is not linear, so its voxels lie on no"
                " grid; harden the transform in the Data module, then segment"
            ).format(name=node.GetName(), transform=transform.GetName())
        )
    matrix = vtk.vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def new_image(box, ijk_to_ras):
    """Return a vtkOrientedImageData of zeros, uint8, with memory of its own.

    Args:
        box: start and stop along (z, y, x) of a larger array.
        ijk_to_ras: 4x4 matrix of the larger array's voxel indices.
    """
    image = _placed_image(box, ijk_to_ras)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    image_array(image)[0][:] = 0
    return image


def image_on(labels, ijk_to_ras):
    """Return a vtkOrientedImageData on the memory of `labels` (z, y, x), which must outlive it."""
    from vtk.util.numpy_support import numpy_to_vtk

    z, y, x = labels.shape
    image = _placed_image((0, z, 0, y, 0, x), ijk_to_ras)
    scalars = numpy_to_vtk(labels.reshape(-1), deep=False, array_type=vtk.VTK_UNSIGNED_CHAR)
    image.GetPointData().SetScalars(scalars)
    return image


def _placed_image(box, ijk_to_ras):
    image = slicer.vtkOrientedImageData()
    z0, z1, y0, y1, x0, x1 = box
    image.SetExtent(x0, x1 - 1, y0, y1 - 1, z0, z1 - 1)
    image.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ijk_to_ras))
    return image


def image_array(image):
    """Return the array (z, y, x) on a vtkImageData's scalars, and its box along (z, y, x)."""
    from vtk.util.numpy_support import vtk_to_numpy

    x0, x1, y0, y1, z0, z1 = image.GetExtent()
    shape = (max(0, z1 - z0 + 1), max(0, y1 - y0 + 1), max(0, x1 - x0 + 1))
    scalars = image.GetPointData().GetScalars()
    if 0 in shape or scalars is None:
        return np.zeros((0, 0, 0), np.uint8), (0, 0, 0, 0, 0, 0)
    return vtk_to_numpy(scalars).reshape(shape), (z0, z1 + 1, y0, y1 + 1, x0, x1 + 1)
