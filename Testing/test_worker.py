"""The worker process by itself: protocol, results, and that nothing is left behind."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bright_models import write_model
from safetensors.torch import load_file, save_file
from tiny_models import write_blind_detector
from waiting import HANG_SECONDS, wait_until

from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.worker.protocol import (
    Cancel,
    Done,
    Failed,
    Progress,
    Segment,
    Share,
    Started,
    Stopped,
    Threshold,
    Thresholded,
    from_line,
    to_line,
)
from TumorSegLib.worker.shared_memory import PREFIX, RESERVED_BYTES, SharedBlock
from TumorSegLib.worker.shared_voxels import SharedVolume

SHAPE = (12, 64, 64)
MANY = 100
"""Times that many slices take minutes, so that a run is always caught in its middle."""


class Peer:
    """The other end of a worker's pipes."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "TumorSegLib.worker.process", "--own-group"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            cwd=Path(__file__).resolve().parent.parent,
        )

    def send(self, *commands):
        for command in commands:
            self.process.stdin.write(to_line(command))
        self.process.stdin.flush()

    def until(self, *kinds):
        events = []
        while True:
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read().decode()
            events.append(from_line(line))
            if isinstance(events[-1], kinds):
                return events


@pytest.fixture
def peer():
    peer = Peer()
    yield peer
    if peer.process.poll() is None:
        os.killpg(peer.process.pid, signal.SIGKILL)
    peer.process.wait()
    for stream in (peer.process.stdin, peer.process.stdout, peer.process.stderr):
        stream.close()


@pytest.fixture
def voxels():
    return block()


def block():
    voxels = np.zeros(SHAPE, np.int16)
    voxels[:, 8:56, 8:56] = 60
    voxels[4:8, 20:30, 20:30] = 200
    voxels[5, 24, 24] = 210
    return voxels


def shared(array, peer):
    block = SharedBlock.create(array.nbytes)
    block.array(array.shape, array.dtype)[:] = array
    peer.send(Share(block.name, array.nbytes))
    return block


def segment(peer, model, voxels, job=1, **changes):
    """Send a job and return its label map and probabilities."""
    volume = shared(voxels, peer)
    labelmap = shared(np.zeros(voxels.shape, np.uint8), peer)
    probabilities = shared(np.zeros((1, *voxels.shape), np.uint8), peer)
    flat = tuple(float(part) for part in np.eye(3).ravel())
    described = SharedVolume(
        volume.name, voxels.dtype.name, voxels.shape, (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), flat, "head"
    )
    peer.send(
        Segment(
            job,
            str(model),
            {"flair": described},
            labelmap.name,
            probabilities.name,
            RunOptions(**changes),
        )
    )
    return labelmap.array(voxels.shape, np.uint8), probabilities.array((1, *voxels.shape), np.uint8)


def leftovers(creator=None):
    """Return the blocks with a name that a process has made, by default this one."""
    return [path.name for path in Path("/dev/shm").glob(f"{PREFIX}*-{creator or os.getpid()}-*")]


def test_every_message_survives_its_line():
    volume = SharedVolume(
        "b", "int16", (1, 2, 3), (1.0,) * 3, (0.0,) * 3, (0.5,) * 9, "Müller T1 \N{BRAIN}"
    )
    every_option = RunOptions("cpu", "fp32", True, False, "/blind", 0.3, (1, 2))
    messages = [
        Share("b", 3),
        Segment(1, "/a b/ü", {"flair": volume}, "l", "p", every_option),
        Threshold(1, 0.5),
        Cancel(1),
        Started(1, "cpu", "no GPU", 0.25),
        Progress(1, 2, 3, 0, 2),
        Done(1, (0, 1, 0, 1, 0, 1), "cpu", "fp32", {"network": 0.1}, ("a",), ((0, 1.0, 0.5, 2.5),)),
        Failed(1, "line", "details"),
    ]
    for message in messages:
        line = to_line(message)
        assert line.count(b"\n") == 1
        assert from_line(line) == message


def test_segments_what_is_bright_slice_by_slice(peer, tmp_path, voxels):
    labelmap, probabilities = segment(peer, write_model(tmp_path, "tiny"), voxels)
    events = peer.until(Done, Failed)
    done = events[-1]
    assert isinstance(done, Done), done
    assert isinstance(events[0], Started)
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in progress] == sorted({event.done for event in progress})
    assert progress[-1].done == progress[-1].total == SHAPE[0]
    assert done.box[0:2] == (4, 8)
    z0, z1, y0, y1, x0, x1 = done.box
    assert labelmap[z0:z1, y0:y1, x0:x1].any()
    assert labelmap.sum() == labelmap[z0:z1, y0:y1, x0:x1].sum() > 300
    assert (probabilities[0][labelmap > 0] >= 127).all()
    assert len(done.slices) == SHAPE[0]


