"""One lesion out of its segment, or back into it: each one step of Undo. MRML, no Qt."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import NDArray
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.slicer_io.images import Box, image_array, inside, new_image, shape_of
from TumorSegLib.slicer_io.masks import mask_reader
from TumorSegModule.logic.findings import Absent, Findings, Lesion
from TumorSegModule.logic.segment_roles import Role
from TumorSegModule.logic.view import Editor

Mask = NDArray[np.bool_]

SURROUNDED = 0.5
"""An organ that makes up more than this part of a lesion's rim takes a false lesion's voxels."""


def remove_lesion(found: Findings, lesion: Lesion, editor: Editor) -> None:
    """Take a lesion out of its segment, and out of the segments that are parts of it.

    What lies amid an organ falls to the organ, as in the post-processing: a false lesion of the
    liver is liver, one beside it is nothing.

    Raises:
        InputError: the segments were edited since they were measured.
    """
    _check(found, lesion.role)
    box, mask = _mask_of(found, lesion)
    organ = next((role for role in found.roles if lesion.role.id in role.includes), None)
    falls = organ is not None and _is_amid(found, organ, box, mask)
    editor.save_for_undo()
    for name in (lesion.role.id, *lesion.role.includes):
        _write(found, name, box, mask, present=False)
    if organ is not None and falls:
        _write(found, organ.id, box, mask, present=True)


def add_back(found: Findings, absent: Absent, editor: Editor) -> None:
    """Put what the filter gave up into its segment; voxels of the organ around it become lesion.

    Raises:
        InputError: the segments were edited since they were measured.
    """
    _check(found, absent.role)
    box = absent.item.box
    mask = np.zeros(shape_of(box), bool)
    absent.item.draw(mask, (box[0], box[2], box[4]))
    editor.save_for_undo()
    for role in found.roles:
        if absent.role.id in role.includes:
            _write(found, role.id, box, mask, present=False)
    _write(found, absent.role.id, box, mask, present=True)


def _check(found: Findings, role: Role) -> None:
    if not found.current:
        raise InputError(_("The segments were edited just now; try again in a moment."))
    if role.id not in found.numbers:
        raise InputError(_("{name} is no segment of lesions.").format(name=role.name))


def _mask_of(found: Findings, lesion: Lesion) -> tuple[Box, Mask]:
    """Return a lesion's box in the volume and its mask (z, y, x) there."""
    box = tuple(edge for part in lesion.part.box for edge in part)
    numbers = found.numbers[lesion.role.id][inside(box, found.box)]
    return box, numbers == lesion.part.number


def _is_amid(found: Findings, organ: Role, box: Box, mask: Mask) -> bool:
    """Tell whether most of what touches a lesion by a face is the organ."""
    frame = tuple(edge + (1 if n % 2 else -1) for n, edge in enumerate(box))
    own = np.pad(mask, 1)
    rim = np.zeros_like(own)
    for axis in range(3):
        for step in (-1, 1):
            rim |= np.roll(own, step, axis)
    rim &= ~own
    _place, read = mask_reader(
        found.segmentation.GetSegmentation().GetSegment(organ.id), found.lattice.ijk_to_node
    )
    return bool(read(frame)[rim].mean() > SURROUNDED)


def _write(found: Findings, name: str, box: Box, mask: Mask, *, present: bool) -> None:
    """Set the voxels of `mask` in a segment, or clear them; others stay as they are.

    The image has the segment's own value: Slicer takes the larger number where segments share a
    label map, so that a 1 would draw the first of them. Where it would take voxels from another
    segment, it gives the segment a label map of its own.
    """
    segment = found.segmentation.GetSegmentation().GetSegment(name)
    image = new_image(box, found.lattice.ijk_to_node)
    image_array(image)[0][:] = (mask if present else ~mask) * segment.GetLabelValue()
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if present:
        logic.SetBinaryLabelmapToSegment(image, found.segmentation, name, logic.MODE_MERGE_MAX)
    else:
        extent = image.GetExtent()
        logic.SetBinaryLabelmapToSegment(
            image, found.segmentation, name, logic.MODE_MERGE_MIN, extent
        )
