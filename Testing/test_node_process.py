"""The process of a node's models: a crash in it costs the series that it was at, not the node."""

from __future__ import annotations

import os
import signal

import pytest

pytest.importorskip("pynetdicom")

from node_bench import NodeBench, send, write_series
from waiting import wait_until

from TumorSegLib.node import model_process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="processes are ended by signals"),
]


class Bomb:
    """A task that ends the process which takes it."""

    def __init__(self, task):
        self.case, self.fingerprint = task.case, task.fingerprint

    def __reduce__(self):
        return signal.raise_signal, (signal.SIGKILL,)


class CrashingOnce(model_process.ModelProcess):
    """Has its process killed by the first series."""

    bombs = 1

    def run(self, task):
        if self.bombs:
            self.bombs = 0
            return super().run(Bomb(task))
        return super().run(task)


@pytest.fixture
def own_process(tmp_path, monkeypatch):
    monkeypatch.setattr("TumorSegLib.node.service.TURN_SECONDS", 0.02)
    bench = NodeBench(tmp_path)
    bench.pacs.start()
    yield bench
    bench.close()


def test_a_series_with_which_the_process_ends_is_named_and_the_next_is_done(
    own_process, tmp_path, monkeypatch
):
    monkeypatch.setattr("TumorSegLib.node.service.ModelProcess", CrashingOnce)
    own_process.start()
    paths = write_series(tmp_path / "a")
    send(own_process.port, paths)
    assert own_process.wait_for("failed")[0] == (
        "series 1: failed: the process that segments ended (SIGKILL, perhaps for lack of memory)"
    )
    send(own_process.port, write_series(tmp_path / "b", 7))
    own_process.wait_for("series 2: sent to PACS")
    send(own_process.port, paths)  # sent again, it is tried again
    own_process.wait_for("series 1: sent to PACS")
    own_process.wait_idle()
    assert own_process.pacs.modalities == ["SEG", "SR"] * 2


def test_one_process_does_all_series(own_process, tmp_path):
    own_process.start()
    send(own_process.port, write_series(tmp_path / "a"))
    own_process.wait_for("series 1: sent to PACS")
    process = own_process.node._process._process
    send(own_process.port, write_series(tmp_path / "b", 7))
    own_process.wait_for("series 2: sent to PACS")
    assert own_process.node._process._process is process


def test_told_to_end_in_the_middle_the_series_is_given_back(own_process, tmp_path):
    own_process.start()
    send(own_process.port, write_series(tmp_path / "a"))
    of_models = own_process.node._process
    wait_until(lambda: of_models._process is not None and of_models._process.pid)
    os.kill(of_models._process.pid, signal.SIGSTOP)  # it is at it for ever
    own_process.stop()
    assert own_process.heard.about("series 1: given back")
    own_process.start()
    own_process.wait_for("series 1: sent to PACS")
