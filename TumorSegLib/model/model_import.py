"""Models from a file or folder into the user's own models, and out again.

Nothing is believed: names and sizes in an archive are checked before anything is written, weights
by their checksum before a model is listed, and nothing of a model can run as code.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from TumorSegLib.errors import ModelError, OutputError
from TumorSegLib.model.bundle import Bundle, check_files, read_bundle
from TumorSegLib.model.bundle_folder import LARGEST, SPECIFICATION_FILE, replacing_bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.default_models import forget_default
from TumorSegLib.model.model_source import REMOVED, temporary_folder
from TumorSegLib.support.archive import ArchiveError, copy_entry, opened_archive

MAXIMUM_ENTRIES = 1000
MAXIMUM_MODELS = 50


@contextmanager
def unpacked_models(source: Path, models_folder: Path) -> Iterator[list[Bundle]]:
    """Copy the models of an archive or folder to a place beside the user's own, checked.

    `add_models` makes them the user's. What it does not take is gone when the block ends.

    Args:
        source: a .zip file, or a folder, that is a model or holds folders of models.
        models_folder: folder of the user's own models.

    Raises:
        ModelError: there is no usable model, or a file is not what it should be.
        OutputError: the models cannot be written.
    """
    try:
        with temporary_folder(models_folder) as unpacked:
            if source.is_dir():
                places = _copy_folder(source, unpacked)
            else:
                places = _unpack(source, unpacked)
            if not places:
                raise ModelError(f"{source}: holds no model, that is no {SPECIFICATION_FILE}")
            yield [_checked(place, source) for place in places]
    except OSError as error:
        raise OutputError(
            f"{models_folder}: {error.strerror or error}; no model was imported"
        ) from error


def add_models(
    bundles: Sequence[Bundle], catalogue: Catalogue, models_folder: Path, *, overwrite: bool = False
) -> list[Bundle]:
    """Make unpacked models the user's own; return them where they are now.

    Args:
        bundles: from `unpacked_models`.
        catalogue: the models that are there already.
        models_folder: folder of the user's own models.
        overwrite: replace the user's own models of the same ids; those that come with TumorSeg
            never are.

    Raises:
        ModelError: a model of the same id is there, an ensemble's member is missing, or one that is
            there would no longer fit.
        OutputError: a model cannot be written, and is as before; those before it stay.
    """
    ids = [bundle.id for bundle in bundles]
    folders = [
        _place(bundle.id, ids, catalogue, models_folder, overwrite=overwrite) for bundle in bundles
    ]
    others = [bundle for bundle in catalogue.bundles if bundle.id not in ids]
    together = Catalogue((*bundles, *others))
    concerned = [other for other in others if set(ids) & set(other.specification.members)]
    for bundle in (*bundles, *concerned):
        together.members(bundle)
    added = []
    for bundle, folder in zip(bundles, folders, strict=True):
        with replacing_bundle(folder) as new:
            bundle.folder.rename(new)
        added.append(Bundle(folder, bundle.specification))
    return added


def _place(
    model_id: str, ids: Sequence[str], catalogue: Catalogue, models_folder: Path, *, overwrite: bool
) -> Path:
    """Return where a model is to be put."""
    if ids.count(model_id) > 1:
        raise ModelError(f"model {model_id}: is given twice")
    there = next((other for other in catalogue.bundles if other.id == model_id), None)
    if there is not None and not can_remove(there, models_folder):
        raise ModelError(
            f"model {model_id}: one of this id comes with TumorSeg and stays; give yours another id"
        )
    if not overwrite and (there is not None or (models_folder / model_id).exists()):
        version = f" (version {there.specification.version})" if there else ""
        raise ModelError(
            f"model {model_id}: there is one of this id already{version}; remove it first, or let"
            " it be replaced (--overwrite)"
        )
    return models_folder / model_id if there is None else there.folder


def can_remove(bundle: Bundle, models_folder: Path) -> bool:
    """Tell whether a model is one of the user's own; those that come with TumorSeg stay."""
    return bundle.folder.resolve().parent == models_folder.resolve()


def remove_model(bundle: Bundle, catalogue: Catalogue, models_folder: Path) -> None:
    """Delete one of the user's own models, and the choice of it as a default.

    Raises:
        ModelError: the model comes with TumorSeg, or is a member of an ensemble that is there.
        OutputError: the folder cannot be removed.
    """
    if not can_remove(bundle, models_folder):
        raise ModelError(f"model {bundle.id}: comes with TumorSeg and cannot be removed")
    for other in catalogue.bundles:
        if bundle.id in other.specification.members:
            raise ModelError(
                f"model {bundle.id}: is a member of {other.id}; remove that ensemble first"
            )
    forget_default(bundle.id, models_folder)
    try:
        with temporary_folder(models_folder, REMOVED) as folder:
            bundle.folder.rename(folder / bundle.id)  # gone at once, or all of it stays
    except OSError as error:
        raise OutputError(
            f"{bundle.folder}: {error.strerror or error}; the model was not removed"
        ) from None


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
        found = sorted(path.parent for path in source.glob(f"[!.]*/{SPECIFICATION_FILE}"))
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
        with opened_archive(source, MAXIMUM_ENTRIES) as archive:
            paths = {entry: PurePosixPath(entry.filename) for entry in archive.infolist()}
            models = {
                path.parent
                for path in paths.values()
                if path.name == SPECIFICATION_FILE and not path.parent.name.startswith(".")
            }
            if len(models) > MAXIMUM_MODELS:
                raise ModelError(f"{source}: holds {len(models)} models, at most {MAXIMUM_MODELS}")
            wanted = {
                entry: path
                for entry, path in paths.items()
                if path.parent in models and path.name in LARGEST and not entry.is_dir()
            }
            for entry, path in wanted.items():
                _check_size(Path(str(source), entry.filename), entry.file_size, LARGEST[path.name])
            for entry, path in wanted.items():
                place = places.setdefault(path.parent, target / str(len(places)))
                place.mkdir(exist_ok=True)
                copy_entry(archive, entry, place / path.name, LARGEST[path.name])
    except ArchiveError as error:
        raise ModelError(f"{error}; not imported") from None
    return list(places.values())


def _check_size(path: Path, size: int, largest: int) -> None:
    if size > largest:
        raise ModelError(f"{path}: {size} bytes, expected at most {largest}; not a model's")
