"""Reads `model.json` of format 1, in which `training` and `metrics` were free-form.

Nothing in them could make a model unusable, so nothing does now: what does not fit the types of
`Provenance` and `Evaluation` is kept under `further`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from TumorSegLib.model.evaluation import Evaluation
from TumorSegLib.model.provenance import Provenance
from TumorSegLib.support.schema import SchemaError, from_dict

OLD_KEYS = ("training", "metrics")
RENAMED = {"under_0.6": "under_0_6"}


def upgraded(content: Any) -> Any:
    """Return the content of a `model.json` in the present format; the old keys go on working."""
    if not isinstance(content, Mapping):
        return content
    kept = {key: value for key, value in content.items() if key not in OLD_KEYS}
    if kept.get("format") == 1:
        del kept["format"]
    for old, new, convert in (
        ("training", "provenance", _provenance),
        ("metrics", "evaluation", _evaluation),
    ):
        value = content.get(old)
        if isinstance(value, Mapping):
            if value:
                kept[new] = convert(value)
        elif old in content:
            kept[new] = value  # to be refused by its type
    return kept


def _provenance(training: Mapping[str, Any]) -> dict[str, Any]:
    config = training.get("config")
    derived = _of_config(config) if isinstance(config, Mapping) else {}
    split = training.get("split")
    if isinstance(split, Mapping):
        derived["split"] = {
            str(part): [str(patient) for patient in patients]
            for part, patients in split.items()
            if isinstance(patients, list)
        }
    return _fitting(Provenance, {**training, **derived})


def _of_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a training's settings say of its data."""
    further = config.get("further")
    sections = [config.get("data"), *(further if isinstance(further, list) else [])]
    datasets = [
        {"name": section["folder"]}
        | {key: section[key] for key in ("layout", "licence") if isinstance(section.get(key), str)}
        for section in sections
        if isinstance(section, Mapping) and isinstance(section.get("folder"), str)
    ]
    derived: dict[str, Any] = {"datasets": datasets} if datasets else {}
    synthesis = config.get("synthesis")
    if isinstance(synthesis, Mapping) and "share" in synthesis:
        derived["synthetic_share"] = synthesis["share"]
    return derived


def _evaluation(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return _fitting(Evaluation, _renamed(metrics))


def _fitting(cls: type[Provenance] | type[Evaluation], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values`, those that `cls` has no place for under `further`."""
    names = {field.name for field in dataclasses.fields(cls)} - {"further"}
    fitting: dict[str, Any] = {}
    further: dict[str, Any] = {}
    for name, value in values.items():
        if value is None:
            continue
        (fitting if name in names and _fits(cls, name, value) else further)[name] = value
    return fitting | ({"further": further} if further else {})


def _fits(cls: type[Provenance] | type[Evaluation], name: str, value: object) -> bool:
    try:
        from_dict(cls, {name: value})
    except SchemaError:
        return False
    return True


def _renamed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {RENAMED.get(str(key), key): _renamed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item) for item in value]
    return value
