"""A node that is killed between any two steps loses nothing and does nothing twice."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom")
pytest.importorskip("highdicom")

import pydicom
from bright_models import write_ct_model
from node_bench import SECRETS, Pacs, connected, free_port, write_series
from waiting import wait_until

from TumorSegLib.node.status import read_status
from TumorSegLib.support.child_process import environment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="processes are killed by signals"),
]

SCRIPT = Path(__file__).parent / "node_killed.py"
MARK = "TUMORSEG_TEST_OF_A_NODE"
"""Variable by which processes that a node started are found."""
STEPS = (
    *("image written", "image noted", "complete", "begun", "segmented", "made"),
    *("sent", "noted as sent", "noted as removed", "removed"),
)


class Place:
    """A folder of a node in a process of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.pacs, self.port = Pacs(), free_port()
        self.pacs.start()
        write_ct_model(folder / "models", "tiny-ct", default=True)
        self.paths = write_series(folder / "ct")
        self.process = None

    def start(self, step="", when="after"):
        self.log = (self.folder / "log").open("ab")
        words = [str(self.folder), str(self.port), str(self.pacs.port), step, when]
        command = [sys.executable, str(SCRIPT), *words]
        around = environment() | {MARK: str(self.folder)}
        self.process = subprocess.Popen(command, stderr=self.log, env=around)
        wait_until(lambda: self.answers() or self.process.poll() is not None, state=self.said)

    def said(self):
        return (self.folder / "log").read_text("utf-8")

    def answers(self):
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def send(self):
        """Send until all is accepted or the node is gone; return what was accepted."""
        accepted = set()
        with connected(self.port) as association:
            for path in self.paths:
                try:
                    status = association.send_c_store(pydicom.dcmread(path))
                except RuntimeError:  # the node is gone
                    break
                if "Status" in status and status.Status == 0:
                    accepted.add(path)
        return accepted

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait()
        self.log.close()
        return self.process.returncode

    def held(self):
        images = self.folder / "node" / "images"
        return sum(name.endswith(".dcm") for _, _, names in os.walk(images) for name in names)

    def counts(self):
        return read_status(self.folder / "node").counts


@pytest.fixture
def place(tmp_path):
    place = Place(tmp_path)
    yield place
    if place.process is not None and place.process.poll() is None:
        place.end(signal.SIGKILL)
    place.pacs.stop()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_between_two_steps_it_loses_nothing_and_does_nothing_twice(place, step, when):
    place.start(step, when)
    accepted = place.send()
    place.process.wait()
    assert place.process.returncode == -signal.SIGKILL
    if "removed" not in step:
        assert place.held() >= len(accepted)
    place.start()
    if len(accepted) < len(place.paths):  # its sender tries again, as it was not told of success
        assert place.send() == set(place.paths)
    wait_until(lambda: place.counts() == {"sent": 1} and not place.held(), state=place.said)
    assert set(place.pacs.modalities) == {"SEG", "SR"}
    assert len({one.SOPInstanceUID for one in place.pacs.objects}) == 2
    assert place.send() == set(place.paths)  # known, and not done again
    assert place.end() == 0
    assert place.counts() == {"sent": 1}
    assert not [word for word in SECRETS if word in place.said()]
    assert not list((place.folder / "node" / "images").iterdir())


def test_the_process_of_models_ends_with_a_node_that_is_killed(place):
    place.start("segmented", "after")
    place.send()
    place.process.wait()
    wait_until(lambda: not started_from(place.folder))


def started_from(folder):
    """Ids of processes that nodes on a folder started, and that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"{MARK}={folder}\0".encode() in path.read_bytes():
                found.append(path.parent.name)
    return found
