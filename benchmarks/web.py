"""How soon the page in the browser shows what was asked for, and how many pictures a second.

    .venv/web/bin/python benchmarks/web.py [-o web.json] [--rounds N]

Needs the extra web, playwright and chromium. A picture counts when the browser has it in a view.
Processor time is that of the page's own process, and says most on a machine that is busy.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "TumorSeg"), str(ROOT / "Testing")]

import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402
from web_page import Page, chromium, served  # noqa: E402

SMALL, LARGE = (1366, 768), (2560, 1440)
PHANTOMS = ("Brain phantom", "Abdomen phantom")
READING_SECONDS = 3.0
"""Until somebody who has opened the page clicks on a sample."""

SCROLL_SECONDS = 4.0
LOOK_MILLISECONDS = 50
"""Between two looks at the page; more looks take the processor from the model."""

LARGE_CT = (200, 512, 512)

RECORDER = """
() => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 16;
  const context = canvas.getContext('2d', {willReadFrequently: true});
  const looked = (image) => {
    context.drawImage(image, 0, 0, 16, 16);
    const pixels = context.getImageData(4, 2, 8, 12).data;
    let lit = 0;
    for (let n = 0; n < pixels.length; n += 4) lit = Math.max(lit, pixels[n]);
    return {lit};
  };
  window.watched = false;
  window.pictures = [];
  document.addEventListener('load', (event) => {
    const view = event.target.closest?.('.remote-controlled-area');
    if (!view) return;
    const at = performance.now();
    const seen = window.watched ? looked(event.target) : {};
    window.pictures.push({at, left: view.getBoundingClientRect().left, ...seen});
  }, true);
}
"""
"""Notes when a picture is in a view and, while one is waited for, how bright it is."""

WHEEL = """
async ([x, y, seconds]) => {
  const view = document.elementFromPoint(x, y);
  const began = performance.now();
  const spent = () => performance.now() - began;
  while (spent() < 1000 * seconds) {
    const deltaY = Math.floor((spent() + 400) / 800) % 2 ? 120 : -120;
    view.dispatchEvent(new WheelEvent('wheel',
      {deltaY, clientX: x, clientY: y, bubbles: true, cancelable: true}));
    await new Promise((done) => setTimeout(done, 16));
  }
  return [began, performance.now()];
}
"""
"""Turns the wheel sixty times a second, up and down, as a quick finger on a touchpad does."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="file for the figures, .json")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        bench = Bench(browser, Path(name))
        sitk.WriteImage(large_ct(), str(bench.folder / "ct.nii.gz"))
        for _ in range(arguments.rounds):
            bench.round()
    lines = [[what, unit, statistics.median(of), *of] for (what, unit), of in bench.figures.items()]
    for what, unit, median, *of in lines:
        print(f"{what:62} {median:8.2f} {unit:12} {' '.join(f'{one:.2f}' for one in of)}")
    print("load of the machine", os.getloadavg())
    if arguments.output:
        arguments.output.write_text(json.dumps(lines, indent=1) + "\n")


