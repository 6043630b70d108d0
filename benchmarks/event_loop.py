"""How long Slicer's event loop waits for the panel, on a volume of 512 x 512 x 200.

    python benchmarks/event_loop.py

Runs the panel in the tests' stand-in for Slicer. A timer ticks as often as it can; the longest time
between two ticks is how long views and mouse would wait, and what of it is computing by that thread
says how much is ours. On a machine that is busy with other things the former says little.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]

from bright_models import write_ct_model  # noqa: E402
from panel_bench import Bench, load_host  # noqa: E402
from scenes import add_large_body, edit_by_hand  # noqa: E402


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
        print(f"{what:34} {seconds:8.2f} {wall:18.1f} {cpu:24.1f}")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(load_host(), Path(name))
        try:
            measure(bench)
        finally:
            bench.close()


def measure(bench: Bench) -> None:
    """Run, correct, compare and print a line for each."""
    write_ct_model(bench.models, "tiny-ct")
    panel = bench.open()
    volume = add_large_body(bench.slicer)
    bench.parameters.volume = volume
    bench.turn(200)
    print(f"{'':34} {'seconds':>8} {'longest block, ms':>18} {'of it own computing, ms':>24}")
    for what in ("first run", "second run"):
        bench.parameters.target = None
        ticks = Ticks(bench.qt)
        panel.ui.segmentButton.click()
        spin(bench, lambda: panel.session.status.stage == "running")
        ticks.report(f"{what}, until inference")
        ticks = Ticks(bench.qt)
        spin(bench, lambda: not panel.session.busy)
        ticks.report(what)
    ticks = Ticks(bench.qt)
    for value in range(0, 100, 10):
        panel.ui.sensitivitySlider.value = value
        bench.turn(20)
    spin(bench, lambda: not panel.session.pending)
    ticks.report("sensitivity, ten steps")
    target = bench.parameters.target
    box = (slice(70, 90), slice(100, 140), slice(100, 140))
    spin(bench, lambda: not panel.review.busy)
    edit_by_hand(bench.slicer, target, volume, box)
    ticks = Ticks(bench.qt)
    panel.ui.uncertaintyBox.checked = True
    spin(bench, lambda: not panel.review.busy)
    ticks.report("comparison and uncertainty map")
    segments = panel.measured.segments
    specks = bench.slicer.util.arrayFromSegmentBinaryLabelmap(target, names(target)[1], volume)
    specks[60:140:9, 160:370:30, 130:320:32] = 1
    bench.slicer.util.updateSegmentBinaryLabelmapFromArray(specks, target, names(target)[1], volume)
    bench.turn(100)
    ticks = Ticks(bench.qt)
    panel.ui.lesionsSection.collapsed = False
    spin(bench, lambda: not segments.busy)
    ticks.report(f"measuring {len(segments.findings.lesions)} lesions")
    for what in ("going to a lesion", "removing a lesion"):
        ticks = Ticks(bench.qt)
        spin(bench, lambda ticks=ticks: len(ticks.gaps) > 9)
        panel.ui.nextLesionButton.click()
        if what.startswith("removing"):
            panel.ui.removeLesionButton.click()
        enough = len(ticks.gaps) + 9
        spin(bench, lambda ticks=ticks, enough=enough: len(ticks.gaps) > enough)
        ticks.report(what)


def names(segmentation) -> list[str]:
    """Return the ids of a segmentation's segments."""
    return list(segmentation.GetSegmentation().GetSegmentIDs())


def spin(bench, condition) -> None:
    """Spin Qt's event loop as the application does, without sleeping."""
    while not condition():
        bench.qt.QApplication.processEvents(bench.qt.QEventLoop.WaitForMoreEvents)


if __name__ == "__main__":
    main()
