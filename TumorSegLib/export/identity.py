"""Who a case is, in hashes that only the key's owner can make.

A patient's number has a few digits, so that its plain hash, or one with a salt that lies beside it,
is undone by trying all numbers. The key therefore stays in the user's own folder.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from filelock import FileLock

from TumorSegLib.errors import OutputError
from TumorSegLib.image.volume import Volume
from TumorSegLib.support import leftovers
from TumorSegLib.support.atomic_write import PREFIX, atomic_write
from TumorSegLib.support.places import data_folder

KEY_BYTES = 32
DIGITS = 12
"""Hexadecimal digits of an id: two of a million cases are alike with a probability of 0.002."""


@dataclass(frozen=True)
class ExportKey:
    """The secret of all hashes."""

    secret: bytes = field(repr=False)

    @property
    def mark(self) -> str:
        """What a data set keeps to recognise the key by; it does not help to guess it."""
        return self._hash("mark", b"")

    def case(self, volume: Volume) -> str:
        """Return a case's id: the same for the same voxels, however they are stored."""
        voxels = volume.voxels
        little = np.ascontiguousarray(voxels, voxels.dtype.newbyteorder("<"))
        described = f"case {voxels.dtype.kind}{voxels.dtype.itemsize} {voxels.shape}"
        return "case_" + self._hash(described, little.tobytes())

    def patient(self, patient: str) -> str:
        """Return a patient's id, the same for all of a patient's cases."""
        return "patient_" + self._hash(
            "patient", patient.strip().casefold().encode("utf-8", "surrogateescape")
        )

    def source(self, described: str) -> str:
        """Return an id for where images are from, a UID or a path, which it does not tell."""
        return "case_" + self._hash("source", described.encode("utf-8", "surrogateescape"))

    def _hash(self, purpose: str, content: bytes) -> str:
        digest = hmac.new(self.secret, purpose.encode() + b"\0", hashlib.sha256)
        digest.update(content)
        return digest.hexdigest()[:DIGITS]


def key_file() -> Path:
    """Return where the user's key is kept."""
    return data_folder() / "export-key"


def has_key() -> bool:
    """Tell whether the user's key has been made."""
    return key_file().exists()


def export_key() -> ExportKey:
    """Return the user's key, which is made when it is first needed.

    Raises:
        OutputError: the user's folder cannot be written to, or the file holds no key.
    """
    path = key_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        leftovers.remove_left_over(path.parent, PREFIX)  # half a key, perhaps
        with FileLock(path.with_name(f"{path.name}.lock")):
            if not path.exists():
                with atomic_write(path) as new:
                    descriptor = os.open(new, os.O_CREAT | os.O_WRONLY, 0o600)
                    with os.fdopen(descriptor, "w", encoding="ascii") as file:
                        file.write(secrets.token_hex(KEY_BYTES) + "\n")
            secret = bytes.fromhex(path.read_text("ascii").strip())
    except OSError as error:
        raise OutputError(
            f"{path}: {error.strerror or error}; the key of exports is kept there"
        ) from None
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise OutputError(
            f"{path}: found no key of {KEY_BYTES} bytes; restore the file, or remove it to begin"
            " with a new key and new data sets"
        )
    return ExportKey(secret)
