"""CONTRIBUTING.md and what else engineers read say what is true of the code."""

from __future__ import annotations

import re
import tomllib
from html import unescape
from pathlib import Path

import grimp
import pytest

import TumorSegLib

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECORDS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PICTURE = re.search(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)[1]
ARROWS = set(re.findall(r"^ *(\S+) --> (\S+)$", PICTURE, re.MULTILINE))
FOLDERS = ("TumorSegLib", "TumorSeg", "training", "Testing", "docs", "Resources", "tools")
FILES = [
    "/dataset.json",  # of every data set
    *(f"/{path.relative_to(ROOT)}" for path in ROOT.glob("*.*")),
    *(path.as_posix() for name in FOLDERS for path in (ROOT / name).rglob("*.*")),
]


def package_of(module):
    """The package that the picture shows a module in, None for what is imported by everybody."""
    root, _, rest = module.partition(".")
    first = rest.partition(".")[0]
    if root == "TumorSegLib":
        return first or None
    return f"{root}.{first}" if root == "TumorSegModule" and first else root


def is_ours(module):
    roots = ("TumorSegLib", "tumorseg_training", "TumorSegModule", "TumorSegWeb")
    return module.partition(".")[0] in roots


@pytest.fixture(scope="module")
def imports():
    """Pairs of modules of which the first, one of ours, imports the second."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("training", "TumorSeg"):
            patch.syspath_prepend(str(ROOT / folder))
        graph = grimp.build_graph(
            "TumorSegLib",
            "tumorseg_training",
            "TumorSegModule",
            "TumorSegWeb",
            cache_dir=None,
            include_external_packages=True,
        )
    return {
        (module, imported)
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }


@pytest.fixture(scope="module")
def arrows(imports):
    """Pairs of packages of which the first imports the second."""
    pairs = {(package_of(one), package_of(other)) for one, other in imports if is_ours(other)}
    return {(one, other) for one, other in pairs if one and other and one != other}


def reached(start, arrows):
    """What arrows lead to from `start`."""
    seen, waiting = set(), [start]
    while waiting:
        here = waiting.pop()
        following = {head for tail, head in arrows if tail == here} - seen
        seen |= following
        waiting += following
    return seen


def test_the_picture_shows_the_imports_that_do_not_follow_from_others(arrows):
    needed = {arrow for arrow in arrows if arrow[1] not in reached(arrow[0], arrows - {arrow})}
    shown = {f"{one} --> {other}" for one, other in ARROWS}
    assert shown == {f"{one} --> {other}" for one, other in needed}


def test_qt_is_the_panels_alone_and_trame_the_pages(imports):
    """What both faces share knows neither."""

    def who_imports(*roots):
        return {package_of(module) for module, imported in imports if imported.startswith(roots)}

    assert who_imports("qt", "ctk", "PySide6") == {"TumorSegModule.widgets"}
    assert who_imports("trame", "undo_stack", "wslink") == {"TumorSegWeb"}


def test_the_drawn_picture_has_the_same_arrows():
    """Where not: python tools/architecture_picture.py draws it anew."""
    drawn = (ROOT / "docs" / "images" / "architecture.svg").read_text(encoding="utf-8")
    titles = [unescape(title) for title in re.findall("<title>(.*?)</title>", drawn)]
    assert {title for title in titles if "->" in title} == {f"{a}->{b}" for a, b in ARROWS}


@pytest.mark.parametrize("path", [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *RECORDS])
def test_files_that_are_named_are_there(path):
    text = path.read_text(encoding="utf-8")
    names = re.findall(r"`([\w./-]+\.(?:py|toml|md|json|ui|txt))`", text)
    assert not [name for name in names if not any(place.endswith(f"/{name}") for place in FILES)]


@pytest.mark.parametrize("path", [ROOT / "CONTRIBUTING.md", *RECORDS], ids=lambda path: path.name)
def test_links_between_pages_hold(path):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    assert not [link for link in links if not (path.parent / link).exists()]


def test_numbers_of_decisions_are_given_once():
    numbers = [path.name[:4] for path in RECORDS]
    assert numbers == [f"{number:04}" for number in range(1, len(RECORDS) + 1)]


def test_the_citation_names_the_version_and_the_project():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == TumorSegLib.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f'repository-code: "{project["urls"]["Homepage"]}"' in citation
    assert f"license: {project['license']}" in citation
