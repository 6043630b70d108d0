"""The choice of a model: thumbnail and one line; search, list and details on demand."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.bundle_folder import CARD_FILE
from TumorSegLib.model.specification import ModelSpecification
from TumorSegModule.logic.listeners import ModelListener
from TumorSegModule.logic.pace import seconds_per_slice
from TumorSegModule.logic.run_status import in_words

THUMBNAIL = "thumbnail.png"
ICONS = Path(__file__).resolve().parents[2] / "Resources" / "Icons"


class ModelPicker:
    """Drives the model part of the panel.

    Attributes:
        bundle: that is chosen, None if there is none.
    """

    def __init__(self, ui: Any, listener: ModelListener) -> None:
        """Drive the widgets in `ui` and tell `listener` what the user picks."""
        self.bundle: Bundle | None = None
        self._ui = ui
        self._listener = listener
        self._bundles: list[Bundle] = []
        self._items: list[Any] = []
        self._slices = 0
        ui.modelPicker.visible = False
        ui.changeModelButton.toggled.connect(self._set_open)
        ui.modelSearch.textChanged.connect(self._filter)
        ui.modelList.currentRowChanged.connect(self._pick)

    def show_bundles(self, bundles: Sequence[Bundle]) -> None:
        """List `bundles`."""
        ui = self._ui
        ui.modelList.blockSignals(True)
        ui.modelList.clear()
        self._bundles, self._items = list(bundles), []
        for bundle in self._bundles:
            text = f"{bundle.specification.title}\n{headline(bundle.specification)}"
            item = qt.QListWidgetItem(qt.QIcon(str(picture_of(bundle))), text)
            ui.modelList.addItem(item)
            self._items.append(item)
        ui.modelList.blockSignals(False)
        self._filter(ui.modelSearch.text)

    def choose(self, bundle: Bundle | None, slices: int = 0) -> None:
        """Show `bundle` as chosen, for a volume of so many slices, 0 if there is no volume yet."""
        self.bundle, self._slices = bundle, slices
        ui = self._ui
        ui.modelList.blockSignals(True)
        ui.modelList.currentRow = self._bundles.index(bundle) if bundle in self._bundles else -1
        ui.modelList.blockSignals(False)
        picture = picture_of(bundle) if bundle else ICONS / "model.png"
        ui.modelPicture.setPixmap(qt.QPixmap(str(picture)))
        ui.modelSummary.text = self._summary(bundle)
        ui.modelDetails.html = details_of(bundle) if bundle else ""

    def _summary(self, bundle: Bundle | None) -> str:
        if bundle is None:
            if not self._slices:
                return _("<b>Model</b><br>Chosen by the volume: CT or MRI")
            return _("<b>No model</b><br>There is none for this volume")
        specification = bundle.specification
        lines = [f"<b>{escape(specification.title)}</b>", escape(headline(specification))]
        seconds = seconds_per_slice(bundle)
        if seconds is None:
            lines.append(_("Time here: known after the first run"))
        elif self._slices:
            lines.append(_("About {time} here").format(time=in_words(seconds * self._slices)))
        return "<br>".join(lines)

    def _set_open(self, opened: bool) -> None:
        self._ui.modelPicker.visible = opened
        self._ui.changeModelButton.text = _("Close") if opened else _("Change")

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        for bundle, item in zip(self._bundles, self._items, strict=True):
            searched = searched_text(bundle.specification)
            item.setHidden(not all(word in searched for word in words))

    def _pick(self, row: int) -> None:
        if 0 <= row < len(self._bundles):
            self._listener.model_picked(self._bundles[row])


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


def details_of(bundle: Bundle) -> str:
    """Return a model's details as rich text, with a link to its card."""
    specification = bundle.specification
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
    cells = "".join(
        f"<tr><td style='padding-right:10px'><b>{escape(name)}</b></td><td>{escape(text)}</td></tr>"
        for name, text in rows
    )
    card = bundle.folder / CARD_FILE
    link = f"<a href='{card.as_uri()}'>{_('Model card')}</a>" if card.is_file() else ""
    return f"<table>{cells}</table>{link}"


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
