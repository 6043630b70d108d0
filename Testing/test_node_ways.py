"""Further ways to and from a DICOM node: TLS, STOW-RS, several sequences, the command."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from copy import deepcopy

import pydicom
import pytest
from waiting import wait_until

pytest.importorskip("pynetdicom")

from bright_models import write_model
from node_bench import (
    SECRETS,
    ProcessInside,
    connected,
    make_certificate,
    send,
    write_sequence,
    write_series,
)
from pydicom.uid import generate_uid
from web_server import sends, web_server

from TumorSegLib.support.child_process import environment

pytestmark = pytest.mark.slow

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@needs_openssl
def test_with_tls_images_and_results_are_encrypted_and_strangers_refused(station, tmp_path):
    own = make_certificate(tmp_path)
    station.pacs.stop()
    for_pacs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for_pacs.load_cert_chain(own["certificate"], own["key"])
    station.pacs.start(for_pacs)
    station.told = {"tls": {**own, "authorities": own["certificate"]}}
    to = station.settings()["send"] | {"tls": {"authorities": own["certificate"]}}
    station.start(send=to)
    paths = write_series(tmp_path / "ct")
    with connected(station.port) as association:
        assert not association.is_established  # it does not speak TLS
    caller = ssl.create_default_context(cafile=own["certificate"])
    with connected(station.port, tls=caller) as association:
        assert not association.is_established  # it shows no certificate
    caller.load_cert_chain(own["certificate"], own["key"])
    assert set(send(station.port, paths, tls=caller)) == {0}
    station.wait_for("sent to PACS")
    assert station.pacs.modalities == ["SEG", "SR"]


@needs_openssl
def test_results_are_sent_to_no_pacs_that_cannot_show_who_it_is(station, tmp_path):
    own = make_certificate(tmp_path)
    station.pacs.stop()
    for_pacs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for_pacs.load_cert_chain(own["certificate"], own["key"])
    station.pacs.start(for_pacs)
    station.start(send=station.settings()["send"] | {"tls": {}})
    send(station.port, write_series(tmp_path / "ct"))
    station.wait_for("results wait")
    assert not station.pacs.objects


@contextmanager
def web_service(codes):
    """A service that answers each call with the next of `codes`; yields its address and calls."""
    calls = []

    def answer(handler):
        calls.append((handler.path, handler.headers, handler.content))
        code = codes.pop(0) if codes else 200
        sends(b"{}", code=code, kind="application/dicom+json")(handler)

    with web_server("dicom") as server:
        server.answer = answer
        yield server.url, calls


def test_by_stow_a_service_in_trouble_is_tried_again_and_a_token_is_shown(
    station, tmp_path, monkeypatch
):
    monkeypatch.setattr("TumorSegLib.node.outbox.LONGEST_PAUSE", 0.01)
    (tmp_path / "token").write_text("s3cret\n", "utf-8-sig")  # as Windows saves it
    with web_service([503, 401, 200]) as (url, calls):
        station.start(
            send={"kind": "stow-rs", "url": url, "password_file": str(tmp_path / "token")}
        )
        send(station.port, write_series(tmp_path / "ct"))
        station.wait_for("sent to http")
    assert [path for path, _, _ in calls] == ["/dicom/studies"] * 4
    assert {headers["Authorization"] for _, headers, _ in calls} == {"Bearer s3cret"}
    assert len(station.heard.about("results wait")) == 1
    assert "s3cret" not in "\n".join(station.heard.lines)


def test_by_stow_names_and_passwords_travel_as_utf_8(station, tmp_path):
    (tmp_path / "password").write_text("Größe 12 мм", "utf-8")
    with web_service([]) as (url, calls):
        station.start(
            send={
                "kind": "stow-rs",
                "url": url,
                "user": "Häuser",
                "password_file": str(tmp_path / "password"),
            }
        )
        send(station.port, write_series(tmp_path / "ct"))
        station.wait_for("sent to http")
    (shown,) = {headers["Authorization"] for _, headers, _ in calls}
    kind, text = shown.split()
    assert (kind, base64.b64decode(text).decode()) == ("Basic", "Häuser:Größe 12 мм")


def test_by_stow_what_the_service_does_not_take_waits_by_itself(station, tmp_path, monkeypatch):
    monkeypatch.setattr("TumorSegLib.node.outbox.LONGEST_PAUSE", 0.01)
    with web_service([400, 200, 409, 200]) as (url, _):
        station.start(send={"kind": "stow-rs", "url": url})
        send(station.port, write_series(tmp_path / "ct"))
        station.wait_for("sent to http")
    assert station.heard.about("does not take it (status 400)")


class Watched:
    """A DICOMweb service with one series, as its client gives it.

    It takes no offset, unless `page` says how many results it gives at once.
    """

    def __init__(self, images, *, count=None, page=None, without=()):
        self.images, self.looks, self.fetched, self.asked = images, 0, [], 0
        self.count, self.page, self.without = count or len(images), page, without

    def paged(self, results, offset):
        return results if self.page is None else results[offset or 0 :][: self.page]

    def search_for_series(self, *, offset=None, **_):
        self.looks += not offset
        one = self.images[0]
        said = {
            "0020000D": one.StudyInstanceUID,
            "0020000E": one.SeriesInstanceUID,
            "00180015": one.BodyPartExamined,
            "0008103E": one.SeriesDescription,
            "00201209": self.count,
        }
        found = {tag: {"Value": [said[tag]]} for tag in said if tag not in self.without}
        return self.paged([found], offset)

    def search_for_instances(self, *_, offset=None, **__):
        found = [{"00080018": {"Value": [image.SOPInstanceUID]}} for image in self.images]
        return self.paged(found, offset)

    def retrieve_instance_metadata(self, study, series, uid):
        self.asked += 1
        return {}

    def retrieve_instance(self, study, series, uid):
        self.fetched.append(uid)
        return next(image for image in self.images if image.SOPInstanceUID == uid)


def without_pixels(image):
    del image.PixelData


def without_class(image):
    del image.SOPClassUID, image.file_meta.MediaStorageSOPClassUID


def of_another_kind(image):
    image.Modality = "PR"


@pytest.mark.parametrize(
    ("spoil", "refused"), [(without_pixels, 1), (without_class, 1), (of_another_kind, 0)]
)
def test_a_watched_series_with_an_image_of_no_use_is_fetched_once(
    station, tmp_path, monkeypatch, spoil, refused
):
    images = [pydicom.dcmread(path) for path in write_series(tmp_path / "ct")]
    odd = deepcopy(images[0])
    odd.SOPInstanceUID = odd.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    spoil(odd)
    watched = Watched([*images, odd])
    monkeypatch.setattr("TumorSegLib.node.watcher.web_client", lambda _: watched)
    station.start(watch={"url": "http://127.0.0.1:1", "every_seconds": 0.02})
    if refused:
        station.wait_for("6 accepted, 1 refused; not all of its 7 images can be used")
    else:
        station.wait_for("sent to PACS")
        station.wait_idle()
    seen = watched.looks
    wait_until(lambda: watched.looks > seen + 5)
    assert sorted(watched.fetched) == sorted(image.SOPInstanceUID for image in watched.images)
    assert len(station.heard.about("refused")) == 2 * refused  # the image, and how many
    assert station.pacs.modalities == ([] if refused else ["SEG", "SR"])
    assert not (refused and ProcessInside.last.tasks)
    if refused:
        assert [row.connection for row in station.series()] == ["refused"]


def watched_by(station, monkeypatch, watched):
    """Start the node, and have it look some more times after its first line on a series."""
    monkeypatch.setattr("TumorSegLib.node.watcher.web_client", lambda _: watched)
    station.start(watch={"url": "http://127.0.0.1:1", "every_seconds": 0.02})
    (line,) = station.wait_for("from http")
    seen = watched.looks
    wait_until(lambda: watched.looks > seen + 5)
    assert sorted(watched.fetched) == sorted(image.SOPInstanceUID for image in watched.images)
    return line


def test_a_watched_series_that_is_listed_in_pages_is_fetched_whole(station, tmp_path, monkeypatch):
    images = [pydicom.dcmread(path) for path in write_series(tmp_path / "ct", 8)]
    watched = Watched(images, page=5, without=("00180015",))
    assert watched_by(station, monkeypatch, watched).endswith(": 8 accepted")
    station.wait_for("sent to PACS")
    station.wait_idle()
    assert station.heard.about("8 images, complete")
    assert station.pacs.modalities == ["SEG", "SR"]
    assert watched.asked == 1  # what the list does not say is asked once


def test_a_watched_series_of_which_images_are_not_listed_is_not_segmented(
    station, tmp_path, monkeypatch
):
    images = [pydicom.dcmread(path) for path in write_series(tmp_path / "ct", 6)]
    line = watched_by(station, monkeypatch, Watched(images, count=8))
    assert line.endswith(": 6 accepted; not all of its 8 images can be used")
    assert not ProcessInside.last.tasks
    assert not station.heard.about("complete")


def test_a_model_of_several_sequences_gets_them_from_the_study(station, tmp_path):
    write_model(station.models, "tiny-mr", default=True)
    study, frame = generate_uid(), generate_uid()
    station.told = {"study_quiet_seconds": 600.0}
    rules = [{"model": "tiny-mr", "description": ["flair*"]}]
    station.start(rule=rules)
    send(station.port, write_sequence(tmp_path / "t1", study, frame, "t1"))
    station.wait_for("no rule fits it")
    send(station.port, write_sequence(tmp_path / "flair", study, frame, "flair"))
    turns = station.count_turns()
    wait_until(lambda: turns() > 5)
    assert not station.heard.about("complete")  # more of the study may come
    station.stop()
    station.told = {"study_quiet_seconds": 0.0}
    station.start(rule=rules)
    station.wait_for("sent to PACS")
    (task,) = ProcessInside.last.tasks
    assert list(task.case.sources) == ["flair", "t1"]
    station.wait_idle()
    assert station.pacs.modalities == ["SEG", "SR"]


COMMAND = [sys.executable, "-m", "TumorSegLib.cli", "node"]


@pytest.mark.skipif(os.name == "nt", reason="processes are ended by signals")
def test_the_command_works_until_it_is_told_to_end(station, tmp_path):
    settings = station.settings()
    (tmp_path / "node.toml").write_text(
        f"""
