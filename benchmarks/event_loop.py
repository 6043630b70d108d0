"""How long Slicer's event loop waits for the panel, on a volume of 512 x 512 x 200.

    python benchmarks/event_loop.py

Runs the panel in the tests' stand-in for Slicer. A timer ticks as often as it can; the longest time
between two ticks is how long views and mouse would wait, and what of it is computing by that thread
says how much is ours. On a machine that is busy with other things the former says little. Lines
about DICOM need highdicom.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]

import numpy as np  # noqa: E402
from bright_models import write_ct_model  # noqa: E402
from panel_bench import Bench, load_host  # noqa: E402
from scenes import add_large_body, edit_by_hand  # noqa: E402

from TumorSegLib.inference.given_up import GivenUp, runs_of  # noqa: E402
from TumorSegLib.slicer_io.geometry import placement_of  # noqa: E402

SPECKS = np.s_[60:140:9, 160:370:30, 130:320:32]
"""Voxels of the liver that become lesions of their own, some hundreds."""

GIVEN_UP = np.s_[80:83, 352:356, 135:140]
"""Voxels of the liver that a filter of false positives gave up."""

BY_HAND = np.s_[70:90, 100:140, 100:140]


class Ticks:
    """A timer that ticks as often as it can and notes the longest waits."""

    def __init__(self, qt):
        self.gaps = []
        self._began = time.perf_counter()
        self._last = None
        self._timer = qt.QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(0)

    def _tick(self):
        now = time.perf_counter(), time.thread_time()
        if self._last is not None:
            self.gaps.append((now[0] - self._last[0], now[1] - self._last[1]))
        self._last = now

    def report(self, what):
        """Print the figures and stop."""
        self._timer.stop()
        wall, cpu = (1e3 * max(column) for column in zip(*self.gaps, strict=True))
        seconds = time.perf_counter() - self._began
        print(f"{what:34} {seconds:8.2f} {wall:18.1f} {cpu:24.1f}", flush=True)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(load_host(), Path(name))
        try:
            EventLoop(bench).measure()
        finally:
            bench.close()


class EventLoop:
    """What a user does with one case, a line printed for each."""

    def __init__(self, bench: Bench) -> None:
        write_ct_model(bench.models, "tiny-ct")
        self.bench = bench
        self.panel = bench.open()
        self.slicer, self.ui = bench.slicer, self.panel.ui
        self.segments = self.panel.measured.segments
        self.volume = add_large_body(bench.slicer)
        bench.parameters.volume = self.volume
        bench.turn(200)

    @property
    def target(self):
        """The panel's segmentation."""
        return self.bench.parameters.target

    def measure(self) -> None:
        """Do all of it."""
        print(f"{'':34} {'seconds':>8} {'longest block, ms':>18} {'of it own computing, ms':>24}")
        for what in ("first run", "second run"):
            self.bench.parameters.target = None
            self.run(what)
        self.review()
        self.lesions()
        self.follow_up()
        self.outputs()
        self.bench.answers = ["replace"]
        self.run("run over an edited result")

    def run(self, what: str) -> None:
        """Run the model."""
        with self.ticking(f"{what}, until inference"):
            self.ui.segmentButton.click()
            self.spin(lambda: self.panel.session.status.stage == "running")
        with self.ticking(what):
            self.spin(lambda: not self.panel.session.busy)

    def review(self) -> None:
        """Move the sensitivity, and compare what was edited with what the model drew."""
        with self.ticking("sensitivity, ten steps"):
            for value in (*range(10, 100, 10), 0):
                self.ui.sensitivitySlider.value = value
                self.bench.turn(20)
            self.spin(lambda: not self.panel.session.pending)
        self.spin(lambda: not self.panel.review.busy)
        edit_by_hand(self.slicer, self.target, self.volume, BY_HAND)
        with self.ticking("comparison and uncertainty map"):
            self.ui.uncertaintyBox.checked = True
            self.spin(lambda: not self.panel.review.busy)

    def lesions(self) -> None:
        """Measure hundreds of lesions whose label map fills the volume, then correct them."""
        self.give_up()
        self.draw_specks()
        self.bench.turn(100)
        with self.ticking("measuring the lesions"):
            self.ui.lesionsSection.collapsed = False
            self.settle()
        print(f"{'':4}{len(self.segments.findings.lesions)} lesions")
        for what in ("going to a lesion", "removing a lesion", "removing the next one"):
            self.spin(lambda: not self.panel.review.busy)
            with self.ticking(what):
                self.ui.nextLesionButton.click()
                if what.startswith("removing"):
                    self.ui.removeLesionButton.click()
                self.settle()
        self.draw_specks()
        self.settle()
        self.spin(lambda: not self.panel.review.busy)
        with self.ticking("adding a lesion back"):
            self.ui.lesionsTable.selectRow(len(self.segments.findings.lesions))
            self.ui.addBackButton.click()
            self.settle()

    def follow_up(self) -> None:
        """Compare with an earlier segmentation, which has fewer lesions."""
        earlier = self.slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "earlier")
        earlier.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        earlier.GetSegmentation().DeepCopy(self.target.GetSegmentation())
        edit_by_hand(self.slicer, earlier, self.volume, SPECKS, index=1, value=0)
        self.settle()
        with self.ticking("follow-up"):
            self.ui.followUpSection.collapsed = False
            self.ui.earlierSelector.setCurrentNode(earlier)
            self.settle()
        self.ui.earlierSelector.setCurrentNode(None)
        self.settle()

    def outputs(self) -> None:
        """Write a report, a case for training, and DICOM objects."""
        bench, folder = self.bench, self.bench.folder
        report = self.panel.report
        report._choose = lambda _name: str(folder / "report.html")
        report._open = lambda _path: None
        self.ui.reportSection.collapsed = False
        bench.turn(100)
        with self.ticking("report"):
            self.ui.reportButton.click()
            self.spin(lambda: not report.writer.busy)
        print(f"{'':4}{self.ui.reportResult.text.partition(':')[0]}")
        self.ui.exportSection.collapsed = False
        self.ui.exportFolder.text = str(folder)
        self.panel.export._ask = lambda *_question: True
        bench.turn(100)
        with self.ticking("export"):
            self.ui.exportButton.click()
            self.spin(lambda: not self.panel.export.exporter.busy)
        print(f"{'':4}{self.ui.exportResult.text.splitlines()[0]}")
        if importlib.util.find_spec("highdicom") is not None:
            self.save_dicom()

    def save_dicom(self) -> None:
        """Save segments and figures as DICOM objects to a folder."""
        import ctk
        from dicom_writing import write_slices
        from pydicom import dcmread

        bench, folder = self.bench, self.bench.folder / "series"
        voxels = self.slicer.util.arrayFromVolume(self.volume)
        places = [(0.0, 0.0, 1.5 * number) for number in range(len(voxels))]
        paths = write_slices(
            folder,
            list(voxels),
            places,
            orientation=(-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),
            spacing=(0.75, 0.75),
            FrameOfReferenceUID="1.2.3.4",
        )
        database = ctk.ctkDICOMDatabase()
        (bench.folder / "database").mkdir()
        database.openDatabase(str(bench.folder / "database" / "ctkDICOM.sql"))
        ctk.ctkDICOMIndexer().addDirectory(database, str(folder), False)
        self.slicer.dicomDatabase = database
        instances = [str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths]
        self.volume.SetAttribute("DICOM.instanceUIDs", " ".join(instances))
        self.panel.dicom._ask_folder = lambda _last: str(bench.folder)
        with self.ticking("looking for DICOM images"):
            self.ui.dicomSection.collapsed = False
            self.panel.selection_changed()
            self.spin(lambda: not self.panel.dicom._looking.busy)
        with self.ticking("saving DICOM objects"):
            self.ui.dicomFolderButton.click()
            self.spin(lambda: not self.panel.dicom.busy)
        print(f"{'':4}{self.ui.dicomResult.text.partition(':')[0]}")

    def give_up(self) -> None:
        """Keep with the segmentation that a lesion was given up."""
        from TumorSegModule.logic.given_up_lesions import keep_given_up

        specification = self.panel.selection.bundle.specification
        runs = runs_of(np.argwhere(in_box(GIVEN_UP, (200, 512, 512))))
        item = GivenUp(specification.labels[1].value, 0.2, runs)
        keep_given_up(self.target, placement_of(self.volume), specification, [item])

    def draw_specks(self) -> None:
        """Draw them on the segment of tumours, which gets a label map as large as the volume."""
        edit_by_hand(self.slicer, self.target, self.volume, SPECKS, index=1)

    @contextmanager
    def ticking(self, what: str) -> Iterator[None]:
        """Measure and print what happens meanwhile."""
        ticks = Ticks(self.bench.qt)
        self._ticks = ticks
        self.wait()
        yield
        self.wait()
        ticks.report(what)

    def wait(self) -> None:
        """Let nine turns pass."""
        enough = len(self._ticks.gaps) + 9
        self.spin(lambda: len(self._ticks.gaps) > enough)

    def settle(self) -> None:
        """Wait until the segments are edited and measured."""
        self.spin(lambda: not self.panel.measured.busy)

    def spin(self, condition: Callable[[], bool]) -> None:
        """Spin Qt's event loop as the application does, without sleeping."""
        qt = self.bench.qt
        while not condition():
            qt.QApplication.processEvents(qt.QEventLoop.WaitForMoreEvents)


def in_box(box, shape) -> np.ndarray:
    """Return a mask of that shape which is true in a box."""
    mask = np.zeros(shape, bool)
    mask[box] = True
    return mask


if __name__ == "__main__":
    main()
