"""What a browser meets before it is in a session: the password, and the way to its session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from math import ceil

import aiohttp
from aiohttp import web

from TumorSegLib.errors import InputError, TumorSegError
from TumorSegWeb.access import PAGES, same_origin
from TumorSegWeb.attempts import Attempts, place_of
from TumorSegWeb.password import PasswordFile
from TumorSegWeb.plain_pages import plain_page
from TumorSegWeb.proxy import Proxy
from TumorSegWeb.sessions import Full, Sessions

COOKIE = "__Host-tumorseg"
"""A browser takes this name only with Secure, for one server alone and all of its paths."""

FORMS = LOGIN, LOGOUT = "/login", "/logout"
"""Where forms are sent."""

START_SECONDS = 1
"""Between two looks of a browser at whether its session has started."""

LARGEST_FORM = 1 << 14
WRONG_SECONDS = 1.0
"""Pause after a wrong password, for all who log in."""
MOST_WAITING = 20


class Front:
    """Answers everybody; those who are not in a session see its own pages alone."""

    def __init__(
        self,
        password: PasswordFile,
        sessions: Sessions,
        *,
        behind_proxy: bool,
        say: Callable[[str], None],
        wrong_seconds: float = WRONG_SECONDS,
    ) -> None:
        """Let in whoever has the password.

        Args:
            password: that all share.
            sessions: that there are.
            behind_proxy: believe the proxy on this computer where a browser is.
            say: told of what is refused.
            wrong_seconds: pause after a wrong password.
        """
        self._password, self._sessions, self._say = password, sessions, say
        self._behind_proxy, self._wrong_seconds = behind_proxy, wrong_seconds
        self._attempts = Attempts()
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0
        self._proxy = Proxy()

    def application(self) -> web.Application:
        """Return what speaks HTTP."""
        made = web.Application(client_max_size=LARGEST_FORM)
        made.cleanup_ctx.append(self._connections)
        made.router.add_post(LOGIN, self._login)
        made.router.add_post(LOGOUT, self._log_out)
        made.router.add_get("/{path:.*}", self._any)
        return made

    async def _connections(self, _application: web.Application) -> AsyncIterator[None]:
        async with self._proxy:
            yield

    async def _any(self, request: web.Request) -> web.StreamResponse:
        if request.path in FORMS:  # from the browser's history, or its address bar
            return _to_page()
        session = self._sessions.find(request.cookies.get(COOKIE))
        if session is None:
            return self._outside(request)
        if not same_origin(request):
            return _refused()
        if session.starting and request.path in PAGES:
            return plain_page(
                "Your session starts; this takes some seconds.", refresh=START_SECONDS
            )
        try:
            return await self._proxy.answer(request, await session.ready())
        except (aiohttp.ClientError, TumorSegError):
            return plain_page("The session has ended or could not be started.", status=503)

    def _outside(self, request: web.Request) -> web.Response:
        if request.path not in PAGES:
            return _refused()
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            return plain_page(refresh=0)  # a link elsewhere: the browser kept the cookie back
        line = "Your session has ended." if COOKIE in request.cookies else ""
        return plain_page(line, form=True)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        if not same_origin(request):
            return _refused()
        if self._sessions.find(request.cookies.get(COOKIE)) is not None:
            return _to_page()
        if request.content_type != "application/x-www-form-urlencoded":  # others pass through files
            return _refused()
        text = str((await request.post()).get("password", ""))
        try:
            refusal = await self._refusal(text, self._place(request))
            if refusal is not None:
                return refusal
            cookie = self._sessions.begin()
        except Full as full:
            return plain_page(str(full), status=503)
        except InputError as error:
            self._say(str(error))
            return plain_page("Nobody can log in at the moment.", status=503)
        opened = _to_page()
        opened.set_cookie(COOKIE, cookie, httponly=True, secure=True, samesite="Strict", path="/")
        return opened

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        session = self._sessions.find(request.cookies.get(COOKIE))
        if session is not None and not same_origin(request):
            return _refused()
        if session is not None:
            session.end()
        opened = plain_page("You have logged out; nothing of your session is left.")
        opened.del_cookie(COOKIE, path="/", secure=True)
        return opened

    async def _refusal(self, text: str, place: str) -> web.Response | None:
        """Return what to answer to a password that is wrong or came too often, None if it counts.

        Raises:
            InputError: the password's file cannot be used.
        """
        if self._waiting >= MOST_WAITING:
            return _too_many(self._wrong_seconds * MOST_WAITING)
        self._waiting += 1
        try:
            async with self._one_at_a_time:
                wait = self._attempts.seconds_to_wait(place)
                if wait:
                    return _too_many(wait)
                if await asyncio.to_thread(self._password.matches, text):
                    return None
                self._attempts.failed(place)
                self._say("refused: wrong password")
                await asyncio.sleep(self._wrong_seconds)
                return plain_page("Wrong password.", status=403, form=True)
        finally:
            self._waiting -= 1

    def _place(self, request: web.Request) -> str:
        """Return where a browser is, as the proxy says where there is one."""
        forwarded = request.headers.getall("X-Forwarded-For", [])
        if self._behind_proxy and forwarded:
            return place_of(forwarded[-1].rpartition(",")[2])
        return place_of(request.remote or "")


def _to_page() -> web.Response:
    return web.Response(status=303, headers={"Location": "/"})


def _refused() -> web.Response:
    return web.Response(status=403, text="Log in on the first page of this server.\n")


def _too_many(seconds: float) -> web.Response:
    whole = max(1, ceil(seconds))
    answer = plain_page(f"Too many attempts; try again in {whole} s.", status=429)
    answer.headers["Retry-After"] = str(whole)
    return answer
