"""The request to end that a process gets from its user or the system."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress


async def asked_to_end() -> None:
    """Return when the process is interrupted or terminated."""
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    with suppress(NotImplementedError):  # Windows, where Ctrl-C raises KeyboardInterrupt
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
    await ended.wait()
