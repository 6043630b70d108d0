"""What lies at an https address, part by part, with an end to how much and how long."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from typing import IO, Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from TumorSegLib.errors import TumorSegError

PART_BYTES = 1 << 20
THIS_COMPUTER = ("localhost", "127.0.0.1", "::1")


class DownloadError(TumorSegError):
    """Something cannot be downloaded."""


def downloaded(
    url: str,
    *,
    largest: int,
    silence: float,
    within: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[bytes]:
    """Yield the content at `url`; when the last part has come, it is whole.

    Args:
        url: https, or http on this computer; it may lead to another address of that kind.
        largest: bytes at most.
        silence: seconds without a byte after which the server is given up.
        within: seconds in which all must have come, if there is a limit.
        progress: is told the bytes that have come and are promised (0: nothing is).

    Raises:
        DownloadError: the address is of another kind, or its content cannot be had.
    """
    _check(url, url)
    end = None if within is None else time.monotonic() + within
    done = 0
    try:
        with build_opener(_SafeRedirects).open(url, timeout=silence) as response:
            promised = response.length or 0
            while part := response.read1(PART_BYTES):
                done += len(part)
                if done > largest:
                    raise DownloadError(f"{url}: too large, more than {largest} bytes")
                if end is not None and time.monotonic() > end:
                    raise DownloadError(f"{url}: not done in {within:g} s")
                progress(done, promised)
                yield part
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = " ".join(str(error.reason if isinstance(error, URLError) else error).split())
        raise DownloadError(f"{url}: cannot be downloaded: {reason}") from None
    if done < promised:
        raise DownloadError(f"{url}: cannot be downloaded: ended after {done} of {promised} bytes")


class _SafeRedirects(HTTPRedirectHandler):
    """Follows redirections nowhere but to what may be downloaded."""

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> Any:
        _check(newurl, req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _check(url: str, asked: str) -> None:
    """Refuse addresses whose content another computer could change on its way."""
    try:
        parts = urlsplit(url)
        safe = parts.hostname is not None and (
            parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in THIS_COMPUTER)
        )
    except ValueError as error:
        raise DownloadError(f"{asked}: no address: {error}") from None
    if not safe:
        leads = "" if url == asked else f" leads to {url}"
        raise DownloadError(f"{asked}:{leads or ' is'} no https address, expected https://...")
