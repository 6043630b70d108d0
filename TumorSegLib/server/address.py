"""Where a server listens: an interface, a port, and the certificate by which it is known."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.support.renewed_certificate import renewed
from TumorSegLib.support.system import is_windows


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: name or number of an interface.
        port: 0 for any that is free.
        certificate: file of the certificate and those above it, PEM; without one there is no TLS.
        key: file of its private key, if it is not in the same.
        in_the_clear: listen without TLS to other computers, too.
    """

    host: str = "127.0.0.1"
    port: int = 8443
    certificate: Path | None = None
    key: Path | None = None
    in_the_clear: bool = False


def tls_context(address: Address) -> ssl.SSLContext | None:
    """Return what callers meet, TLS 1.2 or newer; None: no TLS.

    Certificate and key are read anew when they are renewed.

    Raises:
        InputError: certificate and key cannot be used.
    """
    if address.certificate is None:
        if address.key is not None:
            raise InputError("--key: is of no use without its certificate; add --certificate FILE")
        return None
    files = [file for file in (address.certificate, address.key) if file is not None]
    return renewed(lambda: _context(address), files)


def _context(address: Address) -> ssl.SSLContext:
    assert address.certificate is not None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(address.certificate, address.key, password="")
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"--certificate {address.certificate}: cannot be used ({reason}); expected PEM files"
            " of certificate and key, without a password"
        ) from None
    return context


def listening(address: Address) -> socket.socket:
    """Return a socket that listens at the address, where no other can from now on.

    Raises:
        InputError: it cannot.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"--host {address.host}: {error.strerror or error}") from None
    try:
        if not is_windows():
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen()  # two that are bound may each believe to be the one
    except OSError as error:
        made.close()
        raise InputError(
            f"--host {address.host} --port {address.port}: cannot be listened to"
            f" ({error.strerror}); is another server running?"
        ) from None
    return made


def url(address: Address, listening: socket.socket) -> str:
    """Return where a socket that is bound to the address is to be found."""
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http{'s' if address.certificate else ''}://{shown}:{port}"
