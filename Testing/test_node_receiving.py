"""What a DICOM node is sent: kept, known, refused, and when a series is complete."""

from __future__ import annotations

from dataclasses import replace

import pydicom
import pytest
from waiting import wait_until

pytest.importorskip("pynetdicom")

from node_bench import ProcessInside, connected, send, send_broken, write_series
from pynetdicom import build_context
from pynetdicom.sop_class import Verification

from TumorSegLib.node.queue import Named, Queue

pytestmark = pytest.mark.slow


def test_an_image_is_on_the_disk_before_it_is_acknowledged(station, tmp_path, monkeypatch):
    order = []
    fsync = __import__("os").fsync
    monkeypatch.setattr("os.fsync", lambda number: (order.append("fsync"), fsync(number)))
    station.told = {"quiet_seconds": 600.0}
    node = station.start()
    note = node._queue.note_image
    monkeypatch.setattr(
        node._queue, "note_image", lambda *a, **k: (order.append("row"), note(*a, **k))[1]
    )
    send(station.port, write_series(tmp_path / "ct")[:1])
    assert order == ["fsync", "fsync", "fsync", "row"]  # the file, its name, its folder's name
    mode = (
        node._queue.tables.rows("PRAGMA synchronous"),
        node._queue.tables.rows("PRAGMA journal_mode"),
    )
    assert mode == ([(2,)], [("wal",)])


def test_folder_and_images_are_for_the_node_s_user_alone(station, tmp_path):
    station.told = {"quiet_seconds": 600.0}
    station.start()
    send(station.port, write_series(tmp_path / "ct"))
    place = tmp_path / "node"
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / "images").stat().st_mode & 0o777 == 0o700


def test_a_series_is_complete_when_its_connection_ended(station, tmp_path):
    paths = write_series(tmp_path / "ct")
    station.start()
    with connected(station.port) as association:
        for path in paths:
            association.send_c_store(pydicom.dcmread(path))
        turns = station.count_turns()
        wait_until(lambda: turns() > 5)  # quiet for longer than it has to be, and yet
        assert not station.heard.about("complete")
    station.wait_for("sent to PACS")


def test_a_series_is_complete_after_a_quiet_time_and_not_before(station, tmp_path):
    station.told = {"quiet_seconds": 600.0}
    paths = write_series(tmp_path / "ct")
    station.start()
    send(station.port, paths[:3])
    turns = station.count_turns()
    wait_until(lambda: turns() > 5)
    assert not station.heard.about("complete")
    send(station.port, paths[3:])
    station.stop()
    station.told = {"quiet_seconds": 0.0}
    station.start()
    assert station.wait_for("complete")[0].endswith("6 images, complete; rule 1, tiny-ct")
    station.wait_for("sent to PACS")


def test_after_a_broken_connection_what_came_is_kept_and_the_rest_completes_it(station, tmp_path):
    paths = write_series(tmp_path / "ct", 9)
    station.start()
    send_broken(station.port, paths[:4])
    assert station.wait_for("connection broke")[0].endswith("4 accepted; the connection broke")
    turns = station.count_turns()
    wait_until(lambda: turns() > 5)
    assert not station.heard.about("complete")
    send(station.port, paths[4:])
    assert "9 images, complete" in station.wait_for("complete")[0]
    station.wait_for("sent to PACS")
    assert station.pacs.modalities == ["SEG", "SR"]


def test_after_a_broken_connection_the_whole_series_may_come_again(station, tmp_path):
    paths = write_series(tmp_path / "ct", 9)
    station.start()
    send_broken(station.port, paths[:4])
    station.wait_for("connection broke")
    assert set(send(station.port, paths)) == {0}
    assert station.wait_for("from SENDER", 2)[1].endswith("4 there already, 5 accepted")
    assert "9 images, complete" in station.wait_for("complete")[0]


