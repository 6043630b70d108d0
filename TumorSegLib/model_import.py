"""Models from a file or folder into the user's own models, and out again.

Nothing is believed: names and sizes in an archive are checked before anything is written, weights
by their checksum before a model is listed, and nothing of a model can run as code.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from TumorSegLib.bundle import (
    CARD_FILE,
    FOREST_FILE,
    MAXIMUM_WEIGHTS_BYTES,
    SPECIFICATION_FILE,
    WEIGHTS_FILE,
    Bundle,
    check_files,
    read_bundle,
)
from TumorSegLib.catalogue import Catalogue
from TumorSegLib.default_models import forget_default
from TumorSegLib.errors import ModelError, OutputError

LARGEST = {
    SPECIFICATION_FILE: 1 << 20,
    WEIGHTS_FILE: MAXIMUM_WEIGHTS_BYTES,
    FOREST_FILE: 64 << 20,
    CARD_FILE: 1 << 20,
    "thumbnail.png": 4 << 20,
    "LICENSE": 1 << 20,
    "LICENSE.txt": 1 << 20,
}
"""Bytes at most of each file that belongs to a model; others are left where they are."""

MAXIMUM_ENTRIES = 1000
MAXIMUM_MODELS = 50


@contextmanager
def unpacked_models(source: Path, own: Path) -> Iterator[list[Bundle]]:
    """Copy the models of an archive or folder to a place beside the user's own, checked.

    `add_models` makes them the user's. What it does not take is gone when the block ends.

    Args:
        source: a .zip file, or a folder, that is a model or holds folders of models.
        own: folder of the user's own models.

    Raises:
        ModelError: there is no usable model, or a file is not what it should be.
        OutputError: the models cannot be written.
    """
    try:
        own.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=own, prefix=".import-", ignore_cleanup_errors=True
        ) as folder:
            unpacked = Path(folder)
            if source.is_dir():
                places = _copy_folder(source, unpacked)
            else:
                places = _unpack(source, unpacked)
            if not places:
                raise ModelError(f"{source}: holds no model, that is no {SPECIFICATION_FILE}")
            yield [_checked(place, source) for place in places]
    except OSError as error:
        raise OutputError(f"{own}: {error.strerror or error}; no model was imported") from error


def add_models(bundles: Sequence[Bundle], catalogue: Catalogue, own: Path) -> list[Bundle]:
    """Make unpacked models the user's own; return them where they are now.

    Raises:
        ModelError: a model of the same id is there, or an ensemble's member is missing.
        OutputError: a model cannot be written; those before it stay.
    """
    ids = [bundle.id for bundle in bundles]
    for bundle in bundles:
        there = next((other for other in catalogue.bundles if other.id == bundle.id), None)
        if there is not None or ids.count(bundle.id) > 1 or (own / bundle.id).exists():
            version = f" (version {there.specification.version})" if there else ""
            raise ModelError(
                f"model {bundle.id}: there is one of this id already{version}; remove it first"
            )
    together = Catalogue((*catalogue.bundles, *bundles))
    for bundle in bundles:
        together.members(bundle)
    added = []
    for bundle in bundles:
        folder = own / bundle.id
        try:
            bundle.folder.rename(folder)
        except OSError as error:
            raise OutputError(f"{folder}: {error.strerror or error}; not imported") from None
        added.append(Bundle(folder, bundle.specification))
    return added


def can_remove(bundle: Bundle, own: Path) -> bool:
    """Tell whether a model is one of the user's own; those that come with TumorSeg stay."""
    return bundle.folder.resolve().parent == own.resolve()


def remove_model(bundle: Bundle, catalogue: Catalogue, own: Path) -> None:
    """Delete one of the user's own models, and the choice of it as a default.

    Raises:
        ModelError: the model comes with TumorSeg, or is a member of an ensemble that is there.
        OutputError: the folder cannot be removed.
    """
    if not can_remove(bundle, own):
        raise ModelError(f"model {bundle.id}: comes with TumorSeg and cannot be removed")
    for other in catalogue.bundles:
        if bundle.id in other.specification.members:
            raise ModelError(
                f"model {bundle.id}: is a member of {other.id}; remove that ensemble first"
            )
    try:
        with tempfile.TemporaryDirectory(
            dir=own, prefix=".removed-", ignore_cleanup_errors=True
        ) as folder:
            bundle.folder.rename(Path(folder) / bundle.id)  # gone at once, or all of it stays
    except OSError as error:
        raise OutputError(
            f"{bundle.folder}: {error.strerror or error}; the model was not removed"
        ) from None
    forget_default(bundle.id, own)


