"""Has segments measured by a worker process of its own: nothing waits for it. MRML, no Qt."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import slicer
from slicer.i18n import tr as _

from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.slicer_io.nodes import volume_of
from TumorSegLib.worker.measure_protocol import Measured
from TumorSegLib.worker.protocol import Cancel, Failed
from TumorSegLib.worker.shared_memory import SharedBlock
from TumorSegModule.logic.findings import Findings, findings_of, request_of
from TumorSegModule.logic.measure_request import Memory, Prepared, Request, prepare
from TumorSegModule.logic.segment_roles import specification_of
from TumorSegModule.logic.segments import Stamps, stamps_of
from TumorSegModule.logic.worker_client import WorkerClient, WorkerEnded
from TumorSegModule.logic.worker_errand import WorkerErrand

if TYPE_CHECKING:
    from TumorSegModule.logic.session import Session


class Listener(Protocol):
    """What is told, always from within `poll`."""

    def measured(self, found: Findings) -> Generator[None, None, None]:
        """The segments are measured, they may have been edited meanwhile; taken in bit by bit."""

    def measuring_failed(self, line: str) -> None:
        """They cannot be measured, and why."""


class Measuring(WorkerErrand):
    """Measures one segmentation at a time, as it is when that begins."""

    def __init__(self, client: WorkerClient, listener: Listener) -> None:
        """Measure in `client`'s worker and tell `listener`."""
        super().__init__(client)
        self._listener = listener
        self._waiting = False
        self._order: tuple[Request, ModelSpecification | None, Stamps] | None = None
        self._prepared: Prepared | None = None
        self._blocks: list[SharedBlock] = []

    @property
    def busy(self) -> bool:
        """Whether something is being measured; `poll` must be called meanwhile."""
        return self._order is not None

    def start(self, request: Request, specification: ModelSpecification | None) -> None:
        """Begin, in place of what was under way.

        Args:
            request: what to measure.
            specification: of the model that drew it, None if none did.
        """
        self._drop()
        self._job += 1
        self._order = request, specification, stamps_of(request.segmentation)
        self._work = self._send(request)

    def leave(self) -> None:
        """Leave what is under way."""
        self._drop()

    def stop(self) -> None:
        """Leave off, and end the worker."""
        self._drop()
        self.client.stop()

    def _send(self, request: Request) -> Iterator[None]:
        """Copy what is to be measured to shared memory bit by bit, then send it."""
        self._begin()
        self._prepared = yield from prepare(request, self._job, self._allocate)
        self.client.send(self._prepared.command)
        self._waiting = True

    def _allocate(self, size: int) -> Generator[None, None, Memory]:
        block = yield from self.client.new_block(size)
        self._blocks.append(block)
        return block.name, block.array

    def _take(self, event: Any) -> None:
        if isinstance(event, WorkerEnded):
            if self._begun:
                self._fail(
                    _("the measuring process ended unexpectedly; edit a segment to try again")
                )
            return
        if not self._waiting or event.job != self._job:
            return
        match event:
            case Measured():
                self._waiting = False
                self._work = self._read(event)
            case Failed():
                self.client.log.extend(event.details.splitlines())
                self._fail(event.message)

    def _read(self, event: Measured) -> Iterator[None]:
        """Make findings of an answer, let go of memory, and tell, all bit by bit."""
        assert self._order is not None
        assert self._prepared is not None
        self._begun = False
        request, specification, stamps = self._order
        found = None
        for step in findings_of(request, self._prepared, event, specification, stamps):
            found = step
            yield
        assert found is not None
        while self._blocks:
            self.client.forget(self._blocks.pop())
            yield
        yield from self._listener.measured(found)
        self._drop()

    def _fail(self, line: str) -> None:
        self._drop()
        self._listener.measuring_failed(line)

    def _drop(self) -> None:
        """Let go of what is under way; what is kept in memory lives as long as somebody looks."""
        if self._waiting:
            self.client.send(Cancel(self._job))
        self._waiting, self._begun = False, False
        self._work, self._order, self._prepared = None, None, None
        for block in self._blocks:
            self.client.forget(block)
        self._blocks = []


def request_for(
    target: slicer.vtkMRMLSegmentationNode,
    session: Session,
    catalogue: Catalogue,
    *,
    earlier: slicer.vtkMRMLSegmentationNode | None = None,
) -> tuple[Request, ModelSpecification | None]:
    """Return what to measure of a segmentation, with what its run has left, and its model.

    Args:
        target: node.
        session: that made the run, if there was one.
        catalogue: in which the model that drew it is looked for.
        earlier: segmentation node to compare with.

    Raises:
        InputError: a transform warps the volume.
    """
    specification = specification_of(target, catalogue)
    result = session.probabilities_of(target)
    probabilities = None
    drawn_on = volume_of(target)  # another one, if its geometry was taken in the Segment Editor
    if result is not None and specification is not None and result[1] is drawn_on:
        count = len(specification.labels)
        probabilities = result[2] if len(result[2]) == count else None
    request = request_of(target, specification, earlier=earlier, probabilities=probabilities)
    return request, specification
