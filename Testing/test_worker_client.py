"""The panel's end of the worker: it never waits, here and on a pretended Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bright_models import write_model
from pretended_windows import PIPE_BYTES, Windows, end
from waiting import HANG_SECONDS, wait_until

from TumorSegLib.support.steps import finished
from TumorSegLib.worker.protocol import Done, Failed, Segment, Threshold, Thresholded
from TumorSegLib.worker.shared_memory import PREFIX
from TumorSegLib.worker.shared_voxels import SharedVolume

pytestmark = pytest.mark.slow

MODULE = Path(__file__).resolve().parent.parent / "TumorSeg"

BUSY_WORKER = """
import pathlib, sys, time
allowed = pathlib.Path(sys.argv[1])
for _ in range(18_000):
    if allowed.exists():
        break
    time.sleep(0.05)
else:
    sys.exit(3)
lines = sys.stdin.buffer.read(int(sys.argv[2])).splitlines()
print(len(lines), len(set(lines)), file=sys.stderr, flush=True)
sys.stdin.buffer.read()
"""
"""A worker that is starting, as behind a virus scanner: it reads once a file is there."""


@pytest.fixture
def client_of(monkeypatch):
    """Makes clients, which are ended after the test."""
    monkeypatch.syspath_prepend(str(MODULE))
    from TumorSegModule.logic.worker_client import WorkerClient

    clients = []

    def make(*python):
        clients.append(WorkerClient(python))
        return clients[-1]

    yield make
    monkeypatch.undo()
    for client in clients:
        process = client._process
        client.stop()
        if process is not None:
            end(process)


@pytest.fixture(params=[(3, 11), (3, 12)], ids=["Python 3.11", "Python 3.12"])
def windows(request, monkeypatch):
    monkeypatch.syspath_prepend(str(MODULE))
    return Windows(monkeypatch, request.param)


def until(client, condition):
    """Poll until `condition` holds; return all events."""
    events = []
    wait_until(
        lambda: condition(events) or events.extend(client.poll()), state=lambda: list(client.log)
    )
    return events


def check_that_nothing_waits(client_of, tmp_path):
    commands = [Threshold(number, 0.5) for number in range(20_000)]
    from TumorSegLib.worker.protocol import to_line

    size = sum(len(to_line(command)) for command in commands)
    allowed = tmp_path / "read"
    client = client_of(sys.executable, "-c", BUSY_WORKER, str(allowed), str(size))
    client.start()
    for command in commands:
        client.send(command)
    assert client.pid is not None
    assert client.poll() == []
    assert client.sending, "the pipe cannot have taken so much: somebody has waited for the worker"
    allowed.touch()
    until(client, lambda _: len(client.log) > 0)
    assert client.log[0] == "20000 20000"
    assert not client.sending


def test_a_worker_that_does_not_read_yet_holds_nobody_up(client_of, tmp_path):
    check_that_nothing_waits(client_of, tmp_path)


def test_a_worker_that_does_not_read_yet_holds_nobody_up_on_windows(windows, client_of, tmp_path):
    check_that_nothing_waits(client_of, tmp_path)


def test_a_worker_that_ends_before_it_has_read_everything_is_noticed(client_of):
    client = client_of(sys.executable, "-c", "import sys; sys.exit(3)")
    client.start()
    for number in range(20_000):
        client.send(Threshold(number, 0.5))
    events = until(client, lambda events: len(events) > 0)
    assert [type(event).__name__ for event in events] == ["WorkerEnded"]
    assert client.pid is None
    client.send(Threshold(1, 0.5))  # nobody is there: nothing happens


def test_a_volume_is_segmented_on_windows(windows, client_of, tmp_path):
    model = write_model(tmp_path, "tiny")
    voxels = np.zeros((12, 64, 64), np.int16)
    voxels[:, 8:56, 8:56] = 60
    voxels[4:8, 20:30, 20:30] = 200
    voxels[5, 24, 24] = 210
    client = client_of(sys.executable)
    client.start()
    volume, labelmap, probabilities = (
        finished(client.new_block(size)) for size in (voxels.nbytes, voxels.size, voxels.size)
    )
    volume.array(voxels.shape, np.int16)[:] = voxels
    flat = tuple(float(part) for part in np.eye(3).ravel())
    name = "Kopf " * PIPE_BYTES  # a message that no pipe takes at once
    described = SharedVolume(
        volume.name, "int16", voxels.shape, (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), flat, name
    )
    client.send(Segment(1, str(model), {"flair": described}, labelmap.name, probabilities.name))
    events = until(client, lambda events: isinstance((events or [None])[-1], Done | Failed))
    assert isinstance(events[-1], Done), events[-1]
    assert labelmap.array(voxels.shape, np.uint8)[5, 24, 24] == 1
    client.send(Threshold(1, 0.5))
    until(client, lambda events: any(isinstance(event, Thresholded) for event in events))
    process = client._process
    client.stop()
    assert windows.killed == [process.pid]
    process.wait(HANG_SECONDS)
    assert not list(Path("/dev/shm").glob(f"{PREFIX}*-{process.pid}-*"))


def test_without_taskkill_the_process_is_ended_itself(windows, client_of):
    windows.has_taskkill = False
    client = client_of(sys.executable, "-c", "import time; time.sleep(600)")
    client.start()
    process = client._process
    client.stop()
    process.wait(HANG_SECONDS)
    assert process.returncode != 0


def test_waiting_for_the_end_of_a_process_has_a_limit(monkeypatch):
    from TumorSegLib.worker import process_group

    monkeypatch.setattr(process_group, "end_group", lambda process: None)  # as where it is blocked
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    limits = iter([0.05, HANG_SECONDS])  # until it is killed, and after
    wait = process.wait
    monkeypatch.setattr(process, "wait", lambda timeout: wait(next(limits)))
    assert process_group.end_group_and_wait(process)
    assert process.returncode is not None

    class Immortal:
        """A process in the kernel's hands: a network drive that hangs."""

        killed = 0

        def wait(self, timeout):
            assert timeout is not None
            raise subprocess.TimeoutExpired("worker", timeout)

        def kill(self):
            self.killed += 1

    immortal = Immortal()
    assert not process_group.end_group_and_wait(immortal)
    assert immortal.killed == 1


