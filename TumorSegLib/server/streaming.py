"""A response of frames that ends when the client does, and the patience with slow ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from TumorSegLib.server.course import Send

Receive = Callable[[], Awaitable[Any]]
Message = Callable[[Any], Awaitable[None]]


class FrameResponse(Response):
    """Sends what `run` has to say until that ends, or the client goes or takes nothing."""

    def __init__(
        self,
        run: Callable[[Send], Awaitable[None]],
        ended: Callable[[Exception | None], None],
        *,
        patience_seconds: float,
    ) -> None:
        """Call `ended` at the end, whatever happens, with the fault of ours that brought it."""
        super().__init__(media_type="application/octet-stream")
        del self.headers["content-length"]
        self._run, self._ended, self._patience = run, ended, patience_seconds

    async def __call__(self, scope: Any, receive: Receive, send: Message) -> None:
        """Answer a request, as ASGI has it."""
        fault: Exception | None = None
        try:
            tasks = [
                asyncio.ensure_future(self._talk(send)),
                asyncio.ensure_future(_gone(receive)),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                talked, _ = await asyncio.gather(*tasks, return_exceptions=True)
                if isinstance(talked, Exception) and not isinstance(talked, OSError):
                    fault = talked  # clients that go, or take nothing, are an OSError
        finally:
            self._ended(fault)

    async def _talk(self, send: Message) -> None:
        async def patiently(message: dict[str, Any]) -> None:
            async with asyncio.timeout(self._patience):
                await send(message)

        async def send_frame(content: bytes) -> None:
            await patiently({"type": "http.response.body", "body": content, "more_body": True})

        start = {"status": 200, "headers": self.raw_headers}
        await patiently({"type": "http.response.start", **start})
        await self._run(send_frame)
        await patiently({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def impatient(head_seconds: float) -> type[H11Protocol]:
    """Return a protocol that closes connections whose request's head is not there in time."""

    class Impatient(H11Protocol):
        """One connection, with one request after the other."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            """Write no line for each request: addresses and paths are the client's words."""
            super().__init__(*arguments, **named)
            self.access_log = False

        def connection_made(self, transport: Any) -> None:
            """Begin to wait."""
            super().connection_made(transport)
            self._too_late = self.loop.call_later(head_seconds, self._give_up)

        def handle_events(self) -> None:
            """Wait no more where a request has begun."""
            super().handle_events()
            if self.cycle is not None and not self.cycle.response_complete:
                self._too_late.cancel()

        def on_response_complete(self) -> None:
            """Begin to wait for another request."""
            self._too_late = self.loop.call_later(head_seconds, self._give_up)
            super().on_response_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            """Wait no more."""
            self._too_late.cancel()
            super().connection_lost(exc)

        def _give_up(self) -> None:
            self.transport.abort()

    return Impatient
