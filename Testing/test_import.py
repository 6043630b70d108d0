from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_importing_the_library_loads_nothing_heavy():
    loaded = run(
        "import sys; before = set(sys.modules); import TumorSegLib;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before}"
        " - sys.stdlib_module_names)"
    )
    assert loaded == ["TumorSegLib"]


@pytest.mark.parametrize(
    "module",
    [
        *("model.catalogue", "image.grid", "model.specification", "image.volume"),
        *("inference.result", "cli", "commands.models"),
        *("worker.protocol", "slicer_io.nodes", "export.labelling", "export.dataset_name"),
    ],
)
def test_what_slicers_process_imports_loads_no_torch(module):
    loaded = run(
        f"import sys, TumorSegLib.{module};"
        "print(*{'torch', 'SimpleITK', 'monai'} & set(sys.modules))"
    )
    assert loaded == []


def test_nothing_imports_upward():
    for package, forbidden in (
        ("TumorSegLib", ("slicer", "vtk", "qt", "ctk", "TumorSeg")),
        ("training", ("slicer", "vtk", "qt", "ctk", "TumorSeg")),
    ):
        for path in (ROOT / package).rglob("*.py"):
            if path.parent.name == "slicer_io":  # knows Slicer's nodes
                continue
            for line in path.read_text(encoding="utf-8").splitlines():
                words = line.split()
                if words[:1] in (["import"], ["from"]):
                    assert words[1].split(".")[0] not in forbidden, f"{path}: {line}"


def test_public_names_resolve():
    import TumorSegLib

    for name in TumorSegLib.__all__:
        assert getattr(TumorSegLib, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        TumorSegLib.nothing  # noqa: B018


def test_a_typo_is_answered_without_waiting_for_torch():
    loaded = run(
        "import sys; from TumorSegLib import cli;"
        "assert cli.main(['segment', 'absent.nii.gz']) == 2; print(*{'torch'} & set(sys.modules))"
    )
    assert loaded == []
