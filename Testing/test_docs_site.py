"""The documentation's site is built without a warning, and its links lead somewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("mkdocs", reason="make docs-check installs what the site needs")

ROOT = Path(__file__).resolve().parent.parent


class Targets(HTMLParser):
    """What a page refers to, and the anchors that it has."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.anchors, self.fetched = set(), set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag in ("script", "img", "iframe", "link") and given.get("rel") != "canonical":
            self.fetched |= {given[name] for name in ("href", "src") if given.get(name)}
        if "mermaid" in (given.get("class") or "").split():  # drawn by a script from the internet
            self.fetched.add("https://unpkg.com/mermaid")
        self.targets |= {given[name] for name in ("href", "src") if given.get(name)}
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.mark.slow
def test_every_link_within_the_site_leads_somewhere(site):
    pages = {page: Targets(page.read_text("utf-8")) for page in site.rglob("*.html")}
    assert len(pages) > 30
    for page, found in pages.items():
        if page.name == "404.html":
            continue
        for target in found.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or target.startswith("/"):
                continue
            there = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            there = there / "index.html" if there.is_dir() else there
            assert there.is_file(), f"{page.relative_to(site)}: {target}"
            if parts.fragment and there in pages:
                anchors = pages[there].anchors
                assert unquote(parts.fragment) in anchors, f"{page.relative_to(site)}: {target}"


@pytest.mark.slow
def test_a_reader_without_internet_sees_all_of_it(site):
    for page in site.rglob("*.html"):
        fetched = Targets(page.read_text("utf-8")).fetched
        elsewhere = {target for target in fetched if urlsplit(target).netloc}
        assert not elsewhere, page.relative_to(site)


@pytest.mark.slow
def test_every_model_and_every_public_name_has_a_page_or_an_entry(site):
    for model in (ROOT / "Resources" / "Models").glob("*/model.json"):
        page = site / "models" / model.parent.name / "index.html"
        text = page.read_text("utf-8")
        assert "Known failures" in text
        ensemble = json.loads(model.read_text("utf-8")).get("members")
        assert ensemble or f"failures-{model.parent.name}.png" in text
    reference = (site / "reference" / "index.html").read_text("utf-8")
    for name in ("TumorSegLib.api.segment", "TumorSegLib.model.specification.ModelSpecification"):
        assert f'id="{name}"' in reference
