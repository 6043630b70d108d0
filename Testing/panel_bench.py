"""The stand-in application, and panels on it, for tests."""

from __future__ import annotations

import gc
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
HOST = Path(__file__).resolve().parent / "host"

NOISE = (
    "bad X server connection",
    "does not contain sentinel file",
    "invalid orientation preset name: Reformat",
)
"""Complaints that the test machine's lack of a screen and the stand-in's cache folder cause; and
MRML's own when it reads a scene that was saved while a view was oblique."""


def load_host():
    """Return `slicer` of the stand-in, with the module TumorSeg loaded."""
    sys.path.insert(0, str(HOST))
    import loading

    slicer = loading.start()
    if not hasattr(slicer.modules, "tumorseg"):
        loading.load_module(ROOT / "TumorSeg")
    return slicer


@contextmanager
def destroyed_here():
    """Have all widgets that Python finds unused be destroyed at the end, in this thread.

    Python looks for what refers to itself alone in whichever thread makes the next object. PySide
    leaves the destruction of a widget that another thread finds to the main thread, in a list that
    it goes through while it may grow, which ends the process now and then.
    """
    gc.disable()
    gc.freeze()  # what was there before needs no look
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        gc.enable()


@contextmanager
def no_vtk_errors():
    """Fail if VTK or MRML complains of anything meanwhile.

    They raise nothing: in the application, such lines appear in red in the console.

    Yields:
        The complaints so far; a test that provokes one clears them.
    """
    import vtk

    window, heard = vtk.vtkOutputWindow.GetInstance(), []

    @vtk.calldata_type(vtk.VTK_STRING)
    def hear(_window, _event, text):
        if not any(words in text for words in NOISE):
            heard.append(text)

    tags = [window.AddObserver(event, hear) for event in ("ErrorEvent", "WarningEvent")]
    try:
        yield heard
    finally:
        for tag in tags:
            window.RemoveObserver(tag)
    assert not heard, "".join(heard)


class Bench:
    """A panel and what a test does with it.

    Attributes:
        panel: the panel.
        answers: what the user answers when asked about edited segments, in order.
        asked: what the user was asked about.
        unseen: exceptions that escaped into the event loop.
        complaints: of VTK and MRML so far; any that is left at the end fails the test.
    """

    def __init__(self, slicer, folder):
        import loading
        import qt

        from TumorSegModule.logic.retrain_process import RetrainProcess
        from TumorSegModule.logic.worker_client import WorkerClient
        from TumorSegModule.widgets.panel import Panel

        self.slicer, self.qt, self.folder = slicer, qt, folder
        self.models = folder / "models"
        self.models.mkdir()
        self.answers, self.asked, self.unseen = [], [], []
        sys.excepthook = lambda *error: self.unseen.append(error)
        self._panel_class, self._open_widget = Panel, loading.open_widget
        self.client = WorkerClient([sys.executable])
        self.retrain_process = RetrainProcess(
            [sys.executable, "-m", "TumorSegLib.cli"], folder / "runs"
        )
        self.widget = None
        self.panel = None

    @property
    def segmentations(self):
        """The scene's segmentations, without the models' masks that are kept beside them."""
        nodes = self.slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return [node for node in nodes if not node.GetAttribute("TumorSeg.ReferenceFor")]

    def open(self, *, lesions=False):
        """Make the panel with the models that are in `models` now, and return it.

        Args:
            lesions: whether the section Lesions is open, which starts a process of its own after
                every run; most tests do without.
        """
        import TumorSeg
        from TumorSegLib.model.catalogue import Catalogue

        def take_ours(widget):
            widget.makePanel = lambda ui: self._panel_class(
                ui,
                client=self.client,
                catalogue=lambda: Catalogue.of([self.models]),
                ask=self._ask,
                retrain_process=self.retrain_process,
            )

        self.root = self._open_widget(TumorSeg.TumorSegWidget, take_ours)
        self.widget = self.root.self()
        self.widget.enter()
        self.panel = self.widget.panel
        self.panel.ui.lesionsSection.collapsed = not lesions
        return self.panel

    def _ask(self, names):
        self.asked.append(names)
        return self.answers.pop(0)

    @property
    def parameters(self):
        return self.panel.parameters

    def click(self):
        """Click the big button."""
        self.panel.ui.segmentButton.click()
        self.turn()

    def turn(self, milliseconds=0):
        """Let Qt handle events, those of timers that end within so many milliseconds, too."""
        end, late = time.monotonic() + milliseconds / 1000, False
        while not late:
            late = time.monotonic() >= end
            self.qt.QApplication.processEvents()
            if not late:
                time.sleep(0.001)
        if self.unseen:
            raise AssertionError("exception in the event loop") from self.unseen[0][1]

    def until(self, condition):
        """Let Qt handle events until `condition` holds."""
        wait_until(
            condition,
            turn=self._turn_once,
            state=lambda: f"{self.panel.session.status} {list(self.client.log)[-5:]}",
        )

    def _turn_once(self):
        self.turn()
        time.sleep(0.002)

    def one_event_at_a_time(self):
        """Have each turn of the event loop take in one event of the worker, however busy it is."""
        waiting, poll = [], self.client.poll

        def next_event():
            waiting.extend(poll())
            return [waiting.pop(0)] if waiting else []

        self.client.poll = next_event

    def run(self):
        """Click and wait for the end of the run; return its status."""
        self.click()
        self.until(lambda: not self.panel.session.busy)
        return self.panel.session.status

    def close(self):
        """End panel and worker."""
        if self.widget is not None:
            self.widget.exit()
            self.widget.cleanup()
            self.root.deleteLater()
            self.qt.QCoreApplication.sendPostedEvents(None, self.qt.QEvent.DeferredDelete)
        self.client.stop()
        self.retrain_process.close()
        sys.excepthook = sys.__excepthook__


def alive(pid):
    """Tell whether a process runs and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def shared_blocks():
    """Return the names of this process's shared blocks."""
    return [path.name for path in Path("/dev/shm").glob(f"tumorseg-{os.getpid()}-*")]


def descendants():
    """Return the living processes that this one has started, worker processes included.

    Not Python's own that watches over shared memory, which other tests of the process may need.
    """
    mine = str(os.getpid())
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            words = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if fields[1] == mine and fields[0] != "Z" and b"resource_tracker" not in words:
            children.append(int(stat.parent.name))
    return children
