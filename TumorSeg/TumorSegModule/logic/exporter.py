"""Takes cases of the scene, one after the other, through a worker process that exports them.

MRML, no Qt. The worker is one of its own, so that exports and runs do not wait for each other.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.image.correction import Correction
from TumorSegLib.slicer_io.nodes import is_reviewed, patient_of
from TumorSegLib.worker.protocol import Export, Exported, Failed, Refused
from TumorSegLib.worker.shared_memory import SharedBlock
from TumorSegModule.logic.correction import compare
from TumorSegModule.logic.frame_shown import other_frame
from TumorSegModule.logic.job import Channel
from TumorSegModule.logic.model_baseline import reference_of
from TumorSegModule.logic.runner import copy_voxels, described
from TumorSegModule.logic.segment_copies import copied_masks
from TumorSegModule.logic.slice_figures import figures_of
from TumorSegModule.logic.volumes import channel_of
from TumorSegModule.logic.worker_client import WorkerClient, WorkerEnded
from TumorSegModule.logic.worker_errand import WorkerErrand


@dataclass(frozen=True)
class Case:
    """A segmentation to export.

    Attributes:
        segmentation: node.
        volumes: nodes by channel name, the volume itself first.
    """

    segmentation: slicer.vtkMRMLSegmentationNode
    volumes: dict[str, slicer.vtkMRMLScalarVolumeNode]

    @property
    def name(self) -> str:
        """What to call it."""
        return self.segmentation.GetName()


@dataclass(frozen=True)
class Order:
    """What to export, and how.

    Attributes:
        cases: one after the other.
        dataset: folder.
        model: folder of the bundle whose labels count.
        mapping: from names of segments to names of labels, "" leaves out.
        replace: earlier exports of the same volumes.
        one_file_a_segment: instead of a label map.
    """

    cases: tuple[Case, ...]
    dataset: str
    model: str
    mapping: dict[str, str]
    replace: bool = False
    one_file_a_segment: bool = False


@dataclass
class Outcome:
    """What has become of an order's cases.

    Attributes:
        done: cases that are in the data set.
        existing: cases that are there from an earlier export.
        overlapping: cases whose segments overlap.
        problems: a line for each case that cannot be exported.
        warnings: names of the cases by line for the user.
        count: cases that the data set has.
    """

    done: list[Case] = field(default_factory=list)
    existing: list[Case] = field(default_factory=list)
    overlapping: list[Case] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0


class Listener(Protocol):
    """What the exporter tells, always from within `poll`."""

    def case_exported(self) -> None:
        """One more case of the order is over, well or not."""

    def export_ended(self) -> None:
        """The order is over; see `Exporter.outcome`."""


class Exporter(WorkerErrand):
    """Exports cases.

    Attributes:
        order: under way, or the last one.
        outcome: of that order.
    """

    def __init__(self, client: WorkerClient, listener: Listener) -> None:
        """Export in `client`'s worker and tell `listener`."""
        super().__init__(client)
        self.order = Order((), "", "", {})
        self.outcome = Outcome()
        self._listener = listener
        self._waiting: list[Case] = []
        self._case: Case | None = None
        self._blocks: list[SharedBlock] = []

    @property
    def busy(self) -> bool:
        """Whether cases are being exported; `poll` must be called meanwhile."""
        return self._case is not None

    def start(self, order: Order) -> None:
        """Begin with an order."""
        self.order, self.outcome = order, Outcome()
        self._waiting = list(order.cases)
        self._next()

    def stop(self) -> None:
        """End it; the data set keeps the cases that it has, whole."""
        self.client.stop()
        self._waiting, self._blocks = [], []
        self._case, self._work, self._begun = None, None, False

    def _next(self) -> None:
        """Begin with the next case; the last one ends the worker."""
        if not self._waiting:
            self.stop()
            self._listener.export_ended()
            return
        case = self._case = self._waiting.pop(0)
        self._job += 1
        self._work = self._send(case)

    def _send(self, case: Case) -> Iterator[None]:
        """Copy a case's voxels to shared memory bit by bit, then send it."""
        segmentation = case.segmentation
        channels = _channels(case)
        self._begin()
        volumes, blocks = {}, {}
        for name, channel in channels.items():
            if channel.key not in blocks:
                block = yield from self._new_block(channel.voxels.nbytes)
                blocks[channel.key] = block
                yield from copy_voxels(channel.voxels, block)
            volumes[name] = described(channel, blocks[channel.key])
        correction = yield from _correction_of(segmentation)
        masks = yield from copied_masks(segmentation, self._new_block)
        for name, channel in _channels(case).items():
            if not channel.is_like(channels[name]):
                raise InputError(
                    _("{name} was changed meanwhile; export it again").format(name=channel.name)
                )
        first = next(iter(case.volumes.values()))
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        order = self.order
        self.client.send(
            Export(
                self._job,
                order.dataset,
                order.model,
                volumes,
                masks,
                order.mapping,
                patient=patient_of(first, hierarchy),
                reviewed=is_reviewed(segmentation),
                correction=correction,
                replace=order.replace,
                one_file_a_segment=order.one_file_a_segment,
            )
        )

    def _new_block(self, size: int) -> Generator[None, None, SharedBlock]:
        """Return a block that is let go of when the case is over."""
        block = yield from self.client.new_block(size)
        self._blocks.append(block)
        return block

    def _take(self, event: Any) -> None:
        if isinstance(event, WorkerEnded):
            if self._begun:
                self._fail(
                    _("the export process ended unexpectedly; nothing of this case is there")
                )
            return
        if self._case is None or event.job != self._job:
            return
        match event:
            case Exported():
                self.outcome.done.append(self._case)
                self.outcome.count = event.count
                for line in event.warnings:
                    self.outcome.warnings.setdefault(line, []).append(self._case.name)
                self._end_case()
            case Refused():
                refused = {"exists": self.outcome.existing, "overlap": self.outcome.overlapping}
                refused[event.reason].append(self._case)
                self._end_case()
            case Failed():
                self.client.log.extend(event.details.splitlines())
                self._fail(event.message)

    def _fail(self, line: str) -> None:
        assert self._case is not None
        self.outcome.problems.append(f"{self._case.name}: {line}")
        self._end_case()

    def _end_case(self) -> None:
        self._work, self._begun = None, False
        for block in self._blocks:
            self.client.forget(block)
        self._blocks = []
        self._next()
        if self.busy:
            self._listener.case_exported()


def _channels(case: Case) -> dict[str, Channel]:
    """Return the volumes of a case for the worker, by channel name.

    Raises:
        InputError: a node is no longer in the scene, or no image, or shows another frame than the
            one that was segmented.
    """
    nodes = (case.segmentation, *case.volumes.values())
    if not all(slicer.mrmlScene.IsNodePresent(node) for node in nodes):
        raise InputError(_("was removed from the scene"))
    if problem := other_frame(case.segmentation, next(iter(case.volumes.values()))):
        raise InputError(problem)
    return {name: channel_of(node) for name, node in case.volumes.items()}


def _correction_of(
    segmentation: slicer.vtkMRMLSegmentationNode,
) -> Generator[None, None, Correction | None]:
    """Compare segments with what the model drew; None if that was not kept.

    What is kept of an earlier comparison is of when the panel showed the segmentation last.
    """
    figures, reference = figures_of(segmentation), reference_of(segmentation)
    if figures is None or reference is None:
        return None
    found = yield from compare(segmentation, reference, figures)
    return found.summary
