"""TLS of a server that is not started anew when its certificate is renewed."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from TumorSegLib.errors import InputError

LOG = logging.getLogger("tumorseg.certificate")

Stamp = list[tuple[int, int, int]]


def renewed(make: Callable[[], ssl.SSLContext], files: Sequence[Path]) -> ssl.SSLContext:
    """Return a server's context, whose callers meet what `files` hold when they call.

    What cannot be used, as a certificate whose key has not come yet, leaves the earlier one in use.

    Args:
        make: reads the files; raises InputError where they cannot be used.
        files: of certificate, key and authorities.

    Raises:
        InputError: they cannot be used now.
    """
    stamp = _stamp(files)
    first = latest = make()

    def look(caller: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
        nonlocal latest, stamp
        if (now := _stamp(files)) != stamp:
            stamp = now
            try:
                latest = make()
            except InputError as error:
                LOG.error("%s; the earlier certificate stays in use", error)
        if latest is not first:
            caller.context = latest

    first.sni_callback = look  # called as each handshake begins, also where no name is asked for
    return first


def _stamp(files: Sequence[Path]) -> Stamp:
    """Return what changes with the files; nothing of those that are away."""
    found = []
    for file in files:
        with suppress(OSError):
            status = file.stat()
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return found
