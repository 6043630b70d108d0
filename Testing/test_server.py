"""A server over HTTP: what it answers, whom it refuses, and what it does not put up with."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import socket
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from bright_models import LIVER, LIVER_TUMOUR, write_ct_model
from needed_packages import needs
from server_bench import MODEL, serving, volume
from waiting import wait_until

from TumorSegLib.errors import Cancelled, InputError, ServerError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.remote.connection import welcome
from TumorSegLib.remote.protocol import FORMAT, ModelName, Order, SentVolume, to_text
from TumorSegLib.server import course
from TumorSegLib.server.limits import Limits
from TumorSegLib.server.order_memory import OrderMemory, needed
from TumorSegLib.server.tokens import Token
from TumorSegLib.worker.shared_memory import PREFIX

pytestmark = [pytest.mark.slow, needs("fastapi", "uvicorn")]

SAGITTAL = Grid(
    (6, 48, 48),
    (4.0, 4.0, 6.0),
    direction=((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
)


class Run:
    """An order in a thread: what it was told, and how it ended."""

    def __init__(self, server, seed=0, **options):
        self.places, self.starts, self.error, self.result = [], [], None, None
        self.unwanted = threading.Event()
        self.segmenter = server.segmenter(**options)
        self.thread = threading.Thread(target=self._run, args=[seed])
        self.thread.start()

    def _run(self, seed):
        try:
            self.result = self.segmenter.segment(
                {self.segmenter.specification.input.channels[0].name: volume(seed)},
                cancelled=self.unwanted.is_set,
                on_place=self.places.append,
                on_start=lambda *started: self.starts.append(started),
            )
        except Exception as error:
            self.error = error

    def ended(self):
        self.thread.join()
        return self


def raw(server, *, token=None, body=b"", length=None, order=None, text=None, expect=False):
    """Send a request as a stranger's client would; return the connection."""
    connection = socket.create_connection((server.place.host, server.place.port))
    connection.settimeout(60)
    secret = server.place.token if token is None else token
    lines = ["POST /v1/segment HTTP/1.1", "Host: x", f"Authorization: Bearer {secret}"]
    text = to_text(order or order_of(server)) if text is None else text
    lines.append(f"TumorSeg-Order: {text}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    if expect:
        lines.append("Expect: 100-continue")
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def order_of(server, **changes):
    segmenter = server.segmenter()
    sent = SentVolume("int16", (6, 48, 48), (4.0, 4.0, 6.0), (0.0, 0.0, 0.0), tuple(np.eye(3).flat))
    return Order(**{"format": FORMAT, "model": segmenter._model, "volumes": {"ct": sent}} | changes)


def answer(connection):
    """Return all that is answered until the server closes the connection."""
    content = b""
    with connection:
        connection.settimeout(60)
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(1 << 16):
                content += piece
    return content


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving(tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def busy(tmp_path, monkeypatch):
    """A server with an order under way that goes on only when `replicas.free` is set."""
    with serving(tmp_path, monkeypatch, Limits(queue=2, a_user=10)) as server:
        server.replicas.free.clear()
        server.first = Run(server)
        wait_until(lambda: server.replicas.runs)
        yield server


@pytest.mark.parametrize("grid", [None, SAGITTAL])
def test_a_server_segments_as_this_computer_does(server, grid):
    given = volume() if grid is None else volume(grid=grid)
    here = Segmenter(MODEL).segment(given)
    there = server.segmenter().segment({"ct": given})
    assert here.labelmap.any()
    assert there.labelmap.tobytes() == here.labelmap.tobytes()
    assert there.probabilities.tobytes() == here.probabilities.tobytes()
    assert (there.slices, there.warnings) == (here.slices, here.warnings)
    assert there.names == here.names == {"ct": "Quendelbaum"}
    assert there.settings == {**here.settings, "server": server.place.host}


def test_slices_come_one_after_the_other_and_others_keep_what_they_hold(server, monkeypatch):
    monkeypatch.setattr(course, "LOOK_SECONDS", 60)  # once, at the end, however busy the cores are
    labelmap = np.full((6, 48, 48), 7, np.uint8)
    seen = []
    server.segmenter().segment(
        {"ct": volume()},
        slices=range(2, 4),
        labelmap=labelmap,
        on_slices=lambda start, stop: seen.append((start, stop)),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(2, 4), (2, 2)]
    assert (labelmap == 7).all(axis=(1, 2)).tolist() == [True, True, False, False, True, True]


def test_an_organs_slices_come_as_they_are_done(tmp_path, monkeypatch):
    labels = [{**LIVER, "includes": [2]}, LIVER_TUMOUR]
    kept = [{"kind": "keep_largest", "label": 1, "search_mm": 15.0}]
    write_ct_model(tmp_path / "models", "searching", labels=labels, postprocessing=kept)
    with serving(tmp_path, monkeypatch) as server:
        voxels = np.full((80, 32, 32), -100, np.int16)
        voxels[12:25, 8:24, 6:20] = 200
        given = Volume(voxels, Grid(voxels.shape, (4.0, 4.0, 3.0)), "CT")
        here = Segmenter("searching").segment(given)
        heard, progress = [], []
        there = server.segmenter(model="searching").segment(
            {"ct": given},
            on_slices=lambda start, stop: heard.extend(range(start, stop)),
            progress=lambda *numbers: progress.append(numbers),
        )
    assert there.labelmap.any()
    assert there.labelmap.tobytes() == here.labelmap.tobytes()
    assert sorted(heard) == sorted({*range(0, 80, 5), 79, *range(10, 25)})
    assert progress[-1] == (len(heard), len(heard))
    assert there.settings["slices"] == here.settings["slices"]


def test_what_a_volume_is_called_and_what_it_is_stays_here(server, monkeypatch):
    sent = []
    monkeypatch.setattr(socket.socket, "sendall", _noting(socket.socket.sendall, sent))
    server.segmenter().segment({"ct": volume(name="Ottokarius")})
    request = b"".join(bytes(piece) for piece in sent)
    assert b"tumorseg-order" in request
    assert not [word for word in (b"Ottokarius", b'"CT"', b"modality") if word in request]


def _noting(send, sent):
    def noting(self, content, *flags):
        sent.append(bytes(content))
        return send(self, content, *flags)

    return noting


def test_a_server_lists_its_models_with_checksums(server):
    offered = welcome(server.place).models
    assert [(model.id, len(model.checksum)) for model in offered] == [(MODEL, 64)]


def test_another_model_of_the_same_name_is_refused_in_a_line(server, tmp_path, monkeypatch):
    write_ct_model(tmp_path / "others", MODEL, window=(-100, 250), version="2")
    segmenter = server.segmenter()
    with pytest.raises(ServerError, match="its model tiny-ct is another one than here"):
        server.segmenter(catalogue=Catalogue.of([tmp_path / "others"]))
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "others"))
    with pytest.raises(ServerError, match="is another one than yours"):
        segmenter.segment({"ct": volume()})  # it was replaced on the server meanwhile


