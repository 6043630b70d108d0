"""A DICOM node: what is sent to it comes back as a segmentation and a report, once."""

from __future__ import annotations

import pytest

pytest.importorskip("pynetdicom")
pytest.importorskip("highdicom")

from node_bench import (
    SECRETS,
    NodeBench,
    ProcessInside,
    connected,
    send,
    send_broken,
    write_series,
)
from waiting import wait_until


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr("TumorSegLib.node.service.ModelProcess", ProcessInside)
    monkeypatch.setattr("TumorSegLib.node.service.TURN_SECONDS", 0.02)
    bench = NodeBench(tmp_path)
    bench.pacs.start()
    yield bench
    bench.close()


def test_a_series_comes_back_as_segmentation_and_report_of_its_study(bench, tmp_path):
    paths = write_series(tmp_path / "ct")
    bench.start()
    assert set(send(bench.port, paths)) == {0}
    bench.wait_for("sent to PACS")
    bench.wait_idle()
    assert bench.pacs.modalities == ["SEG", "SR"]
    seg, report = bench.pacs.objects
    assert seg.StudyInstanceUID == report.StudyInstanceUID
    assert seg.PatientName == "GEHEIM^ANNA"
    assert report.CurrentRequestedProcedureEvidenceSequence
    assert bench.heard.about("series 1:")[0].partition(": ")[2] == (
        "CT, 6 images, complete; rule 1, tiny-ct"
    )


def test_an_image_is_on_the_disk_before_it_is_acknowledged(bench, tmp_path, monkeypatch):
    order = []
    fsync = __import__("os").fsync
    monkeypatch.setattr("os.fsync", lambda number: (order.append("fsync"), fsync(number)))
    bench.told = {"quiet_seconds": 600.0}
    node = bench.start()
    note = node._queue.note_image
    monkeypatch.setattr(
        node._queue, "note_image", lambda *a, **k: (order.append("row"), note(*a, **k))[1]
    )
    send(bench.port, write_series(tmp_path / "ct")[:1])
    assert order == ["fsync", "fsync", "fsync", "row"]  # the file, its name, its folder's name
    mode = (
        node._queue.tables.rows("PRAGMA synchronous"),
        node._queue.tables.rows("PRAGMA journal_mode"),
    )
    assert mode == ([(2,)], [("wal",)])


def test_folder_and_images_are_for_the_node_s_user_alone(bench, tmp_path):
    bench.told = {"quiet_seconds": 600.0}
    bench.start()
    send(bench.port, write_series(tmp_path / "ct"))
    place = tmp_path / "node"
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / "images").stat().st_mode & 0o777 == 0o700


def test_a_series_is_complete_when_its_connection_ended(bench, tmp_path):
    paths = write_series(tmp_path / "ct")
    bench.start()
    import pydicom

    with connected(bench.port) as association:
        for path in paths:
            association.send_c_store(pydicom.dcmread(path))
        turns = count_turns(bench)
        wait_until(lambda: turns() > 5)  # quiet for longer than it has to be, and yet
        assert not bench.heard.about("complete")
    bench.wait_for("sent to PACS")


def count_turns(bench):
    """How often the node has looked for series that are complete, from now on."""
    queue, counted = bench.node._queue, []
    quiet = queue.quiet
    queue.quiet = lambda seconds: (counted.append(1), quiet(seconds))[1]
    return lambda: len(counted)


def test_a_series_is_complete_after_a_quiet_time_and_not_before(bench, tmp_path):
    bench.told = {"quiet_seconds": 600.0}
    paths = write_series(tmp_path / "ct")
    bench.start()
    send(bench.port, paths[:3])
    turns = count_turns(bench)
    wait_until(lambda: turns() > 5)
    assert not bench.heard.about("complete")
    send(bench.port, paths[3:])
    bench.stop()
    bench.told = {"quiet_seconds": 0.0}
    bench.start()
    assert bench.wait_for("complete")[0].endswith("6 images, complete; rule 1, tiny-ct")
    bench.wait_for("sent to PACS")


def test_after_a_broken_connection_what_came_is_kept_and_the_rest_completes_it(bench, tmp_path):
    paths = write_series(tmp_path / "ct", 9)
    bench.start()
    send_broken(bench.port, paths[:4])
    assert bench.wait_for("connection broke")[0].endswith("4 accepted; the connection broke")
    turns = count_turns(bench)
    wait_until(lambda: turns() > 5)
    assert not bench.heard.about("complete")
    send(bench.port, paths[4:])
    assert "9 images, complete" in bench.wait_for("complete")[0]
    bench.wait_for("sent to PACS")
    assert bench.pacs.modalities == ["SEG", "SR"]


