"""A run that the worker has accepted: its nodes as it saw them, its preview, where it may write.

MRML, no Qt.
"""

from __future__ import annotations

import numpy as np
import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import AxialView, Grid
from TumorSegLib.slicer_io.geometry import Placement, placement_of
from TumorSegModule.logic.job import Job
from TumorSegModule.logic.preview import Preview
from TumorSegModule.logic.run_options import Options, check_target
from TumorSegModule.logic.segments import ADD, edited_segments, voxels_stamps
from TumorSegModule.logic.volumes import channel_of


class SegmentationRun:
    """Owns everything of one run; nobody else keeps it.

    Attributes:
        options: what was asked for.
        job: the runner's, with the label map that the worker fills.
    """

    def __init__(self, job: Job, options: Options) -> None:
        """Remember how the nodes are now; their voxels are those of `job`'s request."""
        self.job, self.options = job, options
        self._preview: Preview | None = None
        target = options.target
        self._stamps = voxels_stamps(target, options.bundle.specification) if target else {}

    @property
    def number(self) -> int:
        """Number of the run; no other one has it."""
        return self.job.number

    @property
    def has_volume(self) -> bool:
        """Whether the volume is in the scene."""
        return slicer.mrmlScene.IsNodePresent(self.options.volume)

    @property
    def was_moved(self) -> bool:
        """Whether the volume lies elsewhere than when the run began."""
        first = next(iter(self.job.request.channels.values()))
        return not placement_of(self.options.volume).grid.geometry_equal(first.grid)

    def placement(self) -> Placement:
        """Return where the volume's voxels lie now; a volume may be moved during a run.

        Raises:
            InputError: the model would find something else in the volume as it is now, or a
                transform warps it.
        """
        grids = {}
        for name, node in self.options.nodes.items():
            if not slicer.mrmlScene.IsNodePresent(node):
                continue  # a further sequence, which the result does not need any more
            channel, given = channel_of(node), self.job.request.channels[name]
            same = channel.key == given.key
            if not same and not np.array_equal(channel.voxels, self.job.inputs[name]):
                raise InputError(_changed(node, _("its voxels were changed")))
            grids[name] = (channel.grid, given.grid)
        first_now, first_before = next(iter(grids.values()))
        if not _seen_alike(first_now, first_before):
            raise InputError(_changed(self.options.volume, _("its spacing or axes were changed")))
        for name, (now, before) in grids.items():
            if not np.allclose(
                np.linalg.inv(first_now.affine) @ now.affine,
                np.linalg.inv(first_before.affine) @ before.affine,
                atol=1e-3,
            ):
                node = self.options.nodes[name]
                raise InputError(_changed(node, _("it was moved against the volume")))
        return placement_of(self.options.volume)

    def target(self, placement: Placement) -> tuple[slicer.vtkMRMLSegmentationNode | None, str]:
        """Return the segmentation to write to, and why it is not the one that was chosen.

        Returns:
            The node, None if a new one is to be made, and a line, "" if all is as it was.
        """
        target = self.options.target
        if target is None:
            return None, ""
        if not slicer.mrmlScene.IsNodePresent(target):
            return None, _(
                "The target segmentation was removed meanwhile; the result is in a new one."
            )
        try:
            check_target(target, placement)
        except InputError as error:
            return None, _("{reason}. The result is in a new segmentation.").format(reason=error)
        specification = self.options.bundle.specification
        if self.options.mode != ADD and edited_segments(target, specification, since=self._stamps):
            return None, _(
                "{name} was edited meanwhile; the result is in a new segmentation."
            ).format(name=target.GetName())
        return target, ""

    def show_preview(self) -> None:
        """Show the slices as they are computed; a volume that was warped meanwhile shows none."""
        try:
            placement = placement_of(self.options.volume)
        except InputError:
            return
        self._preview = Preview(
            _("{name} (being segmented)").format(name=self.options.volume.GetName()),
            self.options.bundle.specification,
            self.job.labelmap,
            placement,
        )

    def refresh_preview(self) -> None:
        """Show the slices that are there by now."""
        if self._preview is not None:
            self._preview.refresh()

    def remove_preview(self) -> None:
        """Show them no more."""
        if self._preview is not None:
            self._preview.remove()
            self._preview = None


def _changed(node: slicer.vtkMRMLScalarVolumeNode, what: str) -> str:
    return _(
        "{name}: {what} while the model ran on it, so the result was not written; segment again"
    ).format(name=node.GetName(), what=what)


def _seen_alike(grid: Grid, other: Grid) -> bool:
    """Tell whether a model is shown the same slices of equal voxels on both grids."""
    view, other_view = AxialView.of(grid), AxialView.of(other)
    return (view.axes, view.flips) == (other_view.axes, other_view.flips) and np.allclose(
        grid.spacing, other.spacing, rtol=1e-4
    )
