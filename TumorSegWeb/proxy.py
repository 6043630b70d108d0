"""Hands requests on to a session, and its answers back; of either nothing is kept. aiohttp."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp import web

from TumorSegWeb.session_process import HOST, Ready

HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
"""Headers of one connection (RFC 9110, 7.6.1)."""

OURS = {"cookie", "authorization", "content-length"}
SOCKETS = {
    "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions",
    "sec-websocket-protocol",
}  # fmt: skip

LARGEST_MESSAGE = (4 << 20) + (1 << 16)
"""Bytes; trame sends 4 MiB at most, and what is larger in parts."""

ALIVE_SECONDS = 30.0
CHUNK_BYTES = 1 << 16


class Proxy:
    """The front's connections to sessions."""

    async def __aenter__(self) -> Proxy:
        """Be ready."""
        self._client = aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            connector=aiohttp.TCPConnector(limit=0),
        )
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close them."""
        await self._client.close()

    async def answer(self, request: web.Request, to: Ready) -> web.StreamResponse:
        """Return what a session answers to a request.

        Raises:
            aiohttp.ClientError: the session is gone.
        """
        address = f"http://{HOST}:{to.port}{request.raw_path}"
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in HOP_BY_HOP | OURS
        }
        headers["Cookie"] = f"{to.cookie[0]}={to.cookie[1]}"
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(request, address, headers)
        return await self._page(request, address, headers)

    async def _page(
        self, request: web.Request, address: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        asking = self._client.request(
            request.method, address, headers=headers, allow_redirects=False
        )
        async with asking as given:
            answer = web.StreamResponse(status=given.status, reason=given.reason)
            for name, value in given.headers.items():
                if name.lower() not in HOP_BY_HOP | {"set-cookie"}:
                    answer.headers.add(name, value)
            await answer.prepare(request)
            async for chunk in given.content.iter_chunked(CHUNK_BYTES):
                await answer.write(chunk)
            await answer.write_eof()
            return answer

    async def _socket(
        self, request: web.Request, address: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        headers = {name: value for name, value in headers.items() if name.lower() not in SOCKETS}
        connecting = self._client.ws_connect(address, headers=headers, max_msg_size=0, compress=0)
        async with connecting as inner:
            outer = web.WebSocketResponse(
                max_msg_size=LARGEST_MESSAGE, heartbeat=ALIVE_SECONDS, compress=False
            )
            await outer.prepare(request)
            ways = [asyncio.ensure_future(_carry(*way)) for way in ((outer, inner), (inner, outer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                await outer.close(code=aiohttp.WSCloseCode.GOING_AWAY)
            return outer


async def _carry(source: Any, target: Any) -> None:
    """Send on what comes until one side is gone."""
    async for message in source:
        if message.type == aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)
        elif message.type == aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
