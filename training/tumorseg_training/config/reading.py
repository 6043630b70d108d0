"""Configs from TOML files. Unknown keys and impossible values are errors that name the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tumorseg_training.config.files import merged, read_content
from tumorseg_training.config.recipe import (
    NOBODY,
    Part,
    Recipe,
    Stage,
    check_earlier,
    parts_of,
)
from tumorseg_training.config.training import EnsembleConfig, TrainingConfig
from TumorSegLib.errors import InputError
from TumorSegLib.support.schema import SchemaError, from_dict

Config = TypeVar("Config")
OF_RECIPES = ("stages", "cross_validation")
"""Keys of a file that are no settings of a run."""


@dataclass(frozen=True)
class _Folds:
    """Groups of folds that are kept aside in turn; several folds are joined by "+"."""

    cross_validation: tuple[str, ...]


def read_config(path: Path, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a TOML file, without its stages; each override is "section.key=value".

    "section.key=" takes a key out, so that its default counts.

    Raises:
        InputError: the file cannot be read, or a key is unknown or impossible.
    """
    return _built(TrainingConfig, _settings(read_content(path, overrides)), path)


def read_ensemble(path: Path, overrides: Sequence[str] = ()) -> EnsembleConfig | None:
    """Read the file of an ensemble as `read_config` does; none if it is of a single network.

    Raises:
        InputError: the file cannot be read, or a key is unknown or impossible.
    """
    content = read_content(path, overrides)
    model = content.get("model")
    if not isinstance(model, dict) or "members" not in model:
        return None
    return _built(EnsembleConfig, content, path)


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe | None:
    """Read the stages of a config; none if it has none.

    Overrides change what all stages start from, `stages.NAME.section.key=value` one stage alone;
    what a stage says counts.

    Raises:
        InputError: a file cannot be read, or a key is unknown or impossible.
    """
    content = read_content(path, overrides)
    stages, groups = content.get("stages", []), content.get("cross_validation", [])
    if not stages:
        return None
    if not isinstance(stages, list):
        raise InputError(f"{path}: stages: found {stages!r}, expected [[stages]]")
    _built(TrainingConfig, _settings(content), path)
    folds = _built(_Folds, {"cross_validation": groups}, path).cross_validation
    parts: dict[tuple[str, str], Part] = {}
    for number, table in enumerate(stages):
        stage = _built(Stage, table, path, f"stages[{number}]")
        where = f"{path}: stages.{stage.name}"
        if any(name == stage.name for name, _ in parts):
            raise InputError(f"{where}: stands twice")
        base = content if stage.config is None else _other(path, stage.config, overrides)
        settings = merged(_settings(base), stage.changes)
        try:
            if stage.aside == NOBODY:
                data = settings.get("data", {})
                settings["data"] = {key: data[key] for key in data if key != "validate"}
            config = _built(TrainingConfig, settings, path, f"stages.{stage.name}")
            found = parts_of(stage, config, folds)
            for part in found:
                check_earlier(part, parts)
            parts |= {part.key: part for part in found}
        except ValueError as error:
            raise InputError(f"{where}: {error}") from None
    return Recipe(tuple(parts.values()))


def _other(path: Path, name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Return what another config says, with those overrides that are no stage's of this one."""
    of_runs = [item for item in overrides if item.partition(".")[0].strip() not in OF_RECIPES]
    return read_content(path.parent / name, of_runs)


def _settings(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key not in OF_RECIPES}


def _built(kind: type[Config], content: object, path: Path, where: str = "") -> Config:
    try:
        return from_dict(kind, content, where)
    except SchemaError as error:
        raise InputError(f"{path}: {error}") from None
