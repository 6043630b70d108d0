"""The page without a mouse: every control can be reached, is seen to be, and has a name."""

from __future__ import annotations

import pytest
from waiting import wait_until

pytest.importorskip("trame_slicer", reason="needs the extra web")
pytest.importorskip("playwright", reason="needs playwright")

from web_page import Page, chromium, served

pytestmark = pytest.mark.slow

MOST_STEPS = 60

NAMELESS = """() => [...document.querySelectorAll('button, [role=button], [role=slider]')]
    .filter(e => e.offsetParent !== null)
    .filter(e => !(e.innerText.trim() || e.getAttribute('aria-label') || e.title))
    .map(e => e.outerHTML.slice(0, 300))"""
"""Buttons that show an icon alone and say nothing to a screen reader."""

FOCUSED = """() => {
    const e = document.activeElement, style = getComputedStyle(e);
    return [e.getAttribute('aria-label') || e.innerText.trim(), e.id, e.className.toString(),
            style.outlineStyle + ' ' + style.outlineWidth];
}"""


@pytest.fixture
def page(tmp_path):
    with chromium() as browser, served(tmp_path / "session") as session:
        yield Page(browser, session)


def tab_to(page, wanted, key="Tab"):
    """Press a key until what is wanted has the focus; return what had it on the way."""
    passed = []
    for _step in range(MOST_STEPS):
        page.page.keyboard.press(key)
        name, place, kind, outline = page.page.evaluate(FOCUSED)
        passed.append(name)
        assert outline == "solid 3px" or not name or place == "", (name, outline)
        if wanted in (name, f"#{place}") or f".{wanted}" in f".{kind}".split():
            assert outline == "solid 3px"
            return passed
    pytest.fail(f"{wanted} is not among {passed}")


def press(page, key, until, *, state=None):
    page.page.keyboard.press(key)
    wait_until(until, state=state)


def test_no_button_is_without_a_name(page):
    page.page.wait_for_selector("#welcome")
    assert page.page.evaluate(NAMELESS) == []
    page.open_phantom()
    assert page.page.evaluate(NAMELESS) == []
    page.page.click("#show-cards")
    page.page.wait_for_selector("#card")
    assert page.page.evaluate(NAMELESS) == []
    page.page.keyboard.press("Escape")
    page.page.wait_for_selector("#cards", state="hidden")
    for name in ("Open segmentation panel", "Open Volume Properties"):
        page.page.get_by_label(name).click()
        page.page.get_by_label(name.replace("Open", "Close")).wait_for()
        if (add := page.page.get_by_text("Add segment")).is_visible():
            add.click()
            page.page.wait_for_selector(".mdi-eraser")
        assert page.page.evaluate(NAMELESS) == []


def test_from_the_phantom_to_the_file_by_keyboard_alone(page):
    tab_to(page, "Brain phantom (MRI)")
    page.page.keyboard.press("Enter")
    focused = lambda: page.page.evaluate(FOCUSED)[1]  # noqa: E731
    wait_until(lambda: focused() == "segment")
    page.page.keyboard.press("Enter")
    page.page.locator("#question:visible").wait_for()
    tab_to(page, "Accept")
    page.page.keyboard.press("Enter")
    wait_until(lambda: focused() == "cancel")
    page.page.wait_for_selector(".lesion")
    wait_until(lambda: focused() == "segment")

    line = page.page.locator("#review-line")
    shown = lambda: line.inner_text().partition(" · ")[0]  # noqa: E731
    wait_until(lambda: shown() == "Slice 13 of 24")
    tab_to(page, "#strip")
    press(page, "ArrowRight", lambda: shown() == "Slice 14 of 24")
    press(page, "Home", lambda: shown() == "Slice 1 of 24")
    press(page, "Enter", lambda: shown() not in ("Slice 1 of 24", ""))
    first = shown()
    press(page, "n", lambda: shown() != first)
    press(page, "p", lambda: shown() == first)

    press(page, "n", lambda: shown() != first)
    second = shown()
    press(page, "n", lambda: shown() != second)
    third = shown()
    press(page, "p", lambda: shown() == second)
    page.page.keyboard.press("Meta+p")  # the browser's own
    tab_to(page, "#show-cards", key="Shift+Tab")
    press(page, "Enter", lambda: page.page.locator("#cards:visible").count())
    page.page.keyboard.press("p")  # the views lie behind the cards
    press(page, "Escape", lambda: not page.page.locator("#cards:visible").count())
    press(page, "n", lambda: shown() == third)

    tab_to(page, "lesion")
    press(page, "Space", lambda: page.page.locator(".lesion[aria-current=true]").count() == 1)
    before = page.page.locator(".lesion").count()
    tab_to(page, "Remove lesion 1")
    press(page, "Enter", lambda: page.page.locator(".lesion").count() == before - 1)
    tab_to(page, "Undo")
    press(page, "Space", lambda: page.page.locator(".lesion").count() == before)
    tab_to(page, "#save-segmentation", key="Shift+Tab")
    with page.page.expect_download() as download:
        page.page.keyboard.press("Enter")
    assert download.value.suggested_filename == "phantom flair.seg.nrrd"
