"""A few damaged inputs to every reader, and proof that the harness notices what it should."""

from __future__ import annotations

import json
import mmap
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import numpy as np
import pytest

if sys.platform != "linux":
    pytest.skip("limits are set on a forked child", allow_module_level=True)
pytest.importorskip("pydicom", reason="the inputs are made with pydicom")

from fuzz.campaign import attack, keep, kept_input, replay, table
from fuzz.changes import BYTES
from fuzz.outcome import HANG, LEFT, MEMORY, OTHERS, READ, REFUSED, SIGNAL, TRACEBACK, UNCLEAR
from fuzz.record_targets import message_seeds
from fuzz.target import Target
from fuzz.targets import TARGETS
from fuzz.tree_changes import tree_changed

from TumorSegLib.errors import InputError

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent
INPUTS = 40
"""Of each target."""


@pytest.fixture(scope="module")
def short_run(tmp_path_factory):
    """The result of a short run of all targets, in a process that has loaded nothing else."""
    pytest.importorskip("slicer")
    kept = tmp_path_factory.mktemp("kept")
    command = ["-m", "fuzz", "--count", str(INPUTS), "--seed", "3", "--keep", str(kept / "faults")]
    paths = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        check=False,
    )


def test_no_damaged_input_does_harm(short_run):
    assert short_run.returncode == 0, short_run.stdout + short_run.stderr


def test_every_reader_read_some_inputs_and_refused_others(short_run):
    lines = [re.split(r"  +", line) for line in short_run.stdout.splitlines()]
    rows = {name: list(map(int, numbers)) for name, *numbers in lines[1:]}
    assert rows.keys() == {"together", *(target.name for target in TARGETS)}
    for name, (inputs, read, compared, refused, faults, _) in rows.items():
        assert inputs == INPUTS * (len(TARGETS) if name == "together" else 1)
        assert read + refused == inputs
        assert read == compared > 0
        assert refused > 0 or name == "worker message"
        assert faults == 0


def reader(read, **limits):
    return Target("made up", lambda: [{"a": b"content"}], read, (), **limits)


def end_by_signal(_folder):
    os.kill(os.getpid(), signal.SIGSEGV)


def write_outside(folder):
    (folder.parent / "escaped").write_text("x")
    return []


def leave_temporary(_folder):
    Path(tempfile.mkdtemp(), "volume").write_text("x")
    return []


def refuse(message):
    def read(_folder):
        raise InputError(message)

    return read


def fresh_pages(_folder):
    """Take memory that the process did not have, not what an earlier test gave back to it."""
    pages = np.frombuffer(mmap.mmap(-1, 60 << 20), np.uint8)
    pages[:] = 1
    return [pages]


KINDS = {
    "whole": (lambda folder: [(folder / "a").read_bytes()], READ),
    "refused": (refuse("a: damaged"), REFUSED),
    "signal": (end_by_signal, SIGNAL),
    "exit": (lambda _: os._exit(3), SIGNAL),
    "hang": (lambda _: time.sleep(600), HANG),
    "traceback": (lambda _: {}["a"], TRACEBACK),
    "system exit": (lambda _: sys.exit(0), TRACEBACK),
    "no message": (refuse(""), UNCLEAR),
    "too long": (refuse("a " * 5000), UNCLEAR),
    "memory": (fresh_pages, MEMORY),
    "memory that is refused": (lambda _: [np.ones(1 << 40, np.uint8)], MEMORY),
    "memory that a reader owns up to": (refuse("a: needs more memory than is free"), MEMORY),
    "memory that was not written": (lambda _: [np.empty(1 << 16, np.uint8)], OTHERS),
    "written outside": (write_outside, LEFT),
    "left behind": (leave_temporary, LEFT),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_becomes_of_an_input_is_noticed(kind):
    read, expected = KINDS[kind]
    limit = 1.0 if kind == "hang" else 60.0
    outcome = replay(reader(read, seconds=limit, megabytes=50), {"a": b"content"})
    assert outcome.kind == expected, outcome
    assert outcome.is_fault == (expected not in (READ, REFUSED))


def test_an_input_that_ends_its_process_is_told_apart_from_its_batch():
    def read(folder):
        content = (folder / "a").read_bytes()
        if len(content) % 5 == 0:
            end_by_signal(folder)
        return [content]

    target = reader(read, batch=20)
    tally = attack(target, seed=4, count=60)
    guilty = [n for n in range(60) if len(target.input(4, n).get("a", b"x")) % 5 == 0]
    assert [fault.number for fault in tally.faults if fault.kind == SIGNAL] == guilty
    assert tally.inputs == 60
    assert 0 < len(guilty) < 60


def test_an_input_that_harms_only_after_others_is_told_with_them():
    read_before = []

    def read(folder):
        read_before.append(folder)
        return end_by_signal(folder) if len(read_before) > 10 else []

    tally = attack(reader(read, batch=8), seed=4, count=8)
    assert [fault.number for fault in tally.faults] == [5]
    assert tally.faults[0].detail.startswith("after inputs 0 to 4 in one process; SIGSEGV")


def test_inputs_are_the_same_in_every_run():
    target = reader(lambda _: [])
    first = [target.input(1, number) for number in range(50)]
    assert first == [target.input(1, number) for number in range(50)]
    assert first != [target.input(2, number) for number in range(50)]
    assert len({str(files) for files in first}) > 30


def test_faulty_inputs_are_kept_and_read_again(tmp_path):
    tally = attack(reader(KINDS["traceback"][0]), seed=1, count=3, kept=tmp_path)
    folders = sorted(tmp_path.iterdir())
    assert [folder.name for folder in folders] == ["made-up-1-0", "made-up-1-1", "made-up-1-2"]
    assert "KeyError: 'a'" in json.loads((folders[0] / "about.json").read_text())["detail"]
    assert [kept_input(folder)[1] for folder in folders] == [
        reader(None).input(1, number) for number in range(3)
    ]
    assert "made up" in table([tally])
    files = {"a/b": b"1", "c": b""}
    keep(tmp_path / "more", files, {"target": "NRRD"})
    assert kept_input(tmp_path / "more") == ("NRRD", files)


def test_a_worker_answers_after_any_lines():
    rng = Random(5)
    seeds = [files["line.json"] for files in message_seeds()]
    lines = []
    for _ in range(300):
        change = rng.choice((tree_changed, *BYTES))
        lines.append(change(rng, rng.choice(seeds)).replace(b"\n", b" ") + b"\n")
    last = b'{"kind":"threshold","job":987654321,"sensitivity":0.5}\n'
    with subprocess.Popen(
        [sys.executable, "-m", "TumorSegLib.worker.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as worker:
        worker.stdin.write(b"".join(lines) + last)
        worker.stdin.flush()
        answers = []
        while not answers or answers[-1]["job"] != 987654321:
            answers.append(json.loads(worker.stdout.readline()))
        worker.stdin.close()
        assert worker.stdout.read() == b""
        assert b"Traceback" not in worker.stderr.read()
    assert worker.returncode == 0
    assert {answer["kind"] for answer in answers} == {"failed"}
    assert all(answer["message"].isprintable() for answer in answers)
