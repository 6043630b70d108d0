"""Has a worker process write a report on a segmentation of the scene. MRML, no Qt.

The worker is one of its own, so that runs and reports do not wait for each other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.measurement.lesions import LESION_CATEGORY
from TumorSegLib.slicer_io.nodes import is_reviewed
from TumorSegLib.slicer_io.segments import tag_of
from TumorSegLib.slicer_io.terminology import terminology_of
from TumorSegLib.worker.protocol import Failed
from TumorSegLib.worker.report_protocol import (
    ReportedChanges,
    ReportMask,
    ReportWritten,
    WriteReport,
)
from TumorSegLib.worker.shared_memory import SharedBlock
from TumorSegLib.worker.shared_voxels import SharedMask
from TumorSegModule.logic.ending import Ending
from TumorSegModule.logic.report_facts import DrawnBy, changes_of, run_of
from TumorSegModule.logic.runner import COPY_SECONDS, copy_voxels, described
from TumorSegModule.logic.segment_copies import copied_masks
from TumorSegModule.logic.segments import voxels_stamp
from TumorSegModule.logic.slice_figures import figures_of
from TumorSegModule.logic.volumes import channel_of, modality_of_node
from TumorSegModule.logic.worker_client import WorkerClient, WorkerEnded


@dataclass(frozen=True)
class ReportOrder:
    """What to report on, and where to.

    Attributes:
        segmentation: node.
        volume: node that it was drawn on.
        place: file to write, `.html` or `.pdf`.
        ticked: what to say of patient and image, by item; see `known_of`.
        drawn_by: model.
        ending: of the run in this session that wrote the segments, None if none did.
        follow_up: how the lesions have changed since an earlier segmentation.
    """

    segmentation: slicer.vtkMRMLSegmentationNode
    volume: slicer.vtkMRMLScalarVolumeNode
    place: str
    ticked: dict[str, str]
    drawn_by: DrawnBy
    ending: Ending | None = None
    follow_up: ReportedChanges | None = None


class ReportListener(Protocol):
    """What the writer tells, always from within `poll`."""

    def report_written(self, path: str) -> None:
        """The file is there."""

    def report_failed(self, line: str) -> None:
        """Nothing was written."""


class ReportWriter:
    """Writes one report at a time; nothing here ever waits for the worker.

    Attributes:
        client: the worker's.
    """

    def __init__(self, client: WorkerClient, listener: ReportListener) -> None:
        """Write in `client`'s worker and tell `listener`."""
        self.client = client
        self._listener = listener
        self._order: ReportOrder | None = None
        self._copying: Iterator[None] | None = None
        self._job = 0

    @property
    def busy(self) -> bool:
        """Whether a report is being written; `poll` must be called meanwhile."""
        return self._order is not None

    @property
    def copying(self) -> bool:
        """Whether `poll` should be called again at once."""
        return self._copying is not None

    def start(self, order: ReportOrder) -> None:
        """Begin with an order."""
        self._job += 1
        self._order = order
        self._copying = self._send(order)

    def poll(self) -> None:
        """Go on; call this every few milliseconds while busy."""
        for event in self.client.poll():
            self._take(event)
        until = time.perf_counter() + COPY_SECONDS
        try:
            while self._copying is not None and time.perf_counter() < until:
                next(self._copying)
        except StopIteration:
            self._copying = None
        except (InputError, MemoryError, OSError) as error:
            self._fail(str(error))

    def stop(self) -> None:
        """End it; the file is whole then, or as it was before."""
        self.client.stop()
        self._order, self._copying = None, None

    def _send(self, order: ReportOrder) -> Iterator[None]:
        """Compare with the model's mask, copy voxels to shared memory, bit by bit, then send."""
        self.client.start()
        channel = channel_of(order.volume)
        block = self.client.new_block(channel.voxels.nbytes)
        yield from copy_voxels(channel.voxels, block)
        stamps = _stamps(order.segmentation)
        changes = yield from changes_of(order.segmentation)
        masks = yield from copied_masks(order.segmentation, self._new_block)
        if not all(map(slicer.mrmlScene.IsNodePresent, (order.segmentation, order.volume))):
            raise InputError(_("the segmentation or its volume was removed from the scene"))
        now = channel_of(order.volume)
        same = now.key == channel.key and now.grid.geometry_equal(channel.grid)
        if not same or _stamps(order.segmentation) != stamps:
            raise InputError(_("was changed meanwhile; write the report again"))
        figures, bundle = figures_of(order.segmentation), order.drawn_by.bundle
        event = order.ending.event if order.ending is not None else None
        self.client.send(
            WriteReport(
                self._job,
                described(channel, block),
                modality_of_node(order.volume),
                tuple(_described(order.segmentation, mask) for mask in masks),
                order.place,
                model=str(bundle.folder) if bundle is not None else "",
                version=order.drawn_by.version,
                run=run_of(order.ending),
                corrections_mm2=figures.corrections if figures is not None else (),
                warnings=event.warnings if event is not None else (),
                identification=order.ticked,
                changes=changes,
                reviewed=is_reviewed(order.segmentation),
                follow_up=order.follow_up,
            )
        )

    def _new_block(self, size: int) -> SharedBlock:
        return self.client.new_block(size)

    def _take(self, event: Any) -> None:
        if isinstance(event, WorkerEnded):
            if self.busy and not self.copying:
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


def _stamps(segmentation: slicer.vtkMRMLSegmentationNode) -> list[Any]:
    content = segmentation.GetSegmentation()
    count = content.GetNumberOfSegments()
    return [voxels_stamp(content.GetNthSegment(number)) for number in range(count)]


def _described(segmentation: slicer.vtkMRMLSegmentationNode, mask: SharedMask) -> ReportMask:
    segment = segmentation.GetSegmentation().GetSegment(mask.id)
    red, green, blue = (round(255 * part) for part in segment.GetColor())
    category = terminology_of(tag_of(segment, segment.GetTerminologyEntryTagName())).category
    return ReportMask(
        mask, (red, green, blue), (category.scheme, category.value) == LESION_CATEGORY
    )
