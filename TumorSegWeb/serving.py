"""One session: its scene, its page, and the end of both."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from trame_server import Server
from trame_slicer import module as trame_slicer_module
from trame_slicer.core import SlicerApp
from vtkmodules.vtkCommonCore import vtkObject

from TumorSegLib.model.catalogue import default_catalogue
from TumorSegWeb.access import Access
from TumorSegWeb.slicer_layer import provide


async def serve(
    paths: Sequence[Path], host: str, port: int, access: Access, ready: Callable[[int], None]
) -> None:
    """Serve the page until the task is cancelled or the process is asked to end.

    Args:
        paths: to open at once.
        host: address to listen at.
        port: to listen at, 0 for any that is free.
        access: who may use the page.
        ready: told the port when the page can be opened.
    """
    os.environ["WSLINK_READY_MSG"] = ""  # it would be printed
    said = logging.getLogger("trame_server.state")
    said.setLevel(logging.ERROR)  # trame-slicer's tools warn that there is no volume yet
    server = Server("tumorseg")
    server.client_type = "vue3"
    server.enable_module(trame_slicer_module)
    vtkObject.GlobalWarningDisplayOff()  # of views without a screen
    application = SlicerApp()
    provide(application.scene)
    from TumorSegWeb.page_logic import PageLogic  # whose imports look for the scene
    from TumorSegWeb.page_ui import PageUI

    logic = PageLogic(server, application, default_catalogue)
    logic.set_ui(PageUI(server, logic.layout_manager))
    opened: list[asyncio.Task[None]] = []

    def started(**_state: Any) -> None:
        said.setLevel(logging.NOTSET)
        ready(server.port)
        if paths:
            opened.append(asyncio.get_running_loop().create_task(logic.open_paths(paths)))

    server.controller.on_server_bind.add(lambda bound: access.guard(bound.app))
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
    asking = asyncio.ensure_future(_asked_to_end())
    page = asyncio.ensure_future(serving)
    try:
        await asyncio.wait((page, asking), return_when=asyncio.FIRST_COMPLETED)
    finally:
        logic.close()
        asking.cancel()
        page.cancel()
    if page.done() and not page.cancelled():
        page.result()


async def _asked_to_end() -> None:
    """Return when the process is interrupted or terminated."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows, where Ctrl-C raises KeyboardInterrupt
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
    await ended.wait()


@contextmanager
def _words(*words: str) -> Iterator[None]:
    """Have trame find these words, and none of ours, where it looks for its options."""
    kept = sys.argv
    sys.argv = [kept[0], *words]
    try:
        yield
    finally:
        sys.argv = kept
