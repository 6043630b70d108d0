"""The password of a page for several people: a file has what scrypt makes of it, and no more."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import json
import os
import secrets
import stat
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.support.atomic_write import atomic_write
from TumorSegLib.support.schema import SchemaError, from_dict, parsed, to_dict
from TumorSegLib.support.system import is_windows

SHORTEST = 12
LONGEST = 1000
LARGEST_BYTES = 4096
COST = 1 << 16
"""Of an attempt: 64 MiB and some tenths of a second."""
MEMORY_BYTES = 1 << 28
"""What scrypt may take."""


@dataclass(frozen=True)
class _Content:
    """What the file has.

    Attributes:
        salt, scrypt: in hexadecimal.
        n, r, p: parameters of scrypt (RFC 7914).
    """

    salt: str
    scrypt: str
    n: int
    r: int = 8
    p: int = 2


@dataclass(frozen=True)
class PasswordFile:
    """A password that is kept in a file, which is read anew at each attempt."""

    path: Path

    def check(self) -> None:
        """Refuse a file that cannot be used.

        Raises:
            InputError: it is not there, is none of ours, or others can read it.
        """
        content = self._content()
        _scrypt("", content)

    def matches(self, text: str) -> bool:
        """Tell whether `text` is the password; takes about as long either way.

        Raises:
            InputError: the file cannot be used.
        """
        content = self._content()
        made = _scrypt(text[:LONGEST], content)
        return hmac.compare_digest(made, bytes.fromhex(content.scrypt)) and len(text) <= LONGEST

    def set(self, ask: Callable[[], str]) -> None:
        """Write the file anew, for its owner alone.

        Args:
            ask: returns the password; it is not called if the file is another one.

        Raises:
            InputError: the password is too short or too long, or the file is another one.
            OutputError: the file cannot be written.
        """
        if self.path.exists():
            self._content()
        text = ask()
        check_length(text)
        salt = secrets.token_bytes(16)
        content = _Content(salt.hex(), "", COST)
        made = replace(content, scrypt=_scrypt(text, content).hex())
        with atomic_write(self.path) as new:
            new.touch(mode=0o600)
            new.write_text(json.dumps(to_dict(made), indent=1) + "\n", encoding="utf-8")

    def _content(self) -> _Content:
        try:
            with self.path.open("rb") as file:
                open_to_others = os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO)
                read = file.read(LARGEST_BYTES)
            content = from_dict(_Content, parsed(read))
            bytes.fromhex(content.salt), bytes.fromhex(content.scrypt)
        except FileNotFoundError:
            raise InputError(
                f"--password-file {self.path}: is not there; make it with tumorseg web"
                f" --set-password {self.path}"
            ) from None
        except OSError as error:
            raise InputError(
                f"--password-file {self.path}: cannot be read ({error.strerror})"
            ) from None
        except (SchemaError, ValueError):
            raise InputError(
                f"{self.path}: is no file of a password; expected one that tumorseg web"
                " --set-password has made"
            ) from None
        if open_to_others and not is_windows():
            raise InputError(
                f"--password-file {self.path}: others can read it; run: chmod 600 {self.path}"
            )
        return content


def ask_for_new() -> str:
    """Ask twice on the terminal, without showing what is typed.

    Raises:
        InputError: there is no terminal, the password is too short, or was typed in two ways.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise InputError("--set-password: asks on a terminal, and there is none; run it in one")
    first = getpass.getpass(f"New password, {SHORTEST} characters or more: ")
    check_length(first)
    if getpass.getpass("Once more: ") != first:
        raise InputError("--set-password: the two differ; nothing was written")
    return first


def check_length(text: str) -> None:
    """Refuse what is too short to be guarded by waiting alone.

    Raises:
        InputError: it is so.
    """
    if not SHORTEST <= len(text) <= LONGEST:
        raise InputError(
            f"the password has {len(text)} characters; expected {SHORTEST} to {LONGEST}, such as"
            " four words that do not belong together"
        )


def _scrypt(text: str, content: _Content) -> bytes:
    """Return what is kept of a password; keyboards write one letter in more than one way (NFC).

    Raises:
        InputError: the parameters are none.
    """
    try:
        return hashlib.scrypt(
            unicodedata.normalize("NFC", text).encode(errors="surrogatepass"),
            salt=bytes.fromhex(content.salt),
            n=content.n,
            r=content.r,
            p=content.p,
            maxmem=MEMORY_BYTES,
            dklen=32,
        )
    except (ValueError, OverflowError, MemoryError) as error:
        raise InputError(
            f"the password's file has parameters that cannot be used ({error})"
        ) from None