def never_ends(monkeypatch, child):
    """Have nothing end a process, and whoever waits for that not wait long."""
    from TumorSegLib.worker import process_group

    monkeypatch.setattr(process_group, "END_SECONDS", 0.05)
    monkeypatch.setattr(process_group, "end_group", lambda process: None)
    monkeypatch.setattr(child, "kill", lambda: None)


def test_cancelling_never_waits_for_an_installation_that_does_not_end(monkeypatch):
    monkeypatch.syspath_prepend(str(MODULE))
    from TumorSegModule.logic.install_process import InstallProcess, Step

    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    process = InstallProcess([Step("", lambda: command)])
    process.start()
    child = process._process
    never_ends(monkeypatch, child)
    process.cancel()
    assert not process.busy
    assert process.state.stage == "cancelled"
    monkeypatch.undo()
    end(child)


PRINTS_HALF_A_LETTER = """
import pathlib, sys, time
out = sys.stdout.buffer
out.write("Müller".encode()[:2])
out.flush()
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
out.write("Müller\\n\u2502".encode()[2:-1])
"""


def test_a_letter_that_is_printed_in_two_parts_stays_whole(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(MODULE))
    from TumorSegModule.logic.install_process import InstallProcess, Step

    seen = tmp_path / "seen"
    command = [sys.executable, "-c", PRINTS_HALF_A_LETTER, str(seen)]
    process = InstallProcess([Step("", lambda: command)])
    process.start()
    wait_until(lambda: process._read_to == 2, turn=process.poll)
    seen.touch()
    wait_until(lambda: not process.busy, turn=process.poll)
    assert list(process.lines) == ["Müller", "\N{REPLACEMENT CHARACTER}"]


def test_a_retraining_that_does_not_stop_is_ended_once(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(MODULE))
    from TumorSegModule.logic import retrain_process

    process = retrain_process.RetrainProcess(
        [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path
    )
    process.start(retrain_process.RetrainRequest(str(tmp_path / "cases"), "base", epochs=1))
    ended = []
    monkeypatch.setattr(retrain_process, "STOP_SECONDS", -1.0)
    with monkeypatch.context() as changed:
        changed.setattr(retrain_process, "end_group", ended.append)  # which takes its time
        process.stop()
        for _ in range(3):
            process.poll()
        assert ended == [process._process]
    retrain_process.end_group(process._process)
    wait_until(lambda: not process.busy, turn=process.poll)
    assert process.state.stage == "stopped"


@pytest.mark.parametrize("name", ["liver [1]", "liver[!a]"])
def test_a_run_of_a_folder_whose_name_looks_like_a_pattern_goes_on(monkeypatch, tmp_path, name):
    monkeypatch.syspath_prepend(str(MODULE))
    from TumorSegModule.logic.retrain_process import (
        CHECKPOINT,
        PLAN,
        RetrainProcess,
        RetrainRequest,
    )

    run = tmp_path / f"{name}-base-1"
    for file in (run / CHECKPOINT, run / PLAN):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    request = RetrainRequest(str(tmp_path / name), "base", epochs=1)
    process = RetrainProcess([], tmp_path)
    assert process.resumable(request) == run
    assert process._new_folder(request) == tmp_path / f"{name}-base-2"


def test_closing_the_panel_never_waits_for_a_retraining_that_does_not_end(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(MODULE))
    from TumorSegModule.logic.retrain_process import RetrainProcess, RetrainRequest

    process = RetrainProcess([sys.executable, "-c", "import time; time.sleep(600)"], tmp_path)
    process.start(RetrainRequest(str(tmp_path / "cases"), "base", epochs=1))
    child = process._process
    never_ends(monkeypatch, child)
    process.close()
    assert not process.busy
    assert process.state.stage == "stopped"
    monkeypatch.undo()
    end(child)
