from __future__ import annotations

import hashlib

import pytest
from results import names_in
from web_server import sends, trickles, waits, web_server

from TumorSegLib.phantom.sample import SAMPLE_FILE, SAMPLE_SHA256, SAMPLE_URL, fetch_sample

CONTENT = b"NRRD0004\n" + bytes(range(256)) * 200
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    with web_server(SAMPLE_FILE) as server:
        yield server


def fetch(folder, server, *, timeout=600.0, sha256=SHA256):
    reasons = []
    path = fetch_sample(
        folder, timeout=timeout, explain=reasons.append, url=server.url, sha256=sha256
    )
    return path, reasons


def test_is_downloaded_once(tmp_path, server):
    server.answer = sends(CONTENT)
    for _ in range(2):
        path, reasons = fetch(tmp_path, server)
        assert path == tmp_path / SAMPLE_FILE
        assert path.read_bytes() == CONTENT
        assert reasons == []
    assert len(server.asked) == 1
    assert names_in(tmp_path) == [SAMPLE_FILE]


def test_damaged_copy_is_replaced(tmp_path, server):
    (tmp_path / SAMPLE_FILE).write_bytes(CONTENT[:-1])
    server.answer = sends(CONTENT)
    path, _ = fetch(tmp_path, server)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (sends(CONTENT[:-1] + b"!"), "what came is not the sample and was not kept"),
        (sends(CONTENT[:-4000], promised=len(CONTENT)), ""),
        (sends(b"<html>login</html>"), "not the sample"),
        (sends(b"gone", code=404), "Not Found"),
        (lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"), "cannot be downloaded"),
        (sends(bytes(17 << 20)), "too large"),
    ],
)
def test_none_with_a_reason(tmp_path, server, answer, reason):
    none_with_a_reason(tmp_path, server, answer, reason)


@pytest.mark.parametrize(
    ("answer", "reason"), [(waits, "timed out"), (trickles, "not done in 0.5 s")]
)
def test_a_server_that_takes_too_long_is_given_up(tmp_path, server, answer, reason):
    none_with_a_reason(tmp_path, server, answer, reason, timeout=0.5)


def none_with_a_reason(tmp_path, server, answer, reason, **options):
    server.answer = answer
    path, reasons = fetch(tmp_path, server, **options)
    assert path is None
    (line,) = reasons
    assert reason in line
    assert line.startswith(server.url)
    assert "\n" not in line
    assert names_in(tmp_path) == []


def test_no_server(tmp_path, server):
    server.shutdown()
    server.server_close()
    path, (reason,) = fetch(tmp_path, server)
    assert path is None
    assert "refused" in reason


def test_no_folder(tmp_path, server):
    server.answer = sends(CONTENT)
    path, (reason,) = fetch(tmp_path / "missing", server)
    assert path is None
    assert "does not exist" in reason


def test_the_samples_checksum(shared):
    content = (shared / "data" / "volumes" / SAMPLE_FILE).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SAMPLE_SHA256
    assert SAMPLE_URL.startswith("https://")
    assert SAMPLE_URL.endswith(SAMPLE_FILE)
