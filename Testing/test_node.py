"""A DICOM node: what is sent to it comes back as a segmentation and a report, once."""

from __future__ import annotations

import re

import pydicom
import pytest
from pydicom import uid
from waiting import wait_until

pytest.importorskip("pynetdicom")

from node_bench import SECRETS, NodeBench, ProcessInside, connected, send, send_broken, write_series

from TumorSegLib.cohort.case_run import Outcome
from TumorSegLib.node import sender, service

pytestmark = pytest.mark.slow


def test_a_series_comes_back_as_segmentation_and_report_of_its_study(station, tmp_path):
    paths = write_series(tmp_path / "ct")
    station.start()
    assert set(send(station.port, paths)) == {0}
    station.wait_for("sent to PACS")
    station.wait_idle()
    assert station.pacs.modalities == ["SEG", "SR"]
    seg, report = station.pacs.objects
    assert seg.StudyInstanceUID == report.StudyInstanceUID
    assert seg.PatientName == "GEHEIM^ANNA"
    assert report.CurrentRequestedProcedureEvidenceSequence
    assert station.heard.about("series 1:")[0].partition(": ")[2] == (
        "CT, 6 images, complete; rule 1, tiny-ct"
    )


def test_another_model_is_another_work(station, tmp_path):
    from bright_models import write_ct_model

    write_ct_model(station.models, "other-ct")
    paths = write_series(tmp_path / "ct")
    station.start()
    send(station.port, paths)
    station.wait_for("sent to PACS")
    station.wait_idle()
    station.stop()
    station.start(rule=[{"model": "other-ct"}])
    send(station.port, paths)
    station.wait_for("segmented by other-ct")
    station.wait_for("sent to PACS")
    assert station.pacs.modalities == ["SEG", "SR", "SEG", "SR"]


def test_results_wait_while_the_pacs_is_away_and_it_is_said_once(station, tmp_path, monkeypatch):
    monkeypatch.setattr("TumorSegLib.node.outbox.LONGEST_PAUSE", 0.01)
    station.pacs.stop()
    station.start()
    send(station.port, write_series(tmp_path / "a"))
    send(station.port, write_series(tmp_path / "b", 7))
    station.wait_for("segmented by", 2)
    wait_until(lambda: station.tries() > 4)
    assert len(station.heard.about("results wait")) == 1
    station.pacs.start()
    station.wait_for("sent to PACS", 2)
    station.wait_idle()
    assert station.pacs.modalities == ["SEG", "SR"] * 2
    assert len(station.heard.about("takes results again")) == 1


def test_when_the_pacs_is_back_nothing_waits_for_its_pause(station, tmp_path):
    station.pacs.stop()
    node = station.start()
    send(station.port, write_series(tmp_path / "a"))
    send(station.port, write_series(tmp_path / "b", 7))
    station.wait_for("segmented by", 2)
    wait_until(lambda: station.tries() >= 4)
    with node._queue.tables.changing() as database:  # all but one wait for an hour
        database.execute("UPDATE result SET next = next + 3600 WHERE id > 1")
    station.pacs.start()
    station.wait_for("sent to PACS", 2)


def test_pauses_between_tries_double_up_to_ten_minutes():
    from TumorSegLib.node.outbox import pause_after

    assert [pause_after(tries) for tries in (0, 1, 2, 5, 9, 10, 50)] == [
        *(1, 2, 4, 32, 512, 600, 600)
    ]


def test_what_the_pacs_does_not_take_is_given_up_after_the_stated_time(station, tmp_path):
    station.pacs.status = 0xC001
    station.start(give_up_hours=1e-9)
    paths = write_series(tmp_path / "ct")
    send(station.port, paths)
    told = station.wait_for("given up after 1e-09 h")
    assert "does not take it (status C001); send the series again" in told[0]
    station.wait_idle()
    station.pacs.status = 0
    send(station.port, paths)
    station.wait_for("sent to PACS")


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_result_that_is_damaged_waits_by_itself_and_is_given_up(station, tmp_path, share):
    station.pacs.stop()
    station.start()
    send(station.port, write_series(tmp_path / "a"))
    send(station.port, write_series(tmp_path / "b", 7))
    station.wait_for("segmented by", 2)
    station.stop()
    path = tmp_path / "node" / "cases" / "series-000001" / "segmentation.dcm"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    station.pacs.start()
    station.start()
    assert station.wait_for("series 1: a result waits: it is damaged on the disk")
    station.wait_for("series 2: sent to PACS")
    station.stop()
    station.start(give_up_hours=1e-9)
    station.wait_for("series 1: given up after 1e-09 h: it is damaged on the disk")
    station.wait_idle()
    assert not station.heard.about("fault")


def test_a_fault_with_one_result_stops_no_other(station, tmp_path, monkeypatch):
    sending = sender.send

    def fails(path, settings):
        if "series-000001" in str(path):
            raise RuntimeError("an unforeseen fault")
        sending(path, settings)

    monkeypatch.setattr(sender, "send", fails)
    station.start()
    send(station.port, write_series(tmp_path / "a"))
    send(station.port, write_series(tmp_path / "b", 7))
    station.wait_for("series 1: a result waits: unexpected fault, please report it: RuntimeError")
    station.wait_for("series 2: sent to PACS")