def send_on_one(station, paths):
    """Send images on one connection, which then breaks."""
    send_broken(station.port, paths)
    return station.wait_for("the connection broke")


def test_a_series_that_was_through_before_its_connection_broke_is_whole(station, tmp_path):
    first, second = write_series(tmp_path / "a"), write_series(tmp_path / "b", 9)
    station.start()
    send_on_one(station, [*first, *second[:4]])
    assert station.wait_for("complete")[0].startswith("series 1: CT, 6 images")
    turns = station.count_turns()
    wait_until(lambda: turns() > 5)
    assert len(station.heard.about("complete")) == 1
    send(station.port, second[4:])
    assert station.wait_for("complete", 2)[1].startswith("series 2: CT, 9 images")
    station.wait_for("sent to PACS", 2)


def test_of_series_whose_images_came_mixed_none_is_whole(station, tmp_path):
    first, second = write_series(tmp_path / "a"), write_series(tmp_path / "b", 9)
    station.start()
    send_on_one(station, [*first[:3], *second[:4], *first[3:5], *second[4:6]])
    turns = station.count_turns()
    wait_until(lambda: turns() > 5)
    assert not station.heard.about("complete")
    send(station.port, [*first, *second])
    station.wait_for("sent to PACS", 2)


def test_two_connections_at_once_are_one_series(station, tmp_path):
    paths = write_series(tmp_path / "ct", 9)
    station.start()
    with connected(station.port) as other:
        for path in paths[:3]:
            other.send_c_store(pydicom.dcmread(path))
        send(station.port, paths[3:6])
        turns = station.count_turns()
        wait_until(lambda: turns() > 5)
        assert not station.heard.about("complete")  # the other one is open still
        for path in paths[6:]:
            other.send_c_store(pydicom.dcmread(path))
    assert "9 images, complete" in station.wait_for("complete")[0]


def test_a_connection_that_broke_is_not_mended_by_one_beside_it(station, tmp_path):
    paths = write_series(tmp_path / "ct", 9)
    station.start()
    with connected(station.port) as other:
        other.send_c_store(pydicom.dcmread(paths[0]))
        send_broken(station.port, paths[1:4])
        station.wait_for("connection broke")
        for path in paths[4:8]:
            other.send_c_store(pydicom.dcmread(path))
    station.wait_for("5 accepted")
    turns = station.count_turns()
    wait_until(lambda: turns() > 5)
    assert not station.heard.about("complete")
    send(station.port, paths)
    assert "9 images, complete" in station.wait_for("complete")[0]


def test_what_never_comes_after_a_broken_connection_is_a_line(station, tmp_path):
    station.told = {"rest_minutes": 0.0}
    station.start()
    paths = write_series(tmp_path / "ct")
    send_broken(station.port, paths[:3])
    assert "the rest did not come; send the series again" in station.wait_for("failed")[0]
    station.wait_idle()
    station.told = {}
    station.stop()
    station.start()
    send(station.port, paths)
    station.wait_for("sent to PACS")


def test_an_image_that_comes_twice_is_accepted_and_done_once(station, tmp_path):
    paths = write_series(tmp_path / "ct")
    station.start()
    assert set(send(station.port, [*paths, paths[0]])) == {0}
    station.wait_for("sent to PACS")
    station.wait_idle()
    assert set(send(station.port, paths)) == {0}
    assert station.wait_for("6 there already")
    turns = station.count_turns()
    wait_until(lambda: turns() > 5)
    assert len(ProcessInside.last.tasks) == 1
    assert station.pacs.modalities == ["SEG", "SR"]


