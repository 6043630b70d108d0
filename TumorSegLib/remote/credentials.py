"""Where a server is, and the token by which it knows a user: from a file or the environment."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from TumorSegLib.errors import InputError
from TumorSegLib.support.atomic_write import atomic_write
from TumorSegLib.support.places import data_folder
from TumorSegLib.support.system import is_windows

TOKEN_VARIABLE = "TUMORSEG_TOKEN"  # noqa: S105 - a name
AUTHORITIES_VARIABLE = "TUMORSEG_SERVER_CA"
"""A file of certificates that are trusted beside the system's: of a hospital's own authority."""
TOKEN = re.compile(r"[\w-]{20,200}", re.ASCII)


@dataclass(frozen=True)
class Place:
    """A server and the way to it.

    Attributes:
        host: its name.
        port: its port.
        encrypted: by TLS.
        token: of the user; not in any message.
        path: before the server's own paths, behind a proxy.
    """

    host: str
    port: int
    encrypted: bool
    token: str = field(repr=False)
    path: str = ""

    @property
    def url(self) -> str:
        """The server's address, as in messages."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' * self.encrypted}://{shown}:{self.port}{self.path}"


def place_of(url: str, token_file: Path | None = None) -> Place:
    """Return the server at `url`, with the user's token.

    Raises:
        InputError: it is no address, one that would send voxels in the clear, or there is no token.
    """
    parts = urlsplit(url.strip())
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(f"server {url}: expected an address such as https://gpu.hospital.org:8443")
    if parts.username is not None or parts.query or parts.fragment:
        raise InputError(f"server {host}: expected an address without user, ? and #")
    encrypted = parts.scheme == "https"
    if not encrypted and not is_loopback(host):
        raise InputError(
            f"server {url}: would send voxels and token in the clear; use https://"
            " (http:// is for this very computer)"
        )
    path = parts.path.rstrip("/")
    return Place(host, port or (443 if encrypted else 80), encrypted, token(token_file), path)


def is_loopback(host: str) -> bool:
    """Tell whether an address is this very computer's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def default_token_file() -> Path:
    """Return where the user's token lies if nothing else is said."""
    return data_folder() / "server-token"


def token(file: Path | None = None) -> str:
    """Return the user's token: from `file`, else $TUMORSEG_TOKEN, else the default file.

    Raises:
        InputError: there is none, or none that is one, or others can read the file.
    """
    given = os.environ.get(TOKEN_VARIABLE, "").strip()
    if file is None and given:
        return _checked(given, f"${TOKEN_VARIABLE}")
    named = file or default_token_file()
    try:
        with named.open(encoding="utf-8") as opened:
            open_to_others = os.fstat(opened.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO)
            text = opened.read(300).strip()
    except FileNotFoundError:
        raise InputError(
            f"no token for the server: neither in {named} nor in ${TOKEN_VARIABLE}; ask whoever"
            " runs the server for one"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{named}: no token can be read from it ({error})") from None
    if open_to_others and not is_windows():
        raise InputError(f"{named}: others can read this token; run: chmod 600 {named}")
    return _checked(text, str(named))


def keep_token(text: str) -> None:
    """Keep the user's token in the default file, for the user alone; an empty one is removed.

    Raises:
        InputError: it is no token.
        OutputError: it cannot be written.
    """
    file = default_token_file()
    if not text.strip():
        file.unlink(missing_ok=True)
        return
    checked = _checked(text.strip(), "what was entered")
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as new:
        new.touch(mode=0o600)
        new.write_text(checked + "\n", encoding="utf-8")


def _checked(text: str, where: str) -> str:
    if not TOKEN.fullmatch(text):
        raise InputError(f"{where}: no token, expected what `tumorseg serve --add-token` printed")
    return text