def _checked(place: Path, source: Path) -> Bundle:
    try:
        bundle = read_bundle(place)
        check_files(bundle)
    except ModelError as error:  # the user knows nothing of the place
        raise ModelError(str(error).replace(str(place), str(source))) from None
    return bundle


def _copy_folder(source: Path, target: Path) -> list[Path]:
    """Copy a model, or the models in a folder; return where they are now."""
    if (source / SPECIFICATION_FILE).is_file():
        found = [source]
    else:
        found = sorted(path.parent for path in source.glob(f"*/{SPECIFICATION_FILE}"))
    if len(found) > MAXIMUM_MODELS:
        raise ModelError(f"{source}: holds {len(found)} models, at most {MAXIMUM_MODELS} at once")
    places = []
    for number, folder in enumerate(found):
        place = target / str(number)
        place.mkdir()
        for name, largest in LARGEST.items():
            path = folder / name
            if path.is_symlink():
                raise ModelError(f"{path}: is a link; a model's files must be in its folder")
            if path.is_file():
                _check_size(path, path.stat().st_size, largest)
                shutil.copyfile(path, place / name)
        places.append(place)
    return places


def _unpack(source: Path, target: Path) -> list[Path]:
    """Unpack the models of an archive; return where they are now."""
    if not source.exists():
        raise ModelError(f"{source}: there is no such file or folder")
    places: dict[PurePosixPath, Path] = {}
    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
            if len(entries) > MAXIMUM_ENTRIES:
                raise ModelError(f"{source}: has {len(entries)} entries, not a model")
            for entry in entries:
                _check_entry(source, entry)
            models = {
                PurePosixPath(entry.filename).parent
                for entry in entries
                if PurePosixPath(entry.filename).name == SPECIFICATION_FILE
            }
            if len(models) > MAXIMUM_MODELS:
                raise ModelError(f"{source}: holds {len(models)} models, at most {MAXIMUM_MODELS}")
            for entry in entries:
                path = PurePosixPath(entry.filename)
                if entry.is_dir() or path.parent not in models or path.name not in LARGEST:
                    continue
                place = places.setdefault(path.parent, target / str(len(places)))
                place.mkdir(exist_ok=True)
                if (place / path.name).exists():
                    raise ModelError(f"{source}: has {entry.filename} twice")
                with archive.open(entry) as content, (place / path.name).open("xb") as file:
                    _copy(content, file, f"{source}: {entry.filename}", LARGEST[path.name])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelError(f"{source}: not a whole .zip file of a model: {error}") from None
    return list(places.values())


def _check_entry(source: Path, entry: zipfile.ZipInfo) -> None:
    """Refuse entries that would be written elsewhere, or that lie about what they are."""
    name = entry.orig_filename  # as it stands in the file, before Python makes it harmless
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or any(sign in name for sign in ("\\", ":", "\0")):
        raise ModelError(f"{source}: the entry {name!r} points out of the archive; not imported")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ModelError(f"{source}: the entry {name!r} is a link; not imported")
    if entry.flag_bits & 1:
        raise ModelError(f"{source}: is encrypted; unpack it, then import the folder")
    if path.name in LARGEST:
        _check_size(Path(str(source), name), entry.file_size, LARGEST[path.name])


def _check_size(path: Path, size: int, largest: int) -> None:
    if size > largest:
        raise ModelError(f"{path}: {size} bytes, expected at most {largest}; not a model's")


def _copy(content: IO[bytes], file: IO[bytes], name: str, largest: int) -> None:
    """Copy a stream, whatever size its header promised."""
    left = largest
    while part := content.read(1 << 20):
        left -= len(part)
        if left < 0:
            raise ModelError(f"{name}: more than {largest} bytes; not a model's")
        file.write(part)
