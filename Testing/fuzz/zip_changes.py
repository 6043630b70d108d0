"""Archives of an input's files, and changes of them entry by entry."""

from __future__ import annotations

import io
import stat
import warnings
import zipfile
from random import Random

from fuzz.changes import WORDS, Change, Files

DATE = (2000, 1, 1, 0, 0, 0)


def archive_of(files: Files) -> bytes:
    """Return a .zip file."""
    return _written([(_entry(name), content) for name, content in files.items()])


def entries_changed(rng: Random, content: bytes) -> bytes:
    """Change an entry of an archive: name, kind, sizes, or that it is there once."""
    entries = entries_of(content)
    if not entries:
        return content
    place = rng.randrange(len(entries))
    entry, inner = entries[place]
    match rng.randrange(6):
        case 0:
            name = rng.choice(WORDS).replace("\0", "")[:60000]
            entries[place] = (_entry(name or "x"), inner)
        case 1:
            entries.append((_entry(f"{rng.choice(WORDS)[:200]}/../../escaped"), inner))
        case 2:
            kind = rng.choice((stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR))
            entry.external_attr = (kind | 0o777) << 16
            entries[place] = (entry, rng.choice((inner, b"/etc/passwd", b"../../escaped")))
        case 3:
            entries.append((_entry(entry.filename), rng.choice(entries)[1]))
        case 4:
            del entries[place]
        case _:
            entries.append((_entry("bomb.nrrd"), bytes(rng.choice((1 << 10, 1 << 20)))))
    return _written(entries)


def within_entry(*changes: Change, ending: str = "") -> Change:
    """Return changes of what an entry of an archive holds, one with this ending."""

    def apply(rng: Random, content: bytes) -> bytes:
        entries = entries_of(content)
        fitting = [n for n, (entry, _) in enumerate(entries) if entry.filename.endswith(ending)]
        if not fitting:
            return content
        place = rng.choice(fitting)
        entry, inner = entries[place]
        entries[place] = (_entry(entry.filename), rng.choice(changes)(rng, inner))
        return _written(entries)

    return apply


def entries_of(content: bytes) -> list[tuple[zipfile.ZipInfo, bytes]]:
    """Return an archive's entries and what they hold; none if it is damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return [(entry, archive.read(entry)) for entry in archive.infolist()]
    except Exception:  # whatever earlier changes have made of it
        return []


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name or "x", DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _written(entries: list[tuple[zipfile.ZipInfo, bytes]]) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")  # names that are there twice
        for entry, content in entries:
            archive.writestr(entry, content, compresslevel=1)
    return file.getvalue()
