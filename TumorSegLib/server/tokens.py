"""Who may use the server: tokens by user, of which the file has hashes only.

A token is 256 random bits, which nobody finds by trying, so that a plain SHA-256 of it is enough.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.support.atomic_write import atomic_write
from TumorSegLib.support.places import data_folder
from TumorSegLib.support.schema import SchemaError, from_dict, parsed, to_dict

USER = re.compile(r"[\w.@-]{1,64}", re.ASCII)
LARGEST_BYTES = 1 << 24


@dataclass(frozen=True)
class Token:
    """What the file has of a token.

    Attributes:
        id: names it where it is listed and revoked.
        user: whose it is.
        sha256: of the token, in hexadecimal.
        created: when, ISO 8601 in UTC.
        expires: from when on it does not count.
    """

    id: str
    user: str
    sha256: str
    created: str
    expires: str

    def is_valid(self, now: datetime) -> bool:
        """Tell whether it counts at `now`."""
        return now < datetime.fromisoformat(self.expires)


@dataclass(frozen=True)
class _Content:
    tokens: tuple[Token, ...] = ()


def default_file() -> Path:
    """Return where the tokens of a server lie if nothing else is said."""
    return data_folder() / "server-tokens.json"


class TokenFile:
    """The tokens in a file, which is read anew when it has changed: revoking takes effect at once.

    Attributes:
        path: of the file, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._by_hash: dict[str, Token] = {}

    def tokens(self) -> tuple[Token, ...]:
        """Return all tokens, expired ones, too.

        Raises:
            InputError: the file cannot be read or is none of tokens.
        """
        try:
            with self.path.open("rb") as file:
                content = file.read(LARGEST_BYTES)
            return from_dict(_Content, parsed(content)).tokens
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror})") from None
        except (SchemaError, ValueError) as error:
            raise InputError(f"{self.path}: is no file of tokens ({error})") from None

    def add(self, user: str, days: int) -> str:
        """Make a token for a user, and return it, which is not kept anywhere.

        Raises:
            InputError: the name cannot be used.
            OutputError: the file cannot be written.
        """
        if not USER.fullmatch(user):
            raise InputError(f"user {user!r}: expected letters, digits and . _ @ - (64 at most)")
        secret = secrets.token_urlsafe(32)
        now = datetime.now(UTC).replace(microsecond=0)
        token = Token(
            secrets.token_hex(4),
            user,
            _hash(secret),
            now.isoformat(),
            (now + timedelta(days=days)).isoformat(),
        )
        self._write([*self.tokens(), token])
        return secret

    def revoke(self, named: str) -> int:
        """Remove the tokens of a user, or the one with an id; return how many these were.

        Raises:
            InputError: there is none.
            OutputError: the file cannot be written.
        """
        before = self.tokens()
        kept = [token for token in before if named not in (token.id, token.user)]
        if len(kept) == len(before):
            raise InputError(f"{named}: neither a user with a token nor the id of one")
        self._write(kept)
        return len(before) - len(kept)

    def user_of(self, secret: str) -> str | None:
        """Return whose token this is, None if it is nobody's or has expired.

        Raises:
            InputError: the file cannot be read.
        """
        stamp = self._current_stamp()
        if stamp is None or stamp != self._stamp:
            self._by_hash = {token.sha256: token for token in self.tokens()}
            self._stamp = stamp
        token = self._by_hash.get(_hash(secret))
        return token.user if token is not None and token.is_valid(datetime.now(UTC)) else None

    def _current_stamp(self) -> tuple[int, int, int] | None:
        with suppress(OSError):
            status = self.path.stat()
            return status.st_mtime_ns, status.st_size, status.st_ino
        return None

    def _write(self, tokens: Sequence[Token]) -> None:
        text = json.dumps(to_dict(_Content(tuple(tokens))), indent=1)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.path) as new:
            new.touch(mode=0o600)
            new.write_text(text + "\n", encoding="utf-8")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
