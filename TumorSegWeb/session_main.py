"""The process of one session behind a front, which `session_process` starts.

It reads what it is to do from its standard input, and ends when that does: the front has closed it,
or is gone. Its standard output says the way to it; nothing else is printed.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from TumorSegLib.support.leftovers import remove
from TumorSegLib.worker.standard_input import take_standard_input

STDOUT, STDERR = 1, 2


def main() -> None:
    """Serve one page until it has been idle for long, or the front ends or is gone."""
    told_by = take_standard_input()
    told = json.loads(told_by.readline())
    folder = Path(told["folder"])
    answers = os.dup(STDOUT)
    _silence(STDOUT)
    try:
        asyncio.run(_serve(told, told_by, answers))
    finally:
        remove(folder)  # also where the front was killed


async def _serve(told: dict[str, Any], told_by: BinaryIO, answers: int) -> None:
    from TumorSegWeb.access import Access
    from TumorSegWeb.serving import serve
    from TumorSegWeb.session_process import HOST

    access, loop, over = Access(), asyncio.get_running_loop(), asyncio.Event()

    def wait_for_the_end() -> None:
        with suppress(OSError):
            told_by.read()
        with suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(over.set)

    def ready(port: int) -> None:
        _silence(STDERR)  # names of files and patients may stand in what is printed
        os.write(answers, json.dumps({"port": port, "cookie": access.cookie}).encode() + b"\n")
        os.close(answers)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    await serve(
        [Path(path) for path in told["volumes"]],
        HOST,
        0,
        access,
        ready,
        over.wait(),
        idle_seconds=told["idle_seconds"],
    )


def _silence(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


if __name__ == "__main__":
    main()
