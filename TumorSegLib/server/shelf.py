"""The models of a server with their checksums, read anew only when one has changed."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field

from TumorSegLib.errors import ModelError
from TumorSegLib.model import catalogue as models
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.bundle_folder import SPECIFICATION_FILE
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.checksum import model_checksum
from TumorSegLib.remote.protocol import ModelName, OfferedModel

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class _Read:
    """What was read.

    Attributes:
        stamp: of the files at that time.
        catalogue: of the models.
        checksums: by id; a model of which a member is missing has none.
    """

    stamp: Stamp
    catalogue: Catalogue
    checksums: dict[str, str] = field(default_factory=dict)


class Shelf:
    """The user's models and the shipped ones; may be asked by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: _Read | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The models as they are now."""
        return self._current().catalogue

    def offers(self) -> tuple[OfferedModel, ...]:
        """Return what clients are told of the models that can be used."""
        read = self._current()
        bundles = [bundle for bundle in read.catalogue.bundles if bundle.id in read.checksums]
        return tuple(
            OfferedModel(
                bundle.id,
                bundle.specification.version,
                bundle.specification.title,
                bundle.specification.modality,
                bundle.specification.task,
                read.checksums[bundle.id],
            )
            for bundle in bundles
        )

    def find(self, name: ModelName) -> Bundle:
        """Return the model of this id, if it is the very same.

        Raises:
            ModelError: there is none, or another one.
        """
        read = self._current()
        if name.id not in read.checksums:
            raise ModelError("has no such model")
        if read.checksums[name.id] != name.checksum:
            raise ModelError(f"its model {name.id} is another one than yours")
        return next(bundle for bundle in read.catalogue.bundles if bundle.id == name.id)

    def _current(self) -> _Read:
        with self._lock:
            stamp = _stamp()
            if self._read is None or self._read.stamp != stamp:
                self._read = _Read(stamp, models.default_catalogue())
                for bundle in self._read.catalogue.bundles:
                    with suppress(ModelError):
                        checksums = self._read.checksums
                        checksums[bundle.id] = model_checksum(bundle, self._read.catalogue)
            return self._read


def _stamp() -> Stamp:
    """Return what changes when a model is installed, removed or replaced."""
    found = []
    for folder in (models.user_folder(), models.SHIPPED):
        for path in sorted(folder.glob(f"*/{SPECIFICATION_FILE}")):
            with suppress(OSError):
                status = path.stat()
                found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(found)
