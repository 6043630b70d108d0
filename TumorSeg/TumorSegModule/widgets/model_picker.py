"""The choice of a model: thumbnail and one line; search, list and details on demand."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import qt
from slicer.i18n import tr as _

from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.bundle_folder import CARD_FILE
from TumorSegModule.logic.listeners import ModelListener
from TumorSegModule.logic.model_texts import (
    ICONS,
    details_of,
    headline,
    picture_of,
    searched_text,
)
from TumorSegModule.logic.pace import seconds_per_slice
from TumorSegModule.logic.run_status import in_words


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
        self._items: list[tuple[Any, str]] = []
        self._slices = 0
        ui.modelPicker.visible = False
        ui.changeModelButton.toggled.connect(self._set_open)
        ui.modelSearch.textChanged.connect(self._filter)
        ui.modelList.currentRowChanged.connect(self._pick)

    def show_bundles(self, bundles: Sequence[Bundle], broken: Sequence[str] = ()) -> None:
        """List `bundles`, and below them why further models are `broken`, a line each."""
        ui = self._ui
        ui.modelList.blockSignals(True)
        ui.modelList.clear()
        self._bundles, self._items = list(bundles), []
        for bundle in self._bundles:
            text = f"{bundle.specification.title}\n{headline(bundle.specification)}"
            item = qt.QListWidgetItem(qt.QIcon(str(picture_of(bundle))), text)
            ui.modelList.addItem(item)
            self._items.append((item, searched_text(bundle.specification)))
        for line in broken:
            item = qt.QListWidgetItem(f"{_('Cannot be used')}\n{line}")
            item.setFlags(qt.Qt.NoItemFlags)
            item.setToolTip(line)
            ui.modelList.addItem(item)
            self._items.append((item, line.lower()))
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
        ui.modelDetails.html = rich_details(bundle) if bundle else ""

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
        for item, searched in self._items:
            item.setHidden(not all(word in searched for word in words))

    def _pick(self, row: int) -> None:
        if 0 <= row < len(self._bundles):
            self._listener.model_picked(self._bundles[row])


def rich_details(bundle: Bundle) -> str:
    """Return a model's details as rich text, with a link to its card."""
    cells = "".join(
        f"<tr><td style='padding-right:10px'><b>{escape(name)}</b></td><td>{escape(text)}</td></tr>"
        for name, text in details_of(bundle.specification)
    )
    card = bundle.folder / CARD_FILE
    link = f"<a href='{card.as_uri()}'>{_('Model card')}</a>" if card.is_file() else ""
    return f"<table>{cells}</table>{link}"
