"""Between 3D Slicer's RAS nodes and LPS grids, parent transforms included.

This is the one place where the two coordinate systems meet for nodes; nodes are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import LPS_FROM_RAS, AxialView, Grid, grid_from_affine
from TumorSegLib.slicer_io.images import Box, Matrix4, matrix_of


@dataclass(frozen=True)
class Placement:
    """Where a volume's voxels lie.

    Attributes:
        ijk_to_ras: 4x4 matrix of the node itself, below its parent transform.
        ijk_to_world: 4x4 matrix with the parent transform.
        transform: id of the parent transform node, None if there is none.
        grid: the same as `ijk_to_world`, in LPS.
    """

    ijk_to_ras: Matrix4
    ijk_to_world: Matrix4
    transform: str | None
    grid: Grid

    def ijk_to(self, node: Any) -> Matrix4:
        """Return the 4x4 matrix from voxel indices to the coordinates that `node` stores.

        Raises:
            InputError: a non-linear transform lies between.
        """
        if node.GetTransformNodeID() == self.transform:
            return self.ijk_to_ras
        matrix: Matrix4 = np.linalg.inv(parent_matrix(node)) @ self.ijk_to_world
        return matrix

    @property
    def view(self) -> AxialView:
        """The axial view of the volume's array."""
        return AxialView.of(self.grid)

    def axial_slices_of(self, box: Box) -> tuple[int, int]:
        """Return start and stop of the axial slices that a box along (z, y, x) meets."""
        view = self.view
        axis = view.axes[0]
        start, stop = box[2 * axis], box[2 * axis + 1]
        count = self.grid.shape[axis]
        return (count - stop, count - start) if view.flips[0] else (start, stop)

    def box_of_slices(self, start: int, stop: int) -> Box:
        """Return the box along (z, y, x) of the axial slices from `start` to before `stop`."""
        view = self.view
        axis = view.axes[0]
        count = self.grid.shape[axis]
        first, last = (count - stop, count - start) if view.flips[0] else (start, stop)
        box = [edge for size in self.grid.shape for edge in (0, size)]
        box[2 * axis], box[2 * axis + 1] = first, last
        return tuple(box)


def placement_of(volume: Any) -> Placement:
    """Return where the voxels of a volume node lie.

    Raises:
        InputError: a transform warps or shears the volume, or its spacing is unusable.
    """
    ijk_to_ras = matrix_of(volume.GetIJKToRASMatrix)
    ijk_to_world = parent_matrix(volume) @ ijk_to_ras
    shape = volume.GetImageData().GetDimensions()[::-1]
    grid = grid_from_affine(LPS_FROM_RAS @ ijk_to_world, shape, volume.GetName())
    return Placement(ijk_to_ras, ijk_to_world, volume.GetTransformNodeID(), grid)


def parent_matrix(node: Any) -> Matrix4:
    """Return the 4x4 matrix from the coordinates that `node` stores to the world's RAS.

    Raises:
        InputError: the parent transform is not linear.
    """
    transform = node.GetParentTransformNode()
    if transform is None:
        return np.eye(4)
    if not transform.IsTransformToWorldLinear():
        raise InputError(
            f"{node.GetName()}: the transform {transform.GetName()} above it is not linear, so its"
            " voxels lie on no grid; harden the transform in the Data module"
        )
    return matrix_of(transform.GetMatrixTransformToWorld)
