"""What the choice of a model says of each: picture, headline, details. No Qt."""

from __future__ import annotations

from pathlib import Path

from slicer.i18n import tr as _

from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.specification import ModelSpecification

THUMBNAIL = "thumbnail.png"
ICONS = Path(__file__).resolve().parents[2] / "Resources" / "Icons"


def picture_of(bundle: Bundle) -> Path:
    """Return the path of a bundle's thumbnail, or of the picture for its anatomy."""
    of_bundle = bundle.folder / THUMBNAIL
    by_anatomy = ICONS / f"{bundle.specification.anatomy or 'model'}.png"
    return next((path for path in (of_bundle, by_anatomy) if path.is_file()), ICONS / "model.png")


def headline(specification: ModelSpecification) -> str:
    """Return what a model finds and how well, in a line."""
    labels = ", ".join(label.name for label in specification.labels)
    parts = [specification.modality, labels]
    if accuracy := accuracy_of(specification):
        parts.append(accuracy)
    return " · ".join(parts)


def accuracy_of(specification: ModelSpecification) -> str:
    """Return "Dice 0.84 (0.80 to 0.87)" for each label that was measured, "" if none was."""
    if specification.evaluation is None:
        return ""
    parts = []
    for label in specification.labels:
        structure = specification.evaluation.structures.get(label.name)
        if structure is not None and structure.dice.mean is not None:
            name = f"{label.name}: " if len(specification.labels) > 1 else ""
            dice = structure.dice
            parts.append(f"{name}Dice {dice.mean:.2f} ({dice.low:.2f} to {dice.high:.2f})")
    return ", ".join(parts)


def measured_on(specification: ModelSpecification) -> str:
    """Return on what the accuracy was measured, as "16 patients kept for validation"."""
    evaluation = specification.evaluation
    if evaluation is None or not evaluation.patients:
        return ""
    return f"{evaluation.patients} {evaluation.measured_on or 'patients'}"


def details_of(specification: ModelSpecification) -> list[tuple[str, str]]:
    """Return what there is to know of a model: titles and texts, in the order to show them."""
    rows = [
        (_("Task"), specification.description),
        (_("Labels"), ", ".join(label.name for label in specification.labels)),
        (_("Accuracy"), accuracy_of(specification) or _("not stated")),
        (_("Measured on"), measured_on(specification) or _("not stated")),
        (_("Trained on"), trained_on(specification) or _("not stated")),
        (_("Licence"), specification.licence or _("not stated")),
        (_("Network"), network_of(specification)),
        (_("Version"), f"{specification.id} {specification.version}"),
    ]
    if specification.members:
        rows.append((_("Members"), ", ".join(specification.members)))
    return rows


def network_of(specification: ModelSpecification) -> str:
    """Return the network and its size, as "U-Net, 7.8 M parameters"."""
    if specification.network is None:
        return _("ensemble")
    if specification.weights is None:
        return specification.network.name
    size = f"{specification.weights.parameters / 1e6:.1f} M"
    return _("{name}, {size} parameters").format(name=specification.network.name, size=size)


def trained_on(specification: ModelSpecification) -> str:
    """Return the name of the training data and the date."""
    provenance = specification.provenance
    parts = [*(data.name for data in provenance.datasets[:1]), provenance.date]
    return ", ".join(part for part in parts if part)


def searched_text(specification: ModelSpecification) -> str:
    """Return the lower-case text in which the search looks."""
    network = specification.network.name if specification.network else "ensemble"
    words = [specification.id, specification.title, specification.description, network]
    words += [specification.anatomy, specification.modality, specification.licence]
    words += [label.name for label in specification.labels]
    return " ".join(words).lower()
