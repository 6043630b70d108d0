"""One lesion out of its segment, or back into it: each one step of Undo. MRML, no Qt.

Both are generators that can be left between two steps; the segments change in the last one, all at
once, if nobody has written to them meanwhile.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.slicer_io.images import Box, image_array, inside, new_image, shape_of, slabs_of
from TumorSegLib.slicer_io.masks import mask_reader
from TumorSegModule.logic.findings import Absent, Findings, Lesion
from TumorSegModule.logic.segment_roles import Role
from TumorSegModule.logic.segments import note_begun
from TumorSegModule.logic.tight_label_maps import check_stamps, tightened
from TumorSegModule.logic.view import Editor

Mask = NDArray[np.bool_]
Change = tuple[str, bool]
"""Id of a segment, and whether it gets voxels or loses them."""

SURROUNDED = 0.5
"""An organ that makes up more than this part of a lesion's rim takes a false lesion's voxels."""

SLAB_VOXELS = 1 << 19
"""Voxels of a lesion's box between two looks at the clock; a few milliseconds."""


def remove_lesion(found: Findings, lesion: Lesion, editor: Editor) -> Generator[None, None, None]:
    """Take a lesion out of its segment, and out of the segments that are parts of it.

    What lies amid an organ falls to the organ, as in the post-processing: a false lesion of the
    liver is liver, one beside it is nothing.

    Raises:
        InputError: the segments were edited since they were measured.
    """
    _check_role(found, lesion.role)
    stamps = yield from tightened(found.segmentation, found.stamps)
    box, mask = yield from _mask_of(found, lesion)
    changes = [(name, False) for name in (lesion.role.id, *lesion.role.includes)]
    organ = next((role for role in found.roles if lesion.role.id in role.includes), None)
    if organ is not None and (yield from _is_amid(found, organ, box, mask)):
        changes.append((organ.id, True))
    images = yield from _images(found, box, mask, changes)
    check_stamps(found.segmentation, stamps)
    editor.save_for_undo()
    _write(found, changes, images)


def add_back(found: Findings, absent: Absent, editor: Editor) -> Generator[None, None, None]:
    """Put what the filter gave up into its segment; voxels of the organ around it become lesion.

    Raises:
        InputError: the segments were edited since they were measured.
    """
    _check_role(found, absent.role)
    stamps = yield from tightened(found.segmentation, found.stamps)
    box = absent.item.box
    mask = np.zeros(shape_of(box), bool)
    absent.item.draw(mask, (box[0], box[2], box[4]))
    organs = [role.id for role in found.roles if absent.role.id in role.includes]
    changes = [*((name, False) for name in organs), (absent.role.id, True)]
    images = yield from _images(found, box, mask, changes)
    check_stamps(found.segmentation, stamps)
    editor.save_for_undo()
    _write(found, changes, images)


def _check_role(found: Findings, role: Role) -> None:
    if role.id not in found.numbers:
        raise InputError(_("{name} is no segment of lesions.").format(name=role.name))


def _mask_of(found: Findings, lesion: Lesion) -> Generator[None, None, tuple[Box, Mask]]:
    """Return a lesion's box in the volume and its mask (z, y, x) there."""
    box = tuple(edge for part in lesion.part.box for edge in part)
    numbers, mask = found.numbers[lesion.role.id], np.empty(shape_of(box), bool)
    for slab in slabs_of(box, SLAB_VOXELS):
        mask[inside(slab, box)] = numbers[inside(slab, found.box)] == lesion.part.number
        yield
    return box, mask


def _is_amid(found: Findings, organ: Role, box: Box, mask: Mask) -> Generator[None, None, bool]:
    """Tell whether most of what touches a lesion by a face is the organ."""
    _place, read = mask_reader(
        found.segmentation.GetSegmentation().GetSegment(organ.id), found.lattice.ijk_to_node
    )
    frame = tuple(edge + (1 if n % 2 else -1) for n, edge in enumerate(box))
    padded = np.pad(mask, ((2, 2), (1, 1), (1, 1)))
    touched = of_organ = 0
    for slab in slabs_of(frame, SLAB_VOXELS):
        first, last = slab[0] - frame[0], slab[1] - frame[0]
        own = padded[first + 1 : last + 1]
        rim = padded[first:last] | padded[first + 2 : last + 2]
        for axis in (1, 2):
            for step in (-1, 1):
                rim |= np.roll(own, step, axis)
        rim &= ~own
        touched += int(np.count_nonzero(rim))
        of_organ += int(np.count_nonzero(read(slab) & rim))
        yield
    return of_organ > SURROUNDED * touched


def _images(
    found: Findings, box: Box, mask: Mask, changes: list[Change]
) -> Generator[None, None, list[slicer.vtkOrientedImageData]]:
    """Return what `_write` hands to Slicer for each change.

    An image has the segment's own value: Slicer takes the larger number where segments share a
    label map, so that a 1 would draw the first of them. Where it would take voxels from another
    segment, it gives the segment a label map of its own.
    """
    images = []
    for name, present in changes:
        image = new_image(box, found.lattice.ijk_to_node)
        array = image_array(image)[0]
        value = np.uint8(found.segmentation.GetSegmentation().GetSegment(name).GetLabelValue())
        for slab in slabs_of(box, SLAB_VOXELS):
            place = inside(slab, box)
            np.multiply(mask[place] == present, value, out=array[place])
            yield
        images.append(image)
    return images


def _write(
    found: Findings, changes: list[Change], images: list[slicer.vtkOrientedImageData]
) -> None:
    """Set voxels in segments, or clear them; others stay as they are."""
    logic, node = slicer.vtkSlicerSegmentationsModuleLogic, found.segmentation
    for (name, present), image in zip(changes, images, strict=True):
        if present:
            logic.SetBinaryLabelmapToSegment(image, node, name, logic.MODE_MERGE_MAX)
        else:
            extent = image.GetExtent()
            logic.SetBinaryLabelmapToSegment(image, node, name, logic.MODE_MERGE_MIN, extent)
        note_begun(node.GetSegmentation().GetSegment(name))
