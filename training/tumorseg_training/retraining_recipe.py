"""How a model is retrained: everything follows from the base model and from the cases.

Network, input and labels are the base's, and so are the loss and the random changes that its own
training is recorded with. The cases decide how long an epoch is.
"""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from tumorseg_training.case import Case
from tumorseg_training.config import (
    Augmentation,
    Card,
    Data,
    Optimisation,
    TrainingConfig,
    Tversky,
    losses_for,
)
from tumorseg_training.readers.nnunet import structures_of
from tumorseg_training.retraining_plan import (
    LAYOUT,
    CaseSplit,
    RetrainPlan,
    RetrainRequest,
    labels_for,
    patients_of,
)
from tumorseg_training.slice_cache import fill_cache, open_cache
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.provenance import BaseRecord, Provenance
from TumorSegLib.model.specification import Input
from TumorSegLib.support.schema import SchemaError, from_dict
from TumorSegLib.support.words import counted

SLICES_AN_EPOCH = (200, 1000)
"""Fewest and most: a minute or two on two cores, however many cases there are."""

Record = TypeVar("Record")


def config_for(
    plan: RetrainPlan, base: Bundle, chosen: CaseSplit, request: RetrainRequest
) -> TrainingConfig:
    """Return the run's config, which follows from the base and its own training."""
    model = base.specification
    settings = model.provenance.config
    optimisation = settings.get("optimisation", {})
    share = settings.get("data", {}).get("foreground_share")
    fitting = losses_for(model)
    loss = optimisation.get("loss")
    title = model.title.removesuffix(f", retrained {model.version}")
    labels = labels_for(structures_of(request.dataset), model, request.labels, request.dataset)
    cache = Path(request.cache).expanduser()
    learnt = replace(
        chosen,
        training=fill_cache(chosen.training, model.input, cache).cases,
        old_training=fill_cache(chosen.old_training, model.input, cache).cases,
    )
    return TrainingConfig(
        model=replace(
            model,
            id=plan.id,
            title=f"{title}, retrained {plan.version}",
            version=plan.version,
            default=False,
            weights=None,
            provenance=Provenance(),
            evaluation=None,
        ),
        data=Data(
            str(request.dataset),
            LAYOUT,
            labels=labels,
            foreground_share=share if isinstance(share, float) else 0.5,
            cache=request.cache,
        ),
        optimisation=Optimisation(
            epochs=plan.epochs,
            start_from=str(base.folder),
            batch_size=8,
            slices_per_epoch=_slices_per_epoch(learnt, model.input, cache),
            loss=loss if loss in fitting else next(name for name in fitting if "+" in name),
            tversky=_recorded(Tversky, optimisation.get("tversky")),
            optimiser="adamw",
            learning_rate=plan.learning_rate,
            weight_decay=1e-2,
            schedule="cosine",
            average_decay=0.98,
            validate_every=1,
            workers=1,
        ),
        augmentation=_recorded(Augmentation, settings.get("augmentation")),
        card=_card(plan, base, learnt, request),
    )


EXPORTED = re.compile(r"case_[0-9a-f]{12}")
"""Names that exports give; others are a user's, and perhaps a person's."""


def origin_of(
    plan: RetrainPlan, base: Bundle, chosen: CaseSplit, request: RetrainRequest
) -> dict[str, Any]:
    """Return the fields of `Provenance` that say where the weights come from."""
    cases = {
        "training": _names(chosen.training),
        "held_out": _names(chosen.held_out),
        "old_training": _names(chosen.old_training),
        "old_held_out": _names(chosen.old_held_out),
    }
    name, version_of_base, sha256 = plan.base
    return {
        "base": BaseRecord(name, version_of_base, sha256, base.specification.provenance.base),
        "cases": cases,
        "label_maps_sha256": _digest((*chosen.training, *chosen.held_out)),
        "old_cases": request.old_cases.name if request.old_cases is not None else None,
        "old_held_out_seen_by_base": plan.old_seen if chosen.old_held_out else None,
        "software": {
            "python": platform.python_version(),
            **{package: version(package) for package in ("torch", "lightning", "monai")},
        },
    }


def _card(plan: RetrainPlan, base: Bundle, chosen: CaseSplit, request: RetrainRequest) -> Card:
    name, base_version, sha256 = plan.base
    lines = [
        f"Trained further from {name} {base_version} (SHA-256 of its weights {sha256[:12]}...) on"
        f" {counted(len(chosen.training), 'corrected case')} of"
        f" {counted(len(patients_of(chosen.training)), 'patient')}."
    ]
    if chosen.old_training and request.old_cases is not None:
        lines.append(
            f"{len(chosen.old_training)} old cases of {request.old_cases.name} were mixed in"
            " against forgetting."
        )
    if chosen.old_held_out and plan.old_seen:
        lines.append("The base may have been trained on the old cases that were measured on.")
    return Card(data=" ".join(lines), known_failures=(f"Those of {name}; see its card.",))


def _slices_per_epoch(chosen: CaseSplit, specification: Input, cache: Path) -> int:
    """Return how many slices to draw of the cases, which are decoded."""
    fewest, most = SLICES_AN_EPOCH
    cases = (*chosen.training, *chosen.old_training)
    found = sum(len(case.masks) for case in open_cache(cases, specification, cache))
    return max(fewest, min(most, found))


def _recorded(kind: type[Record], values: object) -> Record:
    """Return settings as a model records them, defaults where it does not."""
    try:
        return from_dict(kind, values or {})
    except SchemaError:  # of another version
        return kind()


def _names(cases: Iterable[Case]) -> tuple[str, ...]:
    """Return what cases may be called in a model: by an export's id, else as their patient."""
    return tuple(case.name if EXPORTED.fullmatch(case.name) else case.patient for case in cases)


def _digest(cases: Iterable[Case]) -> str:
    """Return the SHA-256 of the cases' names and label maps."""
    digest = hashlib.sha256()
    for case in cases:
        digest.update(case.name.encode() + b"\0")
        digest.update(hashlib.sha256(case.files[-1].read_bytes()).digest())
    return digest.hexdigest()
