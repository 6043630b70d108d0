"""What counts as sent by STOW-RS: only what the service says it has."""

from __future__ import annotations

import json
import socket
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("pynetdicom")
pytest.importorskip("requests")

from dicom_writing import CT, header_of, save
from web_server import leads, sends, web_server

from TumorSegLib.node.journal import Journal
from TumorSegLib.node.outbox import GIVEN_UP, TO_SEND, Outbox
from TumorSegLib.node.queue_tables import ENDED, MADE, QUEUE, Tables
from TumorSegLib.node.sender import Sender
from TumorSegLib.node.sending import RefusedError, UnreachableError, send
from TumorSegLib.node.settings import SendByStore, SendByWeb
from TumorSegLib.node.store_answer import StoreAnswer, store_answer

DICOM_JSON = "application/dicom+json"


@pytest.fixture
def to_send(tmp_path):
    """A file, and the SOPInstanceUID of the object in it."""
    header = header_of(np.zeros((9, 9), np.int16), CT, "1.2.3")
    save(header, tmp_path / "object.dcm")
    return tmp_path / "object.dcm", str(header.SOPInstanceUID)


@pytest.fixture
def service():
    """A service with `answers` by path; `calls` it got."""
    answers, calls = {}, []

    def answer(handler):
        calls.append((handler.command, handler.path))
        answers.get(handler.path, sends(b"", code=404))(handler)

    with web_server("") as server:
        server.answer = answer
        yield SimpleNamespace(url=server.url, answers=answers, calls=calls)


@pytest.mark.usefixtures("to_send")
def test_a_node_that_was_off_for_days_gives_nothing_up_at_its_first_try(tmp_path, monkeypatch):
    """Nor after its clock was set: the network may not be there yet."""
    tables, made = Tables(tmp_path / QUEUE), 0.0  # in 1970
    with tables.changing() as database:
        database.execute(
            "INSERT INTO series (id, uid, study, modality, state, connection, arrived, changed)"
            " VALUES (1, '1', '1', 'CT', ?, ?, ?, ?)",
            (MADE, ENDED, made, made),
        )
        database.execute(
            "INSERT INTO result (series, file, made, state) VALUES (1, 'object.dcm', ?, ?)",
            (made, TO_SEND),
        )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    pacs = SendByStore("127.0.0.1", port, "PACS")
    settings = SimpleNamespace(send=pacs, receive=None, give_up_hours=72.0)
    sender = Sender(settings, tmp_path, Outbox(tables), Journal(), is_ended=lambda: False)

    def state():
        sender.turn()
        return tables.rows("SELECT state FROM result")[0][0]

    assert state() == TO_SEND
    monkeypatch.setattr("TumorSegLib.node.sender.LEAST_SECONDS", 0.0)
    Outbox(tables).hurry()
    assert state() == GIVEN_UP
    tables.close()


def items(tag, uid, **more):
    """Return an answer's body with one object."""
    item = {"00081155": {"vr": "UI", "Value": [uid]}}
    item |= {name.strip("_"): {"vr": "US", "Value": [value]} for name, value in more.items()}
    return json.dumps({tag: {"vr": "SQ", "Value": [item]}}).encode()


def stored(uid):
    """Return the body of an answer that says that an object is stored."""
    return items("00081199", uid)


def failed(uid, reason):
    """Return the body of an answer that says that an object is not."""
    return items("00081198", uid, _00081197=reason)


def sent(to_send, service, code, kind, body):
    """Send to a service that answers so."""
    answered(to_send, service, sends(body, code=code, kind=kind))


def answered(to_send, service, answer):
    """Send to a service that gives this answer."""
    service.answers["/studies"] = answer
    send(to_send[0], SimpleNamespace(send=SendByWeb(url=service.url)))


@pytest.mark.parametrize("kind", [DICOM_JSON, f"{DICOM_JSON}; charset=utf-8", "application/json"])
def test_what_the_service_says_it_has_is_sent(to_send, service, kind):
    sent(to_send, service, 200, kind, stored(to_send[1]))
    assert service.calls == [("POST", "/studies")]


@pytest.mark.parametrize("code", [200, 202, 409])
@pytest.mark.parametrize("kind", [DICOM_JSON, f"{DICOM_JSON}; charset=utf-8"])
def test_what_it_says_it_does_not_take_is_not(to_send, service, code, kind):
    with pytest.raises(RefusedError, match="reason 0110"):
        sent(to_send, service, code, kind, failed(to_send[1], 0x0110))


def test_a_service_without_room_is_tried_later(to_send, service):
    with pytest.raises(UnreachableError, match="no room"):
        sent(to_send, service, 409, DICOM_JSON, failed(to_send[1], 0xA700))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html; charset=utf-8", b"<html>Please log in</html>"),
        ("", b"it works"),
        (DICOM_JSON, b"[]"),
        (DICOM_JSON, b"{"),
        ("application/xml", b"<error/>"),
    ],
)
def test_a_page_in_place_of_an_answer_is_no_word_that_it_has_it(to_send, service, kind, body):
    with pytest.raises(UnreachableError, match="no answer of DICOMweb"):
        sent(to_send, service, 200, kind, body)


@pytest.mark.parametrize("code", [202, 204])
def test_silence_is_no_word_that_it_has_it(to_send, service, code):
    with pytest.raises(RefusedError, match="does not say"):
        sent(to_send, service, code, "", b"")


def test_a_word_about_another_object_is_none(to_send, service):
    with pytest.raises(RefusedError, match="does not say"):
        sent(to_send, service, 200, DICOM_JSON, stored("1.2.3.4"))


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_object_goes_where_a_service_leads_to(to_send, service, code):
    login = sends(b"<html>Please log in</html>", kind="text/html")
    service.answers["/elsewhere/studies"] = login
    with pytest.raises(UnreachableError, match=f"leads elsewhere .status {code}"):
        answered(to_send, service, leads("/elsewhere/studies", code=code))
    assert service.calls == [("POST", "/studies")]


XML = (
    '<?xml version="1.0"?><NativeDicomModel xml:space="preserve"><DicomAttribute tag="{}" vr="SQ">'
    '<Item number="1"><DicomAttribute tag="00081155" vr="UI" keyword="ReferencedSOPInstanceUID">'
    '<Value number="1">1.2.3</Value></DicomAttribute>{}</Item></DicomAttribute></NativeDicomModel>'
)
REASON = '<DicomAttribute tag="00081197" vr="US"><Value number="1">272</Value></DicomAttribute>'


IN_ITS_NAMESPACE = XML.replace(
    "<NativeDicomModel", '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM"'
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (IN_ITS_NAMESPACE.format("00081199", ""), StoreAnswer(frozenset(["1.2.3"]))),
        (XML.format("00081199", ""), StoreAnswer(frozenset(["1.2.3"]))),
        (XML.format("00081198", REASON), StoreAnswer(failures=(272,))),
        (XML.format("00081198", ""), StoreAnswer(failures=(0,))),
    ],
)
def test_answers_in_xml_are_understood(text, expected):
    assert store_answer("application/dicom+xml; charset=UTF-8", text.encode()) == expected