def test_images_that_come_late_have_the_series_done_again_as_a_whole(station, tmp_path):
    paths = write_series(tmp_path / "ct", 9)
    station.start()
    ProcessInside.last.go.clear()
    send(station.port, paths[:6])
    wait_until(lambda: ProcessInside.last.tasks)
    send(station.port, paths[6:])
    ProcessInside.last.go.set()
    station.wait_for("more images came meanwhile")
    station.wait_for("sent to PACS")
    assert station.pacs.modalities == ["SEG", "SR"]
    assert len(station.pacs.objects[0].ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 9


def test_what_comes_after_it_was_done_waits_for_the_whole_series(station, tmp_path):
    paths = write_series(tmp_path / "ct", 9)
    station.start()
    send(station.port, paths[:6])
    station.wait_for("sent to PACS")
    station.wait_idle()
    send(station.port, paths[6:7])
    turns = station.count_turns()
    wait_until(lambda: turns() > 5)
    assert len(station.heard.about("complete")) == 1
    send(station.port, paths)
    assert "9 images, complete" in station.wait_for("complete", 2)[1]
    station.wait_for("sent to PACS", 2)


def test_on_a_full_disk_images_are_refused_for_lack_of_room(station, tmp_path, monkeypatch):
    import errno

    station.start()
    paths = write_series(tmp_path / "ct")
    with monkeypatch.context() as patch:

        def full(number):
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr("TumorSegLib.node.image_store.os.fsync", full)
        assert set(send(station.port, paths)) == {0xA700}
    assert len(station.heard.about("images are refused")) == 1
    assert not list((tmp_path / "node" / "images").glob("*/*"))
    assert set(send(station.port, paths)) == {0}
    station.wait_for("images are taken again")
    station.wait_for("sent to PACS")


def refuse(monkeypatch, uids, error):
    """Have the disk fail for these images."""
    from TumorSegLib.node.image_store import ImageStore

    write = ImageStore.write

    def failing(store, series, uid, content):
        if uid in uids:
            raise error
        write(store, series, uid, content)

    monkeypatch.setattr(ImageStore, "write", failing)


@pytest.mark.parametrize("places", [(0,), (2, 3), (5,)])
@pytest.mark.parametrize(
    ("error", "status"),
    [(OSError(28, "full"), 0xA700), (MemoryError(), 0xA700), (KeyError(), 0x0110)],
)
def test_a_series_that_lacks_refused_images_waits_for_them(
    station, tmp_path, monkeypatch, places, error, status
):
    paths = write_series(tmp_path / "ct")
    station.start()
    refused = [pydicom.dcmread(paths[place]).SOPInstanceUID for place in places]
    with monkeypatch.context() as patch:
        refuse(patch, refused, error)
        assert send(station.port, paths) == [status if place in places else 0 for place in range(6)]
        station.wait_for(f"{6 - len(places)} accepted")
        send(station.port, paths[1:2])  # of another connection, which does not bring them
        turns = station.count_turns()
        wait_until(lambda: turns() > 5)
        assert not station.heard.about("complete")
        assert [row.connection for row in station.series()] == ["refused"]
    assert set(send(station.port, [paths[place] for place in places])) == {0}
    assert "6 images, complete" in station.wait_for("complete")[0]
    station.wait_for("sent to PACS")
    assert station.pacs.modalities == ["SEG", "SR"]


def test_a_refused_image_that_comes_again_at_once_is_lacking_no_more(
    station, tmp_path, monkeypatch
):
    paths = write_series(tmp_path / "ct")
    station.start()
    with connected(station.port) as association:
        with monkeypatch.context() as patch:
            refuse(patch, [pydicom.dcmread(paths[2]).SOPInstanceUID], OSError(28, "full"))
            for path in paths:
                association.send_c_store(pydicom.dcmread(path))
        association.send_c_store(pydicom.dcmread(paths[2]))
    assert "6 images, complete" in station.wait_for("complete")[0]


@pytest.mark.parametrize("ends", ["never comes", "node ends"])
def test_refused_images_that_never_come_are_a_line(station, tmp_path, monkeypatch, ends):
    station.told = {"rest_minutes": 0.0 if ends == "never comes" else 60.0}
    paths = write_series(tmp_path / "ct")
    station.start()
    with monkeypatch.context() as patch:
        refuse(patch, [pydicom.dcmread(paths[2]).SOPInstanceUID], OSError(28, "full"))
        send(station.port, paths)
        if ends == "node ends":
            station.wait_for("5 accepted")
            station.told = {"rest_minutes": 0.0}
            station.stop()
            station.start()
    assert "images were refused, and the rest did not come" in station.wait_for("failed")[0]
    station.wait_idle()
    station.stop()
    station.told = {}
    station.start()
    send(station.port, paths)
    station.wait_for("sent to PACS")


def test_a_series_one_of_whose_images_is_damaged_is_not_whole(station, tmp_path):
    station.told = {"rest_minutes": 0.0}
    station.start()
    paths = write_series(tmp_path / "ct", 9)
    dataset = pydicom.dcmread(paths[4])
    with connected(station.port) as association:
        for path in [*paths[:4], *paths[5:]]:
            association.send_c_store(pydicom.dcmread(path))
        assert send_bytes(association, dataset, encoded(dataset)[:-100]) == 0xC000
    assert station.wait_for("is damaged; refused")
    assert "images were refused" in station.wait_for("failed")[0]


def encoded(dataset):
    from pynetdicom.dsutils import encode

    return encode(dataset, False, True)


def send_bytes(association, dataset, content):
    """Send what no library would write; return the status."""
    from io import BytesIO

    from pynetdicom.dimse_primitives import C_STORE

    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID = dataset.SOPClassUID
    request.AffectedSOPInstanceUID = dataset.SOPInstanceUID
    request.DataSet = BytesIO(content)
    number = next(
        one.context_id
        for one in association.accepted_contexts
        if one.abstract_syntax == dataset.SOPClassUID
        and one.transfer_syntax == ["1.2.840.10008.1.2.1"]
    )
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, number)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer.Status


