"""The page fits its window, dark and light; with TUMORSEG_PICTURES=FOLDER its pictures go there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("trame_slicer", reason="needs the extra web")
pytest.importorskip("playwright", reason="needs playwright")

from web_page import Page, chromium, served

pytestmark = pytest.mark.slow

PANEL = ".v-navigation-drawer:has(#segment)"


def kept(page, name, seconds=3):
    """Keep a picture where that is wanted, when the views are drawn in full quality."""
    if folder := os.environ.get("TUMORSEG_PICTURES"):
        page.page.wait_for_timeout(1000 * seconds)
        page.page.screenshot(path=Path(folder, f"web-{name}.png"))


def cut_off(page):
    """Pixels of the panel that lie beyond its right edge."""
    return page.page.evaluate(
        "[...document.querySelectorAll('#lesions, #lesions *, #segment, #downloads *')].map("
        "e => e.getBoundingClientRect().right"
        f" - document.querySelector('{PANEL}').getBoundingClientRect().right)"
        ".reduce((most, one) => Math.max(most, one), 0)"
    )


@pytest.mark.parametrize("size", [(1366, 768), (2560, 1440)])
def test_the_panel_fits(tmp_path, size):
    width, height = size
    with chromium() as browser, served(tmp_path / "session") as session:
        page = Page(browser, session)
        page.page.set_viewport_size({"width": width, "height": height})
        page.page.wait_for_selector("#welcome")
        kept_here = kept if width == 1366 else lambda *_, **__: None
        theme = page.page.locator(".v-application").get_attribute("class")
        if "v-theme--light" in theme:
            page.page.get_by_label("Light or dark").click()
            page.page.wait_for_selector(".v-application.v-theme--dark")
        kept_here(page, "welcome")
        page.open_phantom()
        page.segment(wait=False)
        page.page.wait_for_function(
            "/slice (1[4-9]|2)/.test(document.querySelector('#stage')?.innerText ?? 'slice 2')"
        )
        kept_here(page, "running", seconds=1)
        page.page.wait_for_selector(".lesion")
        kept_here(page, "result")
        assert cut_off(page) <= 0
        page.page.locator("#uncertainty").check()
        kept_here(page, "uncertainty")
        page.page.locator("#uncertainty").uncheck()
        page.tool("mdi-brush")
        page.stroke((640, 480), (690, 480))
        page.page.wait_for_function("document.querySelectorAll('.lesion').length > 1")
        page.page.get_by_label("Light or dark").click()
        page.page.wait_for_selector(".v-application.v-theme--light")
        kept_here(page, "drawing")
        assert cut_off(page) <= 0
        for name in ("cards", "training"):
            page.page.click({"cards": "#show-cards", "training": "#save-training"}[name])
            page.page.wait_for_selector(f"#{name}")
            box = page.page.locator(f"#{name}").bounding_box()
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= height
            kept_here(page, name, seconds=1)
            page.page.keyboard.press("Escape")
            page.page.wait_for_selector(f"#{name}", state="hidden")
