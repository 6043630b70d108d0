"""One request to a server over HTTP or HTTPS, with the standard library alone.

A body is sent when the server has agreed to it (`Expect: 100-continue`), so that a refusal costs a
line and not an upload. An order is cancelled by closing its connection.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any

from TumorSegLib.errors import Cancelled, InputError, ServerError
from TumorSegLib.remote.credentials import AUTHORITIES_VARIABLE, Place
from TumorSegLib.remote.protocol import (
    FORMAT,
    MODELS_PATH,
    ORDER_HEADER,
    SEGMENT_PATH,
    Event,
    Order,
    Refused,
    Welcome,
    from_line,
    to_text,
)
from TumorSegLib.support.schema import SchemaError, from_dict, parsed

ANSWER_SECONDS = 10.0
"""In which a server that is there takes a connection."""
PATIENCE_SECONDS = 30.0
"""Without a word from the server, which says that it is alive twice a second."""
ANSWER_BYTES = 1 << 20
LINE_BYTES = 1 << 26
PAYLOAD_BYTES = 1 << 26
PIECE_BYTES = 1 << 20

OTHER_STATUS = {
    404: "is no TumorSeg server, or one that is too old",
    502: "is away, says a proxy",
    503: "takes no more connections just now; try again later",
    504: "is away, says a proxy",
}
"""What answers mean that are none of ours."""

Continue = Callable[[], bool]
"""Asked whether the run is no longer wanted."""


def welcome(place: Place) -> Welcome:
    """Return what the server is and has.

    Raises:
        ServerError: it does not answer, refuses the token, or speaks another format.
    """
    with _talking(place) as connection:
        connection.request("GET", place.path + MODELS_PATH, headers=_headers(place))
        with connection.getresponse() as response:
            content = response.read(ANSWER_BYTES)
            if response.status != 200:
                raise _refused(place, response.status, content)
            return _welcome(place, content)


@contextmanager
def ordered(
    place: Place, order: Order, body: Iterable[Any], cancelled: Continue
) -> Iterator[Iterator[tuple[Event, bytes]]]:
    """Send an order; yield the events that answer it, each with the bytes that follow it.

    Args:
        place: of the server.
        order: what to segment.
        body: voxels, in pieces (buffers of bytes).
        cancelled: asked between pieces and events.

    Raises:
        ServerError: the order is refused, or the connection breaks, also while events are read.
        Cancelled: the caller asked to stop.
    """
    with _talking(place) as connection:
        connection.putrequest("POST", place.path + SEGMENT_PATH, skip_accept_encoding=True)
        headers = {
            **_headers(place),
            ORDER_HEADER: to_text(order),
            "Content-Type": "application/octet-stream",
            "Content-Length": str(order.bytes),
            "Expect": "100-continue",
        }
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        _await_consent(place, connection.sock)
        try:
            for piece in body:
                if cancelled():
                    raise Cancelled
                connection.sock.sendall(piece)
        except ConnectionError:  # refused meanwhile: the answer says why
            pass
        with connection.getresponse() as response:
            if response.status != 200:
                raise _refused(place, response.status, response.read(ANSWER_BYTES))
            yield _events(place, response, cancelled)


@contextmanager
def _talking(place: Place) -> Iterator[HTTPConnection]:
    """Yield a connection; what breaks it is told in a line."""
    if place.encrypted:
        connection: HTTPConnection = HTTPSConnection(
            place.host, place.port, timeout=ANSWER_SECONDS, context=_trust()
        )
    else:
        connection = HTTPConnection(place.host, place.port, timeout=ANSWER_SECONDS)
    try:
        connection.connect()
        connection.sock.settimeout(PATIENCE_SECONDS)
        yield connection
    except ssl.SSLCertVerificationError as error:
        raise ServerError(
            f"server {place.url}: its certificate is not trusted ({error.verify_message}); name the"
            f" file of its authority in ${AUTHORITIES_VARIABLE}"
        ) from None
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ServerError(f"server {place.url}: is away ({reason})") from None
    finally:
        connection.close()


def _trust() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if file := os.environ.get(AUTHORITIES_VARIABLE):
        try:
            context.load_verify_locations(file)
        except OSError as error:
            raise InputError(
                f"${AUTHORITIES_VARIABLE}: no certificates can be read from {file} ({error})"
            ) from None
    return context


def _headers(place: Place) -> dict[str, str]:
    return {"Authorization": f"Bearer {place.token}", "Connection": "close"}


def _await_consent(place: Place, connected: socket.socket) -> None:
    """Wait until the server says that the body may come.

    Raises:
        ServerError: it says no.
    """
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connected.recv(1)
        if not byte or len(head) > ANSWER_BYTES:
            raise ConnectionError("closed without an answer")
        head += byte
    status = re.match(rb"HTTP/1\.[01] (\d{3}) ", head)
    if status is None:
        raise HTTPException("what answers does not speak HTTP")
    if status[1] == b"100":
        return
    length = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
    with connected.makefile("rb") as rest:
        content = rest.read(min(int(length[1]), ANSWER_BYTES) if length else ANSWER_BYTES)
    raise _refused(place, int(status[1]), content)


def _refused(place: Place, status: int, content: bytes) -> ServerError:
    """Return what a refusal says; of other answers, that this is no server of ours."""
    try:
        refusal = from_dict(Refused, parsed(content))
    except (SchemaError, ValueError):
        what = OTHER_STATUS.get(status, "does not answer as a TumorSeg server does")
        return ServerError(f"server {place.url}: {what} (status {status})")
    return ServerError(f"server {place.url}: {refusal.message}")


def _welcome(place: Place, content: bytes) -> Welcome:
    try:
        data = parsed(content)
        found = data.get("format") if isinstance(data, dict) else None
        if found == FORMAT:
            return from_dict(Welcome, data)
    except (SchemaError, ValueError):
        found = None
    age = "too new" if isinstance(found, int) and found > FORMAT else "too old"
    version = data.get("version", "unknown") if isinstance(data, dict) else "unknown"
    raise ServerError(f"server {place.url}: is {age} for this TumorSeg (version {version})")


def _events(
    place: Place, response: HTTPResponse, cancelled: Continue
) -> Iterator[tuple[Event, bytes]]:
    while line := response.readline(LINE_BYTES):
        if cancelled():
            raise Cancelled
        try:
            frame = from_line(line)
        except (SchemaError, ValueError):
            raise ServerError(f"server {place.url}: sent what this version cannot read") from None
        if not 0 <= frame.bytes <= PAYLOAD_BYTES:
            raise ServerError(f"server {place.url}: sent too much at once")
        payload = response.read(frame.bytes)
        if len(payload) != frame.bytes:
            break
        yield frame.event, payload
    raise ConnectionError("it ended the connection before the result was whole")
