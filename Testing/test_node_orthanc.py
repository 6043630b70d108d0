"""A node beside Orthanc, sent to by it and by dcmtk's storescu."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom")
pytest.importorskip("highdicom")

from dicom_writing import write_slices
from node_bench import SECRETS, NodeBench, free_port
from orthanc_server import Orthanc, sent, storescu, why_not
from pydicom.uid import generate_uid
from waiting import wait_until

from TumorSegLib.phantom import abdomen_phantom

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=why_not())]

PAGE = Path(__file__).resolve().parent.parent / "docs" / "node.md"
SCRIPT = re.search(r"```lua\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]
COUNT = 20


class Beside:
    """A node and an Orthanc that know each other, and a CT series of a phantom."""

    def __init__(self, folder, script):
        self.folder = folder
        self.bench = NodeBench(folder)
        self.bench.told["callers"] = ["SENDER", "ORTHANC"]
        port, web = free_port(), free_port()
        self.pacs = Orthanc(
            folder / "orthanc", port=port, web=web, node=self.bench.port, script=script
        )
        self.send = {"kind": "c-store", "host": "127.0.0.1", "port": port, "ae_title": "ORTHANC"}
        self.study = generate_uid()
        self.ct = write_phantom(folder / "ct", self.study)

    def start(self, **changes):
        self.bench.start(send=self.send, **changes)

    def found(self):
        wait_until(
            lambda: self.pacs.modalities(self.study) == ["CT", "SEG", "SR"],
            state=lambda: (self.pacs.modalities(self.study), self.bench.heard.lines),
        )

    def close(self):
        self.bench.close()
        self.pacs.stop()


def write_phantom(folder, study, day="20250607"):
    """Write a phantom's abdomen as a CT series of an invented patient."""
    volume, _ = abdomen_phantom(shape=(COUNT, 128, 128), spacing=(3.0, 3.0, 10.0))
    x, y, z = volume.grid.origin
    named = {
        "Modality": "CT",
        "StudyInstanceUID": study,
        "FrameOfReferenceUID": generate_uid(),
        "PatientName": "GEHEIM^ANNA",
        "PatientID": "P4711",
        "PatientBirthDate": "19610203",
        "PatientSex": "F",
        "StudyDate": day,
        "StudyTime": "101112",
        "StudyID": "1",
        "AccessionNumber": "A1",
        "ReferringPhysicianName": "",
        "Manufacturer": "none",
        "SeriesDescription": "BEFUND portal",
        "BodyPartExamined": "ABDOMEN",
        "SeriesNumber": 2,
    }
    where = [(x, y, z + 10.0 * index) for index in range(COUNT)]
    write_slices(
        folder, list(volume.voxels), where, series=generate_uid(), spacing=(3.0, 3.0), **named
    )
    return folder


@pytest.fixture
def beside(tmp_path, request):
    sends_on = "sends_on" in request.node.name
    beside = Beside(tmp_path, SCRIPT if sends_on else "")
    beside.pacs.start()
    yield beside
    beside.close()


@pytest.mark.parametrize("how", ["c-store", "stow-rs"])
def test_what_the_pacs_sends_on_comes_back_under_its_study(beside, how):
    if how == "stow-rs":
        url = f"http://127.0.0.1:{beside.pacs.web}/dicom-web"
        beside.send = {"kind": "stow-rs", "url": url}
    beside.start()
    sent(beside.pacs.port, beside.ct, called="ORTHANC")
    beside.found()
    beside.bench.wait_for("sent to")
    beside.bench.wait_idle()
    lines = beside.bench.heard.lines
    assert [line for line in lines if "ORTHANC (127.0.0.1)" in line] == [
        f"from ORTHANC (127.0.0.1): {COUNT} accepted"
    ]
    assert not [word for word in SECRETS if word in "\n".join(lines)]
    beside.found()  # what came back was not sent round again
    assert len(beside.bench.series()) == 1


def test_a_sender_that_is_killed_and_sends_again_gets_one_result(beside):
    beside.start()
    images = beside.folder / "node" / "images"
    process = storescu(beside.bench.port, beside.ct)
    wait_until(lambda: len(list(images.glob("*/*.dcm"))) >= 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: beside.bench.heard.about("from SENDER"))
    told = sent(beside.bench.port, beside.ct)
    assert told.count("Success") >= COUNT
    assert sent(beside.bench.port, beside.ct).count("Success") >= COUNT
    sent(beside.pacs.port, beside.ct, called="ORTHANC")
    beside.found()
    beside.bench.wait_idle()
    assert len(beside.bench.heard.about("segmented by")) == 1


def test_a_pacs_that_is_away_gets_its_results_when_it_is_back(beside, monkeypatch):
    monkeypatch.setattr("TumorSegLib.node.outbox.LONGEST_PAUSE", 0.5)
    beside.start()
    beside.pacs.stop()
    sent(beside.bench.port, beside.ct)
    beside.bench.wait_for("results wait")
    wait_until(lambda: beside.bench.tries() > 3)
    beside.pacs.start()
    sent(beside.pacs.port, beside.ct, called="ORTHANC")
    beside.found()
    assert len(beside.bench.heard.about("results wait")) == 1
    assert len(beside.bench.heard.about("takes results again")) == 1


def test_a_pacs_that_is_watched_has_its_new_series_fetched_once(beside):
    from datetime import date

    url = f"http://127.0.0.1:{beside.pacs.web}/dicom-web"
    beside.send = {"kind": "stow-rs", "url": url}
    beside.start(watch={"url": url, "every_seconds": 0.2}, receive=None)
    beside.study = generate_uid()
    new = write_phantom(beside.folder / "new", beside.study, f"{date.today():%Y%m%d}")
    sent(beside.pacs.port, new, called="ORTHANC")
    sent(beside.pacs.port, beside.ct, called="ORTHANC")  # of a year ago: nobody asks for it
    beside.found()
    beside.bench.wait_for("sent to")
    beside.bench.wait_idle()
    assert beside.bench.heard.about("from http") == [f"from {url}: {COUNT} accepted"]
    beside.pacs.stop()
    beside.bench.wait_for("does not answer")
    beside.pacs.start()
    beside.bench.wait_for("answers again")
    assert len(beside.bench.series()) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a small disk")
def test_a_disk_that_is_full_refuses_and_goes_on_with_more_room(beside):
    place = beside.folder / "node"
    place.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)]
    if subprocess.run(made, capture_output=True).returncode:
        pytest.skip("no small disk can be made here")
    try:
        beside.start()
        told = sent(beside.bench.port, beside.ct)
        assert "OutOfResources" in told
        assert 0 < told.count("Success") < COUNT
        assert len(beside.bench.heard.about("images are refused")) == 1
        grown = ["mount", "-o", "remount,size=64m", str(place)]
        subprocess.run(grown, check=True, capture_output=True)
        assert sent(beside.bench.port, beside.ct).count("Success") >= COUNT
        sent(beside.pacs.port, beside.ct, called="ORTHANC")
        beside.found()
        beside.bench.wait_idle()
        beside.bench.stop()
    finally:
        beside.bench.close()
        subprocess.run(["umount", "-l", str(place)], check=True)
