"""Models are installed from a file, a folder or an address, with what came checked."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from bright_models import write_model
from results import names_in
from web_server import leads, sends, web_server

from TumorSegLib import cli
from TumorSegLib.model import model_source
from TumorSegLib.model.catalogue import user_folder
from TumorSegLib.support import download
from TumorSegLib.support.download import DownloadError, downloaded

FILES = ["README.md", "model.json", "weights.safetensors"]


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """The folder of the user's own models, not there yet."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "own"))
    return user_folder()


@pytest.fixture
def archive(tmp_path):
    model = write_model(tmp_path / "elsewhere", "tiny")
    (model / "README.md").write_text("# Tiny")
    return tmp_path / shutil.make_archive(str(tmp_path / "tiny"), "zip", model)


@pytest.fixture
def server():
    with web_server("tiny.zip") as server:
        yield server


def install(*words):
    return cli.main(["models", "--install", *map(str, words), "--yes"])


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(capsys, own, words, *arguments):
    """Installing ends with status 2, one line that holds `words`, and nothing installed."""
    assert install(*arguments) == 2
    error = capsys.readouterr().err
    assert words in error.splitlines()[-1]
    assert error.splitlines()[-1].startswith("tumorseg: ")
    assert ".import-" not in error
    assert not own.exists() or names_in(own) == []


@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_a_file_with_the_sha256_that_is_given_is_installed(archive, own, change):
    assert install(archive, "--sha256", change(sha256(archive))) == 0
    assert sorted(names_in(own / "tiny")) == FILES


def test_a_file_with_another_one_is_not(archive, own, capsys):
    refused(capsys, own, "expected 000000000000...", archive, "--sha256", "0" * 64)


@pytest.mark.parametrize("given", ["0" * 63, "g" * 64, "sha256:" + "0" * 64])
def test_what_is_no_sha256_is_told(archive, own, capsys, given):
    refused(capsys, own, "expected 64 hexadecimal digits", archive, "--sha256", given)


def test_a_folder_has_none(archive, own, capsys):
    folder = archive.parent / "elsewhere"
    refused(capsys, own, f"{folder}: is no file", folder, "--sha256", "0" * 64)
    assert install(folder) == 0
    assert names_in(own) == ["tiny"]


def test_a_model_comes_from_an_address_and_what_came_is_named(archive, own, server, capsys):
    server.answer = sends(archive.read_bytes())
    assert install(server.url) == 0
    assert f"SHA-256 of what came: {sha256(archive)}" in capsys.readouterr().err
    assert sorted(names_in(own / "tiny")) == FILES
    assert names_in(own) == ["tiny"]
    assert install(server.url, "--sha256", sha256(archive)) == 2
    assert "there is one of this id already" in capsys.readouterr().err
    assert install(server.url, "--sha256", sha256(archive), "--overwrite", "--json") == 0
    printed = capsys.readouterr()
    assert "tiny" in {model["id"] for model in json.loads(printed.out)["models"]}
    assert "SHA-256" not in printed.err
    assert "download" not in printed.err


def test_it_may_lead_to_another_address(archive, own, server):
    def answer(handler):
        here = handler.path == "/there"
        (sends(archive.read_bytes()) if here else leads("/there"))(handler)

    server.answer = answer
    assert install(server.url) == 0
    assert names_in(own) == ["tiny"]


def test_but_to_none_that_others_can_read_along(own, server, capsys):
    server.answer = leads("http://example.org/tiny.zip")
    words = f"{server.url}: leads to http://example.org/tiny.zip no https address"
    refused(capsys, own, words, server.url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/tiny.zip",
        "ftp://example.org/tiny.zip",
        "file:///etc/passwd",
        "https:example.org://",
        "http://localhost.example.org/tiny.zip",
        "http://[::1/tiny.zip",
    ],
)
def test_addresses_of_other_kinds_are_refused(own, capsys, monkeypatch, url):
    monkeypatch.setattr(download, "build_opener", lambda *_: pytest.fail("asked the network"))
    refused(capsys, own, url, url)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (sends(b"<html>login</html>"), "not a whole .zip file"),
        (sends(b"gone", code=404), "Not Found"),
        (sends(b"PK", promised=100), "ended after 2 of 100 bytes"),
        (lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"), "cannot be downloaded"),
        (lambda handler: None, "cannot be downloaded"),
    ],
)
def test_what_does_not_come_whole_is_told(own, server, capsys, answer, words):
    server.answer = answer
    refused(capsys, own, words, server.url)
    assert server.asked


def test_a_file_from_an_address_with_another_sha256_is_not_installed(archive, own, server, capsys):
    server.answer = sends(archive.read_bytes())
    refused(capsys, own, f"{server.url}: SHA-256 is", server.url, "--sha256", "0" * 64)


def test_what_has_no_end_is_given_up(own, server, capsys, monkeypatch):
    monkeypatch.setattr(model_source, "LARGEST_ARCHIVE", 1000)
    server.answer = sends(bytes(1001))
    refused(capsys, own, "too large, more than 1000 bytes", server.url)


def test_nothing_is_left_of_a_download_that_is_stopped(archive, own, server, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "PART_BYTES", 100)
    server.answer = sends(archive.read_bytes())
    with (
        pytest.raises(KeyboardInterrupt),
        model_source.model_source(server.url, own, progress=stop),
    ):
        pytest.fail("went on")
    assert names_in(own) == []


def test_a_full_disk_is_told(archive, own, server, capsys, monkeypatch):
    class Full:
        def __init__(self, *_, **__):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(model_source.tempfile, "TemporaryDirectory", Full)
    server.answer = sends(archive.read_bytes())
    refused(capsys, own, "No space left on device; nothing was installed", server.url)


def test_the_progress_is_told(server):
    server.answer = sends(bytes(2500))
    told = []
    parts = downloaded(
        server.url, largest=10_000, silence=60, progress=lambda *done: told.append(done)
    )
    assert len(b"".join(parts)) == 2500
    assert told[-1] == (2500, 2500)


def test_no_server_is_told(server):
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match="refused"):
        list(downloaded(server.url, largest=1, silence=60))


def test_the_old_name_of_the_option_stays(archive, own):
    assert cli.main(["models", "--import", str(archive), "--yes"]) == 0
    assert names_in(own) == ["tiny"]
