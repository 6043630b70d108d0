"""Prints which part of each package's lines and branches the tests reach; fails under a limit.

python tools/coverage_by_package.py FILE, which `coverage json` has written.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

LIMIT = 90.0
"""Per cent of lines and branches together, of the library, training and the module each."""

PARTS = {
    "TumorSegLib": "TumorSegLib",
    "training/tumorseg_training": "tumorseg_training",
    "TumorSeg/TumorSegModule": "TumorSegModule",
}
"""What is counted: folders, and the names of the packages in them."""

COUNTS = ("num_statements", "covered_lines", "num_branches", "covered_branches")


def main(words: list[str]) -> int:
    """Print the table; return 1 if a part is under the limit."""
    files = json.loads(Path(words[0]).read_text("utf-8"))["files"]
    packages: dict[str, Counter[str]] = {}
    for name, content in files.items():
        counts = {key: content["summary"][key] for key in COUNTS}
        for package in packages_of(name):
            packages.setdefault(package, Counter()).update(counts)
    print("| package | lines | reached % | branches | reached % | together % |")
    print("|---|--:|--:|--:|--:|--:|")
    for package in sorted(packages):
        print(row(package, packages[package]))
    low = [name for name in PARTS.values() if together(packages.get(name, Counter())) < LIMIT]
    for name in low:
        print(f"{name}: {together(packages.get(name, Counter())):.1f} %, expected {LIMIT:g} %")
    return 1 if low else 0


def packages_of(name: str) -> list[str]:
    """Return the packages that a file counts for: its part and the package below."""
    path = PurePosixPath(name.replace("\\", "/"))
    for folder, package in PARTS.items():
        if path.is_relative_to(folder):
            below = path.relative_to(folder).parts
            return [package, f"{package}.{below[0]}"] if len(below) > 1 else [package]
    return []


def row(package: str, counts: Counter[str]) -> str:
    """Return a row of the table."""
    lines, branches = counts["num_statements"], counts["num_branches"]
    return (
        f"| {package} | {lines:,} | {percent(counts['covered_lines'], lines)}"
        f" | {branches:,} | {percent(counts['covered_branches'], branches)}"
        f" | {together(counts):.1f} |"
    )


def percent(reached: int, of: int) -> str:
    """Return a share in per cent, of nothing a dash."""
    return f"{100 * reached / of:.1f}" if of else "-"


def together(counts: Counter[str]) -> float:
    """Return the share of lines and branches that are reached, in per cent; 0 of nothing."""
    of = counts["num_statements"] + counts["num_branches"]
    return 100 * (counts["covered_lines"] + counts["covered_branches"]) / of if of else 0.0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
