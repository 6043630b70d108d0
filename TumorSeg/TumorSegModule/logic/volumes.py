"""What the scene's volume nodes are: usable or not and why, CT or MRI, which sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.modality import modality_of
from TumorSegLib.image.sequence_names import suggested_sequences
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegLib.slicer_io.nodes import patient_of
from TumorSegModule.logic.job import Channel

MODALITY_ATTRIBUTE = "DICOM.Modality"


def check_usable(volume: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Refuse nodes that are no scalar image.

    Raises:
        InputError: with the reason and what to choose instead.
    """
    name = volume.GetName()
    if volume.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(
            _("{name}: is a label map; choose the image that it was drawn on").format(name=name)
        )
    image = volume.GetImageData()
    if image is None or 0 in image.GetDimensions():
        raise InputError(_("{name}: holds no voxels; load the volume again").format(name=name))
    if image.GetPointData().GetScalars() is None:
        raise InputError(
            _(
                "{name}: holds no grey values (a tensor volume, or an empty one); choose an image"
            ).format(name=name)
        )
    components = image.GetNumberOfScalarComponents()
    if components != 1 or not volume.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError(
            _(
                "{name}: holds {count} values a voxel (a colour or vector volume); convert it with"
                " the module Vector to Scalar Volume, then segment"
            ).format(name=name, count=components)
        )


def is_usable(volume: slicer.vtkMRMLScalarVolumeNode) -> bool:
    """Tell whether a node is a scalar image, and none of our own that nobody is to choose."""
    if volume.GetHideFromEditors():
        return False
    try:
        check_usable(volume)
    except InputError:
        return False
    return True


def channel_of(volume: slicer.vtkMRMLScalarVolumeNode) -> Channel:
    """Return a volume node's voxels and where they lie, for the runner.

    Raises:
        InputError: the node cannot be segmented.
    """
    check_usable(volume)
    image = volume.GetImageData()
    return Channel(
        slicer.util.arrayFromVolume(volume),
        placement_of(volume).grid,
        volume.GetName(),
        (volume.GetID(), image.GetMTime(), image.GetPointData().GetScalars().GetMTime()),
    )


def modality_of_node(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Return "CT" or "MR" (or another word of DICOM's): what DICOM says, else the intensities.

    Raises:
        InputError: the node cannot be segmented.
    """
    stated = stated_modality(volume)
    if stated:
        return stated
    channel = channel_of(volume)
    step = tuple(slice(None, None, max(1, count // 64)) for count in channel.voxels.shape)
    sample = channel.voxels[step]
    return modality_of(Volume(sample, Grid(sample.shape, (1.0, 1.0, 1.0)), name=channel.name))


def stated_modality(volume: slicer.vtkMRMLScalarVolumeNode) -> str:
    """Return what DICOM says of a node's modality, "" where there is nothing."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(volume) if hierarchy else 0
    stated = hierarchy.GetItemAttribute(item, MODALITY_ATTRIBUTE) if item else ""
    return stated or volume.GetAttribute(MODALITY_ATTRIBUTE) or ""


def suggest_sequences(
    volume: slicer.vtkMRMLScalarVolumeNode,
    channels: Sequence[str],
    candidates: Iterable[slicer.vtkMRMLScalarVolumeNode],
) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
    """Return which of `candidates` are obviously the further sequences of `volume`.

    Args:
        volume: node to segment.
        channels: names of the model's further channels.
        candidates: volume nodes.

    Returns:
        Nodes by channel name. A name must tell the sequence; of several, one on the volume's own
        grid is preferred, and no suggestion is made if two are equally good. Volumes that lie under
        different patients are none of each other's.
    """
    usable = [
        node
        for node in candidates
        if node is not volume and is_usable(node) and not _of_two_patients(volume, node)
    ]
    triples = [(node.GetName(), _grid_or_none(node), node) for node in usable]
    return suggested_sequences(channels, placement_of(volume).grid, triples)


def _of_two_patients(
    volume: slicer.vtkMRMLScalarVolumeNode, other: slicer.vtkMRMLScalarVolumeNode
) -> bool:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    return len({patient_of(volume, hierarchy), patient_of(other, hierarchy)} - {None}) > 1


def further_channels(bundle: Bundle) -> list[str]:
    """Return the names of the sequences that a model takes beside the volume itself."""
    return [channel.name for channel in bundle.specification.input.channels[1:]]


def obvious_sequences(
    volume: slicer.vtkMRMLScalarVolumeNode, bundle: Bundle, names: Sequence[str] | None = None
) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
    """Return the scene's nodes that are obviously further sequences of a volume, by channel name.

    Args:
        volume: node to segment.
        bundle: model.
        names: of the channels to look for; all that the model takes if not given.
    """
    names = further_channels(bundle) if names is None else names
    nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return suggest_sequences(volume, names, nodes)


def on_another_grid(
    volume: slicer.vtkMRMLScalarVolumeNode, others: Iterable[slicer.vtkMRMLScalarVolumeNode]
) -> list[str]:
    """Return the names of the volume nodes `others` that do not lie on `volume`'s grid."""
    grid = placement_of(volume).grid
    grids = [(node.GetName(), _grid_or_none(node)) for node in others]
    return [name for name, own in grids if own is None or not own.geometry_equal(grid)]


def _grid_or_none(node: slicer.vtkMRMLScalarVolumeNode) -> Grid | None:
    try:
        return placement_of(node).grid
    except InputError:
        return None
