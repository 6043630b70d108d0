"""That libraries which look at the standard input never meet the pipe that a thread reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bright_models import write_model

from TumorSegLib.worker import standard_input
from TumorSegLib.worker.protocol import (
    Done,
    Failed,
    Segment,
    Share,
    from_line,
    to_line,
)
from TumorSegLib.worker.shared_memory import SharedBlock
from TumorSegLib.worker.shared_voxels import SharedVolume

ROOT = Path(__file__).resolve().parent.parent

WATCHED_WORKER = """
import os, stat, sys, threading

def watch(event, args):
    if event == "import" and args[1]:  # a library of native code is about to be loaded
        reading = len(threading.enumerate()) > 1
        pipe = stat.S_ISFIFO(os.fstat(0).st_mode)
        os.write(2, f"native {args[0]} {reading} {pipe}\\n".encode())

sys.addaudithook(watch)
import TumorSegLib.worker.process
TumorSegLib.worker.process.main()
"""
"""On Windows a library that is loaded while a thread reads the standard input waits for ever; here
it is enough that it would."""


@pytest.fixture
def pipe():
    """The ends of a pipe whose reading end is this process' standard input."""
    reading, writing = os.pipe()
    kept = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)
    yield writing
    os.dup2(kept, 0)
    os.close(kept)


@pytest.mark.slow
def test_native_code_is_loaded_beside_the_reader_but_never_finds_its_pipe(tmp_path):
    model = write_model(tmp_path, "tiny")
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHED_WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    voxels = np.zeros((4, 64, 64), np.int16)
    voxels[:, 8:56, 8:56] = 60
    volume, labelmap, probabilities = (
        SharedBlock.create(size) for size in (voxels.nbytes, voxels.size, voxels.size)
    )
    volume.array(voxels.shape, np.int16)[:] = voxels
    flat = tuple(float(part) for part in np.eye(3).ravel())
    described = SharedVolume(
        volume.name, "int16", voxels.shape, (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), flat, "head"
    )
    for block in (volume, labelmap, probabilities):
        process.stdin.write(to_line(Share(block.name, len(block.memory))))
    job = Segment(1, str(model), {"flair": described}, labelmap.name, probabilities.name)
    process.stdin.write(to_line(job))
    process.stdin.flush()
    events = []
    for line in process.stdout:
        events.append(from_line(line))
        if isinstance(events[-1], Done | Failed):
            break
    _, printed = process.communicate()
    assert events, printed.decode()
    assert isinstance(events[-1], Done), events[-1]
    loaded = [line.split()[1:] for line in printed.decode().splitlines() if "native " in line]
    beside = [name for name, reading, _ in loaded if reading == "True"]
    assert any(name.startswith("scipy") for name in beside), "the reader was not there yet"
    assert any(name.startswith("torch") for name in beside)
    met = [name for name, reading, pipe in loaded if reading == "True" and pipe == "True"]
    assert met == []


def test_the_copy_reads_on_and_everybody_else_finds_nothing(pipe):
    with standard_input.take_standard_input() as commands:
        os.write(pipe, b"first\n")
        assert commands.readline() == b"first\n"
        assert os.read(0, 10) == b""
        os.write(pipe, b"second\n")
        os.close(pipe)
        assert commands.read() == b"second\n"


def test_the_copy_is_not_handed_to_child_processes(pipe):
    with standard_input.take_standard_input() as commands:
        assert not os.get_inheritable(commands.fileno())
        assert os.get_inheritable(0)
        os.close(pipe)


def test_windows_own_standard_handle_is_replaced_after_the_descriptor(pipe, monkeypatch):
    seen = []
    monkeypatch.setattr("TumorSegLib.support.system.is_windows", lambda: True)
    monkeypatch.setattr(
        standard_input,
        "_set_standard_handle",
        lambda descriptor: seen.append((descriptor, os.fstat(descriptor).st_rdev)),
    )
    standard_input.take_standard_input().close()
    os.close(pipe)
    assert seen == [(0, Path(os.devnull).stat().st_rdev)]