def test_an_image_called_as_one_of_another_series_is_refused(station, tmp_path):
    paths = write_series(tmp_path / "ct")
    station.start()
    send(station.port, paths)
    station.wait_for("sent to PACS")
    for path in paths:
        copied = pydicom.dcmread(path)
        copied.SeriesInstanceUID = "1.2.3.4"
        copied.save_as(path)
    assert set(send(station.port, paths)) == {0xC000}
    (line,) = station.heard.about("of another series")
    assert line.endswith("has the SOPInstanceUID of an image of another series; refused")


def test_room_is_kept_free_for_results(station, tmp_path):
    station.start(reserve_mb=1e12)
    assert send(station.port, write_series(tmp_path / "ct")[:1]) == [0xA700]


def test_a_queue_that_cannot_grow_refuses_images(station, tmp_path, monkeypatch):
    import sqlite3

    node = station.start()
    paths = write_series(tmp_path / "ct")
    with monkeypatch.context() as patch:

        def full(*_, **__):
            raise sqlite3.OperationalError("database or disk is full")

        patch.setattr(node._queue, "note_image", full)
        assert set(send(station.port, paths)) == {0xA700}
    assert station.heard.about("images are refused: database or disk is full")
    assert set(send(station.port, paths)) == {0}
    station.wait_for("sent to PACS")


def test_the_end_of_a_connection_is_kept_once_the_disk_has_room(station, tmp_path, monkeypatch):
    import sqlite3

    monkeypatch.setattr("TumorSegLib.node.service.TROUBLE_SECONDS", 0.01)
    node = station.start()
    with monkeypatch.context() as patch:

        def full(*_, **__):
            raise sqlite3.OperationalError("database or disk is full")

        patch.setattr(node._queue, "note_connection", full)
        assert set(send(station.port, write_series(tmp_path / "ct"))) == {0}
        assert station.wait_for("the queue cannot be written: database or disk is full")
    station.wait_for("sent to PACS")