def test_missing_wrong_expired_and_revoked_tokens_are_refused(server):
    old = Token("0ld", "ward", "", "2020-01-01T00:00:00+00:00", "2020-02-01T00:00:00+00:00")
    secret = server.tokens.add("gone", 1)
    assert welcome(server.with_token(secret)).format == FORMAT
    server.tokens.revoke("gone")
    for token in (secret, "x" * 43):
        with pytest.raises(ServerError, match="does not know this token, or it has expired"):
            welcome(server.with_token(token))
        with pytest.raises(ServerError, match="does not know this token"):
            server.segmenter(place=server.with_token(token))
    expired = server.tokens.add("late", 0)
    with pytest.raises(ServerError, match="or it has expired or been revoked"):
        welcome(server.with_token(expired))
    assert not old.is_valid(datetime.now(UTC))
    assert b"401 Unauthorized" in answer(raw(server, token="", length=10))


def test_ten_gigabytes_are_refused_before_they_are_read(server):
    order = order_of(server)
    connection = raw(server, order=order, length=10 << 30, expect=True)
    said = answer(connection)
    assert said.startswith(b"HTTP/1.1 413 ")  # and not 100 Continue
    assert b"takes 2048 MiB of voxels at most" in said
    huge = SentVolume("float64", (1200, 1200, 1200), (1.0,) * 3, (0.0,) * 3, tuple(np.eye(3).flat))
    said = answer(raw(server, order=order_of(server, volumes={"ct": huge}), length=10))
    assert said.startswith(b"HTTP/1.1 413 ")
    assert server.queue.waiting == 0


