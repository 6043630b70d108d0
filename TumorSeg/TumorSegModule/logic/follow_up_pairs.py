"""Which segments of an earlier segmentation are compared with which of the present one."""

from __future__ import annotations

import slicer

from TumorSegLib.model.specification import ModelSpecification
from TumorSegModule.logic.measure_request import Earlier
from TumorSegModule.logic.segment_roles import Role, roles_of

EARLIER = "TumorSeg.Earlier"
"""Node reference from a segmentation to the earlier one that it is compared with."""


def earlier_of(
    roles: tuple[Role, ...],
    earlier: slicer.vtkMRMLSegmentationNode,
    specification: ModelSpecification | None,
) -> Earlier:
    """Return an earlier segmentation with its lesions' segments paired with the present ones.

    Segments of one id are the same, else those of one name, else the only one of each.

    Args:
        roles: of the present segments.
        earlier: segmentation node.
        specification: of the model that drew the present one, None if none did.
    """
    before = roles_of(earlier, specification)
    now = [role for role in roles if role.lesions]
    old = [role for role in before if role.lesions]
    pairs = {role.id: role.id for role in old if any(one.id == role.id for one in now)}
    for role in old:
        free = [one for one in now if one.id not in pairs.values()]
        alike = [one for one in free if one.name == role.name]
        only = free if len(now) == len(old) == 1 else []
        if role.id not in pairs and (match := alike or only):
            pairs[role.id] = match[0].id
    return Earlier(earlier, before, pairs)


def chosen_earlier(
    segmentation: slicer.vtkMRMLSegmentationNode | None,
) -> slicer.vtkMRMLSegmentationNode | None:
    """Return the segmentation that one is to be compared with, as it is kept with it."""
    return segmentation.GetNodeReference(EARLIER) if segmentation is not None else None


def choose_earlier(
    segmentation: slicer.vtkMRMLSegmentationNode, earlier: slicer.vtkMRMLSegmentationNode | None
) -> None:
    """Keep with a segmentation which earlier one it is to be compared with; None: with none."""
    segmentation.SetNodeReferenceID(EARLIER, earlier.GetID() if earlier is not None else None)
