"""C-STORE: images that application entities send, each acknowledged once it is on the disk."""

from __future__ import annotations

import errno
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

SUCCESS, OUT_OF_RESOURCES, NOT_UNDERSTOOD, OUR_FAULT = 0x0000, 0xA700, 0xC000, 0x0110
"""Status of a C-STORE (PS3.4 B.2.3, PS3.7 C.5)."""

UNCOMPRESSED = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2")
COMPRESSED = (
    "1.2.840.10008.1.2.1.99",
    *(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70, 80, 81, 90, 91)),
    "1.2.840.10008.1.2.5",
)
"""What readers decode: deflated, JPEG, JPEG-LS, JPEG 2000, RLE."""
MOST_CONNECTIONS = 20
IDLE_SECONDS = 120
"""After which a connection on which nothing comes is taken for broken."""
DISK = "disk"


class Receiver:
    """Listens for application entities."""

    def __init__(self, settings: Receive, intake: Intake, journal: Journal) -> None:
        self._settings, self._intake, self._journal = settings, intake, journal
        self._connections: dict[Any, Connection] = {}
        self._released: set[Any] = set()
        self._lock = threading.Lock()
        self._entity: Any = None

    def start(self) -> None:
        """Listen.

        Raises:
            InputError: certificates cannot be used.
            OutputError: the port is taken, or the address is none of this computer's.
        """
        from pynetdicom import AE, AllStoragePresentationContexts, evt
        from pynetdicom.sop_class import Verification

        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # it quotes what was sent
        settings = self._settings
        entity = self._entity = AE(settings.ae_title)
        entity.require_called_aet = True
        entity.require_calling_aet = settings.titles
        entity.maximum_associations = MOST_CONNECTIONS
        entity.network_timeout = IDLE_SECONDS
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, [*UNCOMPRESSED, *COMPRESSED])
        entity.add_supported_context(Verification)
        handlers = [
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_RELEASED, self._has_released),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_C_STORE, self._store),
        ]
        try:
            entity.start_server(
                (settings.host, settings.port),
                block=False,
                evt_handlers=handlers,
                ssl_context=server_context(settings.tls),
            )
        except OSError as error:
            raise OutputError(
                f"{settings.host}:{settings.port}: cannot be listened on ({error.strerror})"
            ) from None

    def stop(self) -> None:
        """Listen no more; connections are aborted, and their senders try again."""
        if self._entity is not None:
            self._entity.shutdown()

    def _requested(self, event: Any) -> None:
        """Refuse computers that may not send."""
        address = str(event.assoc.requestor.address)
        networks = self._settings.networks
        if networks and not any(ipaddress.ip_address(address) in one for one in networks):
            event.assoc.acse.send_reject(0x01, 0x01, 0x01)
            event.assoc.is_rejected = True
            self._rejected(event)

    def _rejected(self, event: Any) -> None:
        who = _who(event.assoc)
        others = sum(one.is_acceptor for one in event.assoc.ae.active_associations)
        reason = "who may not send here"
        if others > MOST_CONNECTIONS:
            reason = f"as {MOST_CONNECTIONS} connections are open"
        self._journal.say_once(f"refused {who} {reason}", f"refused {who}, {reason}")

    def _accepted(self, event: Any) -> None:
        with self._lock:
            self._connections[event.assoc] = self._intake.opened()

    def _has_released(self, event: Any) -> None:
        self._end(event.assoc, broken=False)

    def _closed(self, event: Any) -> None:
        self._end(event.assoc, broken=True)

    def _end(self, association: Any, *, broken: bool) -> None:
        with self._lock:
            connection = self._connections.pop(association, None)
        if connection is None:
            return
        if connection.counts:
            how = "; the connection broke" if broken else ""
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
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk has no room left, or only what reserve_mb keeps free"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _who(association: Any) -> str:
    requestor = association.requestor
    primitive = requestor.primitive
    title = getattr(primitive, "calling_ae_title", None) or requestor.ae_title
    return f"{str(title).strip()} ({requestor.address})"