@pytest.mark.parametrize("length", [None, 5])
def test_voxels_of_another_length_are_refused(server, length):
    said = answer(raw(server, length=length))
    assert said.startswith(b"HTTP/1.1 41" if length is None else b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "changes",
    [
        {"format": FORMAT + 1},
        {"volumes": {}},
        {"model": ModelName("nothing", "0" * 64)},
        {"volumes": {"t1": SentVolume("int8", (1, 1, 1), (1.0,) * 3, (0.0,) * 3, (1.0,) * 9)}},
    ],
)
def test_orders_that_cannot_be_carried_out_are_refused(server, changes):
    said = answer(raw(server, order=order_of(server, **changes), length=27648))
    assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 "))
    assert b'"message":' in said


@pytest.mark.parametrize(
    "order",
    [
        "",
        "no JSON",
        "[" * 5000,
        '{"format": 1}',
        '{"format": 1' + "0" * 5000 + "}",
        '{"format":1,"model":{"id":"tiny-ct","checksum":"x"},"volumes":{"ct":{}}}',
    ],
)
def test_what_is_no_order_is_refused(server, order):
    said = answer(raw(server, text=order, length=10))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"cannot read the order" in said


@pytest.mark.parametrize(
    ("key", "numbers", "said"),
    [
        ("spacing", "[0.0,4.0,6.0]", b'"kind":"failed"'),
        ("spacing", "[1e-300,1e-300,1.0]", b"expected positive numbers, 1e-06 to 1e+06"),
        ("spacing", "[1e300,1e300,1.0]", b"expected positive numbers, 1e-06 to 1e+06"),
        ("spacing", "[NaN,4.0,6.0]", b"HTTP/1.1 400 "),
        ("origin", "[Infinity,0,0]", b"HTTP/1.1 400 "),
        ("direction", "[0,0,0,0,0,0,0,0,0]", b"HTTP/1.1 200 "),
        ("shape", "[-6,-48,48]", b"HTTP/1.1 400 "),
        ("dtype", '"object"', b"HTTP/1.1 400 "),
    ],
)
def test_grids_that_cannot_be_end_in_an_answer_and_leave_nothing(server, key, numbers, said):
    text, count = re.subn(
        rf'"{key}":(\[.*?\]|".*?")', f'"{key}":{numbers}', to_text(order_of(server))
    )
    assert count == 1
    body = np.arange(13824, dtype=np.int16).tobytes()
    assert said in answer(raw(server, text=text, length=len(body), body=body))
    wait_until(lambda: server.queue.running + server.queue.waiting == 0)
    assert Run(server).ended().error is None


@pytest.mark.parametrize("slices", [(2, 2), (4, 2), (-3, 2), (0, 99), (-(10**30), 10**30)])
def test_slices_that_are_not_there_are_told(server, slices):
    body = np.arange(13824, dtype=np.int16).tobytes()
    order = order_of(server, slices=slices)
    said = answer(raw(server, order=order, length=len(body), body=body))
    assert b'"kind":"failed"' in said
    assert b"slices" in said


def test_what_the_network_cannot_use_is_told_as_here(server):
    with pytest.raises(InputError, match="channel ct: missing"):
        server.segmenter().segment({})
    said = answer(raw(server, length=27648, body=bytes(27648)))
    assert b"every voxel is 0, there is nothing to segment" in said


