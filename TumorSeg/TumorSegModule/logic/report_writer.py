"""Has a worker process write a report on a segmentation of the scene. MRML, no Qt.

The worker is one of its own, so that runs and reports do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.slicer_io.nodes import is_reviewed
from TumorSegLib.worker.protocol import Failed
from TumorSegLib.worker.report_protocol import (
    ReportedChanges,
    ReportMask,
    ReportWritten,
    WriteReport,
)
from TumorSegLib.worker.shared_voxels import SharedMask
from TumorSegModule.logic.findings import Findings
from TumorSegModule.logic.frame_shown import other_frame
from TumorSegModule.logic.kept_run import kept_run_of
from TumorSegModule.logic.report_facts import DrawnBy, changes_of, drawn_by, follow_up_of
from TumorSegModule.logic.runner import copy_voxels, described
from TumorSegModule.logic.segment_copies import colour_of, copied_masks
from TumorSegModule.logic.segment_roles import is_called_lesion
from TumorSegModule.logic.segments import stamps_of
from TumorSegModule.logic.slice_figures import figures_of
from TumorSegModule.logic.volumes import channel_of, modality_of_node
from TumorSegModule.logic.worker_client import WorkerClient, WorkerEnded
from TumorSegModule.logic.worker_errand import WorkerErrand


@dataclass(frozen=True)
class ReportOrder:
    """What to report on, and where to.

    Attributes:
        segmentation: node.
        volume: node that it was drawn on.
        place: file to write, `.html` or `.pdf`.
        ticked: what to say of patient and image, by item; see `known_of`.
        drawn_by: model.
        follow_up: how the lesions have changed since an earlier segmentation.
    """

    segmentation: slicer.vtkMRMLSegmentationNode
    volume: slicer.vtkMRMLScalarVolumeNode
    place: str
    ticked: dict[str, str]
    drawn_by: DrawnBy
    follow_up: ReportedChanges | None = None


def report_order(
    case: tuple[slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLScalarVolumeNode],
    place: str,
    ticked: dict[str, str],
    catalogue: Catalogue,
    found: Findings | None,
) -> ReportOrder:
    """Return what a report needs.

    Args:
        case: segmentation and volume.
        place: file to write.
        ticked: see `ReportOrder`.
        catalogue: of models.
        found: figures of lesions, of whichever segmentation.
    """
    segmentation, volume = case
    return ReportOrder(
        segmentation,
        volume,
        place,
        ticked,
        drawn_by(segmentation, catalogue),
        follow_up_of(found, segmentation),
    )


class ReportListener(Protocol):
    """What the writer tells, always from within `poll`."""

    def report_written(self, path: str) -> None:
        """The file is there."""

    def report_failed(self, line: str) -> None:
        """Nothing was written."""


class ReportWriter(WorkerErrand):
    """Writes one report at a time."""

    def __init__(self, client: WorkerClient, listener: ReportListener) -> None:
        """Write in `client`'s worker and tell `listener`."""
        super().__init__(client)
        self._listener = listener
        self._order: ReportOrder | None = None

    @property
    def busy(self) -> bool:
        """Whether a report is being written; `poll` must be called meanwhile."""
        return self._order is not None

    def start(self, order: ReportOrder) -> None:
        """Begin with an order."""
        self._job += 1
        self._order = order
        self._work = self._send(order)

    def stop(self) -> None:
        """End it; the file is whole then, or as it was before."""
        self.client.stop()
        self._order, self._work, self._begun = None, None, False

    def _send(self, order: ReportOrder) -> Iterator[None]:
        """Compare with the model's mask, copy voxels to shared memory, bit by bit, then send."""
        self._begin()
        if problem := other_frame(order.segmentation, order.volume):
            raise InputError(problem)
        channel = channel_of(order.volume)
        block = yield from self.client.new_block(channel.voxels.nbytes)
        yield from copy_voxels(channel.voxels, block)
        stamps = stamps_of(order.segmentation)
        changes = yield from changes_of(order.segmentation)
        masks = yield from copied_masks(order.segmentation, self.client.new_block)
        if not all(map(slicer.mrmlScene.IsNodePresent, (order.segmentation, order.volume))):
            raise InputError(_("the segmentation or its volume was removed from the scene"))
        same = channel_of(order.volume).is_like(channel)
        if not same or stamps_of(order.segmentation) != stamps:
            raise InputError(_("was changed meanwhile; write the report again"))
        figures, bundle = figures_of(order.segmentation), order.drawn_by.bundle
        kept = kept_run_of(order.segmentation) if order.drawn_by.version else None
        self.client.send(
            WriteReport(
                self._job,
                described(channel, block),
                modality_of_node(order.volume),
                tuple(_described(order.segmentation, mask) for mask in masks),
                order.place,
                model=str(bundle.folder) if bundle is not None else "",
                version=order.drawn_by.version,
                run=kept.run if kept is not None else None,
                corrections_mm2=figures.corrections if figures is not None else (),
                warnings=kept.warnings if kept is not None else (),
                names=kept.names if kept is not None else {},
                identification=order.ticked,
                changes=changes,
                reviewed=is_reviewed(order.segmentation),
                follow_up=order.follow_up,
            )
        )

    def _take(self, event: Any) -> None:
        if isinstance(event, WorkerEnded):
            if self._begun:
                self._fail(_("the process that writes reports ended unexpectedly; try again"))
            return
        if self._order is None or event.job != self._job:
            return
        match event:
            case ReportWritten():
                self.stop()
                self._listener.report_written(event.path)
            case Failed():
                self.client.log.extend(event.details.splitlines())
                self._fail(event.message)

    def _fail(self, line: str) -> None:
        assert self._order is not None
        name = self._order.segmentation.GetName()
        self.stop()
        self._listener.report_failed(f"{name}: {line}")


def _described(segmentation: slicer.vtkMRMLSegmentationNode, mask: SharedMask) -> ReportMask:
    segment = segmentation.GetSegmentation().GetSegment(mask.id)
    return ReportMask(mask, colour_of(segment), is_called_lesion(segment))
