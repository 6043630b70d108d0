"""A model card in plain words, from what `model.json` holds."""

from __future__ import annotations

from collections.abc import Sequence

from tumorseg_training.config import Card
from TumorSegLib.model.evaluation import (
    Calibration,
    Evaluation,
    PatientMean,
    Rate,
    SliceEvaluation,
    Stratum,
    StructureEvaluation,
    volume_range,
)
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.support.words import counted

NOT_A_DEVICE = (
    "This model is for research and teaching. It is not a medical device, it has not been approved"
    " by any authority, and no diagnosis or treatment may rest on it. Look at every result before"
    " you use it."
)

POORLY_CALIBRATED = 0.05
"""Expected calibration error from which on a card warns."""


def model_card(model: ModelSpecification, card: Card) -> str:
    """Return the card, Markdown."""
    structures = ", ".join(label.name for label in model.labels)
    verb = "Detects slices with" if model.task == "detection" else "Segments"
    intended = card.intended_use or (
        f"{verb} {structures.lower()} on {_modality(model)}, as a first result for a person to"
        " check and correct."
    )
    parts = [
        f"# {model.title}",
        model.description,
        f"**{NOT_A_DEVICE}**",
        f"## Intended use\n\n{intended}",
        f"## Input and output\n\n{_input(model)}",
        f"## Data\n\n{_data(model, card)}",
        f"## Measured performance\n\n{_performance(model)}",
        card.also_measured,
        f"## Known failures\n\n{_failures(model, card)}",
        f"## Weights\n\n{_weights(model)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _modality(model: ModelSpecification) -> str:
    return {"MR": "MRI", "CT": "CT"}[model.modality] + (
        f" of the {model.anatomy}" if model.anatomy else ""
    )


def _input(model: ModelSpecification) -> str:
    lines = []
    for channel in model.input.channels:
        titles = {other.name: other.title for other in model.input.channels}
        missing = ""
        if channel.replaced_by is not None:
            missing = f"; where it is missing, {titles[channel.replaced_by]} stands in for it"
        lines.append(f"- {channel.title} (`{channel.name}`){missing}")
    labels = ", ".join(f"{label.name} ({label.value})" for label in model.labels)
    lines.append(f"- Labels: {labels}")
    if model.candidates is not None:
        judged = next(label for label in model.labels if label.value == model.candidates.label)
        lines.append(
            f"- A random forest judges every separate {judged.name.lower()} of up to"
            f" {model.candidates.up_to_ml:g} ml; those less likely than"
            f" {model.candidates.threshold:g} are given up"
        )
    return "\n".join(lines)


def _data(model: ModelSpecification, card: Card) -> str:
    made = model.provenance
    if model.members:
        members = [
            f"`{name}` {made.members[name].version if name in made.members else ''}"
            for name in model.members
        ]
        weights = ", ".join(f"{weight:g}" for weight in model.member_weights)
        weighted = f", with the weights {weights}" if weights else ""
        return (
            f"{card.data}\n\nAverages the probabilities of {', '.join(members)}{weighted}; see"
            " their cards."
        )
    folders = ", ".join(f"`{data.name}` (layout `{data.layout or '?'}`)" for data in made.datasets)
    trained, aside = (set(made.split.get(side, ())) for side in ("training", "validation"))
    apart = " No patient is on both sides." if trained.isdisjoint(aside) else ""
    lines = [card.data] if card.data else []
    lines.append(
        f"Trained on {len(trained)} patients of {folders or '`?`'}; {len(aside)} patients were kept"
        f" aside.{apart}"
    )
    if made.synthetic_share is not None:
        share = f"{made.synthetic_share:.0%}"
        lines.append(f"{share} of the training slices were synthesised from label volumes.")
    licences = [data.licence for data in made.datasets if data.licence]
    if licences:
        lines.append(f"Licence of the data: {', '.join(licences)}.")
    return "\n\n".join(lines)


def _performance(model: ModelSpecification) -> str:
    measured = model.evaluation
    if measured is None:
        return "Not measured: every patient was trained on."
    patients = counted(measured.patients, "patient")
    lines = [
        f"Measured on: {measured.measured_on}. {patients}, on the original voxel grid. Means over"
        " patients with 95 % intervals."
    ]
    rows = [_row(name, structure) for name, structure in measured.structures.items()]
    if rows:
        head = (
            "| Structure | Dice | median | Sensitivity | Precision | HD95, mm | Components found |"
        )
        lines.append("\n".join([head, "|---" * 7 + "|", *rows]))
    lines += _lesions(measured)
    lines += _alone(model, measured)
    if measured.slices is not None and measured.calibration is not None:
        lines.append(
            f"Slices told apart: {_told_apart(measured.slices)}. Expected calibration error"
            f" {measured.calibration.expected_calibration_error:.3f}."
        )
    if measured.slices_first_channel_alone is not None:
        title = model.input.channels[0].title
        apart = _told_apart(measured.slices_first_channel_alone)
        lines.append(f"Slices told apart with {title} alone: {apart}.")
    if measured.strata:
        lines.append(_strata(measured.strata))
    if measured.calibration is not None and (measured.strata or model.task == "detection"):
        what = "slices" if model.task == "detection" else "voxels"
        lines.append(_calibration(measured.calibration, what))
    return "\n\n".join(lines)


def _told_apart(slices: SliceEvaluation) -> str:
    """Return how well slices with a structure are told from those without."""
    figures = {
        "accuracy": slices.accuracy,
        "ROC AUC": slices.roc_auc,
        "sensitivity": slices.sensitivity,
        "specificity": slices.specificity,
    }
    return ", ".join(f"{name} {_interval(figure)}" for name, figure in figures.items())


def _row(name: str, structure: StructureEvaluation) -> str:
    """Return a structure's row of the table."""
    lesions = structure.lesions
    cells = [
        _interval(structure.dice),
        _number(structure.dice.median),
        *(_interval(mean) for mean in (structure.sensitivity, structure.precision)),
        _interval(structure.hd95_mm),
        "n/a" if lesions is None else f"{lesions.found} of {lesions.reference}",
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def _lesions(measured: Evaluation) -> list[str]:
    """Return the table of components by their volume, where they were counted so."""
    counted_so = {
        name: structure.lesions.by_volume
        for name, structure in measured.structures.items()
        if structure.lesions is not None and structure.lesions.by_volume
    }
    if not counted_so:
        return []
    sizes = [volume_range(part.from_ml, part.below_ml) for part in next(iter(counted_so.values()))]
    lines = ["| Components found; false ones a case | " + " | ".join(sizes) + " |"]
    lines.append("|---" * (len(sizes) + 1) + "|")
    for name, parts in counted_so.items():
        cells = [f"{p.found} of {p.reference}; {p.false_per_case:.1f}" for p in parts]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return ["\n".join(lines)]


def _alone(model: ModelSpecification, measured: Evaluation) -> list[str]:
    """Return a line for each structure that was also measured with the first sequence alone."""
    title = model.input.channels[0].title
    lines = []
    for name, structure in measured.first_channel_alone.items():
        dice, alone = measured.structures[name].dice, structure.dice
        line = (
            f"{name} with {title} alone: Dice {_interval(alone)}, median {_number(alone.median)}."
        )
        if dice.under_0_6 is not None and alone.under_0_6 is not None:
            line += (
                f" Patients under 0.6: {dice.under_0_6} of {dice.patients} with all sequences,"
                f" {alone.under_0_6} with {title} alone."
            )
        lines.append(line)
    return lines


def _strata(strata: Sequence[Stratum]) -> str:
    """Return the table of groups of patients."""
    lines = ["| By | Group | Patients | Dice | median |", "|---" * 5 + "|"]
    lines += [
        f"| {row.by} | {row.group} | {row.dice.patients} | {_interval(row.dice)} |"
        f" {_number(row.dice.median)} |"
        for row in strata
    ]
    return "\n".join(lines)


def _calibration(measured: Calibration, what: str) -> str:
    """Return what probabilities are worth: predicted beside observed."""
    bins = [row for row in measured.bins if row.voxels]
    everything = sum(row.voxels for row in bins)
    certain = ""
    if measured.expected_calibration_error > POORLY_CALIBRATED:
        certain = " It is poorly calibrated: do not read it as a chance."
    lines = [
        f"What a probability means, over all {what} that got more than 0.{certain}",
        "",
        f"| Predicted, mean | Observed | Part of these {what} |",
        "|---|---|---|",
        *(
            f"| {row.probability:.2f} | {row.frequency:.2f} | {row.voxels / everything:.1%} |"
            for row in bins
        ),
    ]
    return "\n".join(lines)


def _failures(model: ModelSpecification, card: Card) -> str:
    lines = [f"- {failure}" for failure in card.known_failures]
    structures = {} if model.evaluation is None else model.evaluation.structures
    for name, structure in structures.items():
        lesions = structure.lesions
        if lesions is not None and lesions.found < lesions.reference:
            missed = lesions.reference - lesions.found
            lines.append(
                f"- {name}: {missed} of {lesions.reference} separate components were missed, and"
                f" {lesions.false_per_case:.1f} false ones a case were marked."
            )
        if tendency := _tendency(structure):
            lines.append(f"- {name}: tends to mark {tendency}.")
    lines.append("- Other scanners, sequences, patients and diseases than those in the data.")
    return "\n".join(lines)


def _tendency(structure: StructureEvaluation) -> str:
    """Return "too much" or "too little" where sensitivity and precision are far apart."""
    if structure.precision is None or structure.sensitivity is None:
        return ""
    precision, sensitivity = structure.precision.mean, structure.sensitivity.mean
    if precision is None or sensitivity is None or abs(precision - sensitivity) <= 0.1:
        return ""
    return "too much" if sensitivity > precision else "too little"


def _weights(model: ModelSpecification) -> str:
    training = model.provenance
    average = ", averaged over the steps" if training.averaged else ""
    made = "None of its own"
    if model.network is not None:
        long = f"{'?' if training.epochs is None else training.epochs} epochs"
        if training.steps is not None:
            long = f"{training.steps} steps on a GPU"
        made = f"{model.network.name}, {long}{average}"
    return (
        f"{made}; made on"
        f" {training.date or '?'} by version {training.code_version or '?'}."
        f" Licence of the weights: {model.licence or 'not stated'}. `model.json` has everything"
        " else: configuration, patients of the split, figures, checksum."
    )


def _interval(found: PatientMean | Rate | None) -> str:
    value = None if found is None else found.mean if isinstance(found, PatientMean) else found.value
    if found is None or value is None or found.low is None or found.high is None:
        return "n/a"
    if found.low == found.high:
        return f"{value:.3f}"
    return f"{value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
