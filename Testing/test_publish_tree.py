"""What would keep a tree from being published is found, and the tree of this checkout has none."""

from __future__ import annotations

import json
import shutil
import subprocess

import publish_tree
import pytest
import tree_checks
from publish_tree import ROOT, check_tree, main
from workplace import named_in, workplace_names

pytestmark = pytest.mark.slow

OWNER = "https://github.com/Somebody"
RAW = "https://raw.githubusercontent.com/Somebody/SlicerThing/main"
CMAKE = f"""project(Thing)
set(EXTENSION_HOMEPAGE "{OWNER}/SlicerThing")
set(EXTENSION_CONTRIBUTORS "Somebody")
set(EXTENSION_DESCRIPTION "Does things. Weights: CC0.")
set(EXTENSION_ICONURL "{RAW}/icon.png")
set(EXTENSION_SCREENSHOTURLS "{RAW}/docs/one.png {RAW}/docs/two.png")
set(EXTENSION_DEPENDS "PyTorch")
"""
DESCRIPTION = {
    "$schema": "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/entry.json#",
    "build_dependencies": ["PyTorch"],
    "build_subdirectory": ".",
    "category": "Segmentation",
    "scm_revision": "main",
    "scm_url": f"{OWNER}/SlicerThing.git",
    "tier": 1,
}
WEIGHTS = "Resources/Models/tiny/weights.safetensors"


@pytest.fixture
def tree(tmp_path):
    """A tree that may be published."""
    tree = tmp_path / "tree"
    for name, content in {
        ".gitattributes": "* text=auto eol=lf\n*.png binary\n",
        ".gitignore": "build/\n",
        "CMakeLists.txt": CMAKE,
        "LICENSE": "Do what you like.\n",
        "README.md": f"# Thing\n\n{OWNER}/SlicerThing\n",
        "Resources/Models/tiny/model.json": json.dumps({"licence": "CC0"}),
        "Thing.json": json.dumps(DESCRIPTION),
        "docs/one.png": "\0\r\n",
        "docs/two.png": "\0\r\n",
        "icon.png": "\0\r\n",
    }.items():
        put(tree, name, content)
    put(tree, WEIGHTS, "\0" * 1_500_000)
    return tree


def put(tree, name, content):
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())


def described(tree, **changes):
    content = {key: value for key, value in (DESCRIPTION | changes).items() if value is not None}
    put(tree, "Thing.json", json.dumps(content))


def test_a_good_tree_has_no_fault(tree):
    assert check_tree(tree, {"/disk/of/eva"}) == []


def cmake(old, new):
    return lambda tree: put(tree, "CMakeLists.txt", CMAKE.replace(old, new))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda tree: put(tree, "big.bin", "\0" * 1_000_001), "big.bin: 1000001 bytes"),
        (lambda tree: put(tree, "Resources/Models/a.bin", "\0" * 1_000_001), "but for weights"),
        (lambda tree: put(tree, "a.py", "a = 1\r\n"), "a.py: has ends of lines with CR"),
        (lambda tree: put(tree, "a.py", "a = 1\r"), "a.py: has ends of lines with CR"),
        (lambda tree: (tree / "b").symlink_to("README.md"), "b: is a link"),
        (lambda tree: (tree / "b").symlink_to("docs"), "b: is a link"),
        (lambda tree: put(tree, "docs/readme.md", "") or put(tree, "docs/README.md", ""), "case"),
        (lambda tree: put(tree, "docs/aux.md", ""), "Windows can have no 'aux.md'"),
        (lambda tree: put(tree, "docs/a:b", ""), "Windows can have no 'a:b'"),
        (lambda tree: put(tree, "docs/a./b", ""), "Windows can have no 'a.'"),
        (lambda tree: put(tree, "d/" * 60 + "a", ""), "a path of 121 letters"),
        (lambda tree: put(tree, "a.md", "see /disk/of/eva/a"), "a.md: names /disk/of/eva"),
        (lambda tree: put(tree, "docs/one.png", "\0/disk/of/eva\0"), "one.png: names"),
        (lambda tree: (tree / ".gitattributes").unlink(), ".gitattributes: expected the line"),
        (lambda tree: (tree / "LICENSE").unlink(), "holds no licence"),
        (lambda tree: (tree / "CMakeLists.txt").unlink(), "names no project()"),
        (lambda tree: (tree / "Thing.json").rename(tree / "Other.json"), "Thing.json: "),
        (lambda tree: put(tree, "Thing.json", "{"), "expected the description file"),
        (lambda tree: put(tree, "Thing.json", "[]"), "expected a JSON object"),
        (lambda tree: described(tree, category=None), "category is missing"),
        (lambda tree: described(tree, category="Tumours"), "category is 'Tumours'"),
        (lambda tree: described(tree, tier=2), "tier is 2"),
        (lambda tree: described(tree, tier="1"), "tier is '1', expected int"),
        (lambda tree: described(tree, homepage="x"), "homepage is no key"),
        (lambda tree: described(tree, **{"$schema": "x"}), "$schema is 'x'"),
        (lambda tree: described(tree, build_dependencies=[]), "EXTENSION_DEPENDS"),
        (lambda tree: described(tree, scm_url=f"{OWNER}/Thing.git"), "'Thing', expected"),
        (lambda tree: described(tree, scm_url="http://a.org/SlicerThing"), "expected https"),
        (cmake("project(Thing)", "project(SlicerThing)"), "must not begin with Slicer"),
        (cmake("Somebody/SlicerThing", "Somebody/Thing"), "expected Somebody/SlicerThing"),
        (cmake("docs/two", "docs/three"), "there is no picture for"),
        (cmake(f"{RAW}/icon", "https://example.org/icon"), "is not below"),
        (cmake('ICONURL "', 'ICONURLS "'), "EXTENSION_ICONURL is missing"),
        (cmake("Weights: CC0.", ""), "model.json: EXTENSION_DESCRIPTION does not name its licence"),
        (lambda tree: put(tree, "a.md", f"{OWNER}/Thing/issues"), "a.md: names Somebody/Thing"),
    ],
)
def test_a_bad_tree_is_refused(tree, monkeypatch, harm, words):
    monkeypatch.setattr(publish_tree, "check_clone", lambda tree: [])
    harm(tree)
    faults = check_tree(tree, {"/disk/of/eva"})
    assert [fault for fault in faults if words in fault], faults


