"""Mutation testing: is every small change of a module noticed by the tests that are meant for it?

    python tools/mutation.py grid

The tree is copied, mutmut changes one operator, number, name or argument at a time, and the
module's tests run against each change; those that no test notices are printed as differences.
Texts are left as they are. Properties are taken apart first, as mutmut leaves what is decorated.
"""

from __future__ import annotations

import ast
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ("test_component_figures",)
PANEL = "TumorSeg/TumorSegModule"
PANELS = ("test_slicer_session",)
TARGETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "grid": ("TumorSegLib/image/grid.py", ("test_grid",)),
    "labelling": ("TumorSegLib/export/labelling.py", ("test_labelling",)),
    "diameter": ("TumorSegLib/measurement/diameter.py", ("test_diameter",)),
    "component": ("TumorSegLib/measurement/component.py", FIGURES),
    "segment": ("TumorSegLib/measurement/segment.py", (*FIGURES, "test_measurement")),
    "in_plane": ("TumorSegLib/image/in_plane.py", ("test_in_plane",)),
    "alignment": ("TumorSegLib/image/alignment.py", ("test_alignment",)),
    "geometry": ("TumorSegLib/slicer_io/geometry.py", ("test_slicer_placement",)),
    "session": (f"{PANEL}/logic/session.py", PANELS),
    "segmentation_run": (f"{PANEL}/logic/segmentation_run.py", PANELS),
    "ending": (f"{PANEL}/logic/ending.py", PANELS),
}
"""By name: the file that is changed and the files of tests that must notice."""

NOTICED = {"killed", "timeout", "segfault"}
STATUSES = {0: "survived", 1: "killed", 3: "killed", 5: "no tests", 33: "no tests"} | dict.fromkeys(
    (24, -24, 36, 152, 255), "timeout"
)
"""What mutmut's numbers mean."""

CACHED = re.compile(r"(functools\.)?(lru_)?cache\b")
"""Decorators that are left out: what the run without changes has cached would hide a change."""

KEPT = {"classmethod", "staticmethod"}
"""Decorators that mutmut can do with."""


def main(words: list[str]) -> int:
    """Run what is asked for; return 1 if a change was not noticed."""
    if len(words) != 1 or words[0] not in TARGETS:
        print(f"usage: mutation.py {'|'.join(TARGETS)}", file=sys.stderr)
        return 2
    file, tests = TARGETS[words[0]]
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        tree = Path(place, "tree")
        copy_tree(tree)
        if file.startswith(PANEL):
            file = move_panel(tree, file)
        target = tree / file
        target.write_text(without_decorators(target.read_text("utf-8")), "utf-8")
        (tree / "pyproject.toml").write_text(configuration(file, tests), "utf-8")
        mutmut = [sys.executable, "-m", "mutmut"]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(["training", "TumorSeg"]),
            "OMP_NUM_THREADS": "1",  # threads of PyTorch hang in the forked processes
        }
        subprocess.run([*mutmut, "run"], cwd=tree, env=environment, check=True)
        statuses = results(tree / "mutants" / f"{file}.meta")
        survivors = [name for name, status in statuses.items() if status not in NOTICED]
        for name in survivors:
            subprocess.run([*mutmut, "show", name], cwd=tree, env=environment, check=True)
    counts = collections.Counter(statuses.values())
    print(f"{file}: {len(statuses)} mutants, {dict(counts)}")
    return 1 if survivors else 0


def copy_tree(tree: Path) -> None:
    """Copy what git knows of, and new files that it does not ignore."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)


def move_panel(tree: Path, file: str) -> str:
    """Move the panel's package to `src`, where mutmut knows it by its name; return the file there.

    It finds its pictures beside itself, and the stand-in of 3D Slicer the module where it was.
    """
    (tree / "src").mkdir()
    (tree / PANEL).rename(tree / "src" / "TumorSegModule")
    shutil.copytree(tree / "TumorSeg" / "Resources", tree / "src" / "Resources")
    return file.replace(PANEL, "src/TumorSegModule")


def without_decorators(source: str) -> str:
    """Return source in which `@decorator def name` is `def name` and `name = decorator(name)`."""

    class Apart(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> list[ast.stmt]:
            found = [one for one in node.decorator_list if not CACHED.match(ast.unparse(one))]
            node.decorator_list = found
            if not found or any(ast.unparse(each) in KEPT for each in found):
                return [node]
            node.decorator_list = []
            value: ast.expr = ast.Name(node.name, ast.Load())
            for decorator in reversed(found):
                value = ast.Call(decorator, [value], [])
            return [node, ast.Assign([ast.Name(node.name, ast.Store())], value)]

    return ast.unparse(ast.fix_missing_locations(Apart().visit(ast.parse(source))))


def configuration(file: str, tests: tuple[str, ...]) -> str:
    """Return the tree's own pyproject.toml: that of pytest is here, none of ours is needed."""
    top = file.split("/", 1)[0]
    options = ["-p", "no:cacheprovider"]
    if not any(name.startswith("test_slicer") for name in tests):
        options.append("--noconftest")
    lines = [
        "[tool.mutmut]",
        f"source_paths = {json.dumps([top])}",
        f"only_mutate = {json.dumps([file])}",
        'also_copy = ["Testing", "Resources", "TumorSeg", "TumorSegLib", "training", "tools"]',
        r"do_not_mutate_patterns = ['^ *raise ']",
        f"pytest_add_cli_args = {json.dumps(options)}",
        "pytest_add_cli_args_test_selection = "
        + json.dumps([f"Testing/{name}.py" for name in tests]),
        "[tool.pytest.ini_options]",
        'pythonpath = ["src", "tools", "training", "TumorSeg"]',
        'markers = ["slow: takes more than ten seconds"]',
    ]
    return "\n".join(lines) + "\n"


def results(meta: Path) -> dict[str, str]:
    """Return what became of each mutant."""
    codes = json.loads(meta.read_text("utf-8"))["exit_code_by_key"]
    return {name: STATUSES.get(code, f"exit {code}") for name, code in codes.items()}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