class Bench:
    """Sessions in a browser, and what was measured: figures by what they are and their unit."""

    def __init__(self, browser: Any, folder: Path) -> None:
        """Measure in `browser`; `folder` is for what sessions keep."""
        self.browser, self.folder = browser, folder
        self.figures: dict[tuple[str, str], list[float]] = {}
        self._sessions = 0

    def round(self) -> None:
        """Measure everything once."""
        for phantom in PHANTOMS:
            with self.page() as (page, _session):
                page.page.wait_for_timeout(1000 * READING_SECONDS)
                self.note(f"click on {phantom} to its picture", "s", first_picture(page, phantom))
        with self.page() as (page, session):
            what = f"click on {PHANTOMS[0]} at once"
            self.note(what, "s", first_picture(page, PHANTOMS[0]))
            self.scroll(page, session, "MRI 256x256x24", SMALL)
            self.segment(page, "first")
            self.scroll(page, session, "MRI with its result", SMALL)
            self.scroll(page, session, "MRI with its result", LARGE)
            self.segment(page, "second")
        with self.page(str(self.folder / "ct.nii.gz")) as (page, session):
            page.page.wait_for_selector("#segment")
            page.page.wait_for_timeout(1000 * READING_SECONDS)
            self.scroll(page, session, "CT 512x512x200", SMALL)
            self.scroll(page, session, "CT 512x512x200", LARGE)

    @contextmanager
    def page(self, *words: str) -> Iterator[tuple[Page, Any]]:
        """Open a page of a new session."""
        self._sessions += 1
        with served(self.folder / str(self._sessions), *words) as session:
            page = Page(self.browser, session)
            page.page.wait_for_selector("#segment" if words else "#welcome")
            page.page.evaluate(RECORDER)
            yield page, session
            page.page.close()

    def note(self, what: str, unit: str, figure: float) -> None:
        """Keep a figure."""
        self.figures.setdefault((what, unit), []).append(round(figure, 3))

    def scroll(self, page: Page, session: Any, what: str, size: tuple[int, int]) -> None:
        """Turn the wheel on the axial view and count its pictures."""
        width, height = size
        page.page.set_viewport_size({"width": width, "height": height})
        page.page.wait_for_timeout(2000)
        x, y = axial(page)
        page.page.mouse.move(x, y)
        page.page.wait_for_timeout(1000)
        page.page.evaluate("window.pictures = []")
        spent = processor_seconds(session.process.pid)
        began, ended = page.page.evaluate(WHEEL, [x, y, SCROLL_SECONDS])
        spent = processor_seconds(session.process.pid) - spent
        count = sum(
            began <= picture["at"] <= ended and picture["left"] < x
            for picture in page.page.evaluate("window.pictures")
        )
        what = f"scrolling, {what}, window {width}x{height}"
        self.note(what, "pictures/s", 1000 * count / (ended - began))
        self.note(f"{what}, a picture", "ms of processor", 1000 * spent / max(count, 1))

    def segment(self, page: Page, which: str) -> None:
        """Segment, and note when the page tells of the first slices."""
        page.page.set_viewport_size({"width": SMALL[0], "height": SMALL[1]})
        page.segment(wait=False)
        began = page.page.evaluate("performance.now()")
        page.page.wait_for_function(
            "/slice [1-9]/.test(document.querySelector('#stage')?.textContent ?? 'slice 1')",
            polling=LOOK_MILLISECONDS,
        )
        said = page.page.evaluate("performance.now()")
        page.page.wait_for_selector("#downloads")
        page.page.wait_for_selector("#segment")
        ended = page.page.evaluate("performance.now()")
        self.note(f"{which} Segment to the first slice's figures", "s", (said - began) / 1000)
        self.note(f"{which} Segment to the result", "s", (ended - began) / 1000)


def first_picture(page: Page, phantom: str) -> float:
    """Return the seconds from a click on a phantom until it is in the axial view."""
    page.page.evaluate("window.watched = true; window.pictures = []")
    began = page.page.evaluate(
        """(name) => {
          const buttons = [...document.querySelectorAll('.phantom')];
          const at = performance.now();
          buttons.find((button) => button.innerText.startsWith(name)).click();
          return at;
        }""",
        phantom,
    )
    seen = page.page.wait_for_function("window.pictures.find((one) => one.lit > 60)?.at")
    page.page.evaluate("window.watched = false")
    return float(seen.json_value() - began) / 1000


def axial(page: Page) -> tuple[float, float]:
    """Return the middle of the axial view, the leftmost."""
    boxes = page.page.locator(".remote-controlled-area").evaluate_all(
        "(views) => views.map((view) => view.getBoundingClientRect().toJSON())"
    )
    box = min((box for box in boxes if box["width"]), key=lambda box: box["left"])
    return box["left"] + box["width"] / 2, box["top"] + box["height"] / 2


def processor_seconds(pid: int) -> float:
    """Return what a process has computed so far, without its children."""
    words = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def large_ct() -> sitk.Image:
    """Return a volume of noise of a large CT's size."""
    noise = np.random.default_rng(0).integers(-200, 300, LARGE_CT, np.int16)
    image = sitk.GetImageFromArray(noise)
    image.SetSpacing((0.75, 0.75, 1.5))
    return image


if __name__ == "__main__":
    main()