def test_what_a_clone_would_lack_is_found(tree):
    put(tree, "build/a.py", "")
    assert check_tree(tree, set()) == ["build/a.py: is not in a clone; .gitignore leaves it out"]


def test_a_clone_that_is_too_large_is_refused(tree, monkeypatch):
    monkeypatch.setattr(tree_checks, "LARGEST_CLONE", 1_500_000)
    (fault,) = check_tree(tree, set())
    assert fault == "a clone with .git has 1.5 MB, expected at most 1"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("cd /disk/of/eva", True),
        ("'/disk/of/eva/main'", True),
        ("file:///disk/of/eva", True),
        ("my/disk/of/eva", False),
        ("/disk/of/evasion", False),
        ("ask host-7, please", True),
        ("ask host-71", False),
        ("at ghost-7", False),
    ],
)
def test_names_are_found_as_words_of_their_own(text, named):
    assert bool(named_in(text.encode(), {"/disk/of/eva", "host-7"})) == named


def test_a_computers_names_are_its_folders_its_host_and_its_indexes(tmp_path, monkeypatch):
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://eva:secret@packages.example.org/simple\n"
        "find-links = /wheels/of/eva file:///more/of%20eva\ncert = /etc/ssl/certs\ntimeout = 60\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("HOME", "/home/eva")
    monkeypatch.setattr("socket.gethostname", lambda: "evas-computer")
    names = workplace_names(tmp_path / "main")
    monkeypatch.setattr("socket.gethostname", lambda: "worker")
    assert "worker" not in workplace_names(tmp_path / "main")
    assert names >= {str(tmp_path), str(tmp_path / "main"), "/home/eva", "evas-computer"}
    assert names >= {"packages.example.org", "/wheels/of/eva", "/more/of eva"}
    assert not names & {"/", "/home", "/tmp", "/etc/ssl/certs", "60", ""}


@pytest.fixture
def checkout(tree, tmp_path):
    """A git repository with that tree, and something that is not committed."""
    git = ["git", "-c", "user.name=Eva", "-c", "user.email=eva@example.org"]
    git += ["-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "First"]):
        subprocess.run([*git, *words], cwd=tree, check=True)
    put(tree, "README.md", f"not yet; see {tree}")
    return tree


def test_what_is_committed_is_written_without_history(checkout, tmp_path, capsys):
    place = tmp_path / "place"
    assert main([str(place)], checkout) == 0
    assert "1 files differ from what is committed" in capsys.readouterr().out
    assert (place / "README.md").read_text().startswith("# Thing")
    assert not (place / ".git").exists()
    assert main([str(place)], checkout) == 2
    assert "is not empty" in capsys.readouterr().err


def test_a_faulty_tree_ends_with_status_one(checkout, tmp_path, capsys):
    subprocess.run(["git", "commit", "--quiet", "-am", "Names"], cwd=checkout, check=True,
                   env={"GIT_AUTHOR_NAME": "E", "GIT_AUTHOR_EMAIL": "e@example.org",
                        "GIT_COMMITTER_NAME": "E", "GIT_COMMITTER_EMAIL": "e@example.org",
                        "PATH": "/usr/bin:/bin:/usr/local/bin"})  # fmt: skip
    assert main([str(tmp_path / "place")], checkout) == 1
    assert f"README.md: names {checkout}, which only this computer has" in capsys.readouterr().err


def test_the_place_is_not_in_the_checkout(checkout, capsys):
    assert main([str(checkout / "build" / "place")], checkout) == 2
    assert "lies in the checkout" in capsys.readouterr().err
    assert not (checkout / "build").exists()


def test_the_tree_of_this_checkout_may_be_published(tmp_path, capsys):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs the checkout's git repository")
    assert main([str(tmp_path / "place")]) == 0, capsys.readouterr().err
