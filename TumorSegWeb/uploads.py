"""Files that browsers send, in parts: each upload by itself, and opened only if all of it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from aiohttp import web

from TumorSegLib.support.words import counted
from TumorSegWeb.life import SOCKET, Handler

if TYPE_CHECKING:
    from trame_server.state import State

Files = list[dict[str, Any]]

_ARRIVING: ContextVar[dict[Any, Files]] = ContextVar("arriving")
"""What has come of the uploads of the page whose socket is read, by their numbers there."""


class Uploads:
    """Gathers the parts of uploads; what a page did not send to its end goes with its socket."""

    def __init__(self, state: State, take: Callable[[Files], None]) -> None:
        """Hand whole uploads to `take`; of others the page's `state` tells."""
        self._state, self._take = state, take
        self._pages: list[dict[Any, Files]] = []
        state.ts_uploading = False
        state.client_only("ts_uploading")  # of one page, and gone with it

    @property
    def under_way(self) -> bool:
        """Whether a part of an upload has come and not yet all of it."""
        return any(self._pages)

    def set_ui(self, _buttons: object) -> None:
        """Leave trame-slicer's buttons without an effect; the page has its own."""

    def observe(self, application: web.Application) -> None:
        """Hear of the page's sockets."""

        @web.middleware
        async def gathered(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path != SOCKET:
                return await handler(request)
            with self.of_a_page():
                return await handler(request)

        application.middlewares.append(gathered)

    @contextmanager
    def of_a_page(self) -> Iterator[None]:
        """Gather what comes within the block, and forget with it what is not whole."""
        arriving: dict[Any, Files] = {}
        token = _ARRIVING.set(arriving)
        self._pages.append(arriving)
        try:
            yield
        finally:
            arriving.clear()
            self._pages = [page for page in self._pages if page is not arriving]
            _ARRIVING.reset(token)

    def part(
        self, upload: int, files: Files, folders: Sequence[str], goes_on: Sequence[bool]
    ) -> None:
        """Take a part of an upload.

        Args:
            upload: its number on its page.
            files: `name` and `content` of each; no content: the browser could not read it.
            folders: from which each was chosen, "" where it was chosen by itself.
            goes_on: of each, whether it is a further piece of the file before it.
        """
        arriving = _ARRIVING.get().setdefault(upload, [])
        for file, folder, further in zip(files, folders, goes_on, strict=True):
            if not further:
                arriving.append({"name": file["name"], "content": [], "folder": folder})
            whole = arriving[-1]
            if file.get("content") is None or whole["content"] is None:
                whole["content"] = None
            else:
                whole["content"] += _pieces(file["content"])

    def end(self, upload: int, count: int, size: int, problem: str) -> None:
        """Open an upload that has been sent, if it is whole.

        Args:
            upload: its number on its page.
            count: of files that were chosen.
            size: bytes in all of them.
            problem: what went wrong, "" if nothing did.
        """
        files = _ARRIVING.get().pop(upload, [])
        unread = next((file["name"] for file in files if file.get("content") is None), None)
        if unread is not None:
            problem = (
                f"{unread}: cannot be read by the browser, so that nothing was opened; if it was"
                " changed meanwhile, open it again"
            )
        elif problem:
            problem = f"The upload broke off ({problem}); nothing was opened, open the files again"
        elif (len(files), sum(map(_size, files))) != (count, size):
            problem = (
                f"Not all of {counted(count, 'file')} arrived whole; nothing was opened, open them"
                " again"
            )
        else:
            self._take(files)
            return
        with self._state as state:
            state.ts_problem = problem


def _size(file: Mapping[str, Any]) -> int:
    return sum(map(len, file["content"]))


def _pieces(content: Any) -> list[bytes]:
    return content if isinstance(content, list) else [content]
