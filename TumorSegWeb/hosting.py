"""A page for several people: the front, its sessions, and the end of both. No trame, no MRML."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from TumorSegLib.errors import InputError
from TumorSegLib.remote.credentials import is_loopback
from TumorSegLib.server.address import Address, listening, tls_context, url
from TumorSegLib.worker.shared_memory import remove_orphans
from TumorSegWeb.ending import asked_to_end
from TumorSegWeb.front import Front
from TumorSegWeb.password import PasswordFile
from TumorSegWeb.session_process import SessionProcess
from TumorSegWeb.sessions import Sessions
from TumorSegWeb.temporary import owned_folder, remove_left_over


@dataclass(frozen=True)
class Hosting:
    """All that a page for several people is told.

    Attributes:
        address: where it listens.
        password: that lets in.
        sessions: how many there may be at once.
        idle_minutes: after which one that nobody uses ends.
        volumes: that each opens.
    """

    address: Address
    password: PasswordFile
    sessions: int
    idle_minutes: float
    volumes: Sequence[Path] = ()


def host(hosting: Hosting, ready: Callable[[str], None], say: Callable[[str], None]) -> None:
    """Serve until the process is asked to end.

    Args:
        hosting: what is served.
        ready: told the address.
        say: told of sessions and refusals, a line each.

    Raises:
        InputError: address, certificate, key or password cannot be used; nothing was started.
    """
    address = hosting.address
    context = tls_context(address)
    if context is None and not is_loopback(address.host):
        raise InputError(
            f"--host {address.host}: images and the password would travel in the clear; give"
            " --certificate and --key, or listen to a proxy that has them with --host 127.0.0.1"
        )
    hosting.password.check()
    remove_left_over()
    remove_orphans()
    told = {
        "volumes": [str(path.resolve()) for path in hosting.volumes],
        "idle_seconds": 60 * hosting.idle_minutes,
    }
    with listening(address) as bound:

        async def serve() -> None:
            sessions = Sessions(lambda: SessionProcess(owned_folder(), told), hosting.sessions, say)
            front = Front(hosting.password, sessions, behind_proxy=context is None, say=say)
            await _serve(front, sessions, bound, context, lambda: ready(url(address, bound)))

        asyncio.run(serve())


async def _serve(
    front: Front,
    sessions: Sessions,
    bound: object,
    context: ssl.SSLContext | None,
    ready: Callable[[], None],
) -> None:
    runner = web.AppRunner(front.application(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.SockSite(runner, bound, ssl_context=context).start()
        ready()
        await asked_to_end()
    finally:
        await sessions.close()
        await runner.cleanup()