def test_geometry_of_a_flipped_volume(peer, tmp_path, voxels):
    labelmap, _ = segment(peer, write_model(tmp_path, "tiny"), np.ascontiguousarray(voxels[::-1]))
    assert isinstance(peer.until(Done, Failed)[-1], Done)
    assert labelmap[4:8].any()
    assert not labelmap[8:].any()


def test_threshold_changes_the_label_map_without_another_run(peer, tmp_path, voxels):
    labelmap, _ = segment(peer, write_model(tmp_path, "tiny"), voxels)
    peer.until(Done)
    sizes = {}
    for sensitivity in (0.0, 1.0, -1.0):
        peer.send(Threshold(1, sensitivity))
        events = peer.until(Thresholded, Failed)
        assert [type(event) for event in events] == [Thresholded]
        sizes[sensitivity] = int(labelmap.sum())
    assert sizes[-1.0] <= sizes[0.0] <= sizes[1.0]
    assert sizes[-1.0] < sizes[1.0]


def test_a_slice_alone(peer, tmp_path, voxels):
    labelmap, _ = segment(peer, write_model(tmp_path, "tiny"), voxels, slices=(6, 7))
    assert isinstance(peer.until(Done, Failed)[-1], Done)
    assert labelmap[6].any()
    assert not labelmap[5].any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: np.zeros_like(v), "nothing to segment"),
        (lambda v: np.where(v > 0, np.nan, 0.0), "NaN"),
    ],
)
def test_unusable_voxels_give_one_line_and_the_worker_lives(peer, tmp_path, voxels, change, words):
    model = write_model(tmp_path, "tiny")
    segment(peer, model, change(voxels))
    failed = peer.until(Failed, Done)[-1]
    assert isinstance(failed, Failed)
    assert words in failed.message
    assert "\n" not in failed.message
    segment(peer, model, voxels, job=2)
    assert isinstance(peer.until(Done, Failed)[-1], Done)


def test_a_missing_model_gives_one_line(peer, tmp_path, voxels):
    segment(peer, tmp_path / "nothing", voxels)
    failed = peer.until(Failed, Done)[-1]
    assert "nothing" in failed.message
    assert failed.details == ""


def test_a_detector_chooses_slices_and_a_missing_one_gives_one_line(peer, tmp_path, voxels):
    model = write_model(tmp_path, "tiny")
    labelmap, _ = segment(peer, model, voxels, slice_detector=str(tmp_path / "nobody"))
    failed = peer.until(Failed, Done)[-1]
    assert "nobody" in failed.message
    assert not labelmap.any()
    detector = write_blind_detector(tmp_path)
    labelmap, _ = segment(peer, model, voxels, job=2, slice_detector=str(detector.folder))
    done = peer.until(Done, Failed)[-1]
    assert f"{SHAPE[0]} of {SHAPE[0]} slices were not segmented" in done.warnings[-1]
    assert not labelmap.any()
    labelmap, _ = segment(peer, model, voxels, job=3)
    peer.until(Done, Failed)
    assert labelmap.any()


def blind(folder):
    """Replace a model by one of the same name and size that finds nothing."""
    content = json.loads((folder / "model.json").read_text())
    weights = load_file(folder / "weights.safetensors")
    weights["head.bias"].fill_(-99)
    save_file(weights, folder / "weights.safetensors")
    content["weights"]["sha256"] = hashlib.sha256(
        (folder / "weights.safetensors").read_bytes()
    ).hexdigest()
    (folder / "model.json").write_text(json.dumps(content))


def write_ensemble(folder, members):
    content = json.loads((folder / members[0] / "model.json").read_text())
    del content["network"], content["weights"]
    (folder / "both").mkdir()
    (folder / "both" / "model.json").write_text(
        json.dumps({**content, "id": "both", "members": members})
    )
    return folder / "both"


def test_a_member_that_was_retrained_is_loaded_anew(peer, tmp_path, voxels):
    """Of an ensemble, whose own file does not change."""
    members = ["one", "other"]
    for member in members:
        write_model(tmp_path, member)
    ensemble = write_ensemble(tmp_path, members)
    labelmap, before = segment(peer, ensemble, voxels)
    assert isinstance(peer.until(Done, Failed)[-1], Done)
    assert labelmap.any()
    blind(tmp_path / "other")
    _, after = segment(peer, ensemble, voxels, job=2)
    done = peer.until(Done, Failed)[-1]
    assert isinstance(done, Done), done
    assert after.max() == pytest.approx(before.max() / 2, abs=1)


def test_weights_that_changed_under_a_warm_worker_are_looked_at_again(peer, tmp_path, voxels):
    model = write_model(tmp_path, "tiny")
    segment(peer, model, voxels)
    assert isinstance(peer.until(Done, Failed)[-1], Done)
    path = model / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    segment(peer, model, voxels, job=2)
    failed = peer.until(Done, Failed)[-1]
    assert isinstance(failed, Failed), "the old weights answered for a model that is damaged"
    assert "the file is damaged" in failed.message


