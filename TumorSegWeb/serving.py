"""One session: its scene, its page, and the end of both."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trame_server import Server
from trame_slicer import module as trame_slicer_module
from trame_slicer.core import SlicerApp
from vtkmodules.vtkCommonCore import vtkObject

from TumorSegLib.model.catalogue import default_catalogue
from TumorSegWeb.access import Access
from TumorSegWeb.faults import tell_of_no_departures
from TumorSegWeb.samples import prepare
from TumorSegWeb.slicer_layer import provide


async def serve(
    paths: Sequence[Path],
    host: str,
    port: int,
    access: Access,
    ready: Callable[[int], None],
    asked_to_end: Awaitable[object],
    *,
    idle_seconds: float | None = None,
) -> None:
    """Serve the page until it is asked to end, or has been idle for too long.

    Args:
        paths: to open at once.
        host: address to listen at.
        port: to listen at, 0 for any that is free.
        access: who may use the page.
        ready: told the port when the page can be opened.
        asked_to_end: what is waited for.
        idle_seconds: after which a page that nobody uses ends; None: it does not.
    """
    os.environ["WSLINK_READY_MSG"] = ""  # it would be printed
    said = logging.getLogger("trame_server.state")
    said.setLevel(logging.ERROR)  # trame-slicer's tools warn that there is no volume yet
    tell_of_no_departures()
    server = Server("tumorseg")
    server.client_type = "vue3"
    server.enable_module(trame_slicer_module)
    vtkObject.GlobalWarningDisplayOff()  # of views without a screen
    application = SlicerApp()
    provide(application.scene)
    from TumorSegWeb.life import Life
    from TumorSegWeb.page_logic import PageLogic  # whose imports look for the scene
    from TumorSegWeb.page_ui import PageUI

    logic = PageLogic(server, application, default_catalogue)
    life = Life(server.state, logic, idle_seconds)
    server.controller.ts_used = life.used
    logic.set_ui(PageUI(server, logic.layout_manager))
    opened: list[asyncio.Task[None]] = []

    def started(**_state: Any) -> None:
        said.setLevel(logging.NOTSET)
        ready(server.port)
        if paths:
            opened.append(asyncio.get_running_loop().create_task(logic.open_paths(paths)))
        else:
            prepare()  # the welcome offers them

    def bound(page: Any) -> None:
        access.guard(page.app)
        life.observe(page.app)
        logic.uploads.observe(page.app)

    server.controller.on_server_bind.add(bound)
    server.controller.on_server_ready.add(started)
    with _words("--server", "--authKey", access.socket_secret, "--nosignalhandlers"):
        serving = server.start(
            port=port,
            host=host,
            exec_mode="coroutine",
            open_browser=False,
            show_connection_info=False,
            disable_logging=True,
            timeout=0,
        )
    page = asyncio.ensure_future(serving)
    ends = (page, asyncio.ensure_future(asked_to_end), asyncio.ensure_future(life.watch()))
    try:
        done, _pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        logic.close()
        for end in ends:
            end.cancel()
    for end in done:
        end.result()


@contextmanager
def _words(*words: str) -> Iterator[None]:
    """Have trame find these words, and none of ours, where it looks for its options."""
    kept = sys.argv
    sys.argv = [kept[0], *words]
    try:
        yield
    finally:
        sys.argv = kept
