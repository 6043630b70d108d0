"""What an export would take: segmentations, their volumes, and the labels of a model. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.export.dataset_name import dataset_name, is_dataset_name
from TumorSegLib.export.labelling import is_known
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.slicer_io.nodes import is_case, volume_of
from TumorSegModule.logic.exporter import Case
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.volumes import modality_of_node


def segmentations_to_export(
    selection: Selection, *, whole_scene: bool
) -> list[slicer.vtkMRMLSegmentationNode]:
    """Return the segmentation that is chosen, or all of the scene that have segments and volume."""
    if whole_scene:
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return [node for node in nodes if is_case(node) and volume_of(node) is not None]
    segmentation, volume = selection.target, selection.volume
    if segmentation is None or not is_case(segmentation):
        return []
    return [segmentation] if volume_of(segmentation) or volume else []


def bundle_to_export(
    selection: Selection, segmentations: Sequence[slicer.vtkMRMLSegmentationNode]
) -> Bundle | None:
    """Return the model whose labels the data set has, None if there is none."""
    volume = selection.volume or (volume_of(segmentations[0]) if segmentations else None)
    return selection.bundle_for(volume) if volume is not None else None


def case_to_export(
    selection: Selection,
    segmentation: slicer.vtkMRMLSegmentationNode,
    bundle: Bundle,
    *,
    whole_scene: bool,
) -> Case:
    """Return a segmentation with its volume and sequences.

    Raises:
        InputError: the volume is of another modality than the model's, and others are exported with
            it.
    """
    volume: Any = volume_of(segmentation) or selection.volume
    specification = bundle.specification
    modality = modality_of_node(volume)
    if whole_scene and modality != specification.modality:
        raise InputError(
            _(
                "{name} is {modality}, the model {title} is for {expected}; export it by itself"
            ).format(
                name=volume.GetName(),
                modality=modality,
                title=specification.title,
                expected=specification.modality,
            )
        )
    first = specification.input.channels[0].name
    return Case(segmentation, {first: volume, **selection.sequences_of(volume, bundle)})


def dataset_folder(text: str, specification: ModelSpecification) -> Path:
    """Return the folder of the data set: what was chosen, or a data set within it.

    nnU-Net wants a folder DatasetNNN_Name; in any other folder that name is made from the model's
    anatomy.
    """
    folder = Path(text).expanduser()
    return folder if is_dataset_name(folder.name) else folder / dataset_name(specification)


def unknown_names(
    segmentations: Sequence[slicer.vtkMRMLSegmentationNode], specification: ModelSpecification
) -> list[str]:
    """Return the names of the segments that are none of the model's labels."""
    names = {}
    for segmentation in segmentations:
        content = segmentation.GetSegmentation()
        for number in range(content.GetNumberOfSegments()):
            name = content.GetNthSegment(number).GetName()
            if not is_known(content.GetNthSegmentID(number), name, specification):
                names[name] = True
    return list(names)