def test_a_pacs_that_takes_no_segmentations_gets_no_report_that_refers_to_one(
    station, tmp_path, monkeypatch
):
    monkeypatch.setattr("TumorSegLib.node.outbox.LONGEST_PAUSE", 0.01)
    kinds = station.pacs.takes
    station.pacs.stop()
    station.pacs.takes = [uid.Comprehensive3DSRStorage]
    station.pacs.start()
    station.start()
    paths = write_series(tmp_path / "ct")
    send(station.port, paths)
    told = station.wait_for("series 1: a result waits: PACS at ")
    assert told[0].endswith(" takes no objects of this kind (Segmentation Storage)")
    wait_until(lambda: station.tries() > 4)
    assert not station.heard.about("does not answer")
    station.stop()
    station.start(give_up_hours=1e-9)
    station.wait_for("series 1: given up after")
    station.wait_idle()
    assert (station.pacs.asked, station.series()[0].state) == (0, "failed")
    station.pacs.stop()
    station.pacs.takes = kinds
    station.pacs.start()
    send(station.port, paths)
    station.wait_for("series 1: sent to PACS")
    assert station.pacs.modalities == ["SEG", "SR"]


def test_a_full_disk_has_the_series_wait_not_fail(station, tmp_path, monkeypatch):
    monkeypatch.setattr("TumorSegLib.node.service.TROUBLE_SECONDS", 0.01)
    station.start()
    run, full = ProcessInside.run, [1, 1]

    def fails(self, task):
        if full.pop() if full else False:
            return Outcome(task.case.name, task.fingerprint, "x: No space left on device")
        return run(self, task)

    monkeypatch.setattr(ProcessInside, "run", fails)
    send(station.port, write_series(tmp_path / "ct"))
    station.wait_for("sent to PACS")
    assert len(station.heard.about("waits: No space left")) == 1
    assert not station.heard.about("failed")


def test_objects_that_come_back_are_not_segmented_again(station, tmp_path):
    station.start()
    send(station.port, write_series(tmp_path / "ct"))
    station.wait_for("sent to PACS")
    station.wait_idle()
    with connected(station.port) as association:
        assert [association.send_c_store(one).Status for one in station.pacs.objects] == [0, 0]
    station.wait_for("2 passed over")
    assert len(station.series()) == 1
    assert not list((tmp_path / "node" / "images").iterdir())


