"""Passwords and tokens of DICOMweb services, each in a file of its own."""

from __future__ import annotations

import errno
from pathlib import Path

from TumorSegLib.support.text_coding import decoded


def secret_in(path: str, *, is_token: bool) -> str:
    """Return the password or the token that a file holds.

    Raises:
        OSError: it cannot be read, or holds none; `strerror` says why.
    """
    try:
        secret = decoded(Path(path).read_bytes()).strip()
    except ValueError:
        raise OSError(errno.EINVAL, "is no text; save it as UTF-8", path) from None
    if not secret:
        raise OSError(errno.EINVAL, "is empty; expected the password or the token", path)
    if is_token and not (secret.isascii() and secret.isprintable()):
        reason = "holds no token, which is one line of ASCII; name the user, too, if a password"
        raise OSError(errno.EINVAL, reason, path)
    return secret
