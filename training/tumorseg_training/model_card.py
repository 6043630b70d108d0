"""A model card in plain words, from what `model.json` holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tumorseg_training.config import Card
from TumorSegLib.model.specification import ModelSpecification

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
    training = model.training
    if model.members:
        found = training.get("members", {})
        members = [f"`{name}` {found.get(name, {}).get('version', '')}" for name in model.members]
        weights = ", ".join(f"{weight:g}" for weight in model.member_weights)
        weighted = f", with the weights {weights}" if weights else ""
        return (
            f"{card.data}\n\nAverages the probabilities of {', '.join(members)}{weighted}; see"
            " their cards."
        )
    config, split = training.get("config", {}), training.get("split", {})
    data = config.get("data", {})
    folders = ", ".join(
        f"`{item.get('folder', '?')}` (layout `{item.get('layout', '?')}`)"
        for item in [data, *config.get("further", ())]
    )
    trained, aside = (len(split.get(side, [])) for side in ("training", "validation"))
    lines = [card.data] if card.data else []
    lines.append(
        f"Trained on {trained} patients of {folders}; {aside} patients were kept aside. No patient"
        " is on both sides."
    )
    if "synthesis" in config:
        share = config["synthesis"]["share"]
        lines.append(f"{share:.0%} of the training slices were synthesised from label volumes.")
    if data.get("licence"):
        lines.append(f"Licence of the data: {data['licence']}.")
    return "\n\n".join(lines)


def _performance(model: ModelSpecification) -> str:
    metrics = model.metrics
    if not metrics:
        return "Not measured: every patient was trained on."
    count = metrics["patients"]
    patients = f"{count} patients" if count != 1 else "1 patient"
    lines = [
        f"Measured on: {metrics['measured_on']}. {patients}, on the original voxel grid. Means over"
        " patients with 95 % intervals."
    ]
    rows = []
    for name, found in metrics.get("structures", {}).items():
        lesions = found["lesions"]
        cells = [_interval(found[key]) for key in ("dice", "sensitivity", "precision", "hd95_mm")]
        cells.append(f"{lesions['found']} of {lesions['reference']}")
        median = found["dice"]["median"]
        cells.insert(1, "n/a" if median is None else f"{median:.3f}")
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    if rows:
        head = (
            "| Structure | Dice | median | Sensitivity | Precision | HD95, mm | Components found |"
        )
        lines.append("\n".join([head, "|---" * 7 + "|", *rows]))
    lines += _alone(model)
    slices = metrics["slices"]
    lines.append(
        f"Slices told apart: accuracy {_interval(slices['accuracy'], 'value')}, ROC AUC"
        f" {_interval(slices['roc_auc'], 'value')}. Expected calibration error"
        f" {metrics['calibration']['expected_calibration_error']:.3f}."
    )
    if "strata" in metrics:
        lines.append(_strata(metrics["strata"]))
        lines.append(_calibration(metrics["calibration"]))
    return "\n\n".join(lines)


def _alone(model: ModelSpecification) -> list[str]:
    """Return a line for each structure that was also measured with the first sequence alone."""
    title = model.input.channels[0].title
    lines = []
    for name, found in model.metrics.get("first_channel_alone", {}).items():
        dice, alone = model.metrics["structures"][name]["dice"], found["dice"]
        lines.append(
            f"{name} with {title} alone: Dice {_interval(alone)}, median {alone['median']:.3f}."
            f" Patients under 0.6: {dice['under_0.6']} of {dice['patients']} with all sequences,"
            f" {alone['under_0.6']} with {title} alone."
        )
    return lines


def _strata(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of groups of patients."""
    lines = ["| By | Group | Patients | Dice | median |", "|---" * 5 + "|"]
    for row in rows:
        dice = row["dice"]
        lines.append(
            f"| {row['by']} | {row['group']} | {dice['patients']} | {_interval(dice)} |"
            f" {dice['median']:.3f} |"
        )
    return "\n".join(lines)


def _calibration(found: Mapping[str, Any]) -> str:
    """Return what probabilities are worth: predicted beside observed."""
    bins = [row for row in found["bins"] if row["voxels"]]
    everything = sum(row["voxels"] for row in bins)
    certain = ""
    if found["expected_calibration_error"] > POORLY_CALIBRATED:
        certain = " It is poorly calibrated: do not read it as a chance."
    lines = [
        f"What a probability means, over all voxels that got more than 0.{certain}",
        "",
        "| Predicted, mean | Observed | Part of these voxels |",
        "|---|---|---|",
        *(
            f"| {row['probability']:.2f} | {row['frequency']:.2f} |"
            f" {row['voxels'] / everything:.1%} |"
            for row in bins
        ),
    ]
    return "\n".join(lines)


def _failures(model: ModelSpecification, card: Card) -> str:
    lines = [f"- {failure}" for failure in card.known_failures]
    for name, found in model.metrics.get("structures", {}).items():
        precision, sensitivity = found["precision"]["mean"], found["sensitivity"]["mean"]
        lesions = found["lesions"]
        if lesions["detection_rate"] is not None and lesions["detection_rate"] < 1:
            missed = lesions["reference"] - lesions["found"]
            lines.append(
                f"- {name}: {missed} of {lesions['reference']} separate components were missed, and"
                f" {lesions['false_per_case']:.1f} false ones a case were marked."
            )
        if precision is not None and sensitivity is not None and abs(precision - sensitivity) > 0.1:
            tendency = "too much" if sensitivity > precision else "too little"
            lines.append(f"- {name}: tends to mark {tendency}.")
    lines.append("- Other scanners, sequences, patients and diseases than those in the data.")
    return "\n".join(lines)


def _weights(model: ModelSpecification) -> str:
    training: Mapping[str, Any] = model.training
    average = ", averaged over the steps" if training.get("averaged") else ""
    made = "None of its own"
    if model.network is not None:
        long = f"{training.get('epochs', '?')} epochs"
        if "steps" in training:
            long = f"{training['steps']} steps on a GPU"
        made = f"{model.network.name}, {long}{average}"
    return (
        f"{made}; made on"
        f" {training.get('date', '?')} by version {training.get('code_version', '?')}."
        f" Licence of the weights: {model.licence or 'not stated'}. `model.json` has everything"
        " else: configuration, patients of the split, figures, checksum."
    )


def _interval(found: Mapping[str, Any], key: str = "mean") -> str:
    if found[key] is None:
        return "n/a"
    if found["low"] == found["high"]:
        return f"{found[key]:.3f}"
    return f"{found[key]:.3f} ({found['low']:.3f} to {found['high']:.3f})"