@pytest.mark.parametrize("what", [{"calling": "STRANGER"}, {"called": "OTHER"}])
def test_who_may_not_send_is_refused_with_a_line(station, what):
    station.start()
    for _ in range(3):
        with connected(station.port, **what) as association:
            assert association.is_rejected
    assert len(station.heard.about("who may not send here")) == 1


def test_computers_that_may_not_send_are_refused(station, tmp_path):
    station.told = {"addresses": ["10.1.0.0/16"]}
    station.start()
    with connected(station.port) as association:
        assert not association.is_established
    assert station.heard.about("refused 127.0.0.1, who may not send here")
    station.stop()
    station.told = {"addresses": ["10.1.0.0/16", "127.0.0.1"]}
    station.start()
    assert set(send(station.port, write_series(tmp_path / "ct"))) == {0}


def test_garbage_is_refused_and_stops_nothing(station, tmp_path):
    from pydicom.dataset import Dataset, FileMetaDataset

    station.start()
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
    with connected(station.port) as association:
        found = [
            association.send_c_store(pydicom.dcmread(tmp_path / name)).Status
            for name in ("without.dcm", "nameless.dcm")
        ]
        found.append(association.send_c_store(empty).Status)
        found += [association.send_c_store(pydicom.dcmread(path)).Status for path in paths]
    assert found == [0xC000, 0xC000, 0x0000, *[0] * 6]  # the third says nothing, so is passed over
    station.wait_for("sent to PACS")


def test_too_many_connections_are_refused_as_such(station, monkeypatch):
    from contextlib import ExitStack

    monkeypatch.setattr("TumorSegLib.node.receiver.MOST_CONNECTIONS", 2)
    station.start()
    with ExitStack() as stack:
        for _ in range(2):
            assert stack.enter_context(connected(station.port)).is_established
        assert stack.enter_context(connected(station.port)).is_rejected
    assert station.wait_for("as 2 connections are open")


def test_an_echo_is_answered(station):
    station.start()
    with connected(station.port, contexts=[build_context(Verification)]) as association:
        assert association.send_c_echo().Status == 0


def test_what_is_no_dicom_at_all_stops_nothing(station, tmp_path):
    import random
    import socket

    station.start()
    for seed in range(5):
        with socket.create_connection(("127.0.0.1", station.port)) as stranger:
            stranger.sendall(random.Random(seed).randbytes(2000))
    assert set(send(station.port, write_series(tmp_path / "ct"))) == {0}
    station.wait_for("sent to PACS")


def test_a_connection_that_is_open_when_the_node_ends_is_a_broken_one(station, tmp_path):
    paths = write_series(tmp_path / "ct")
    station.start()
    with connected(station.port) as association:
        for path in paths[:3]:
            association.send_c_store(pydicom.dcmread(path))
        station.stop()
        wait_until(lambda: not association.is_established)
    station.start()
    turns = station.count_turns()
    wait_until(lambda: turns() > 5)
    assert not station.heard.about("complete")
    send(station.port, paths)
    station.wait_for("sent to PACS")


@pytest.mark.parametrize(
    ("ends", "key", "is_known"),
    [
        (lambda queue, row: None, "other", True),
        (lambda queue, row: queue.note_failed(row, "damaged"), "key", False),
        (lambda queue, row: queue.note_passed(row, "no rule", key="key"), "key", True),
        (lambda queue, row: queue.note_passed(row, "no rule", key="key"), "other", False),
    ],
)
def test_images_that_are_still_here_are_known_only_where_their_series_is_through(
    tmp_path, ends, key, is_known
):
    queue = Queue(tmp_path / "queue.sqlite")
    image = Named("1.2.3.1", "1.2.3", "1.2", "CT", "key")
    queue.note_image(image, mends=True)
    (row,) = queue.tables.series("1")
    ends(queue, row)
    assert queue.is_known(replace(image, key=key)) == is_known
    if not is_known:
        queue.note_image(image, mends=True)
        assert queue.tables.series("state = 'receiving'")
    queue.tables.close()
