"""C-STORE: images that application entities send, each acknowledged once it is on the disk."""

from __future__ import annotations

import ipaddress
import logging
import sqlite3
import threading
from typing import Any

from TumorSegLib.errors import OutputError, fault
from TumorSegLib.node.intake import Connection, Intake, UnusableError
from TumorSegLib.node.journal import Journal
from TumorSegLib.node.settings import Receive
from TumorSegLib.node.tls import server_context
from TumorSegLib.support.disk import FULL

SUCCESS, OUT_OF_RESOURCES, NOT_UNDERSTOOD, OUR_FAULT = 0x0000, 0xA700, 0xC000, 0x0110
"""Status of a C-STORE (PS3.4 B.2.3, PS3.7 C.5)."""

UNCOMPRESSED = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2")
COMPRESSED = (
    *(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91)),
    "1.2.840.10008.1.2.5",
)
"""What readers decode: JPEG, JPEG-LS, JPEG 2000, RLE; nothing that a little of makes a lot."""
MOST_CONNECTIONS = 20
DISK = "disk"


class Receiver:
    """Listens for application entities."""

    def __init__(self, settings: Receive, intake: Intake, journal: Journal) -> None:
        self._settings, self._intake, self._journal = settings, intake, journal
        self._connections: dict[Any, Connection] = {}
        self._lock = threading.Lock()
        self._entity: Any = None
        self._server: Any = None

    def start(self) -> None:
        """Listen.

        Raises:
            InputError: certificates cannot be used.
            OutputError: the port is taken, or the address is none of this computer's.
        """
        from pynetdicom import AE, AllStoragePresentationContexts, evt
        from pynetdicom.sop_class import Verification

        from TumorSegLib.node.association_server import (
            IDLE_SECONDS,
            MOST_SOCKETS,
            AssociationServer,
        )

        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # it quotes what was sent
        settings = self._settings
        entity = self._entity = AE(settings.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = settings.titles
        entity.maximum_associations = MOST_SOCKETS  # ours are counted once they are accepted
        entity.network_timeout = IDLE_SECONDS
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, [*UNCOMPRESSED, *COMPRESSED])
        entity.add_supported_context(Verification)
        handlers = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_ACSE_SENT, self._has_sent),
            (evt.EVT_RELEASED, self._has_released),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_C_STORE, self._store),
        ]
        try:
            self._server = entity.make_server(
                (settings.host, settings.port),
                evt_handlers=handlers,
                server_class=AssociationServer,
                tls=server_context(settings.tls),
                admits=self._admits,
            )
        except OSError as error:
            raise OutputError(
                f"{settings.host}:{settings.port}: cannot be listened on ({error.strerror})"
            ) from None
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Listen no more; connections are aborted, and their senders try again."""
        if self._server is not None:
            self._server.shutdown()
            self._entity.shutdown()

    def _admits(self, address: str, count: int) -> bool:
        """Tell whether a computer may connect, where so many connections are open already."""
        from TumorSegLib.node.association_server import MOST_SOCKETS

        networks = self._settings.networks
        one = ipaddress.ip_address(address)
        one = getattr(one, "ipv4_mapped", None) or one
        if networks and not any(one in network for network in networks):
            self._refuse(address, "who may not send here")
        elif count >= MOST_SOCKETS:
            self._refuse(address, f"as {count} connections are open")
        else:
            return True
        return False

    def _requested(self, event: Any) -> None:
        """Refuse more than can be served at once; a connection that asks for nothing is none."""
        association = event.assoc
        with self._lock:
            lost = [one for one in self._connections if not one.is_alive()]
        for one in lost:  # their thread ended by what pynetdicom could not decode
            self._end(one, broken=True, how="; the connection broke")
        with self._lock:
            is_full = len(self._connections) >= MOST_CONNECTIONS
        if is_full:
            association.acse.send_reject(0x02, 0x03, 0x02)  # for now, as a limit is reached
            association.kill()
            self._refuse(_who(association), f"as {MOST_CONNECTIONS} connections are open")

    def _rejected(self, event: Any) -> None:
        self._refuse(_who(event.assoc), "who may not send here")

    def _refuse(self, who: str, reason: str) -> None:
        self._journal.say_once(f"refused {who} {reason}", f"refused {who}, {reason}")

    def _accepted(self, event: Any) -> None:
        with self._lock:
            self._connections[event.assoc] = self._intake.opened()

    def _has_sent(self, event: Any) -> None:
        """Take what ends as nothing came for long, but not amid an image, for an orderly end."""
        from pynetdicom.pdu_primitives import A_ABORT

        association = event.assoc
        is_idle = association.dul.idle_timer_expired() and association.dimse.message is None
        if is_idle and isinstance(event.primitive, A_ABORT):
            self._end(association, broken=False, how="; nothing came any more")

    def _has_released(self, event: Any) -> None:
        self._end(event.assoc, broken=False)

    def _closed(self, event: Any) -> None:
        self._end(event.assoc, broken=True, how="; the connection broke")

    def _end(self, association: Any, *, broken: bool, how: str = "") -> None:
        with self._lock:
            connection = self._connections.pop(association, None)
        if connection is None:
            return
        if connection.counts:
            self._journal.say(f"from {_who(association)}: {connection.told()}{how}")
        try:
            self._intake.closed(connection, broken=broken)
        except sqlite3.Error as error:
            self._journal.say_once(DISK, f"the queue cannot be written: {error}")

    def _store(self, event: Any) -> int:
        association = event.assoc
        with self._lock:
            connection = self._connections.get(association)
        if connection is None:
            return OUR_FAULT
        uid = str(event.request.AffectedSOPInstanceUID or "")
        try:
            self._intake.accept(event.encoded_dataset(), uid, connection)
        except UnusableError as error:
            connection.counts["refused"] += 1
            what = f"an object of {_who(association)} {error}"
            self._journal.say_once(f"{id(connection)} {error}", f"{what}; refused")
            return NOT_UNDERSTOOD
        except (OSError, sqlite3.Error) as error:
            connection.counts["refused for lack of room"] += 1
            self._journal.say_once(DISK, f"images are refused: {_told(error)}")
            return OUT_OF_RESOURCES
        except MemoryError:
            connection.counts["refused for lack of memory"] += 1
            self._journal.say_once("memory", "images are refused: not enough memory")
            return OUT_OF_RESOURCES
        except Exception as error:  # a fault of ours, which must not end the connection
            connection.counts["refused"] += 1
            self._journal.say_once(fault(error), fault(error))
            return OUR_FAULT
        self._journal.is_over(DISK, "images are taken again")
        return SUCCESS


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in FULL:
        return "the disk has no room left, or only what reserve_mb keeps free"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _who(association: Any) -> str:
    requestor = association.requestor
    primitive = requestor.primitive
    title = getattr(primitive, "calling_ae_title", None) or requestor.ae_title
    return f"{str(title).strip()} ({requestor.address})"
