"""What to run on which nodes, before the worker hears of it. MRML, no Qt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.slicer_io.geometry import Placement, placement_of
from TumorSegLib.slicer_io.images import Box
from TumorSegModule.logic.job import Request
from TumorSegModule.logic.segments import NEW, REPLACE, edited_segments, is_usable_target
from TumorSegModule.logic.volumes import channel_of


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        volume: node to segment.
        bundle: model.
        sequences: further volume nodes by channel name.
        target: segmentation node to write to; a new one if none.
        mode: what to do with segments that are there already.
        within: box along (z, y, x) to which to limit the run; the whole volume if not given.
        show: open the result in the panel; one of a series leaves the panel as it is.
        run: how to run the model; the slices to segment are those of `within`.
        server: address of the one to run on; "": this computer.
    """

    volume: slicer.vtkMRMLScalarVolumeNode
    bundle: Bundle
    sequences: dict[str, slicer.vtkMRMLScalarVolumeNode] = field(default_factory=dict)
    target: slicer.vtkMRMLSegmentationNode | None = None
    mode: str = REPLACE
    within: Box | None = None
    show: bool = True
    run: RunOptions = field(default_factory=RunOptions)
    server: str = ""

    def __post_init__(self) -> None:
        """A new segmentation has nothing to keep."""
        if self.mode == NEW:
            object.__setattr__(self, "target", None)
            object.__setattr__(self, "mode", REPLACE)

    @property
    def nodes(self) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
        """The volume nodes by channel name, the volume itself first."""
        return {self.bundle.specification.input.channels[0].name: self.volume, **self.sequences}

    def request(self) -> Request:
        """Return what the runner is told.

        Raises:
            InputError: a node cannot be used.
        """
        for node in self.nodes.values():
            if not slicer.mrmlScene.IsNodePresent(node):
                raise InputError(
                    _("{name}: was removed from the scene").format(name=node.GetName())
                )
        channels = {name: channel_of(node) for name, node in self.nodes.items()}
        placement = placement_of(self.volume)
        if self.target is not None:
            check_target(self.target, placement)
        return Request(
            model=str(self.bundle.folder),
            labels=len(self.bundle.specification.labels),
            channels=channels,
            server=self.server,
            options=replace(
                self.run,
                slices=placement.axial_slices_of(self.within) if self.within else None,
            ),
        )


def edits_in(
    target: slicer.vtkMRMLSegmentationNode | None,
    volume: slicer.vtkMRMLScalarVolumeNode,
    bundle: Bundle,
) -> list[str]:
    """Return the names of edited segments that a result would replace; a new target has none.

    Raises:
        InputError: no result can be written to the target, see `check_target`.
    """
    if target is None:
        return []
    check_target(target, placement_of(volume))
    return edited_segments(target, bundle.specification)


def check_target(target: slicer.vtkMRMLSegmentationNode, placement: Placement) -> None:
    """Refuse segmentations that a result on the voxels of `placement` cannot be written to.

    Raises:
        InputError: its segments are surfaces, or a transform warps it.
    """
    if not is_usable_target(target):
        raise InputError(
            _(
                "{name}: its segments are surfaces, not label maps; choose another segmentation"
                " or a new one"
            ).format(name=target.GetName())
        )
    placement.ijk_to(target)
