"""What is handed to whoever measures segments: their masks, cut out of the scene bit by bit. MRML.

No Qt. Masks, voxels and probabilities are copied for the box that holds something, a few rows at a
time, so that Slicer's views move in between.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import LPS_FROM_RAS, Grid, grid_from_affine
from TumorSegLib.inference.given_up import GivenUp
from TumorSegLib.slicer_io.geometry import parent_matrix, placement_of
from TumorSegLib.slicer_io.images import (
    Box,
    Matrix4,
    filled_part,
    image_array,
    inside,
    intersection,
    matrix_of,
    shape_of,
    slabs_of,
    union,
)
from TumorSegLib.slicer_io.masks import mask_reader
from TumorSegLib.slicer_io.nodes import volume_of, voxels_of
from TumorSegLib.slicer_io.segments import SOURCE
from TumorSegLib.worker.measure_protocol import Measure, SharedGrid, SharedSegment, SharedSegments
from TumorSegModule.logic.frame_shown import other_frame
from TumorSegModule.logic.segment_roles import Role

SLAB_VOXELS = 1 << 19
"""Voxels copied between two looks at the clock; a few milliseconds."""

Memory = tuple[str, Callable[[tuple[int, ...], str], NDArray[Any]]]
"""A block's name, and how to get an array on it by shape and type."""

Allocate = Callable[[int], Generator[None, None, Memory]]
"""From a number of bytes to a block, as a generator that can be left between two steps."""


@dataclass(frozen=True)
class Lattice:
    """Voxels on which segments are read.

    Attributes:
        ijk_to_node: 4x4 from their indices (x, y, z) to the coordinates that the segmentation
            stores.
        grid: where they lie in the world, in LPS mm.
        volume: node whose voxels they are, None if they are the label map's own.
    """

    ijk_to_node: Matrix4
    grid: Grid
    volume: slicer.vtkMRMLScalarVolumeNode | None


@dataclass(frozen=True)
class Earlier:
    """An earlier segmentation, to be compared.

    Attributes:
        segmentation: node.
        roles: of its segments.
        pairs: id of the present segment, by that of the earlier one.
    """

    segmentation: slicer.vtkMRMLSegmentationNode
    roles: tuple[Role, ...]
    pairs: Mapping[str, str]


@dataclass(frozen=True)
class Request:
    """What to measure.

    Attributes:
        segmentation: node.
        roles: of its segments.
        probabilities: uint8 (labels, z, y, x) on its volume, where they are at hand.
        given_up: what a filter took out, by segment id.
        earlier: what to compare with.
    """

    segmentation: slicer.vtkMRMLSegmentationNode
    roles: tuple[Role, ...]
    probabilities: NDArray[np.uint8] | None = None
    given_up: Mapping[str, tuple[GivenUp, ...]] = field(default_factory=dict)
    earlier: Earlier | None = None


@dataclass(frozen=True)
class Prepared:
    """A command, and what stays in hand.

    Attributes:
        command: for whoever measures.
        lattice: of the segments.
        box: that the blocks hold.
        numbers: arrays (z, y, x) of the box to which the components' numbers are written, by
            segment id.
        earlier_grid: of the earlier segmentation, without what lies above it.
        earlier_problem: why it cannot be compared, "" if it can.
    """

    command: Measure
    lattice: Lattice
    box: Box
    numbers: Mapping[str, NDArray[np.uint16]]
    earlier_grid: Grid | None = None
    earlier_problem: str = ""


def lattice_of(segmentation: slicer.vtkMRMLSegmentationNode) -> Lattice:
    """Return the voxels of the volume that a segmentation was drawn on, else its label map's own.

    Raises:
        InputError: a transform warps or shears it, or it is made of surfaces.
    """
    _check_label_maps(segmentation)
    volume = volume_of(segmentation)
    if volume is not None and volume.GetImageData() is not None:
        placement = placement_of(volume)
        return Lattice(placement.ijk_to(segmentation), placement.grid, volume)
    matrix, shape = own_lattice(segmentation)
    affine = LPS_FROM_RAS @ parent_matrix(segmentation) @ matrix
    return Lattice(matrix, grid_from_affine(affine, shape, segmentation.GetName()), None)


