"""Which model the user wants by default for a modality and task, where it is not the shipped one.

The choice lies in `defaults.json` beside the user's own models: {"MR segmentation": model id}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.support.atomic_write import write_whole
from TumorSegLib.support.schema import parsed

DEFAULTS = "defaults.json"


def key_of(modality: str, task: str) -> str:
    """Return the key under which a choice is kept."""
    return f"{modality} {task}"


def read_defaults(folder: Path) -> Mapping[str, str]:
    """Return the choices in `folder`, ids of models; a file that cannot be read holds none."""
    try:
        content = parsed((folder / DEFAULTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {key: model for key, model in content.items() if isinstance(model, str)}


def make_default(model: ModelSpecification, folder: Path) -> None:
    """Make `model` the one that is used where none is named, by a file in `folder`.

    Raises:
        OutputError: the choice cannot be kept.
    """
    _write({**read_defaults(folder), key_of(model.modality, model.task): model.id}, folder)


def forget_default(model_id: str, folder: Path) -> None:
    """Take a model out of the choices in `folder`.

    Raises:
        OutputError: the choices cannot be written.
    """
    choices = read_defaults(folder)
    if model_id in choices.values():
        _write({key: model for key, model in choices.items() if model != model_id}, folder)


def _write(choices: Mapping[str, str], folder: Path) -> None:
    write_whole(folder / DEFAULTS, json.dumps(choices, indent=2) + "\n")
