"""Draws the picture of CONTRIBUTING.md, who imports whom, for the documentation's site.

python tools/architecture_picture.py, with Graphviz' `dot`, writes docs/images/architecture.svg: the
site shows it in place of the text, which would need a script from the internet.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
FENCE = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)
"""The picture as text, in a page."""

HEAD = """digraph {
  graph [fontname="sans-serif", fontsize=13, labeljust=l, nodesep=0.25, ranksep=0.4]
  node [shape=box, style="filled,rounded", fillcolor="#f5f7f9", color="#546e7a",
        fontname="sans-serif", fontsize=12, height=0.35]
  edge [color="#78909c", arrowsize=0.7]
"""


def as_dot(picture: str) -> str:
    """Return a flowchart of Mermaid as a graph of Graphviz: subgraphs with a title, and arrows."""
    lines = [HEAD]
    for line in picture.splitlines():
        if found := re.match(r"\s*subgraph (\w+) \[(.+)\]", line):
            lines.append(
                f'subgraph cluster_{found[1]} {{ label="{found[2]}"; color="#b0bec5"; style=rounded'
            )
        elif found := re.match(r"\s*(\S+) --> (\S+)\s*$", line):
            lines.append(f'"{found[1]}" -> "{found[2]}"')
        elif line.strip() == "end":
            lines.append("}")
        elif found := re.match(r"\s*(\S+)$", line):
            lines.append(f'"{found[1]}"')
    return "\n".join([*lines, "}"])


def main() -> int:
    """Write the picture."""
    found = FENCE.search((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    if found is None:
        print("CONTRIBUTING.md: found no picture, expected a block ```mermaid", file=sys.stderr)
        return 1
    drawn = subprocess.run(
        ["dot", "-Tsvg"], input=as_dot(found[1]), capture_output=True, text=True, check=True
    )
    kept = re.sub(r"<!--.*?-->\n?", "", drawn.stdout, flags=re.DOTALL)
    PICTURE.write_text(kept, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