def _check_label_maps(segmentation: slicer.vtkMRMLSegmentationNode) -> None:
    """Refuse surfaces and contours, which have no voxels to measure.

    Raises:
        InputError: the segments are such.
    """
    content = segmentation.GetSegmentation()
    kind = content.GetSourceRepresentationName()
    if content.GetNumberOfSegments() and kind != SOURCE:
        raise InputError(
            _(
                "{name}: its segments are stored as {kind}, which has no voxels to measure; make"
                " Binary labelmap the source representation in the module Segmentations"
            ).format(name=segmentation.GetName(), kind=kind)
        )


def own_lattice(segmentation: slicer.vtkMRMLSegmentationNode) -> tuple[Matrix4, tuple[int, ...]]:
    """Return the matrix to a segmentation's coordinates, and the shape, of its own label maps."""
    content = segmentation.GetSegmentation()
    segments = [content.GetNthSegment(n) for n in range(content.GetNumberOfSegments())]
    images = [segment.GetRepresentation(SOURCE) for segment in segments]
    filled = [image for image in images if 0 not in image_array(image)[0].shape]
    if not filled:
        return np.eye(4), (1, 1, 1)
    matrix = matrix_of(filled[0].GetImageToWorldMatrix)
    box = union([mask_reader(segment, matrix)[0] for segment in segments])
    corner = np.eye(4)
    corner[:3, 3] = box[4], box[2], box[0]
    return matrix @ corner, shape_of(box)


def _earlier_lattice(
    segmentation: slicer.vtkMRMLSegmentationNode,
) -> tuple[Matrix4, tuple[int, ...]]:
    """Return the same of the volume below the same transform, on whose slices one measures."""
    _check_label_maps(segmentation)
    volume = volume_of(segmentation)
    if (
        volume is None
        or volume.GetImageData() is None
        or volume.GetTransformNodeID() != segmentation.GetTransformNodeID()
    ):
        return own_lattice(segmentation)
    shape = volume.GetImageData().GetDimensions()[::-1]
    return matrix_of(volume.GetIJKToRASMatrix), shape


def prepare(request: Request, job: int, allocate: Allocate) -> Generator[None, None, Prepared]:
    """Copy what is to be measured, as a generator that can be left between two steps.

    Returns:
        What was `Prepared`, as the value of StopIteration.

    Raises:
        InputError: see `lattice_of`.
        MemoryError: there is no memory for it.
    """
    lattice = lattice_of(request.segmentation)
    marks = [item.box for found in request.given_up.values() for item in found]
    probabilities = request.probabilities
    if probabilities is not None and probabilities.shape[1:] != lattice.grid.shape:
        probabilities = None  # the volume's voxels are others by now
    now = yield from _shared(
        request.segmentation, request.roles, lattice, allocate, marks, probabilities
    )
    segments, box, numbers = now
    voxels, dtype = "", ""
    shown = lattice.volume is not None and not other_frame(request.segmentation, lattice.volume)
    if shown and box:  # of another frame there are no intensities
        array = voxels_of(lattice.volume)
        dtype = array.dtype.name
        voxels = yield from _copied(box, dtype, allocate, _parts_of(array))
    command = Measure(job, segments, voxels, dtype, request.given_up)
    prepared = Prepared(command, lattice, box, numbers)
    if request.earlier is None:
        return prepared
    try:
        grid, earlier, transform = yield from _earlier(request.earlier, allocate)
    except InputError as error:  # the present segments are measured all the same
        return replace(prepared, earlier_problem=str(error))
    command = replace(command, earlier=earlier, transform=transform)
    return replace(prepared, command=command, earlier_grid=grid)


