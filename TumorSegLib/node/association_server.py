"""Takes TCP connections for a receiver; what a stranger sends is neither waited for nor kept."""

from __future__ import annotations

import socket
import socketserver
import ssl
from collections.abc import Callable
from typing import Any

from pynetdicom import evt
from pynetdicom.transport import ThreadedAssociationServer

MOST_SOCKETS = 200
"""Connections, those over which no association was asked for yet among them."""
IDLE_SECONDS = 120
"""After which a connection on which nothing comes is ended."""
HANDSHAKE_SECONDS = 30
PROBES = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Of the other side's computer: where it is gone, a connection breaks before it is idle."""
LONGEST_PDU = 1 << 20
"""Bytes of one message on the wire; we ask for 16 KB, a request of all contexts takes 0.2 MB."""


class AssociationServer(ThreadedAssociationServer):  # type: ignore[misc]
    """Asks who it is before anything is read, and shakes hands in the connection's own thread."""

    daemon_threads = True

    def __init__(
        self,
        *given: Any,
        tls: ssl.SSLContext | None,
        admits: Callable[[str, int], bool],
        **named: Any,
    ) -> None:
        """Listen.

        Args:
            given: as the base class takes it.
            tls: None: not encrypted.
            admits: told the address of the other side, and how many connections are open.
            named: as `given`.

        Raises:
            OSError: the port is taken, or the address is none of this computer's.
        """
        self._tls, self._admits = tls, admits
        self._sockets: list[socket.socket] = []
        super().__init__(*given, **named)
        self.bind(evt.EVT_CONN_OPEN, _limit_messages)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Tell whether to go on with a connection."""
        self._sockets = [one for one in self._sockets if one.fileno() >= 0]
        if not self._admits(client_address[0], len(self._sockets)):
            return False
        self._sockets.append(request)
        return True

    def get_request(self) -> tuple[socket.socket, Any]:
        """Return a connection and whence it comes."""
        request, address = super().get_request()
        request.settimeout(HANDSHAKE_SECONDS)
        request.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in PROBES.items():
            if hasattr(socket, name):
                request.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        if self._tls is not None:
            request = self._tls.wrap_socket(
                request, server_side=True, do_handshake_on_connect=False
            )
        return request, address

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Have the base class go on with a connection once hands were shaken."""
        try:
            if self._tls is not None:
                request.do_handshake()
            request.settimeout(IDLE_SECONDS)
        except (OSError, ValueError):
            self.shutdown_request(request)
        else:
            super().process_request_thread(request, client_address)

    def shutdown(self) -> None:
        """Listen no more."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()


def _limit_messages(event: Any) -> None:
    """Have a connection break on which a message is announced that is longer than any can be."""
    connection = event.assoc.dul.socket
    receive = connection.recv

    def limited(count: int) -> Any:
        if count > LONGEST_PDU:
            raise ConnectionAbortedError
        return receive(count)

    connection.recv = limited