def test_cancel_before_the_start_and_in_the_middle(peer, tmp_path, voxels):
    model = write_model(tmp_path, "tiny", width=16, depth=3)
    segment(peer, model, voxels, job=1)
    peer.send(Cancel(1))
    assert isinstance(peer.until(Stopped, Done)[-1], Stopped)
    segment(peer, model, np.tile(voxels, (MANY, 1, 1)), job=2)
    peer.until(Progress)
    peer.send(Cancel(2))
    assert isinstance(peer.until(Stopped, Done)[-1], Stopped)
    segment(peer, model, voxels, job=3)
    assert isinstance(peer.until(Done, Failed)[-1], Done)


def test_blocks_have_no_names_once_attached(peer, voxels):
    alone = SharedBlock.create(1)
    assert leftovers() == [alone.name]
    alone.unlink()
    shared(voxels, peer)
    wait_until(lambda: not leftovers())


def test_a_block_that_is_left_half_made_leaves_nothing():
    making = SharedBlock.creating(3 * RESERVED_BYTES)
    next(making)
    assert len(leftovers()) == 1
    making.close()
    assert not leftovers()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory has no size of its own")
def test_the_pages_of_a_block_are_there_or_it_is_not_made():
    """Else the process ends while voxels are copied, and their name stays."""
    block = SharedBlock.create(4 << 20)
    status = Path("/dev/shm", block.name).stat()
    block.unlink()
    assert status.st_blocks * 512 >= 4 << 20
    assert status.st_mode & 0o777 == 0o600
    whole = os.statvfs("/dev/shm")
    with pytest.raises(OSError, match="No space left on device"):
        SharedBlock.create((whole.f_blocks + 1) * whole.f_frsize)
    assert not leftovers()


@pytest.mark.parametrize(
    ("line", "answered"),
    [
        (b"\n", False),
        (b"not json", False),
        (b"\xff\xfe", False),
        (b"[" * 100_000, False),
        (b'{"kind": "segment", "job": ' + b"9" * 5000 + b"}", False),
        (b"7", False),
        (b'{"kind": ["segment"], "job": 5}', True),
        (b'{"kind": "segment", "job": 5}', True),
        (b'{"kind": "unknown", "job": 5}', True),
        (b'{"kind": "share", "block": "x\\u0000", "size": -1, "job": 5}', True),
    ],
)
def test_a_line_that_is_no_command_is_answered_and_the_worker_goes_on(
    peer, tmp_path, voxels, line, answered
):
    peer.process.stdin.write(line + b"\n")
    segment(peer, tmp_path / "nowhere", voxels)
    *others, last = peer.until(*([Failed]))
    if answered:
        assert last.job == 5
        assert "not a command of this version" in last.message
        (last,) = peer.until(Failed)
    assert not others
    assert "nowhere" in last.message
    peer.process.stdin.close()
    said = peer.process.stderr.read().decode()
    assert answered or "not a command of this version" in said
    assert "Traceback" not in said


def test_ends_with_its_standard_input_though_busy(peer, tmp_path, voxels):
    model = write_model(tmp_path, "tiny", width=16, depth=3)
    segment(peer, model, np.tile(voxels, (MANY, 1, 1)))
    peer.until(Progress)
    peer.process.stdin.close()
    events = [from_line(line) for line in peer.process.stdout]
    peer.process.wait(HANG_SECONDS)
    assert {type(event) for event in events} <= {Progress}
    assert not events or events[-1].done < events[-1].total
    assert not leftovers()


def test_descendants_end_with_it(tmp_path):
    program = (
        "import subprocess, sys, TumorSegLib.worker.process as w;"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid,"
        " file=sys.stderr, flush=True); sys.argv.append('--own-group'); w.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    grandchild = int(process.stderr.readline())
    process.stdin.close()
    process.wait(HANG_SECONDS)
    wait_until(lambda: not _alive(grandchild))
    process.stderr.close()


@pytest.mark.slow
def test_a_killed_parent_takes_the_worker_along(tmp_path):
    """The stand-in for Slicer shares a block, starts a worker and is killed with SIGKILL."""
    program = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
from TumorSegLib.support.steps import finished
from TumorSegModule.logic.worker_client import WorkerClient
client = WorkerClient([sys.executable])
client.start()
finished(client.new_block(1 << 20))
print(client.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).resolve().parent.parent
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(root / "TumorSeg")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=tmp_path,
    )
    worker = int(parent.stdout.readline())
    parent.wait(HANG_SECONDS)
    parent.stdout.close()
    wait_until(lambda: not _alive(worker))
    assert not leftovers(parent.pid)


def test_the_worker_listens_before_it_loads_torch():
    program = (
        "import sys, TumorSegLib.worker.protocol, TumorSegLib.worker.process;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False
