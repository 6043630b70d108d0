"""Segments copied to shared memory, all as they were at one moment. MRML, no Qt."""

from __future__ import annotations

from collections.abc import Callable, Generator

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.slicer_io.nodes import masks_of
from TumorSegLib.slicer_io.segments import SEMIAUTOMATIC, is_begun, said_to_draw
from TumorSegLib.worker.shared_memory import SharedBlock
from TumorSegLib.worker.shared_voxels import SharedMask
from TumorSegModule.logic.runner import copy_voxels
from TumorSegModule.logic.segments import stamps_of

COPIES = 5
"""How often segments are copied anew that are edited meanwhile, before that is left to the user."""


def copied_masks(
    segmentation: slicer.vtkMRMLSegmentationNode,
    new_block: Callable[[int], Generator[None, None, SharedBlock]],
) -> Generator[None, None, tuple[SharedMask, ...]]:
    """Return a node's segments in shared memory, as a generator that copies bit by bit.

    Args:
        segmentation: node.
        new_block: makes a shared block of so many bytes, bit by bit.

    Raises:
        InputError: they are surfaces, a transform warps them, or somebody goes on editing them.
    """
    for _copy in range(COPIES):
        stamps = stamps_of(segmentation)
        found, blocks = masks_of(segmentation), {}
        for mask in found:
            if id(mask.labelmap) not in blocks:
                block = yield from new_block(mask.labelmap.nbytes)
                blocks[id(mask.labelmap)] = block
                yield from copy_voxels(mask.labelmap, block)
        if stamps_of(segmentation) == stamps:
            return tuple(_shared(mask, blocks[id(mask.labelmap)]) for mask in found)
    raise InputError(_("is being edited; export it when you have done"))


def colour_of(segment: slicer.vtkSegment) -> tuple[int, int, int]:
    """Return a segment's red, green and blue, 0 to 255."""
    red, green, blue = (round(255 * part) for part in segment.GetColor())
    return red, green, blue


def said_of(
    segmentation: slicer.vtkMRMLSegmentationNode, segment: slicer.vtkSegment
) -> tuple[str, str]:
    """Return who drew a segment that was read from DICOM; see `DicomMask.algorithm`.

    The Segment Editor takes voxels from the segments beside the one that it draws, and notes only
    that one: where any of a node was worked on, none is an algorithm's alone.
    """
    kind, name = said_to_draw(segment)
    content = segmentation.GetSegmentation()
    segments = map(content.GetNthSegment, range(content.GetNumberOfSegments()))
    return (SEMIAUTOMATIC if name and any(map(is_begun, segments)) else kind), name


def _shared(mask: NamedMask, block: SharedBlock) -> SharedMask:
    return SharedMask(
        block.name,
        mask.labelmap.dtype.name,
        mask.labelmap.shape,
        mask.id,
        mask.name,
        mask.value,
        tuple(float(number) for number in mask.affine.ravel()),
        mask.model,
        mask.as_drawn,
    )