def test_after_a_broken_connection_the_whole_series_may_come_again(bench, tmp_path):
    paths = write_series(tmp_path / "ct", 9)
    bench.start()
    send_broken(bench.port, paths[:4])
    bench.wait_for("connection broke")
    assert set(send(bench.port, paths)) == {0}
    assert bench.wait_for("from SENDER", 2)[1].endswith("4 there already, 5 accepted")
    assert "9 images, complete" in bench.wait_for("complete")[0]


def test_what_never_comes_after_a_broken_connection_is_a_line(bench, tmp_path):
    bench.told = {"rest_minutes": 0.0}
    bench.start()
    paths = write_series(tmp_path / "ct")
    send_broken(bench.port, paths[:3])
    assert "the rest did not come; send the series again" in bench.wait_for("failed")[0]
    bench.wait_idle()
    bench.told = {}
    bench.stop()
    bench.start()
    send(bench.port, paths)
    bench.wait_for("sent to PACS")


def test_an_image_that_comes_twice_is_accepted_and_done_once(bench, tmp_path):
    paths = write_series(tmp_path / "ct")
    bench.start()
    assert set(send(bench.port, [*paths, paths[0]])) == {0}
    bench.wait_for("sent to PACS")
    bench.wait_idle()
    assert set(send(bench.port, paths)) == {0}
    assert bench.wait_for("6 there already")
    turns = count_turns(bench)
    wait_until(lambda: turns() > 5)
    assert len(ProcessInside.last.tasks) == 1
    assert bench.pacs.modalities == ["SEG", "SR"]


def test_another_model_is_another_work(bench, tmp_path):
    from bright_models import write_ct_model

    write_ct_model(bench.models, "other-ct")
    paths = write_series(tmp_path / "ct")
    bench.start()
    send(bench.port, paths)
    bench.wait_for("sent to PACS")
    bench.wait_idle()
    bench.stop()
    bench.start(rule=[{"model": "other-ct"}])
    send(bench.port, paths)
    bench.wait_for("segmented by other-ct")
    bench.wait_for("sent to PACS")
    assert bench.pacs.modalities == ["SEG", "SR", "SEG", "SR"]