folder = "{settings["folder"]}"
page_port = 0
reserve_mb = 0
[receive]
callers = ["SENDER"]
port = {station.port}
quiet_seconds = 0
[send]
kind = "c-store"
host = "127.0.0.1"
port = {station.pacs.port}
ae_title = "PACS"
[[rule]]
model = "tiny-ct"
"""
    )
    around = environment() | {"TUMORSEG_MODELS": str(station.models)}
    process = subprocess.Popen(
        [*COMMAND, str(tmp_path / "node.toml")], stderr=subprocess.PIPE, text=True, env=around
    )
    said = []
    reader = threading.Thread(target=lambda: said.extend(iter(process.stderr.readline, "")))
    reader.start()
    wait_until(lambda: any("ready" in line for line in said) or process.poll() is not None)
    assert set(send(station.port, write_series(tmp_path / "ct"))) == {0}
    wait_until(lambda: any("sent to" in line for line in said) or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    process.wait()
    reader.join()
    assert process.returncode == 0
    assert "ended; 0 series under way" in said[-1]
    assert not [word for word in SECRETS if word in "".join(said)]
    assert station.pacs.modalities == ["SEG", "SR"]
    shown = subprocess.run(
        [*COMMAND, "--status", str(tmp_path / "node.toml")],
        capture_output=True,
        text=True,
        env=around,
    )
    assert shown.stdout.startswith("1 sent\nseries 1: sent since")
