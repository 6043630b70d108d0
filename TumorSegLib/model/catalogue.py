"""Where models are found: shipped with the extension, the user's own folder, an explicit path."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from TumorSegLib.errors import InputError, ModelError
from TumorSegLib.image.in_plane import downsampling_factor
from TumorSegLib.model.bundle import Bundle, read_bundle
from TumorSegLib.model.bundle_folder import SPECIFICATION_FILE
from TumorSegLib.model.default_models import key_of, read_defaults
from TumorSegLib.support.places import data_folder, resources
from TumorSegLib.support.whole_folder import finish_replacing

SHIPPED = resources() / "Models"


CLOSED = "cannot be read by this user; have its owner allow it, as by chmod -R a+rX"


@dataclass(frozen=True)
class Catalogue:
    """The models in some folders, by id; an earlier folder hides a later one's equal ids.

    Attributes:
        bundles: usable models, in the order of their ids.
        broken: one line for each folder whose model cannot be used.
        preferred: ids of the models that the user wants by default; see `default_models`.
    """

    bundles: tuple[Bundle, ...]
    broken: tuple[str, ...] = ()
    preferred: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folders: Iterable[str | os.PathLike[str]]) -> Catalogue:
        """Read every `<folder>/<model>/model.json`; a model under way begins with a full stop."""
        bundles: dict[str, Bundle] = {}
        broken = []
        preferred: dict[str, str] = {}
        for folder in map(Path, folders):
            if folder.exists() and not folder.is_dir():
                broken.append(f"{folder}: expected a folder of models, it is a file")
                continue
            broken += (closed := _closed_to_user(folder))
            if f"{folder}: {CLOSED}" in closed:
                continue
            finish_replacing(folder)
            preferred = {**read_defaults(folder), **preferred}
            for path in sorted(folder.glob(f"*/{SPECIFICATION_FILE}")):
                if path.parent.name.startswith("."):
                    continue
                try:
                    bundle = read_bundle(path.parent)
                except ModelError as error:
                    broken.append(str(error))
                    continue
                bundles.setdefault(bundle.id, bundle)
        ordered = sorted(bundles.values(), key=lambda bundle: bundle.id)
        return cls(tuple(ordered), tuple(broken), preferred)

    def absolute(self) -> Catalogue:
        """Return the catalogue for a process that works in another folder."""
        return replace(self, bundles=tuple(bundle.absolute() for bundle in self.bundles))

    def find(self, name: str | os.PathLike[str]) -> Bundle:
        """Return the model with the id `name`, or in the folder `name`; a path is always a folder.

        Raises:
            ModelError: there is none.
            InputError: `name` is neither.
        """
        if not isinstance(name, str | os.PathLike):
            raise InputError(
                f"model: found {type(name).__name__}, expected an id, a folder or a bundle"
            )
        if not isinstance(name, str):
            return read_bundle(Path(name))
        listed = any(bundle.id == name for bundle in self.bundles)
        if not listed and (Path(name) / SPECIFICATION_FILE).is_file():
            return read_bundle(Path(name))
        return self._listed(name)

    def _listed(self, name: str) -> Bundle:
        for bundle in self.bundles:
            if bundle.id == name:
                return bundle
        ids = ", ".join(bundle.id for bundle in self.bundles) or "none"
        raise ModelError(f"model {name}: not found; models here are: {ids}")

    def default_for(self, modality: str, task: str = "segmentation") -> Bundle:
        """Return the model to use for a modality where the user names none.

        Raises:
            ModelError: there is no model for this modality and task.
        """
        fitting = [
            bundle
            for bundle in self.bundles
            if bundle.specification.modality == modality and bundle.specification.task == task
        ]
        if not fitting:
            ids = ", ".join(bundle.id for bundle in self.bundles) or "none"
            raise ModelError(f"no model for {task} on {modality}; models here are: {ids}")
        preferred_id = self.preferred.get(key_of(modality, task))
        ranked = [bundle for bundle in fitting if bundle.id == preferred_id]
        ranked += [bundle for bundle in fitting if bundle.specification.default]
        return [*ranked, *fitting][0]

    def is_default(self, bundle: Bundle) -> bool:
        """Tell whether `bundle` is the model to use for its modality and task."""
        model = bundle.specification
        return self.default_for(model.modality, model.task).id == bundle.id

    def members(self, bundle: Bundle) -> list[Bundle]:
        """Return the models whose probabilities are averaged: its members, or the model itself.

        Members may see slices on finer or coarser grids than the ensemble; all else is the same.

        Raises:
            ModelError: a member is missing, is an ensemble itself, or does not fit.
        """
        specification = bundle.specification
        if not specification.members:
            return [bundle]
        members = [self._listed(member) for member in specification.members]
        for member in members:
            if member.specification.members:
                raise ModelError(f"model {bundle.id}: its member {member.id} is an ensemble itself")
            model = member.specification
            same_grid = replace(model.input, in_plane=specification.input.in_plane)
            comparable = (
                downsampling_factor(model.input.in_plane, specification.input.in_plane) is not None
            )
            for aspect, same in (
                ("input", comparable and same_grid == specification.input),
                ("task", model.task == specification.task),
            ):
                if not same:
                    raise ModelError(
                        f"model {bundle.id}: its member {member.id} differs in {aspect}"
                    )
            values = [label.value for label in specification.labels]
            if [label.value for label in member.specification.labels] != values:
                raise ModelError(f"model {bundle.id}: its member {member.id} has other labels")
        return members


def _closed_to_user(folder: Path) -> list[str]:
    """Return a line for the folder of models, or for each in it, that this user may not look into.

    In a folder that several users share, what was installed with a umask of 077 would otherwise be
    missing without a word, and another model be the default.
    """
    if not folder.is_dir():
        return []
    if not os.access(folder, os.R_OK | os.X_OK):
        return [f"{folder}: {CLOSED}"]
    inner = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    closed = [path for path in inner if path.is_dir() and not os.access(path, os.R_OK | os.X_OK)]
    return [f"{path}: {CLOSED}" for path in closed]


def user_folder() -> Path:
    """Return the user's own model folder: $TUMORSEG_MODELS, or models in the data folder."""
    if folder := os.environ.get("TUMORSEG_MODELS"):
        return Path(folder).expanduser()
    return data_folder() / "Models"


def catalogue_around(bundle: Bundle) -> Catalogue:
    """Return the models beside `bundle`, the user's and the shipped ones."""
    return Catalogue.of([bundle.folder.parent, user_folder(), SHIPPED])


def default_catalogue() -> Catalogue:
    """Return the user's models and the shipped ones."""
    return Catalogue.of([user_folder(), SHIPPED])
