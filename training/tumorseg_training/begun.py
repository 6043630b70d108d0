"""What a run was begun with: its settings and its patients, to which a run that goes on is held."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tumorseg_training.config import TrainingConfig
from TumorSegLib.errors import InputError
from TumorSegLib.support.atomic_write import write_whole
from TumorSegLib.support.schema import parsed, to_dict

BEGUN = "begun.json"
FREE_ON_RESUME = ("workers", "keep", "patience", "validate_every")
SEEN_BY_PATIENTS = ("folds", "patients")
"""Keys of `data` that count by the patients that follow from them; a file of these may move."""

Split = Mapping[str, list[str]]


def write_begun(folder: Path, config: TrainingConfig, split: Split) -> None:
    """Write `folder`/begun.json: the settings of a run, and its patients by use.

    Raises:
        OutputError: it cannot be written.
    """
    content = {"settings": settings_of(config), "patients": dict(split)}
    write_whole(folder / BEGUN, json.dumps(content, indent=1) + "\n")


def check_begun(
    folder: Path, config: TrainingConfig, split: Split, report: Callable[[str], None]
) -> None:
    """Refuse to go on in `folder` with other settings or patients than the run was begun with.

    A folder of an earlier version says neither; then a line says so.

    Raises:
        InputError: a key or a patient differs, or the record cannot be read.
    """
    begun = _read(folder, report)
    if begun is not None:
        check_settings(begun["settings"], settings_of(config))
        _compare(folder, begun["patients"], split)


def check_patients(folder: Path, split: Split, report: Callable[[str], None]) -> None:
    """Refuse to build on the run in `folder` if it was begun with other patients.

    Raises:
        InputError: a patient differs, or the record cannot be read.
    """
    begun = _read(folder, report)
    if begun is not None:
        _compare(folder, begun["patients"], split)


def check_settings(begun: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    """Refuse settings that a run was not begun with.

    Raises:
        InputError: a key differs.
    """
    for key in {**mine, **begun}:  # what is not set is in neither
        if begun.get(key) != mine.get(key):
            raise InputError(
                f"{key}: the run was begun with {begun.get(key)}, the config says {mine.get(key)};"
                " resume with the same, or begin anew in another folder by -o"
            )


def recipe(config: TrainingConfig) -> dict[str, Any]:
    """Return the keys of network and optimisation that a resumed run must share, as values."""
    shared = {f"optimisation.{key}": value for key, value in to_dict(config.optimisation).items()}
    for key in FREE_ON_RESUME:
        shared.pop(f"optimisation.{key}", None)
    return shared | {"model.network": to_dict(config.model.network)}


def settings_of(config: TrainingConfig) -> dict[str, Any]:
    """Return all keys that a run's weights follow from, as JSON has them."""
    content = to_dict(config)
    model, data = content["model"], _placed(content["data"])
    for key in ("cache", "licence", *SEEN_BY_PATIENTS):
        data.pop(key, None)
    found = recipe(config)
    found |= {f"data.{key}": value for key, value in data.items()}
    found |= {f"augmentation.{key}": value for key, value in content["augmentation"].items()}
    found |= {f"model.input.{key}": value for key, value in model["input"].items()}
    found |= {f"model.{key}": model[key] for key in ("task", "activation")}
    found["model.labels"] = [label.value for label in config.model.labels]
    found["synthesis"] = None if config.synthesis is None else _placed(content["synthesis"])
    found["further"] = [_placed(further) for further in content["further"]]
    values: dict[str, Any] = parsed(json.dumps(found))
    return values


def _placed(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return a section with its folder as it is called from everywhere."""
    return {**section, "folder": str(Path(section["folder"]).expanduser().resolve())}


def _read(folder: Path, report: Callable[[str], None]) -> dict[str, Any] | None:
    path = folder / BEGUN
    try:
        content: Any = parsed(path.read_bytes())
        settings, patients = content["settings"], content["patients"]
        if isinstance(settings, dict) and isinstance(patients["training"], list):
            return {"settings": settings, "patients": patients}
        reason = "not a record of a run"
    except FileNotFoundError:
        report(f"{folder}: has no {BEGUN}; whether its patients are the same cannot be told")
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error)
    raise InputError(
        f"{path}: cannot be read ({reason}); bring back an undamaged copy, or begin anew in another"
        " folder by -o"
    )


def _compare(folder: Path, begun: Split, now: Split) -> None:
    before, after = _uses(begun), _uses(now)
    other = [
        f"{patient} (then {before.get(patient, 'not there')}, now {after.get(patient, 'gone')})"
        for patient in sorted({*before, *after})
        if before.get(patient) != after.get(patient)
    ]
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        raise InputError(
            f"{folder}: was begun with other patients: {', '.join(other[:3])}{more}; go on with"
            " data and folds as they were, or begin anew in another folder by -o"
        )


def _uses(split: Split) -> dict[str, str]:
    """Return what each patient is used for."""
    words = {"training": "trained on", "validation": "kept aside"}
    return {patient: words[use] for use in words for patient in split.get(use, ())}
