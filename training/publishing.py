"""From a finished run to a model bundle with its provenance, figures and card."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.checkpoints import network_weights, read_checkpoint
from training.config import TrainingConfig
from training.datasets import select_cases
from training.evaluation import Evaluation, Report, evaluate
from training.evaluation_page import evaluation_page
from training.history import write_whole
from training.model_card import model_card
from training.summary import comparisons, details, summary
from training.train import Trained
from TumorSegLib import __version__
from TumorSegLib.bundle import Bundle, write_bundle
from TumorSegLib.errors import OutputError
from TumorSegLib.networks import build_network
from TumorSegLib.records import plain

RESULTS = "evaluation.json"


@dataclass(frozen=True)
class Published:
    """A bundle, and how it fared on who was kept aside, if anybody was."""

    bundle: Bundle
    evaluation: Evaluation | None


def publish(config: TrainingConfig, trained: Trained, folder: Path, report: Report) -> Published:
    """Write the bundle of a run to `folder`/<model id> and measure it on who was kept aside.

    Without a validation fold, figures of a cross-validation in the same folder stand in its card.

    Raises:
        OutputError: the bundle cannot be written.
    """
    target = folder / config.model.id
    bundle = _written(config, trained, target, {})
    aside = set(trained.split["validation"])
    cases = [case for case in select_cases(config).validation if case.patient in aside]
    metrics: dict[str, Any] = {}
    evaluation = None
    if cases:
        report(f"measuring on {len(cases)} cases that were kept aside")
        evaluation = evaluate(bundle, cases, report=report)
        write_results([evaluation], folder / RESULTS, f"{config.model.title}: validation")
        metrics = {"measured_on": f"patients kept for validation ({config.data.validate})"}
        metrics |= summary(evaluation)
    elif (crossed := folder / "cross-validation" / RESULTS).is_file():
        content = json.loads(crossed.read_text(encoding="utf-8"))
        metrics = {
            "measured_on": "cross-validation: every patient by a model of the same recipe that"
            " never saw that patient; the weights published here saw them all"
        }
        metrics |= content["models"][0]["summary"]
    return Published(_written(config, trained, target, metrics), evaluation)


def _written(
    config: TrainingConfig, trained: Trained, target: Path, metrics: Mapping[str, Any]
) -> Bundle:
    model = config.model
    assert model.network is not None
    network = build_network(model.network.name, model.network.arguments)
    network.load_state_dict(network_weights(read_checkpoint(trained.checkpoint)))
    specification = replace(model, training=provenance(config, trained), metrics=metrics)
    card = model_card(specification, config.card)
    return write_bundle(target, specification, network, dtype="float16", card=card)


def provenance(config: TrainingConfig, trained: Trained) -> dict[str, Any]:
    """Return what went into the weights; of paths only the last part, they are private."""
    sections = {
        name: plain(getattr(config, name))
        for name in ("data", "optimisation", "augmentation", "synthesis")
        if getattr(config, name) is not None
    }
    for section, key in (
        ("data", "folder"),
        ("data", "folds"),
        ("data", "patients"),
        ("synthesis", "folder"),
        ("optimisation", "start_from"),
    ):
        value = sections.get(section, {}).get(key)
        if isinstance(value, str):
            sections[section][key] = Path(value).name
    sections["data"].pop("cache", None)
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "code_version": code_version(),
        "config": sections,
        "split": trained.split,
        "left_out": list(trained.left_out),
        "epochs": len(trained.history),
        "averaged": config.optimisation.average_decay > 0,
    }


def code_version() -> str:
    """Return the library's version, and the commit where it runs from a checkout."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__} ({commit})"


def write_results(evaluations: list[Evaluation], path: Path, title: str) -> tuple[Path, Path]:
    """Write an evaluation as JSON to `path` and as a page beside it; return both paths.

    Raises:
        OutputError: they cannot be written.
    """
    content = {
        "title": title,
        "date": datetime.now(UTC).date().isoformat(),
        "code_version": code_version(),
        "models": [
            {
                "summary": summary(item),
                "cases": details(item),
                "failed": [plain(failure) for failure in item.failed],
            }
            for item in evaluations
        ],
        "comparisons": comparisons(evaluations),
    }
    page = path.with_suffix(".html")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
        write_whole(page, evaluation_page(evaluations, title).encode())
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; the results were not written") from None
    return path, page
