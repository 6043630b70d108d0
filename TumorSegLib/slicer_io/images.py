"""Images of VTK and matrices of MRML nodes as arrays, and boxes of voxels.

A box is start and stop along (z, y, x); () is an empty one. It may reach beyond the volume, as
segments do that were edited there. 3D Slicer and VTK are imported where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, ...]

Matrix4 = NDArray[np.float64]
"""A 4x4 matrix."""


def matrix_of(get: Callable[[Any], object]) -> Matrix4:
    """Return the matrix that `get` fills in, a method that takes a vtkMatrix4x4."""
    from vtk import vtkMatrix4x4

    matrix = vtkMatrix4x4()
    get(matrix)
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def vtk_matrix(matrix: Matrix4) -> Any:
    """Return a 4x4 matrix as a vtkMatrix4x4."""
    from vtk import vtkMatrix4x4

    result = vtkMatrix4x4()
    result.DeepCopy(matrix.ravel())
    return result


def new_image(box: Box, ijk_to_ras: Matrix4) -> Any:
    """Return a vtkOrientedImageData of zeros, uint8, with memory of its own.

    Args:
        box: of a larger array.
        ijk_to_ras: 4x4 matrix of the larger array's voxel indices.
    """
    from vtk import VTK_UNSIGNED_CHAR

    image = _placed_image(box, ijk_to_ras)
    image.AllocateScalars(VTK_UNSIGNED_CHAR, 1)
    image_array(image)[0][:] = 0
    return image


def image_on(labels: NDArray[np.uint8], ijk_to_ras: Matrix4) -> Any:
    """Return a vtkOrientedImageData on the memory of `labels` (z, y, x), which must outlive it."""
    from vtk import VTK_UNSIGNED_CHAR
    from vtk.util.numpy_support import numpy_to_vtk

    z, y, x = labels.shape
    image = _placed_image((0, z, 0, y, 0, x), ijk_to_ras)
    scalars = numpy_to_vtk(labels.reshape(-1), deep=False, array_type=VTK_UNSIGNED_CHAR)
    image.GetPointData().SetScalars(scalars)
    return image


def image_array(image: Any) -> tuple[NDArray[Any], Box]:
    """Return the array (z, y, x) on an image's scalars, not copied, and its box.

    Args:
        image: vtkImageData; None or one without voxels gives an array of shape (0, 0, 0).
    """
    from vtk.util.numpy_support import vtk_to_numpy

    scalars = image.GetPointData().GetScalars() if image is not None else None
    x0, x1, y0, y1, z0, z1 = image.GetExtent() if scalars is not None else (0, -1) * 3
    shape = (z1 - z0 + 1, y1 - y0 + 1, x1 - x0 + 1)
    if min(shape) < 1:
        return np.zeros((0, 0, 0), np.uint8), (0, 0, 0, 0, 0, 0)
    return vtk_to_numpy(scalars).reshape(shape), (z0, z1 + 1, y0, y1 + 1, x0, x1 + 1)


def inside(box: Box, frame: Box) -> tuple[slice, slice, slice]:
    """Return the slices of an array on `frame` that `box` takes."""
    z, y, x = (
        slice(box[2 * axis] - frame[2 * axis], box[2 * axis + 1] - frame[2 * axis])
        for axis in range(3)
    )
    return z, y, x


def intersection(box: Box | None, other: Box | None) -> Box:
    """Return the box that two boxes share."""
    if not box or not other:
        return ()
    result: list[int] = []
    for axis in (0, 2, 4):
        start, stop = max(box[axis], other[axis]), min(box[axis + 1], other[axis + 1])
        if start >= stop:
            return ()
        result += [start, stop]
    return tuple(result)


def union(boxes: Iterable[Box]) -> Box:
    """Return the box around all of `boxes`."""
    filled = [box for box in boxes if box]
    if not filled:
        return ()
    edges = zip(*filled, strict=True)
    return tuple(min(edge) if n % 2 == 0 else max(edge) for n, edge in enumerate(edges))


def shape_of(box: Box) -> tuple[int, int, int]:
    """Return how many voxels a box has along (z, y, x)."""
    z, y, x = (box[2 * axis + 1] - box[2 * axis] for axis in range(3))
    return z, y, x


def filled_part(array: NDArray[Any], frame: Box, voxels: int) -> Generator[None, None, Box]:
    """Return the box around what is not 0, as a generator that looks at so many voxels a step.

    Args:
        array: whole numbers (z, y, x).
        frame: box of the array.
        voxels: most that are looked at in a step, a row of the first axis at least.

    Returns:
        The box, () if all is 0, as the value of StopIteration.
    """
    if array.size == 0:
        return ()
    rows = max(1, voxels // array[0].size)
    depth, shadow = np.zeros(len(array), array.dtype), np.zeros_like(array[0])
    for start in range(0, len(array), rows):
        part = array[start : start + rows]
        shadow |= np.bitwise_or.reduce(part, axis=0)
        depth[start : start + rows] = np.bitwise_or.reduce(part.reshape(len(part), -1), axis=1)
        yield
    edges: list[int] = []
    for filled, first in zip(
        (depth, shadow.any(axis=1), shadow.any(axis=0)), frame[::2], strict=True
    ):
        hit = np.flatnonzero(filled)
        if not hit.size:
            return ()
        edges += [int(hit[0]) + first, int(hit[-1]) + 1 + first]
    return tuple(edges)


def slabs_of(box: Box, voxels: int) -> list[Box]:
    """Return the parts of a box along its first axis that have so many voxels at most.

    A part has one row at least.
    """
    if not box:
        return []
    rows = max(1, voxels // ((box[3] - box[2]) * (box[5] - box[4])))
    return [(start, min(start + rows, box[1]), *box[2:]) for start in range(box[0], box[1], rows)]


def _placed_image(box: Box, ijk_to_ras: Matrix4) -> Any:
    from slicer import vtkOrientedImageData

    image = vtkOrientedImageData()
    z0, z1, y0, y1, x0, x1 = box
    image.SetExtent(x0, x1 - 1, y0, y1 - 1, z0, z1 - 1)
    image.SetImageToWorldMatrix(vtk_matrix(ijk_to_ras))
    return image
