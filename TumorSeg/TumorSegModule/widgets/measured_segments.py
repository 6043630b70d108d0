"""Has the segments of the panel's segmentation measured, and measured anew when they are edited."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import qt
import slicer

from TumorSegLib.errors import InputError
from TumorSegModule.logic import area_plot, lesion_table
from TumorSegModule.logic.findings import Findings, with_certainties
from TumorSegModule.logic.follow_up_pairs import chosen_earlier
from TumorSegModule.logic.install_advice import explain_import_failure
from TumorSegModule.logic.listeners import FindingsListener
from TumorSegModule.logic.measuring import Measuring, request_for
from TumorSegModule.logic.observers import Observers
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.session import Session
from TumorSegModule.logic.worker_client import WorkerClient

POLL_MILLISECONDS = 25

REST_MILLISECONDS = 300
"""Rest after an edit before the segments are measured."""


class MeasuredSegments:
    """The figures of one segmentation at a time, for the sections that are open.

    Attributes:
        target: segmentation, None if there is none.
        findings: its figures, None while there are none; `Findings.current` says whether they are
            those of now.
        problem: why there are none, "" if nothing is wrong.
        measuring: has them computed.
    """

    def __init__(self, selection: Selection, session: Session, client: WorkerClient) -> None:
        """Measure in `client`'s worker.

        Args:
            selection: has the models.
            session: has the last run's probabilities.
            client: of the worker.
        """
        self.target: Any = None
        self.findings: Findings | None = None
        self.problem = ""
        self.measuring = Measuring(client, self)
        self._selection, self._session = selection, session
        self._listeners: list[FindingsListener] = []
        self._wanted: set[object] = set()
        self._outdated = True
        self._observers = Observers()
        self._scene_tag: int | None = None
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MILLISECONDS)
        self._rest.timeout.connect(self._measure)
        self._timer = qt.QTimer()
        self._timer.timeout.connect(self._poll)

    @property
    def busy(self) -> bool:
        """Whether segments are being measured, or about to be."""
        return bool(self.measuring.busy or self._rest.active)

    def tell(self, listener: FindingsListener) -> None:
        """Tell `listener` of new figures from now on."""
        self._listeners.append(listener)

    def want(self, listener: object, wanted: bool) -> None:
        """Note whether somebody looks; where nobody does, nothing is measured."""
        if wanted:
            self._wanted.add(listener)
            if self._outdated:
                self.measure_soon()
        else:
            self._wanted.discard(listener)

    def edit(self, target: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Measure a segmentation, None for none; nothing happens if it is measured already."""
        if target is self.target:
            return
        self._let_go()
        self.target = target
        if target is not None:
            self._observe()
        self._take(None)
        self.measure_soon()

    def measure_soon(self, *_event: Any) -> None:
        """Measure when nobody has edited for a moment."""
        self._outdated = True
        if self.target is not None and self._wanted:
            self._rest.start()

    def observe_earlier(self) -> None:
        """Follow the earlier segmentation that is chosen now, instead of another one."""
        self._let_go()
        self._observe()
        self.measure_soon()

    def close(self) -> None:
        """Let go of the nodes, as before the scene is closed, and end the worker."""
        self._let_go()
        self.measuring.stop()
        self.target = None
        self._take(None)
        if self._scene_tag is not None:
            slicer.mrmlScene.RemoveObserver(self._scene_tag)
            self._scene_tag = None

    def measured(self, found: Findings) -> Generator[None, None, None]:
        """See `TumorSegModule.logic.measuring.Listener`."""
        if found.segmentation is not self.target:
            return
        known = lesion_table.known_certainties(self.target)
        found = with_certainties(found, known)
        yield
        lesion_table.write_table(found)
        yield
        area_plot.AreaPlot().update(found)
        yield
        self._outdated = not found.current  # then an observer has told, and it is measured again
        self.findings, self.problem = found, ""
        for listener in self._listeners:
            listener.findings_changed(found)
            yield

    def measuring_failed(self, line: str) -> None:
        """See `TumorSegModule.logic.measuring.Listener`."""
        self._outdated = True  # tried again when a section is opened, or a segment edited
        details = "\n".join(self.measuring.client.log)
        self._take(None, explain_import_failure(line, details))

    def _take(self, found: Findings | None, problem: str = "") -> None:
        self.findings, self.problem = found, problem
        for listener in self._listeners:
            listener.findings_changed(found)

    def _measure(self) -> None:
        target = self.target
        if target is None or not slicer.mrmlScene.IsNodePresent(target):
            return
        try:
            request, specification = request_for(
                target,
                self._session,
                self._selection.models.catalogue,
                earlier=chosen_earlier(target),
            )
        except InputError as error:
            self._take(None, str(error))
            return
        self._outdated = False
        self.measuring.start(request, specification)
        self._timer.setInterval(0)
        self._timer.start()
        if self.findings is None:
            self._take(None)  # which says that something is being measured

    def _poll(self) -> None:
        self.measuring.poll()
        self._timer.setInterval(0 if self.measuring.working else POLL_MILLISECONDS)
        if not self.measuring.busy:
            self._timer.stop()

    def _observe(self) -> None:
        moved = slicer.vtkMRMLTransformableNode.TransformModifiedEvent
        for node in filter(None, (self.target, chosen_earlier(self.target))):
            self._observers.add_edits(node, self.measure_soon)
            self._observers.add(node, moved, self.measure_soon)
        if self._scene_tag is None:  # also of a target that is let go of before it is removed
            scene = slicer.mrmlScene
            self._scene_tag = scene.AddObserver(scene.NodeRemovedEvent, self._node_removed)

    def _let_go(self) -> None:
        self._observers.clear()
        self._rest.stop()
        self._timer.stop()
        self.measuring.leave()

    def _node_removed(self, scene: slicer.vtkMRMLScene, _event: Any) -> None:
        if not (scene.IsClosing() or scene.IsImporting()):
            lesion_table.remove_orphans()
            area_plot.remove_orphans()