def test_a_request_that_trickles_in_is_closed(tmp_path, monkeypatch):
    limits = Limits(head_seconds=0.2, read_seconds=0.2, slowest_bytes=1 << 30)
    with serving(tmp_path, monkeypatch, limits) as server:
        for begun in (b"", b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX: "):
            silent = socket.create_connection((server.place.host, server.place.port))
            silent.sendall(begun)
            assert answer(silent) == b""
        connection = raw(server, length=27648, body=b"\0" * 100)
        assert b"the voxels came too slowly" in answer(connection)
        assert server.queue.waiting == 0
        second = raw(server, length=27648, token="x")
        assert b"401" in second.recv(100)
        answer(second)  # closed, too, though it sends no further request


def test_a_client_that_takes_nothing_is_left(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    with serving(tmp_path, monkeypatch, Limits(write_seconds=0.2)) as server:
        large = SentVolume("int16", (64, 512, 512), (1.0,) * 3, (0.0,) * 3, tuple(np.eye(3).flat))
        noise = np.random.default_rng(0).integers(-900, 900, large.voxels, np.int16)
        order = order_of(server, volumes={"ct": large})
        connection = raw(server, order=order, length=large.bytes, body=noise.tobytes())
        wait_until(lambda: "left after" in caplog.text)
        assert (server.queue.running, len(server.replicas.idle)) == (0, 1)
        connection.close()


def test_places_in_the_queue_are_told_and_move_up(busy):
    second = Run(busy)
    wait_until(lambda: second.places == [1])
    third = Run(busy)
    wait_until(lambda: third.places == [2])
    assert (busy.queue.running, busy.queue.waiting) == (1, 2)
    busy.replicas.free.set()
    for run in (busy.first, second, third):
        assert run.ended().error is None
        assert run.result.labelmap.any()
    assert third.places in ([2], [2, 1])


def test_a_full_queue_refuses_with_its_reason_and_takes_orders_again(busy):
    others = [Run(busy), Run(busy)]
    wait_until(lambda: busy.queue.waiting == 2)
    refused = Run(busy).ended()
    assert "2 orders wait already, it takes no more; try again later" in str(refused.error)
    busy.replicas.free.set()
    for run in others:
        assert run.ended().error is None
    assert Run(busy).ended().error is None


def test_one_user_does_not_fill_the_queue(tmp_path, monkeypatch):
    with serving(tmp_path, monkeypatch, Limits(a_user=1)) as server:
        server.replicas.free.clear()
        first = Run(server)
        wait_until(lambda: server.queue.running)
        assert "1 orders of yours are there already" in str(Run(server).ended().error)
        server.replicas.free.set()
        assert first.ended().error is None


def test_no_more_memory_is_given_away_than_there_is(tmp_path, monkeypatch):
    with serving(tmp_path, monkeypatch, Limits(memory_bytes=1000)) as server:
        assert "of memory left for orders" in str(Run(server).ended().error)


@pytest.mark.parametrize("shape", [(6, 48, 48), (4000, 1, 1), (1, 1, 4000)])
def test_what_an_order_is_said_to_need_is_what_it_takes(server, shape):
    sent = replace(order_of(server).first, shape=shape)
    order = order_of(server, volumes={"ct": sent})
    memory = OrderMemory.create(order, 2)
    try:
        taken = sum(len(block.memory) for block in memory._blocks.values())
    finally:
        memory.unlink()
    assert taken == needed(order, 2)


def test_an_axis_that_no_image_has_is_refused(server):
    sent = SentVolume("uint8", (1, 1, 70000), (1.0,) * 3, (0.0,) * 3, tuple(np.eye(3).flat))
    said = answer(raw(server, order=order_of(server, volumes={"ct": sent}), length=70000))
    assert said.startswith(b"HTTP/1.1 413 ")
    assert b"takes 65535 voxels along an axis at most" in said


def test_an_order_is_cancelled_while_it_waits_and_under_way(busy):
    waiting = Run(busy)
    wait_until(lambda: waiting.places)
    waiting.unwanted.set()
    assert isinstance(waiting.ended().error, Cancelled)
    wait_until(lambda: busy.queue.waiting == 0)
    busy.first.unwanted.set()
    assert isinstance(busy.first.ended().error, Cancelled)
    busy.replicas.free.set()
    wait_until(lambda: busy.queue.running == 0)
    assert len(busy.replicas.runs) == 1
    assert Run(busy).ended().error is None


def test_a_process_that_does_not_stop_is_ended(busy, monkeypatch):
    monkeypatch.setattr("TumorSegLib.server.course.STOP_SECONDS", 0.1)
    busy.first.unwanted.set()
    assert isinstance(busy.first.ended().error, Cancelled)
    wait_until(lambda: busy.replicas.dropped)
    busy.replicas.free.set()
    wait_until(lambda: busy.queue.running == 0)
    assert Run(busy).ended().error is None
    assert len(busy.replicas.dropped) == 1


def test_connections_beyond_the_limit_are_refused(tmp_path, monkeypatch):
    with serving(tmp_path, monkeypatch, Limits(connections=2)) as server:
        others = [socket.create_connection((server.place.host, server.place.port))]
        with pytest.raises(ServerError, match="takes no more connections just now"):
            welcome(server.place)
        for connection in others:
            connection.close()
        wait_until(lambda: not server.server.server_state.connections)
        assert welcome(server.place).format == FORMAT


def test_a_broken_connection_ends_its_order(busy, caplog):
    caplog.set_level(logging.INFO)
    waiting = raw(busy, length=27648, body=b"\1\0" * 13824)
    wait_until(lambda: busy.queue.waiting == 1)
    sending = raw(busy, length=27648, body=b"\1\0")
    wait_until(lambda: busy.queue.waiting == 2)
    for connection in (waiting, sending):
        connection.close()
    wait_until(lambda: busy.queue.waiting == 0)
    busy.replicas.free.set()
    assert busy.first.ended().error is None
    assert "went while sending" in caplog.text
    assert "left after" in caplog.text


def test_a_process_that_ends_costs_another_try_and_three_the_order(server):
    here = Segmenter(MODEL).segment(volume())
    server.replicas.losses = 2
    run = Run(server).ended()
    assert run.result.labelmap.tobytes() == here.labelmap.tobytes()
    assert (len(run.starts), len(server.replicas.dropped)) == (3, 2)
    server.replicas.losses = 3
    assert "ended 3 times; nothing more is tried" in str(Run(server).ended().error)
    assert Run(server).ended().error is None


def test_no_memory_stays_behind(server):
    Run(server).ended()
    Run(server, 1).ended()
    server.replicas.losses = 3
    Run(server).ended()
    wait_until(lambda: server.queue.running == 0)
    assert list(Path("/dev/shm").glob(f"{PREFIX}*-{os.getpid()}-*")) == []


def test_the_log_has_users_and_figures_and_nothing_that_was_sent(server, caplog):
    caplog.set_level(logging.DEBUG)
    Run(server).ended()
    answer(raw(server, order=order_of(server, model=ModelName("Quendelbaum", "x")), length=1))
    connection = socket.create_connection((server.place.host, server.place.port))
    connection.sendall(b"GET /Quendelbaum?name=Quendelbaum HTTP/1.1\r\nConnection: close\r\n\r\n")
    answer(connection)
    wait_until(lambda: "done after" in caplog.text and "refused (model)" in caplog.text)
    assert "of ward: tiny-ct on 6x48x48, done after" in caplog.text
    assert "Quendelbaum" not in caplog.text
    assert server.place.token not in caplog.text


def test_a_fault_of_the_server_is_in_its_log_without_what_it_quotes(server, caplog, monkeypatch):
    async def fails(*_):
        raise KeyError("Quendelbaum")

    caplog.set_level(logging.INFO)
    with monkeypatch.context() as changed:
        changed.setattr(course.Course, "_send_results", fails)
        assert isinstance(Run(server).ended().error, ServerError)
    wait_until(lambda: "after" in caplog.text)
    told = r"order \d+ of ward: unexpected fault, please report it: KeyError in test_server.py:\d+"
    assert re.search(told, caplog.text)
    assert "failed after" in caplog.text
    assert "Quendelbaum" not in caplog.text
    assert Run(server).ended().error is None


def test_a_certificate_encrypts_and_one_that_nobody_knows_is_refused(tmp_path, monkeypatch):
    certificate, key = _self_signed(tmp_path)
    with serving(tmp_path, monkeypatch, certificate=certificate, key=key) as server:
        with pytest.raises(ServerError, match=r"its certificate is not trusted .*TUMORSEG_SERVER"):
            welcome(server.place)
        monkeypatch.setenv("TUMORSEG_SERVER_CA", str(certificate))
        assert Run(server).ended().error is None
        _self_signed(tmp_path)  # renewed while it serves
        assert Run(server).ended().error is None


def _self_signed(folder):
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    words += ["-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(words, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl")
    return certificate, key
