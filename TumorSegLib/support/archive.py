"""Archives (.zip, .mrb) from elsewhere, unpacked entry by entry after all have been looked at.

An entry that names a place outside the folder, a link, or more than a disk holds, refuses the whole
archive before anything is written.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from TumorSegLib.errors import TumorSegError

SMALL_BYTES = 1 << 30
LARGEST_RATIO = 100
"""Of unpacked to packed bytes, in archives that are not small; images reach 10, bombs 1000."""

LARGEST_BYTES = 64 << 30
PART_BYTES = 1 << 20
LONGEST_NAME = 255
"""Bytes of a file's or folder's name."""


class ArchiveError(TumorSegError):
    """An archive is damaged, or not what it should be."""


@contextmanager
def opened_archive(path: Path, most_entries: int) -> Iterator[ZipFile]:
    """Open an archive all of whose entries may be unpacked.

    Args:
        path: of the archive.
        most_entries: that it may have.

    Raises:
        ArchiveError: it is damaged, now or while it is read, or an entry is not to be unpacked.
    """
    try:
        with ZipFile(path) as archive:
            _check(path, archive.infolist(), most_entries)
            yield archive
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        reason = str(error)[:LONGEST_NAME]  # names entries
        raise ArchiveError(f"{path}: not a whole .zip file, or damaged: {reason}") from None


def unpack(archive: ZipFile, folder: Path) -> None:
    """Write all files of an opened archive below `folder`.

    Raises:
        ArchiveError: two entries share a place, or one is longer than it says.
        OSError: a file cannot be written.
    """
    for entry in archive.infolist():
        target = folder.joinpath(*PurePosixPath(entry.filename).parts)
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_entry(archive, entry, target, entry.file_size)


def copy_entry(archive: ZipFile, entry: ZipInfo, target: Path, largest: int) -> None:
    """Write one entry to `target`, whatever size its header promises.

    Raises:
        ArchiveError: there is a file at `target`, or the entry has more than `largest` bytes.
        OSError: the file cannot be written.
    """
    left = largest
    try:
        with archive.open(entry) as content, target.open("xb") as file:
            while part := content.read(PART_BYTES):
                left -= len(part)
                if left < 0:
                    raise ArchiveError(
                        f"{archive.filename}: {entry.filename} has more than {largest} bytes"
                    )
                file.write(part)
    except FileExistsError:
        raise ArchiveError(f"{archive.filename}: has {entry.filename} twice") from None


def _check(path: Path, entries: list[ZipInfo], most: int) -> None:
    if len(entries) > most:
        raise ArchiveError(f"{path}: has {len(entries)} entries, expected at most {most}")
    for entry in entries:
        _check_entry(path, entry)
    unpacked = sum(entry.file_size for entry in entries)
    packed = max(path.stat().st_size, 1)
    if unpacked > LARGEST_BYTES or (unpacked > SMALL_BYTES and unpacked > LARGEST_RATIO * packed):
        raise ArchiveError(
            f"{path}: {packed} bytes would become {unpacked} unpacked, more than images do"
        )


def _check_entry(path: Path, entry: ZipInfo) -> None:
    """Refuse entries that would be written elsewhere, or that lie about what they are."""
    name = entry.orig_filename  # as it stands in the file, before Python makes it harmless
    inside = PurePosixPath(name)
    if (
        inside.is_absolute()
        or ".." in inside.parts
        or any(sign in name for sign in ("\\", ":", "\0"))
        or not inside.parts
    ):
        raise ArchiveError(f"{path}: the entry {name[:LONGEST_NAME]!r} points out of the archive")
    if max(len(part.encode("utf-8", "surrogatepass")) for part in inside.parts) > LONGEST_NAME:
        raise ArchiveError(f"{path}: the entry {name[:80]!r} has too long a name")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "a link" if kind == stat.S_IFLNK else "no file"
        raise ArchiveError(f"{path}: the entry {name[:LONGEST_NAME]!r} is {what}")
    if entry.flag_bits & 1:
        raise ArchiveError(f"{path}: is encrypted; unpack it first")
