"""TLS contexts of what the settings name."""

from __future__ import annotations

import ssl
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.node.settings import ClientTls, NodeSettings, ServerTls
from TumorSegLib.support.renewed_certificate import renewed


def server_context(tls: ServerTls | None) -> ssl.SSLContext | None:
    """Return what callers meet, also after the files are renewed; None: no TLS.

    Raises:
        InputError: certificate and key do not fit, or are none.
    """
    if tls is None:
        return None
    files = [Path(name) for name in (tls.certificate, tls.key, tls.authorities) if name]
    return renewed(lambda: _of_server(tls), files)


def _of_server(tls: ServerTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.authorities is not None:
            context.load_verify_locations(tls.authorities)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise _unusable(error, tls.certificate) from None
    return context


def client_context(tls: ClientTls | None) -> ssl.SSLContext | None:
    """Return what is used where the node calls; None: no TLS.

    Raises:
        InputError: certificate and key do not fit, or are none.
    """
    if tls is None:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.authorities)
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise _unusable(error, tls.certificate or tls.authorities or "") from None
    return context


def check_certificates(settings: NodeSettings) -> None:
    """Refuse certificates that cannot be used, before anything is opened.

    Raises:
        InputError: one cannot.
    """
    if settings.receive is not None:
        server_context(settings.receive.tls)
    for part in (settings.send, settings.watch):
        if part is not None:
            client_context(part.tls)


def _unusable(error: Exception, name: str) -> InputError:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return InputError(f"{name}: cannot be used for TLS ({reason})")
