"""What a published tree must be: small, readable on every system, and of nobody's computer."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from workplace import named_in

MB = 1 << 20
LARGEST_CLONE = 100 * MB
"""A clone's files with `.git`, as Slicer's index of extensions counts."""

LARGEST_BLOB = 1_000_000
LONGEST_PATH = 120
"""Letters of a path: Windows allows 260, of which a build of Slicer's extensions takes half."""

WEIGHTS = re.compile(r"Resources/Models/[^/]+/weights\.safetensors")
ATTRIBUTES = "* text=auto eol=lf"
RESERVED = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
}
"""Names that Windows keeps for devices."""


def files_in(tree: Path) -> dict[str, Path]:
    """Return the files and links below a folder by their path in it."""
    return {
        path.relative_to(tree).as_posix(): path
        for path in sorted(tree.rglob("*"))
        if path.is_symlink() or not path.is_dir()
    }


def check_names(names: Iterable[str]) -> Iterator[str]:
    """Yield a line for each path that a system cannot have."""
    seen: dict[str, str] = {}
    for name in names:
        if len(name) > LONGEST_PATH:
            yield f"{name}: a path of {len(name)} letters, expected at most {LONGEST_PATH}"
        for part in name.split("/"):
            stem = part.partition(".")[0].lower()
            if re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', part) or stem in RESERVED:
                yield f"{name}: Windows can have no {part!r}"
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            yield f"{name}: differs from {other} in case alone; Windows and macOS keep one of them"


def check_sizes(files: dict[str, Path]) -> Iterator[str]:
    """Yield a line for each large file that holds no weights."""
    for name, path in files.items():
        size = path.lstat().st_size
        if size > LARGEST_BLOB and not WEIGHTS.fullmatch(name):
            yield f"{name}: {size} bytes, expected at most {LARGEST_BLOB} but for weights"


def check_contents(files: dict[str, Path], workplace: Iterable[str]) -> Iterator[str]:
    """Yield a line for each link, end of line that is no LF, and name of this computer."""
    attributes = files.get(".gitattributes")
    lines = attributes.read_text("utf-8").splitlines() if attributes else []
    if ATTRIBUTES not in lines:
        yield f".gitattributes: expected the line {ATTRIBUTES!r}"
    for name, path in files.items():
        if path.is_symlink():
            yield f"{name}: is a link, which Windows checks out as a file"
            continue
        content = path.read_bytes()
        if b"\0" not in content[:8000] and b"\r" in content:
            yield f"{name}: has ends of lines with CR, expected LF"
        for known in named_in(content, workplace):
            yield f"{name}: names {known}, which only this computer has"


def check_clone(tree: Path) -> Iterator[str]:
    """Yield a line if a clone of the tree, published as one commit, lacks files or is too large."""
    with tempfile.TemporaryDirectory(prefix="tumorseg-publish-") as folder:
        first, clone = Path(folder, "first.git"), Path(folder, "clone")
        git = ["git", "-c", "core.autocrlf=false", "-c", "commit.gpgsign=false"]
        of_tree = [*git, f"--git-dir={first}", f"--work-tree={tree}"]
        author = ["-c", "user.name=TumorSeg", "-c", "user.email=tumorseg@example.org"]
        for words in (
            [*git, "init", "--quiet", "--bare", "--initial-branch=main", str(first)],
            [*of_tree, "add", "--all"],
            [*of_tree, *author, "commit", "--quiet", "--no-verify", "--message=first"],
            [*git, "clone", "--quiet", "--no-local", str(first), str(clone)],
        ):
            subprocess.run(words, cwd=tree, check=True, stdin=subprocess.DEVNULL)
        there = {name for name in files_in(clone) if not name.startswith(".git/")}
        for name in sorted(files_in(tree).keys() - there):
            yield f"{name}: is not in a clone; .gitignore leaves it out"
        size = sum(path.lstat().st_size for path in files_in(clone).values())
        measured = f"a clone with .git has {size / MB:.1f} MB"
        print(measured)
        if size > LARGEST_CLONE:
            yield f"{measured}, expected at most {LARGEST_CLONE / MB:.0f}"
