"""A checkout in developer mode: the library is found, and nothing else becomes importable."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PROGRAM = """
import sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path and path]
sys.path += [sys.argv[1], sys.argv[2]]
from TumorSegModule.library import find_library
find_library()
find_library()
import TumorSegLib.model.catalogue
from importlib.util import find_spec
print(TumorSegLib.__file__)
print([name for name in ("training", "Testing", "docs", "benchmarks") if find_spec(name)])
print(sys.argv[3] in sys.path)
"""


@pytest.mark.parametrize("layout", ["checkout", "installed"])
def test_only_the_library_becomes_importable(tmp_path, layout):
    place = tmp_path / "place"
    module = place if layout == "installed" else place / "TumorSeg"
    shutil.copytree(ROOT / "TumorSeg" / "TumorSegModule", module / "TumorSegModule")
    shutil.copytree(ROOT / "TumorSegLib", place / "TumorSegLib")
    for name in ("training", "Testing", "docs", "benchmarks"):
        if layout == "checkout":
            (place / name).mkdir()
            (place / name / "__init__.py").touch()
    packages = sysconfig.get_path("purelib")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", PROGRAM, str(module), packages, str(place)],
        capture_output=True,
        text=True,
        check=True,
    )
    library, others, listed = done.stdout.splitlines()
    assert Path(library) == place / "TumorSegLib" / "__init__.py"
    assert others == "[]"
    assert listed == str(layout == "installed")


def test_the_module_puts_no_folder_of_the_checkout_on_the_path():
    text = (ROOT / "TumorSeg" / "TumorSeg.py").read_text()
    assert "FOLDER.parent" not in text
