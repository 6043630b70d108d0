"""Ctrl-C, SIGTERM and kills while results are written leave what was there, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from results import names_in

from TumorSegLib.support.atomic_write import atomic_write
from TumorSegLib.support.leftovers import owner
from TumorSegLib.support.signals import ended_as_by_ctrl_c, signals_held

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")

SCENE = """
import os, signal, sys
from pathlib import Path
import numpy as np
from results import result_of, two_structures
from tiny_models import ct_specification
from TumorSegLib.support.signals import ended_as_by_ctrl_c
from TumorSegLib.writing import write_segmentation
from TumorSegLib.writing import scene

step = getattr(scene, sys.argv[2])
calls = []

def interrupted(*arguments):
    calls.append(sys.argv[2])
    os.kill(os.getpid(), int(sys.argv[3]))
    return step(*arguments)

setattr(scene, sys.argv[2], interrupted)
voxels = np.random.default_rng(0).integers(-1000, 900, (7, 20, 24)).astype(np.int16)
result = result_of(two_structures(), ct_specification(), voxels=voxels)
try:
    with ended_as_by_ctrl_c():
        write_segmentation(result, Path(sys.argv[1]), overwrite=True)
except KeyboardInterrupt:
    assert calls
    sys.exit(130)
"""


def child(script, *words):
    path = os.pathsep.join([str(ROOT), str(ROOT / "Testing")])
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["write_image_atomically", "_description", "_add_view"])
def test_an_interrupted_scene_leaves_what_was_there(tmp_path, step, number):
    path = tmp_path / "out.mrb"
    path.write_bytes(b"earlier")
    done = child(SCENE, path, step, int(number))
    assert done.returncode == 130, done.stderr
    assert path.read_bytes() == b"earlier"
    assert names_in(tmp_path) == ["out.mrb"]


TERMINATED = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever started the tests may ignore it
import TumorSegLib.commands.models as models
from TumorSegLib.cli import main
from TumorSegLib.support.atomic_write import atomic_write
from pathlib import Path

def run(arguments):
    with atomic_write(Path(sys.argv[1])) as new:
        new.write_bytes(b"a patient's")
        os.kill(os.getpid(), int(sys.argv[2]))
        signal.pause()

models.run = run
sys.exit(main(["models"]))
"""


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_command_that_is_asked_to_end_leaves_nothing(tmp_path, number):
    done = child(TERMINATED, tmp_path / "out.nrrd", int(getattr(signal, number)))
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert names_in(tmp_path) == []


def test_a_command_goes_on_without_its_terminal_where_nohup_started_it(tmp_path):
    going_on = TERMINATED.replace("signal.pause()", "return 0").replace("SIG_DFL", "SIG_IGN")
    done = child(going_on, tmp_path / "out.nrrd", int(signal.SIGHUP))
    assert done.returncode == 0, done.stderr
    assert names_in(tmp_path) == ["out.nrrd"]


@pytest.fixture
def attended():
    """Closed terminals end this process, whether or not who started it has that ignored."""
    kept = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, kept)


@pytest.mark.usefixtures("attended")
def test_a_closed_terminal_asks_to_end_whoever_has_taken_sigterm_by_then():
    came = []
    with ended_as_by_ctrl_c():
        signal.signal(signal.SIGTERM, lambda number, _frame: came.append(number))
        assert signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL  # that would end the tests
        signal.raise_signal(signal.SIGHUP)
    assert came == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_what_killed_processes_left_goes_and_all_else_stays(tmp_path):
    killed = child("import os; from TumorSegLib.support.leftovers import owner; print(owner())")
    names = {
        f".tumorseg-{killed.stdout.strip()}-abc": False,
        f".tumorseg-{owner()}-abc": True,
        ".tumorseg-00000000-1-new": True,
        ".tumorseg-00000000-1-old": False,
        ".tumorseg-settings": True,
        ".tumorseg-my-own-notes": True,
    }
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "new.nrrd").write_bytes(b"a patient's")
        if not name.endswith("new"):
            os.utime(tmp_path / name, (0, 0))
    with atomic_write(tmp_path / "out.nrrd") as new:
        new.write_bytes(b"result")
    stayed = [name for name, stays in names.items() if stays]
    assert names_in(tmp_path) == sorted([*stayed, "out.nrrd"])


def test_signals_wait_until_the_block_ends():
    passed, before = [], signal.getsignal(signal.SIGINT)

    def block():
        with ended_as_by_ctrl_c(), signals_held():
            os.kill(os.getpid(), signal.SIGTERM)
            passed.append("went on")

    with pytest.raises(KeyboardInterrupt):
        block()
    assert passed == ["went on"]
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_leave_signals_alone():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def look():
        with ended_as_by_ctrl_c(), signals_held():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
