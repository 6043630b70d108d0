"""Connections with a DICOM node: strangers, silence, too much at once, and how they end."""

from __future__ import annotations

import shutil
import socket
import ssl
import struct
from contextlib import ExitStack
from io import BytesIO

import pydicom
import pytest
from waiting import wait_until

pytest.importorskip("pynetdicom")

from node_bench import connected, make_certificate, send, write_series
from pynetdicom import build_context
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import Verification

from TumorSegLib.node import association_server

pytestmark = pytest.mark.slow

CT = "1.2.840.10008.5.1.4.1.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


def raw(station):
    """A TCP connection over which nothing was said yet."""
    return socket.create_connection(("127.0.0.1", station.port))


def is_closed(connection):
    """Wait until the node has closed a connection; no answer came before."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def accepted(station):
    """The node's side of the only connection with it."""
    (receiver,) = station.node._parts
    (association,) = receiver._connections
    return association


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_silent_connection_keeps_nobody_from_speaking_tls(station, tmp_path):
    own = make_certificate(tmp_path)
    station.told = {"tls": own}
    station.start()
    caller = ssl.create_default_context(cafile=own["certificate"])
    with raw(station), raw(station):
        assert set(send(station.port, write_series(tmp_path / "ct"), tls=caller)) == {0}
    station.wait_for("sent to PACS")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_who_shakes_no_hands_is_left_after_a_while(station, tmp_path, monkeypatch):
    monkeypatch.setattr(association_server, "HANDSHAKE_SECONDS", 0.1)
    station.told = {"tls": make_certificate(tmp_path)}
    station.start()
    with raw(station) as silent:
        assert is_closed(silent)


def test_silent_connections_take_nobody_s_place(station, tmp_path, monkeypatch):
    monkeypatch.setattr("TumorSegLib.node.receiver.MOST_CONNECTIONS", 2)
    station.start()
    with raw(station), raw(station), raw(station):
        assert set(send(station.port, write_series(tmp_path / "ct"))) == {0}


def test_there_is_an_end_to_silent_connections(station, tmp_path, monkeypatch):
    monkeypatch.setattr(association_server, "MOST_SOCKETS", 3)
    station.start()
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(raw(station))
        for _ in range(2):
            assert is_closed(stack.enter_context(raw(station)))
    assert len(station.heard.about("refused 127.0.0.1, as 3 connections are open")) == 1

    def is_heard():
        with connected(station.port) as association:
            return association.is_established

    wait_until(is_heard)


def test_a_stranger_s_connection_is_closed_before_anything_is_read(station):
    station.told = {"addresses": ["10.1.0.0/16"]}
    station.start()
    for _ in range(3):
        with raw(station) as stranger:
            assert is_closed(stranger)
    assert len(station.heard.about("refused 127.0.0.1, who may not send here")) == 1


def test_an_address_of_the_old_kind_is_known_in_its_new_clothes(station):
    station.told = {"addresses": ["10.1.0.0/16"]}
    station.start()
    (receiver,) = station.node._parts
    assert receiver._admits("::ffff:10.1.2.3", 0)
    assert not receiver._admits("::ffff:10.2.2.3", 0)


def test_what_announces_more_than_any_message_holds_is_not_read(station):
    station.start()
    with raw(station) as greedy:
        greedy.sendall(struct.pack(">BBL", 1, 0, association_server.LONGEST_PDU + 1))
        assert is_closed(greedy)
    with connected(station.port) as association:
        association.dul.socket.send(struct.pack(">BBL", 4, 0, 0xFFFFFFFF))
        wait_until(lambda: not association.is_established)


def test_what_cannot_be_decoded_frees_its_place(station, tmp_path, monkeypatch):
    monkeypatch.setattr("TumorSegLib.node.receiver.MOST_CONNECTIONS", 1)
    station.start()
    paths = write_series(tmp_path / "ct")
    with connected(station.port) as association:
        association.send_c_store(pydicom.dcmread(paths[0]))
        theirs = accepted(station)
        association.dul.socket.send(struct.pack(">BBLLBB", 4, 0, 6, 2, 1, 3))  # an empty command
        wait_until(lambda: not theirs.is_alive())
    assert set(send(station.port, paths)) == {0}
    station.wait_for("1 accepted; the connection broke")
    station.wait_for("sent to PACS")


def test_a_dead_computer_is_noticed_before_a_connection_is_idle(station):
    probes = association_server.PROBES
    assert (
        probes["TCP_KEEPIDLE"] + probes["TCP_KEEPINTVL"] * probes["TCP_KEEPCNT"]
        < association_server.IDLE_SECONDS
    )
    station.start()
    with connected(station.port):
        theirs = accepted(station).dul.socket.socket
        assert theirs.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for name in (name for name in probes if hasattr(socket, name)):
            assert theirs.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == probes[name]
        assert theirs.gettimeout() == association_server.IDLE_SECONDS


def test_a_connection_that_is_kept_open_without_need_ends_in_order(station, tmp_path):
    paths = write_series(tmp_path / "ct")
    station.start()
    with connected(station.port) as association:
        for path in paths:
            association.send_c_store(pydicom.dcmread(path))
        accepted(station).network_timeout = 0.01
        wait_until(lambda: not association.is_established)
    assert station.wait_for("from SENDER")[0].endswith("6 accepted; nothing came any more")
    station.wait_for("sent to PACS")


def test_a_connection_on_which_an_image_stops_halfway_breaks(station, tmp_path):
    paths = write_series(tmp_path / "ct")
    station.start()
    with connected(station.port) as association:
        for path in paths[:5]:
            association.send_c_store(pydicom.dcmread(path))
        request = C_STORE()
        request.MessageID, request.Priority = 9, 2
        request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CT, "1.2.3"
        request.DataSet = BytesIO(bytes(20))
        message = C_STORE_RQ()
        message.primitive_to_message(request)
        number = next(
            one.context_id for one in association.accepted_contexts if one.abstract_syntax == CT
        )
        association.dul.send_pdu(next(iter(message.encode_msg(number, 16382))))
        theirs = accepted(station)
        wait_until(lambda: theirs.dimse.message is not None)
        theirs.network_timeout = 0.01
        wait_until(lambda: not association.is_established)
    station.wait_for("5 accepted; the connection broke")
    turns = station.count_turns()
    wait_until(lambda: turns() > 5)
    assert not station.heard.about("complete")


def test_nothing_deflated_is_taken(station, tmp_path):
    """A little of it makes a lot."""
    station.start()
    contexts = [build_context(CT, DEFLATED), build_context(Verification)]
    with connected(station.port, contexts=contexts) as association:
        assert [one.abstract_syntax for one in association.rejected_contexts] == [CT]