def _earlier(
    earlier: Earlier, allocate: Allocate
) -> Generator[None, None, tuple[Grid, SharedSegments, tuple[float, ...]]]:
    """Copy an earlier segmentation; return its grid, its segments and the transform above it.

    Raises:
        InputError: a transform warps or shears it, or it has no label maps.
    """
    node, pairs = earlier.segmentation, earlier.pairs
    matrix, shape = _earlier_lattice(node)
    grid = grid_from_affine(LPS_FROM_RAS @ matrix, shape, node.GetName())
    transform = tuple((LPS_FROM_RAS @ parent_matrix(node) @ LPS_FROM_RAS).ravel().tolist())
    own = Lattice(matrix, grid, None)
    before, _box, _numbers = yield from _shared(node, earlier.roles, own, allocate, [], None)
    paired = [
        SharedSegment(
            pairs[one.id],
            one.name,
            one.mask,
            tuple(pairs.get(part, part) for part in one.includes),
        )
        for one in before.segments
        if one.id in pairs
    ]
    taken = {*pairs, *pairs.values()}
    parts = [one for one in before.segments if one.id not in taken]
    return grid, SharedSegments(before.grid, before.box, (*paired, *parts)), transform


def _shared(
    segmentation: slicer.vtkMRMLSegmentationNode,
    roles: tuple[Role, ...],
    lattice: Lattice,
    allocate: Allocate,
    marks: list[Box],
    probabilities: NDArray[np.uint8] | None,
) -> Generator[None, None, tuple[SharedSegments, Box, dict[str, NDArray[np.uint16]]]]:
    """Copy segments; return what the other side is told, the box, and arrays for numbers."""
    content = segmentation.GetSegmentation()
    readers, filled = {}, {}
    for role in roles:
        segment = content.GetSegment(role.id)
        image = segment.GetRepresentation(SOURCE) if segment is not None else None
        if image not in filled:
            filled[image] = yield from filled_part(*image_array(image), SLAB_VOXELS)
        readers[role.id] = mask_reader(segment, lattice.ijk_to_node, filled[image])
    whole = tuple(edge for count in lattice.grid.shape for edge in (0, count))
    box = intersection(union([*(place for place, _ in readers.values()), *marks]), whole)
    shared, numbers = [], {}
    for role in roles:
        _place, read = readers[role.id]
        mask = yield from _copied(box, "bool", allocate, read)
        certain, numbered = "", ""
        if role.lesions and box:
            numbered, on = yield from allocate(2 * prod(shape_of(box)))
            numbers[role.id] = on(shape_of(box), "uint16")
            if probabilities is not None and role.channel is not None:
                read_part = _parts_of(probabilities[role.channel])
                certain = yield from _copied(box, "uint8", allocate, read_part)
        shared.append(SharedSegment(role.id, role.name, mask, role.includes, certain, numbered))
    return SharedSegments(_described(lattice.grid), box, tuple(shared)), box, numbers


def _copied(
    box: Box, dtype: str, allocate: Allocate, read: Callable[[Box], NDArray[Any]]
) -> Generator[None, None, str]:
    """Copy what `read` returns for parts of a box to a block; return the block's name."""
    if not box:
        return ""
    shape = shape_of(box)
    name, on = yield from allocate(prod(shape) * np.dtype(dtype).itemsize)
    target = on(shape, dtype)
    for part in slabs_of(box, SLAB_VOXELS):
        target[inside(part, box)] = read(part)
        yield
    return name


def _parts_of(array: NDArray[Any]) -> Callable[[Box], NDArray[Any]]:
    """Return what reads a box of a whole volume's array."""

    def read(part: Box) -> NDArray[Any]:
        return array[inside(part, (0,) * 6)]

    return read


def _described(grid: Grid) -> SharedGrid:
    return SharedGrid(grid.shape, grid.spacing, grid.origin, grid.cosines)
