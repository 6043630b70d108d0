"""Has a worker process write a segmentation of the scene as DICOM objects. MRML, no Qt.

The worker is one of its own, so that runs and exports do not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import LPS_FROM_RAS
from TumorSegLib.slicer_io.fingerprint import VOXELS_TAG
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegLib.slicer_io.segments import tag_of
from TumorSegLib.worker.dicom_protocol import DicomMask, DicomSaved, SaveDicom, SavingDicom
from TumorSegLib.worker.protocol import Failed
from TumorSegLib.worker.shared_voxels import SharedMask
from TumorSegModule.logic.dicom_images import images_of
from TumorSegModule.logic.runner import copy_voxels, described
from TumorSegModule.logic.segment_copies import colour_of, copied_masks, said_of
from TumorSegModule.logic.volumes import channel_of
from TumorSegModule.logic.worker_client import WorkerClient, WorkerEnded
from TumorSegModule.logic.worker_errand import WorkerErrand


@dataclass(frozen=True)
class DicomOrder:
    """What to save, and where.

    Attributes:
        segmentation: node.
        volume: node that it was drawn on.
        outputs: files to write, segmentation and report.
        description: of the series.
    """

    segmentation: slicer.vtkMRMLSegmentationNode
    volume: slicer.vtkMRMLScalarVolumeNode
    outputs: tuple[str, str]
    description: str


class DicomListener(Protocol):
    """What the saver tells, always from within `poll`."""

    def dicom_progressed(self) -> None:
        """See `DicomSaver.progress`."""

    def dicom_written(self, order: DicomOrder, saved: DicomSaved) -> None:
        """The files are there."""

    def dicom_failed(self, order: DicomOrder, line: str) -> None:
        """Nothing was written."""


class DicomSaver(WorkerErrand):
    """Saves one segmentation at a time.

    Attributes:
        progress: how far the worker is, None while voxels are copied.
    """

    def __init__(self, client: WorkerClient, listener: DicomListener) -> None:
        """Save in `client`'s worker and tell `listener`."""
        super().__init__(client)
        self.progress: SavingDicom | None = None
        self._listener = listener
        self._order: DicomOrder | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being saved; `poll` must be called meanwhile."""
        return self._order is not None

    def start(self, order: DicomOrder) -> None:
        """Begin with an order."""
        self._job += 1
        self._order, self.progress = order, None
        self._work = self._send(order)

    def stop(self) -> None:
        """End it; no output is there then, unless both are."""
        self.client.stop()
        self._order, self._work, self._begun = None, None, False

    def _send(self, order: DicomOrder) -> Iterator[None]:
        """Find the images and copy the voxels to shared memory bit by bit, then send it."""
        images = yield from images_of(order.volume)
        self._begin()
        channel = channel_of(order.volume)
        block = yield from self.client.new_block(channel.voxels.nbytes)
        yield from copy_voxels(channel.voxels, block)
        masks = yield from copied_masks(order.segmentation, self.client.new_block)
        nodes = (order.segmentation, order.volume)
        if not all(slicer.mrmlScene.IsNodePresent(node) for node in nodes):
            raise InputError(_("the segmentation or its volume was removed from the scene"))
        if not channel_of(order.volume).is_like(channel):
            raise InputError(
                _("{name} was changed meanwhile; save it again").format(name=channel.name)
            )
        affine = LPS_FROM_RAS @ placement_of(order.volume).ijk_to_ras
        self.client.send(
            SaveDicom(
                self._job,
                described(channel, block),
                tuple(float(number) for number in affine.ravel()),
                tuple(_described(order.segmentation, mask) for mask in masks),
                images,
                order.outputs,
                order.description,
            )
        )

    def _take(self, event: Any) -> None:
        if isinstance(event, WorkerEnded):
            if self._begun:
                self._fail(_("the process that writes DICOM ended unexpectedly; try again"))
            return
        if self._order is None or event.job != self._job:
            return
        match event:
            case SavingDicom():
                self.progress = event
                self._listener.dicom_progressed()
            case DicomSaved():
                order = self._order
                self.stop()
                self._listener.dicom_written(order, event)
            case Failed():
                self.client.log.extend(event.details.splitlines())
                self._fail(event.message)

    def _fail(self, line: str) -> None:
        assert self._order is not None
        order = self._order
        self.stop()
        self._listener.dicom_failed(order, line)


def _described(segmentation: slicer.vtkMRMLSegmentationNode, mask: SharedMask) -> DicomMask:
    segment = segmentation.GetSegmentation().GetSegment(mask.id)
    return DicomMask(
        mask,
        tag_of(segment, segment.GetTerminologyEntryTagName()),
        colour_of(segment),
        tag_of(segment, VOXELS_TAG),
        said_of(segmentation, segment),
    )
