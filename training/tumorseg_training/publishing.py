"""From a finished run to a model bundle with its provenance, figures and card."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tumorseg_training.candidates import read_forest
from tumorseg_training.case import Case
from tumorseg_training.checkpoints import network_weights, read_checkpoint
from tumorseg_training.config import Data, EnsembleConfig, TrainingConfig, reader_options_of
from tumorseg_training.datasets import cases_aside, select_cases
from tumorseg_training.evaluation import Evaluation, Report, evaluate
from tumorseg_training.evaluation_page import evaluation_page, write_with_page
from tumorseg_training.model_card import model_card
from tumorseg_training.patients_apart import check_members
from tumorseg_training.recorded_names import NAMED_BY_USERS, recorded
from tumorseg_training.same_recipe import OtherRecipeError, check_recipe, recorded_recipe
from tumorseg_training.summary import comparisons, details, evaluation_record, summary
from tumorseg_training.train import Trained
from TumorSegLib.errors import InputError
from TumorSegLib.model.bundle import Bundle, write_bundle
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.model.evaluation import Evaluation as ModelEvaluation
from TumorSegLib.model.forest import Forest
from TumorSegLib.model.provenance import DatasetRecord, MemberRecord, Provenance
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.networks import build_network
from TumorSegLib.support.schema import SchemaError, parsed, to_dict
from TumorSegLib.support.version import __version__
from TumorSegLib.support.words import counted

RESULTS = "evaluation.json"
CROSS_VALIDATION = "cross-validation"
CHOSE = ", who also chose the epoch, so that the figures are too good"


@dataclass(frozen=True)
class Published:
    """A bundle, and how it fared on who was kept aside, if anybody was."""

    bundle: Bundle
    evaluation: Evaluation | None


def publish(
    config: TrainingConfig,
    trained: Trained,
    folder: Path,
    report: Report,
    *,
    measured: ModelEvaluation | None = None,
    forest: Forest | None = None,
    earlier: Iterable[str] = (),
) -> Published:
    """Write the bundle of a run to `folder`/<model id> and measure it on who was kept aside.

    Args:
        config: of the run.
        trained: what it left.
        folder: of the run.
        report: takes lines for the user.
        measured: `figures_of` a run of the same recipe with patients kept aside, which stand in
            the card if this run keeps nobody aside; by default those of a cross-validation in the
            same folder.
        forest: that judges the model's candidates if this run keeps nobody aside, whom the forest
            may have been grown on; by default that of a cross-validation in the same folder.
        earlier: patients whom the weights that the run started from had learnt from.

    Raises:
        InputError: that forest cannot be read.
        OutputError: the bundle cannot be written.
    """
    target = folder / config.model.id
    aside = set(trained.split["validation"])
    cases = [case for case in select_cases(config).validation if case.patient in aside]
    trained = _without_names(trained, config)
    if before := sorted(earlier):
        trained = replace(trained, split=trained.split | {"earlier": before})
    if not cases:
        figures, grown = cross_validated(folder, config, report)
        measured, forest = measured or figures, forest or grown
        bundle = write_model(config, trained, target, measured=measured, forest=forest)
        return Published(bundle, None)
    bundle = write_model(config, trained, target)
    evaluation, figures = measure(bundle, cases, config.data, folder, report)
    return Published(write_model(config, trained, target, measured=figures), evaluation)


def _without_names(trained: Trained, config: TrainingConfig) -> Trained:
    """Return what a run left without the names that users gave to patients and files."""
    layouts = {config.data.layout, *(further.layout for further in config.further)}
    left_out = trained.left_out
    if left_out and not NAMED_BY_USERS.isdisjoint(layouts):
        left_out = (f"{len(left_out)} cases or notes",)
    return replace(trained, split=recorded(trained.split, layouts), left_out=left_out)


def publish_ensemble(
    config: EnsembleConfig,
    folder: Path,
    report: Report,
    *,
    measured: ModelEvaluation | None = None,
    forest: Forest | None = None,
) -> Published:
    """Write an ensemble's bundle to `folder`/<model id>, as `publish` does that of a network.

    Raises:
        InputError: the data cannot be read, or a member has learnt from whom they keep aside.
        ModelError: a member is missing or does not fit.
        OutputError: the bundle cannot be written.
    """
    provenance = ensemble_provenance(config)

    def written(figures: ModelEvaluation | None, forest: Forest | None = None) -> Bundle:
        complete = replace(config.model, evaluation=figures, provenance=provenance)
        card = model_card(complete, config.card)
        return write_bundle(folder / config.model.id, complete, None, forest=forest, card=card)

    if config.data.validate is None:
        figures_there, grown = cross_validated(folder, config, report)
        return Published(written(measured or figures_there, forest or grown), None)
    cases = cases_aside(config.data, reader_options_of(config.model, config.data))
    check_members(default_catalogue(), config.model.members, cases, config.data.validate)
    evaluation, figures = measure(written(None), cases, config.data, folder, report)
    return Published(written(figures), evaluation)


def measure(
    bundle: Bundle, cases: Sequence[Case], data: Data, folder: Path, report: Report
) -> tuple[Evaluation, ModelEvaluation]:
    """Evaluate on who was kept aside, write the results to `folder`; return them for `model.json`.

    Raises:
        OutputError: the results cannot be written.
    """
    report(f"measuring on {counted(len(cases), 'case')} kept aside")
    evaluation = evaluate(bundle, cases, report=report, first_channel_alone=True)
    chose = chose_epoch(bundle.specification)
    title = f"{bundle.specification.title}: validation"
    write_results([evaluation], folder / RESULTS, title, chose=chose)
    measured_on = f"patients kept for validation ({data.validate})" + CHOSE * chose
    return evaluation, evaluation_record(summary(evaluation), measured_on)


def chose_epoch(model: ModelSpecification) -> bool:
    """Tell whether a model is of the epoch that was best on those who were kept aside."""
    return bool(model.provenance.config.get("optimisation", {}).get("keep") == "best")


def ensemble_provenance(config: EnsembleConfig) -> Provenance:
    """Return which weights are averaged."""
    catalogue = default_catalogue()
    members = {}
    for name in config.model.members:
        member = catalogue.find(name).specification
        assert member.weights is not None
        members[name] = MemberRecord(member.version, member.weights.sha256)
    return Provenance(today(), code_version(), members=members)


def cross_validated(
    folder: Path, config: TrainingConfig | EnsembleConfig, report: Report
) -> tuple[ModelEvaluation | None, Forest | None]:
    """Return the figures and the forest of the cross-validation in a run's folder, if any.

    What another recipe has left there is not taken, with a line.

    Raises:
        InputError: they cannot be read.
    """
    home = folder / CROSS_VALIDATION
    figures = None
    if (home / RESULTS).is_file():
        whom = "patients kept aside in turn (cross-validation)"
        try:
            figures = figures_of(home / RESULTS, whom, config=config, report=report)
        except OtherRecipeError as error:
            report(f"not taken for the card: {error}")
            return None, None
    return figures, read_forest(home)


def figures_of(
    path: Path,
    measured_on: str = "patients kept aside from a run of the same recipe",
    *,
    config: TrainingConfig | EnsembleConfig | None = None,
    report: Report = print,
) -> ModelEvaluation:
    """Return the figures of another run of the recipe, for `model.json`.

    Args:
        path: of the results.
        measured_on: whom, in words.
        config: of this run, whose recipe they are to be of; None: the caller has seen to that.
        report: takes lines for the user.

    Raises:
        InputError: the file cannot be read, or is of another recipe.
    """
    seen = "the model measured never saw those patients, the weights published here saw them all"
    try:
        results = parsed(path.read_text(encoding="utf-8"))
        (content,) = results["models"]
        whom = measured_on + CHOSE * bool(results.get("chose_epoch"))
        figures = evaluation_record(content["summary"], f"{whom}: {seen}")
        if config is not None:
            check_recipe(path, content, config, report)
        return figures
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SchemaError) as error:
        raise InputError(f"{path}: {error}; expected the {RESULTS} of one model") from None


def write_model(
    config: TrainingConfig,
    trained: Trained,
    target: Path,
    *,
    measured: ModelEvaluation | None = None,
    forest: Forest | None = None,
    origin: Mapping[str, Any] = MappingProxyType({}),
) -> Bundle:
    """Write a run's bundle to `target`.

    Args:
        config: of the run.
        trained: what it left.
        target: folder of the bundle.
        measured: how well the model did, for `model.json`.
        forest: that judges the model's candidates.
        origin: fields of `Provenance` beside those of the run itself.

    Raises:
        OutputError: the bundle cannot be written.
    """
    model = config.model
    assert model.network is not None
    network = build_network(model.network.name, model.network.arguments)
    network.load_state_dict(network_weights(read_checkpoint(trained.checkpoint)))
    made = replace(provenance(config, trained), **origin)
    specification = replace(model, provenance=made, evaluation=measured)
    card = model_card(specification, config.card)
    return write_bundle(target, specification, network, forest=forest, card=card)


def provenance(config: TrainingConfig, trained: Trained) -> Provenance:
    """Return what went into the weights; of paths only the last part, they are private."""
    sections: dict[str, Any] = {
        name: to_dict(getattr(config, name))
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
    if config.further:
        sections["further"] = [
            {**to_dict(item), "folder": Path(item.folder).name} for item in config.further
        ]
    return Provenance(
        today(),
        code_version(),
        datasets=(
            DatasetRecord(Path(config.data.folder).name, config.data.layout, config.data.licence),
            *(DatasetRecord(Path(item.folder).name, item.layout) for item in config.further),
        ),
        split={part: tuple(patients) for part, patients in trained.split.items()},
        left_out=tuple(trained.left_out),
        epochs=len(trained.history),
        averaged=config.optimisation.average_decay > 0,
        synthetic_share=None if config.synthesis is None else config.synthesis.share,
        config=sections,
    )


def today() -> str:
    """Return the date, ISO 8601."""
    return datetime.now(UTC).date().isoformat()


def code_version() -> str:
    """Return the library's version, and the commit where it runs from a checkout."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():  # installed, perhaps within somebody else's repository
        return __version__
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=checkout,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__} ({commit})"


def write_results(
    evaluations: list[Evaluation], path: Path, title: str, *, chose: bool = False
) -> tuple[Path, Path]:
    """Write an evaluation as JSON to `path` and as a page beside it; return both paths.

    Args:
        evaluations: of the models.
        path: of the JSON file.
        title: of the page.
        chose: the patients measured have also chosen the epoch, which the file is to say.

    Raises:
        OutputError: they cannot be written.
    """
    content: dict[str, Any] = {
        "title": title,
        "date": today(),
        "code_version": code_version(),
        "models": [
            {
                "summary": summary(item),
                "recipe": recorded_recipe(item.model),
                "cases": details(item),
                "failed": [to_dict(failure) for failure in item.failed],
            }
            for item in evaluations
        ],
        "comparisons": comparisons(evaluations),
    }
    if chose:
        content["chose_epoch"] = True
    return path, write_with_page(path, content, lambda: evaluation_page(evaluations, title))
