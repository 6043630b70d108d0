"""Writes the tree that is published as the first commit of a fresh repository, and checks it.

    python tools/publish_tree.py DEST

DEST is a new or empty folder; what is committed here is written to it. It stays where a check
fails, to be looked at; the status is then 1.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from index_rules import check_index
from tree_checks import check_clone, check_contents, check_names, check_sizes, files_in
from workplace import workplace_names

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Write and check the tree of the checkout `root`; return the exit status."""
    parser = argparse.ArgumentParser(description="Write and check the tree that is published.")
    parser.add_argument("destination", metavar="DEST", type=Path, help="a new or empty folder")
    destination: Path = parser.parse_args(argv).destination.resolve()
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        print(f"{destination}: is not empty; name a new folder", file=sys.stderr)
        return 2
    if destination.is_relative_to(root):
        print(f"{destination}: lies in the checkout; name a folder elsewhere", file=sys.stderr)
        return 2
    if changed := git(root, "status", "--porcelain").decode().splitlines():
        print(f"{len(changed)} files differ from what is committed; that is not written")
    write_tree(root, destination)
    faults = check_tree(destination, workplace_names(root))
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        print(f"{len(faults)} faults; not to be published", file=sys.stderr)
        return 1
    print(f"{len(files_in(destination))} files in {destination}, ready for its first commit")
    print(
        "On GitHub the repository needs the topic 3d-slicer-extension, which is not looked at here."
    )
    return 0


def write_tree(root: Path, destination: Path) -> None:
    """Write what is committed in the checkout `root` to a folder."""
    destination.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(git(root, "archive", "HEAD"))) as archive:
        archive.extractall(destination, filter="data")


def check_tree(tree: Path, workplace: set[str]) -> list[str]:
    """Return a line for each fault of a tree.

    Args:
        tree: a folder that holds what is to be published and nothing else.
        workplace: names that no file may hold.
    """
    files = files_in(tree)
    return [
        *check_names(files),
        *check_sizes(files),
        *check_contents(files, workplace),
        *check_index(tree),
        *check_clone(tree),
    ]


def git(root: Path, *words: str) -> bytes:
    """Return what git prints."""
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True).stdout


if __name__ == "__main__":
    sys.exit(main())
