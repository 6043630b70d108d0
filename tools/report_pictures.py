"""Pictures of a report for the documentation: page, phone, PDF, of a phantom's segmentation.

    python tools/report_pictures.py docs/images

Needs `chromium` and poppler's `pdftoppm` on the path, and the extra `report`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

from TumorSegLib import Segmenter
from TumorSegLib.phantom import abdomen_phantom
from TumorSegLib.report import write_report

PHONE = (390, 1150)
BACK, GAP = (196, 208, 210), 10


def main(folder: Path) -> None:
    """Make the pictures in a folder."""
    volume, _ = abdomen_phantom(seed=2, shape=(80, 320, 320), spacing=(1.2, 1.2, 2.5))
    result = Segmenter("liver-ct-unet").segment(volume)
    with tempfile.TemporaryDirectory() as name:
        report = Path(name)
        write_report(result, report, identify=("volume",))
        page = (report / "report.html").read_text("utf-8")
        page = re.sub(r"<meta http-equiv=.*?>", "", page)  # it would forbid to be framed
        pictures = {
            "page": screenshot(until(page, "Slices"), 760, report),
            "views": screenshot(only_views(page), 760, report),
            "phone": on_phone(page, report),
            "pdf": on_paper(report / "report.pdf"),
        }
    for name, picture in pictures.items():
        picture.quantize(256).save(folder / f"report-{name}.png", optimize=True)


def screenshot(page: str, width: int, folder: Path) -> Image.Image:
    """Return a page as Chromium shows it, as long as it is.

    The page is shown in a frame, since a window cannot be as narrow as a phone.
    """
    (folder / "shown.html").write_text(page, "utf-8")
    frame = f'<iframe src="shown.html" width="{width}" height="6000" style="border:0">'
    frame = f'<body style="margin:0">{frame}</iframe>'
    (folder / "frame.html").write_text(frame, "utf-8")
    picture = folder / "picture.png"
    subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--hide-scrollbars", "--disable-gpu"),
            *(f"--screenshot={picture}", "--window-size=1200,6000"),
            (folder / "frame.html").as_uri(),
        ],
        check=True,
        capture_output=True,
    )
    with Image.open(picture) as file:
        shown = file.convert("RGB").crop((0, 0, width, 6000))
    blank = Image.new("RGB", shown.size, "white")
    *_, bottom = ImageChops.difference(shown, blank).getbbox() or (0,)
    return shown.crop((0, 0, width, bottom + 18))


def until(page: str, title: str) -> str:
    """Return a page that ends before a section."""
    start, found, _ = page.partition(f"<h2>{title}</h2>")
    assert found, f"the report has no section {title}"
    return start[: start.rindex("<section")] + "</main></body></html>"


def only_views(page: str) -> str:
    """Return the pictures of a page's views and the tables below them."""
    head, _, body = until(page, "Slices").partition("<body>")
    views = body[body.index("<h2>Views</h2>") :]
    views = re.sub(r"<h2>Views</h2>|<div class=\"(lines|note).*?</div>", "", views, flags=re.S)
    return f"{head}<body><main><section>{views}"


def on_phone(page: str, folder: Path) -> Image.Image:
    """Return two screens of a phone beside each other, the second with the tables."""
    width, height = PHONE
    long = screenshot(page, width, folder)
    tables = screenshot(until(page, "Measurements"), width, folder).height - 460
    both = Image.new("RGB", (2 * width + 2 * GAP, height), BACK)
    both.paste(long.crop((0, 0, width, height)), (0, 0))
    both.paste(long.crop((0, tables, width, tables + height)), (width + 2 * GAP, 0))
    return both


def on_paper(path: Path) -> Image.Image:
    """Return the pages of a PDF beside each other."""
    subprocess.run(
        ["pdftoppm", "-png", "-r", "57", str(path), str(path.with_suffix(""))], check=True
    )
    pages = [Image.open(file) for file in sorted(path.parent.glob(f"{path.stem}-*.png"))]
    size = sum(page.width + GAP for page in pages) - GAP, pages[0].height
    sheet, left = Image.new("RGB", size, BACK), 0
    for page in pages:
        sheet.paste(page, (left, 0))
        left += page.width + GAP
    return sheet


if __name__ == "__main__":
    main(Path(sys.argv[1]))
