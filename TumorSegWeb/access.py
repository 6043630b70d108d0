"""Who may use the page: whoever has its address, which holds a secret. aiohttp, no trame.

The address is opened once with `?token=SECRET`. The answer sets a cookie, which every further
request must carry, the one for the socket among them; all else is refused with 403.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

PAGE = "/index.html"
PAGES = ("/", PAGE)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access:
    """The secrets of one session.

    Attributes:
        token: that the page's address holds.
        socket_secret: that the page's script sends over the socket before anything else.
    """

    def __init__(self) -> None:
        """Draw new secrets."""
        self.token = secrets.token_hex(24)
        self.socket_secret = secrets.token_hex(24)
        self._cookie = secrets.token_hex(24)
        self._name = f"tumorseg-{secrets.token_hex(4)}"

    @property
    def cookie(self) -> tuple[str, str]:
        """Name and secret of the cookie, for a front that answers browsers itself."""
        return self._name, self._cookie

    def guard(self, application: web.Application) -> None:
        """Have an application refuse all other requests."""

        @web.middleware
        async def only_ours(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._answer(request, handler)

        application.middlewares.append(only_ours)

    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        page = request.path in PAGES
        if page and _equal(request.query.get("token"), self.token):
            opened = self._to_page()
            opened.set_cookie(self._name, self._cookie, httponly=True, samesite="Strict")
            return opened
        if not _equal(request.cookies.get(self._name), self._cookie) or not same_origin(request):
            return web.Response(
                status=403,
                text="Not the address of this session; use the one that tumorseg web printed.\n",
            )
        if page and not _equal(request.query.get("secret"), self.socket_secret):
            return self._to_page()
        response = await handler(request)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _to_page(self) -> web.Response:
        """Return the way to the page, whose script takes the socket's secret from its address."""
        place = f"{PAGE}?secret={self.socket_secret}"
        return web.Response(status=302, headers={"Location": place, **HEADERS})


HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY"}
"""Images of patients stay out of caches, the address out of what other sites see.

Without a referrer for ourselves, browsers would not say of our own forms where they come from.
"""


def _equal(given: str | None, expected: str) -> bool:
    return given is not None and secrets.compare_digest(given.encode(), expected.encode())


def same_origin(request: web.Request) -> bool:
    """Tell whether a page of ours asks: other ports of this computer count as its site, too."""
    origin: Any = request.headers.get("Origin")
    return origin is None or origin in (f"http://{request.host}", f"https://{request.host}")