def test_images_that_come_late_have_the_series_done_again_as_a_whole(bench, tmp_path):
    paths = write_series(tmp_path / "ct", 9)
    bench.start()
    ProcessInside.last.go.clear()
    send(bench.port, paths[:6])
    wait_until(lambda: ProcessInside.last.tasks)
    send(bench.port, paths[6:])
    ProcessInside.last.go.set()
    bench.wait_for("more images came meanwhile")
    bench.wait_for("sent to PACS")
    assert bench.pacs.modalities == ["SEG", "SR"]
    assert len(bench.pacs.objects[0].ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 9


def test_what_comes_after_it_was_done_waits_for_the_whole_series(bench, tmp_path):
    paths = write_series(tmp_path / "ct", 9)
    bench.start()
    send(bench.port, paths[:6])
    bench.wait_for("sent to PACS")
    bench.wait_idle()
    send(bench.port, paths[6:7])
    turns = count_turns(bench)
    wait_until(lambda: turns() > 5)
    assert len(bench.heard.about("complete")) == 1
    send(bench.port, paths)
    assert "9 images, complete" in bench.wait_for("complete", 2)[1]
    bench.wait_for("sent to PACS", 2)


def test_results_wait_while_the_pacs_is_away_and_it_is_said_once(bench, tmp_path, monkeypatch):
    monkeypatch.setattr("TumorSegLib.node.outbox.LONGEST_PAUSE", 0.01)
    bench.pacs.stop()
    bench.start()
    send(bench.port, write_series(tmp_path / "a"))
    send(bench.port, write_series(tmp_path / "b", 7))
    bench.wait_for("segmented by", 2)
    wait_until(lambda: tries(bench) > 4)
    assert len(bench.heard.about("results wait")) == 1
    bench.pacs.start()
    bench.wait_for("sent to PACS", 2)
    bench.wait_idle()
    assert bench.pacs.modalities == ["SEG", "SR"] * 2
    assert len(bench.heard.about("takes results again")) == 1


def tries(bench):
    return int(bench.node._queue.tables.rows("SELECT SUM(tries) FROM result")[0][0] or 0)


def test_pauses_between_tries_double_up_to_ten_minutes():
    from TumorSegLib.node.outbox import pause_after

    assert [pause_after(tries) for tries in (0, 1, 2, 5, 9, 10, 50)] == [
        *(1, 2, 4, 32, 512, 600, 600)
    ]


def test_what_the_pacs_does_not_take_is_given_up_after_the_stated_time(bench, tmp_path):
    bench.pacs.status = 0xC001
    bench.start(give_up_hours=1e-9)
    paths = write_series(tmp_path / "ct")
    send(bench.port, paths)
    told = bench.wait_for("given up after 1e-09 h")
    assert "does not take it (status C001); send the series again" in told[0]
    bench.wait_idle()
    bench.pacs.status = 0
    send(bench.port, paths)
    bench.wait_for("sent to PACS")


def test_on_a_full_disk_images_are_refused_for_lack_of_room(bench, tmp_path, monkeypatch):
    import errno

    bench.start()
    paths = write_series(tmp_path / "ct")
    with monkeypatch.context() as patch:

        def full(number):
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr("TumorSegLib.node.image_store.os.fsync", full)
        assert set(send(bench.port, paths)) == {0xA700}
    assert len(bench.heard.about("images are refused")) == 1
    assert not list((tmp_path / "node" / "images").glob("*/*"))
    assert set(send(bench.port, paths)) == {0}
    bench.wait_for("images are taken again")
    bench.wait_for("sent to PACS")


def test_room_is_kept_free_for_results(bench, tmp_path):
    bench.start(reserve_mb=1e12)
    assert send(bench.port, write_series(tmp_path / "ct")[:1]) == [0xA700]


def test_a_queue_that_cannot_grow_refuses_images(bench, tmp_path, monkeypatch):
    import sqlite3

    node = bench.start()
    paths = write_series(tmp_path / "ct")
    with monkeypatch.context() as patch:

        def full(*_, **__):
            raise sqlite3.OperationalError("database or disk is full")

        patch.setattr(node._queue, "note_image", full)
        assert set(send(bench.port, paths)) == {0xA700}
    assert bench.heard.about("images are refused: database or disk is full")
    assert set(send(bench.port, paths)) == {0}
    bench.wait_for("sent to PACS")


def test_the_end_of_a_connection_is_kept_when_the_disk_has_room_again(bench, tmp_path, monkeypatch):
    import sqlite3

    monkeypatch.setattr("TumorSegLib.node.service.TROUBLE_SECONDS", 0.01)
    node = bench.start()
    with monkeypatch.context() as patch:

        def full(*_, **__):
            raise sqlite3.OperationalError("database or disk is full")

        patch.setattr(node._queue, "note_connection", full)
        assert set(send(bench.port, write_series(tmp_path / "ct"))) == {0}
        assert bench.wait_for("the queue cannot be written: database or disk is full")
    bench.wait_for("sent to PACS")


def test_a_full_disk_has_the_series_wait_not_fail(bench, tmp_path, monkeypatch):
    from TumorSegLib.cohort.case_run import Outcome

    monkeypatch.setattr("TumorSegLib.node.service.TROUBLE_SECONDS", 0.01)
    bench.start()
    run, full = ProcessInside.run, [1, 1]

    def fails(self, task):
        if full.pop() if full else False:
            return Outcome(task.case.name, task.fingerprint, "x: No space left on device")
        return run(self, task)

    monkeypatch.setattr(ProcessInside, "run", fails)
    send(bench.port, write_series(tmp_path / "ct"))
    bench.wait_for("sent to PACS")
    assert len(bench.heard.about("waits: No space left")) == 1
    assert not bench.heard.about("failed")


@pytest.mark.parametrize("what", [{"calling": "STRANGER"}, {"called": "OTHER"}])
def test_who_may_not_send_is_refused_with_a_line(bench, what):
    bench.start()
    for _ in range(3):
        with connected(bench.port, **what) as association:
            assert association.is_rejected
    assert len(bench.heard.about("who may not send here")) == 1


def test_computers_that_may_not_send_are_refused(bench, tmp_path):
    bench.told = {"addresses": ["10.1.0.0/16"]}
    bench.start()
    with connected(bench.port) as association:
        assert not association.is_established
    assert bench.heard.about("refused SENDER (127.0.0.1)")
    bench.stop()
    bench.told = {"addresses": ["10.1.0.0/16", "127.0.0.1"]}
    bench.start()
    assert set(send(bench.port, write_series(tmp_path / "ct"))) == {0}


def test_garbage_is_refused_and_stops_nothing(bench, tmp_path):
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset

    bench.start()
    paths = write_series(tmp_path / "ct")
    without = pydicom.dcmread(paths[0])
    del without.PixelData
    without.SOPInstanceUID = "1.2.3.4"
    without.save_as(tmp_path / "without.dcm")
    nameless = pydicom.dcmread(paths[0])
    del nameless.SeriesInstanceUID
    nameless.SOPInstanceUID = "1.2.3.5"
    nameless.save_as(tmp_path / "nameless.dcm")
    empty = Dataset()
    empty.file_meta = FileMetaDataset()
    empty.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    empty.SOPClassUID, empty.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3.6"
    with connected(bench.port) as association:
        found = [
            association.send_c_store(pydicom.dcmread(tmp_path / name)).Status
            for name in ("without.dcm", "nameless.dcm")
        ]
        found.append(association.send_c_store(empty).Status)
        found += [association.send_c_store(pydicom.dcmread(path)).Status for path in paths]
    assert found == [0xC000, 0xC000, 0x0000, *[0] * 6]  # the third says nothing, so is passed over
    bench.wait_for("sent to PACS")


def test_objects_that_come_back_are_not_segmented_again(bench, tmp_path):
    bench.start()
    send(bench.port, write_series(tmp_path / "ct"))
    bench.wait_for("sent to PACS")
    bench.wait_idle()
    with connected(bench.port) as association:
        assert [association.send_c_store(one).Status for one in bench.pacs.objects] == [0, 0]
    bench.wait_for("2 passed over")
    assert len(bench.series()) == 1
    assert not list((tmp_path / "node" / "images").iterdir())


def test_a_series_that_fits_no_model_is_passed_over_with_a_reason(bench, tmp_path):
    bench.start(rule=[{"model": "tiny-ct", "description": ["*portal*"]}])
    send(bench.port, write_series(tmp_path / "a", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    assert bench.wait_for("passed over:")[0].endswith("not for tiny-ct: localizer")
    send(bench.port, write_series(tmp_path / "b", SeriesDescription="LUNG 1.0"))
    bench.wait_for("6 passed over")
    bench.wait_idle()
    assert not bench.pacs.objects


def test_a_crash_of_a_series_costs_that_series_with_its_reason(bench, tmp_path, monkeypatch):
    bench.start()
    run = ProcessInside.run

    def crashes(self, task):
        if len(self.tasks) == 0:
            self.tasks.append(task)
            raise RuntimeError("an unforeseen fault")
        return run(self, task)

    monkeypatch.setattr(ProcessInside, "run", crashes)
    monkeypatch.setattr("TumorSegLib.node.service.TROUBLE_SECONDS", 0.01)
    send(bench.port, write_series(tmp_path / "a"))
    bench.wait_for("failed: unexpected fault, please report it: RuntimeError")
    send(bench.port, write_series(tmp_path / "b", 7))
    bench.wait_for("sent to PACS")


def test_damaged_pixels_are_a_reason(bench, tmp_path):
    import pydicom

    paths = write_series(tmp_path / "ct")
    for path in paths:
        image = pydicom.dcmread(path)
        image.BitsAllocated = image.BitsStored = 13
        image.save_as(path)
    bench.start()
    send(bench.port, paths)
    bench.wait_for("failed:")
    bench.wait_idle()


def test_no_line_names_the_patient_or_quotes_a_header(bench, tmp_path):
    bench.pacs.stop()
    bench.start()
    send(bench.port, write_series(tmp_path / "a"))
    send_broken(bench.port, write_series(tmp_path / "GEHEIM", 7)[:3])
    send(bench.port, write_series(tmp_path / "b", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    send(bench.port, write_series(tmp_path / "c", 8, StudyInstanceUID=None, PixelSpacing=[0, 0]))
    bench.wait_for("results wait")
    bench.wait_for("failed")
    text = "\n".join(bench.heard.lines)
    assert not [word for word in SECRETS if word in text]
    database = b"".join(path.read_bytes() for path in (tmp_path / "node").glob("queue*"))
    assert not [word for word in SECRETS if word.encode() in database]


def test_a_node_that_is_told_to_end_gives_its_series_back_and_goes_on(bench, tmp_path):
    bench.start()
    ProcessInside.last.go.clear()
    send(bench.port, write_series(tmp_path / "ct"))
    wait_until(lambda: ProcessInside.last.tasks)
    bench.stop()
    assert bench.heard.about("given back")
    assert bench.heard.lines[-1].startswith("ended; 1 series under way")
    bench.start()
    bench.wait_for("sent to PACS")


def test_two_nodes_do_not_work_on_one_folder(bench, tmp_path):
    from TumorSegLib.errors import OutputError

    bench.start()
    other = NodeBench(tmp_path)
    other.start()
    assert isinstance(other.fault[0], OutputError)
    assert "another run is at work" in str(other.fault[0])
    other._thread.join()


def test_a_port_that_is_taken_is_a_line(bench):
    import socket

    from TumorSegLib.errors import OutputError

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", bench.port))
        taken.listen()
        bench.start()
        assert isinstance(bench.fault[0], OutputError)
        assert "cannot be listened on" in str(bench.fault[0])
    bench._thread.join()
    bench.node = None


def test_what_is_through_is_forgotten_after_a_while(bench, tmp_path):
    bench.start()
    send(bench.port, write_series(tmp_path / "ct"))
    bench.wait_for("sent to PACS")
    bench.wait_idle()
    bench.stop()
    bench.start(remember_days=1e-9)
    wait_until(lambda: not bench.series())
    assert bench.node._queue.tables.rows("SELECT COUNT(*) FROM image") == [(0,)]