def test_a_series_that_fits_no_model_is_passed_over_with_a_reason(station, tmp_path):
    station.start(rule=[{"model": "tiny-ct", "description": ["*portal*"]}])
    send(station.port, write_series(tmp_path / "a", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    assert station.wait_for("passed over:")[0].endswith("not for tiny-ct: localizer")
    send(station.port, write_series(tmp_path / "b", SeriesDescription="LUNG 1.0"))
    station.wait_for("6 passed over")
    station.wait_idle()
    assert not station.pacs.objects


def test_a_crash_of_a_series_costs_that_series_with_its_reason(station, tmp_path, monkeypatch):
    station.start()
    run = ProcessInside.run

    def crashes(self, task):
        if len(self.tasks) == 0:
            self.tasks.append(task)
            raise RuntimeError("an unforeseen fault")
        return run(self, task)

    monkeypatch.setattr(ProcessInside, "run", crashes)
    monkeypatch.setattr("TumorSegLib.node.service.TROUBLE_SECONDS", 0.01)
    send(station.port, write_series(tmp_path / "a"))
    station.wait_for("failed: unexpected fault, please report it: RuntimeError")
    send(station.port, write_series(tmp_path / "b", 7))
    station.wait_for("sent to PACS")


def test_damaged_pixels_are_a_reason(station, tmp_path):
    paths = write_series(tmp_path / "ct")
    for path in paths:
        image = pydicom.dcmread(path)
        image.BitsAllocated = image.BitsStored = 13
        image.save_as(path)
    station.start()
    send(station.port, paths)
    station.wait_for("failed:")
    station.wait_idle()


def test_no_line_names_the_patient_or_quotes_a_header(station, tmp_path):
    station.pacs.stop()
    station.start()
    send(station.port, write_series(tmp_path / "a"))
    send_broken(station.port, write_series(tmp_path / "GEHEIM", 7)[:3])
    send(station.port, write_series(tmp_path / "b", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    send(station.port, write_series(tmp_path / "c", 8, StudyInstanceUID=None, PixelSpacing=[0, 0]))
    station.wait_for("results wait")
    station.wait_for("failed")
    text = "\n".join(station.heard.lines)
    assert not [word for word in SECRETS if word in text]
    database = b"".join(path.read_bytes() for path in (tmp_path / "node").glob("queue*"))
    assert not [word for word in SECRETS if word.encode() in database]


def test_results_are_on_the_disk_before_they_count_as_made(station, tmp_path, monkeypatch):
    order = []
    flush = service.flush_folder
    monkeypatch.setattr(
        service, "flush_folder", lambda folder: (order.append(folder.name), flush(folder))
    )
    node = station.start()
    note = node._queue.note_made
    monkeypatch.setattr(node._queue, "note_made", lambda *a: (order.append("made"), note(*a))[1])
    send(station.port, write_series(tmp_path / "ct"))
    station.wait_for("sent to PACS")
    assert order == ["series-000001", "cases", "made"]


def test_a_reason_quotes_nothing_of_a_header(station, tmp_path, monkeypatch):
    def quotes(self, task):
        raise AssertionError("GEHEIM^ANNA")

    def reasons(self, task):
        line = "cannot repeat (found 'Geheim^Anna', P4711 of 19610203; BEFUND: 5 mm)"
        return Outcome(task.case.name, task.fingerprint, line)

    station.start()
    paths = write_series(tmp_path / "ct")
    monkeypatch.setattr(ProcessInside, "run", quotes)
    send(station.port, paths)
    (told,) = station.wait_for("failed")
    assert re.search(r"report it: AssertionError in test_node.py:\d+$", told)
    monkeypatch.setattr(ProcessInside, "run", reasons)
    send(station.port, paths)
    assert station.wait_for("failed", 2)[1] == (
        "series 1: failed: cannot repeat (found '[...]', [...] of [...]; [...]: 5 mm)"
    )
    assert not [word for word in SECRETS if word in "\n".join(station.heard.lines)]


def test_what_a_segmentation_cannot_repeat_is_told_without_quoting_it(station, tmp_path):
    station.start()
    send(station.port, write_series(tmp_path / "a", FrameOfReferenceUID=None))
    odd = {"PatientBirthDate": "GEHEIM", "Laterality": "ANNA"}
    send(station.port, write_series(tmp_path / "b", 7, **odd))
    station.wait_for("failed")
    station.wait_idle()
    assert not [word for word in SECRETS if word in "\n".join(station.heard.lines)]


def test_a_node_that_is_told_to_end_gives_its_series_back_and_goes_on(station, tmp_path):
    station.start()
    ProcessInside.last.go.clear()
    send(station.port, write_series(tmp_path / "ct"))
    wait_until(lambda: ProcessInside.last.tasks)
    station.stop()
    assert station.heard.about("given back")
    assert station.heard.lines[-1].startswith("ended; 1 series under way")
    station.start()
    station.wait_for("sent to PACS")


def test_two_nodes_do_not_work_on_one_folder(station, tmp_path):
    from TumorSegLib.errors import OutputError

    station.start()
    other = NodeBench(tmp_path)
    other.start()
    assert isinstance(other.fault[0], OutputError)
    assert "another run is at work" in str(other.fault[0])
    other._thread.join()


def test_a_port_that_is_taken_is_a_line(station):
    import socket

    from TumorSegLib.errors import OutputError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", station.port))
        taken.listen()
        station.start()
        assert isinstance(station.fault[0], OutputError)
        assert "cannot be listened on" in str(station.fault[0])
    station._thread.join()
    station.node = None


def test_what_is_through_is_forgotten_after_a_while(station, tmp_path):
    station.start()
    send(station.port, write_series(tmp_path / "ct"))
    station.wait_for("sent to PACS")
    station.wait_idle()
    station.stop()
    station.start(remember_days=1e-9)
    wait_until(lambda: not station.series())
    assert station.node._queue.tables.rows("SELECT COUNT(*) FROM image") == [(0,)]


def test_a_pacs_that_does_not_answer_does_not_keep_the_node_from_ending(
    station, tmp_path, monkeypatch
):
    import threading

    asked, answer = threading.Event(), threading.Event()
    monkeypatch.setattr("TumorSegLib.node.service.END_SECONDS", 0.01)

    def waits(*_):
        asked.set()
        answer.wait()

    with monkeypatch.context() as patch:
        patch.setattr("TumorSegLib.node.sender.send", waits)
        station.start()
        send(station.port, write_series(tmp_path / "ct"))
        asked.wait()
        station.stop()
    assert station.heard.lines[-1].startswith("ended; 1 series under way")
    answer.set()
    station.start()
    station.wait_for("sent to PACS")
    assert station.pacs.modalities == ["SEG", "SR"]
    assert not station.heard.about("fault")


def test_many_senders_at_once_get_one_result_a_series(station, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    series = [write_series(tmp_path / str(number), 6 + number) for number in range(6)]
    station.start()
    with ThreadPoolExecutor(12) as senders:  # each series twice, at once
        found = list(senders.map(lambda paths: send(station.port, paths), [*series, *series]))
    assert {status for each in found for status in each} == {0}
    station.wait_for("sent to PACS", 6)
    station.wait_idle()
    assert sorted(station.pacs.modalities) == ["SEG"] * 6 + ["SR"] * 6
    studies = {str(one.StudyInstanceUID) for one in station.pacs.objects}
    assert len(studies) == 6
