"""What tests must not leave is found, and their processes work as a user's do."""

from __future__ import annotations

import compileall
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from surroundings import ROOT, Watch


@pytest.fixture
def checkout(tmp_path):
    """A small checkout with byte code, and the folder of its tests, watched."""
    root, folder = tmp_path / "checkout", tmp_path / "folder"
    for place in (root, folder / "home", folder / "temporary"):
        place.mkdir(parents=True)
    (root / "module.py").write_text("numbers = [" + "1.5, " * 100 + "]\n")
    compileall.compile_dir(root, quiet=2)
    return root, folder, Watch(root, folder, ())


def test_nothing_is_found_where_only_caches_were_written(checkout):
    root, folder, watch = checkout
    (root / ".pytest_cache").mkdir()
    (root / ".pytest_cache" / "lastfailed").touch()
    (folder / "home" / ".cache" / "fontconfig").mkdir(parents=True)
    assert watch.faults() == []


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (lambda root, folder: (root / "demo.nrrd").touch(), "left in the checkout"),
        (lambda root, folder: (root / "module.py").unlink(), "gone from the checkout"),
        (lambda root, folder: (root / "module.py").write_text("a"), "changed while the tests ran"),
        (lambda root, folder: (folder / "home/.cache/tumorseg").mkdir(parents=True), "left by a"),
        (lambda root, folder: (folder / "home" / "settings").touch(), "left by a test"),
        (lambda root, folder: (folder / "temporary" / "out.mrb").touch(), "left by a test"),
    ],
)
def test_what_is_left_is_found(checkout, act, line):
    root, folder, watch = checkout
    act(root, folder)
    (found,) = watch.faults()
    assert line in found


@pytest.mark.parametrize("left", [16, 200])
def test_byte_code_that_is_cut_short_is_found(checkout, left):
    root, _, watch = checkout
    (path,) = (root / "__pycache__").iterdir()
    path.write_bytes(path.read_bytes()[:left])
    assert watch.faults() == [f"{path}: byte code, cut short"]


def test_children_write_byte_code_and_know_no_folder_of_the_user(tmp_path):
    (tmp_path / "module.py").touch()
    subprocess.run([sys.executable, "-c", "import module"], cwd=tmp_path, check=True)
    assert list((tmp_path / "__pycache__").iterdir())
    own = Path(os.environ["TUMORSEG_TESTS"])
    assert Path.home().parent == own
    assert Path(tempfile.gettempdir()).parent == own


CRASHING = """
import ctypes, signal
def test_that_trains():
    signal.signal(signal.SIGSEGV, signal.SIG_DFL)  # as Lightning leaves it
def test_that_crashes():
    ctypes.string_at(8)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_a_crash_says_where_it_was_after_a_training(tmp_path):
    (tmp_path / "test_crash.py").write_text(CRASHING)
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    modules = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": modules, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGSEGV
    assert "test_crash.py" in done.stderr
    assert "in test_that_crashes" in done.stderr


def test_no_test_looks_at_a_clock():
    """What takes long on a busy machine is no fault; `waiting` ends what hangs."""
    clocks = re.compile(r"\btime\.(time|monotonic|perf_counter|process_time|thread_time)\b")
    tests = sorted((ROOT / "Testing").glob("test_*.py"))
    assert not [path.name for path in tests if clocks.search(path.read_text(encoding="utf-8"))]


@pytest.mark.slow
def test_a_command_removes_byte_code_that_a_full_disk_cut_short(tmp_path):
    """Python before 3.12.8 keeps such a file, and fails on it for ever."""
    shutil.copytree(ROOT / "TumorSegLib", tmp_path / "TumorSegLib")
    folder = tmp_path / "TumorSegLib" / "commands"
    compileall.compile_dir(folder, quiet=2)
    (path,) = (folder / "__pycache__").glob(f"models.{sys.implementation.cache_tag}.pyc")
    path.write_bytes(path.read_bytes()[:300])
    shutil.copytree(ROOT / "Resources" / "Models" / "brain-lgg-ensemble", tmp_path / "models" / "a")
    command = [sys.executable, "-m", "TumorSegLib.cli", "models"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "TUMORSEG_MODELS": str(tmp_path / "models"),
    }
    first, second = (
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        for _ in range(2)
    )
    assert first.returncode == 2
    assert first.stderr.startswith(f"tumorseg: {path}: was cut short")
    assert first.stderr.count("\n") == 1
    assert second.returncode == 0, second.stderr
