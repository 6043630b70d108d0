"""The documentation leads somewhere, says where its pictures are from, and names the licences."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from panel_bench import ROOT

from TumorSegLib.model.catalogue import SHIPPED, Catalogue
from TumorSegLib.model.licences import licences_of

PAGE = ROOT / "TumorSeg" / "Resources" / "Documentation" / "TumorSeg.html"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_OF_THE_PANEL = {
    *("retraining-curve.png", "time-against-slices.png"),
    *("report-page.png", "report-views.png", "report-phone.png", "report-pdf.png"),
}
PUBLIC = ("https://creativecommons.org/licenses/", "https://www.slicer.org")


class Links(HTMLParser):
    """The targets and the anchors of a page."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.anchors = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if "href" in given or "src" in given:
            self.targets.append(given.get("href") or given["src"])
        if "id" in given:
            self.anchors.add(given["id"])


def test_every_link_of_the_page_leads_somewhere():
    links = Links(PAGE.read_text("utf-8"))
    assert len(links.targets) > 8
    for target in links.targets:
        assert target.removeprefix("#") in links.anchors or target.startswith(PUBLIC), target


def test_the_help_text_links_to_the_page_that_comes_with_the_module(host):
    import TumorSeg

    parent = type("Parent", (), {"path": ""})()
    TumorSeg.TumorSeg(parent)
    (target,) = Links(parent.helpText).targets
    assert target == PAGE.as_uri()


def test_the_help_texts_link_shows_the_page_in_slicers_help_browser(host):
    """Slicer's help is a text browser, which follows links to files by itself."""
    import qt

    import TumorSeg

    parent = type("Parent", (), {"path": ""})()
    TumorSeg.TumorSeg(parent)
    browser = qt.QTextBrowser()
    browser.openExternalLinks = True
    browser.setHtml(parent.helpText)
    browser.setSource(qt.QUrl(Links(parent.helpText).targets[0]))
    assert "Without internet" in browser.toPlainText()


def test_the_button_opens_the_page(bench, monkeypatch):
    import qt

    opened = []
    monkeypatch.setattr(qt.QDesktopServices, "openUrl", lambda url: opened.append(url))
    bench.open().ui.documentationButton.click()
    (url,) = opened
    assert Path(url.toLocalFile()) == PAGE


def test_what_messages_call_a_section_is_one(host):
    from TumorSegModule.logic.requirements import ABSENT, Missing
    from TumorSegModule.widgets.installation import question

    (section,) = re.findall("“(.+?)”", question([Missing("torch", "torch>=2.4", ABSENT)], False))
    assert f">{section}</h2>" in PAGE.read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_link_to_files_that_are_there(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith(("http", "mailto")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pictures_say_that_they_are_from_the_stand_in(host, page):
    from picture_label import is_labelled

    text = page.read_text("utf-8")
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+\.png)\)", text)
    ours = [
        (alt, path)
        for alt, path in pictures
        if Path(path).name not in NOT_OF_THE_PANEL
        and not Path(path).name.startswith(("failures-", "web-"))
    ]
    for alt, path in ours:
        assert alt.startswith("Stand-in for Slicer: "), path
        assert is_labelled(page.parent / path), path
    if ours:
        assert "tests' stand-in for 3D Slicer's window" in " ".join(text.split())


def test_screenshots_of_the_catalogue_are_labelled(host):
    from picture_label import is_labelled

    cmake = (ROOT / "CMakeLists.txt").read_text("utf-8")
    (urls,) = re.findall(r'EXTENSION_SCREENSHOTURLS "([^"]+)"', cmake)
    for url in urls.split():
        assert is_labelled(ROOT / url.partition("/main/")[2]), url
    (description,) = re.findall(r'EXTENSION_DESCRIPTION "([^"]+)"', cmake)
    assert "stand-in" in description


def test_a_picture_is_labelled_once(host, tmp_path):
    import qt
    from picture_label import STRIP, is_labelled, label_picture

    path = tmp_path / "picture.png"
    image = qt.QImage(300, 100, qt.QImage.Format_RGB32)
    image.fill(0)
    image.save(str(path))
    assert not is_labelled(path)
    label_picture(path)
    label_picture(path)
    assert is_labelled(path)
    assert qt.QImage(str(path)).height() == 100 + STRIP


@pytest.mark.parametrize("place", ["description", "README.md", "page"])
def test_the_licences_of_the_weights_are_named(place):
    cmake = (ROOT / "CMakeLists.txt").read_text("utf-8")
    text = {
        "description": re.findall(r'EXTENSION_DESCRIPTION "([^"]+)"', cmake)[0],
        "README.md": (ROOT / "README.md").read_text("utf-8"),
        "page": PAGE.read_text("utf-8"),
    }[place]
    for licence in licences_of(Catalogue.of([SHIPPED]).bundles):
        assert licence.name in text, licence.name
        if place == "page":
            assert licence.retraining.split(";")[0].split(",")[0].rstrip(".").lower() in (
                " ".join(text.split()).lower()
            )
