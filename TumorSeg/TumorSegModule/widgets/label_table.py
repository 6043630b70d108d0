"""A table that asks which of a model's labels each of some segments is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import qt
from slicer.i18n import tr as _

from TumorSegLib.export.labelling import LEAVE_OUT
from TumorSegLib.model.specification import ModelSpecification

HEADER_PIXELS, ROW_PIXELS = 28, 30
SHOWN_ROWS = 5


class LabelListener(Protocol):
    """Hears of the user's choice."""

    def labels_chosen(self) -> None:
        """A label was chosen for a segment, or no more."""


class LabelTable:
    """Fills a QTableWidget with a row for each segment.

    Attributes:
        mapping: label by name of a segment, LEAVE_OUT for one that is none; what was chosen for
            segments that are not shown now is kept.
    """

    def __init__(self, table: Any, listener: LabelListener) -> None:
        """Fill `table` and tell `listener`."""
        self.mapping: dict[str, str] = {}
        self._table = table
        self._listener = listener
        self._boxes: dict[str, Any] = {}
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("Segment"), _("Label")])
        table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        table.horizontalHeader().setSectionResizeMode(1, qt.QHeaderView.Stretch)
        table.verticalHeader().hide()

    def show(self, names: list[str], specification: ModelSpecification | None) -> None:
        """Show a row with a choice of a model's labels for each of the segments `names`."""
        table = self._table
        table.visible = bool(names)
        labels = [label.name for label in specification.labels] if specification else []
        if list(self._boxes) == names and all(
            [box.itemText(row + 2) for row in range(box.count - 2)] == labels
            for box in self._boxes.values()
        ):
            return
        self._boxes = {}
        table.setRowCount(len(names))
        for row, name in enumerate(names):
            item = qt.QTableWidgetItem(name)
            item.setFlags(qt.Qt.ItemIsEnabled)
            table.setItem(row, 0, item)
            table.setCellWidget(row, 1, self._new_box(name, labels))
        table.setFixedHeight(HEADER_PIXELS + ROW_PIXELS * min(len(names), SHOWN_ROWS))

    def _new_box(self, name: str, labels: list[str]) -> Any:
        box = qt.QComboBox()
        box.addItem(_("Choose…"), None)
        box.addItem(_("Leave out"), LEAVE_OUT)
        for label in labels:
            box.addItem(label, label)
        if self.mapping.get(name, LEAVE_OUT) not in (LEAVE_OUT, *labels):
            del self.mapping[name]
        if name in self.mapping:
            box.currentIndex = box.findData(self.mapping[name])
        box.currentIndexChanged.connect(self._setter(name, box))
        self._boxes[name] = box
        return box

    def _setter(self, name: str, box: Any) -> Callable[..., None]:
        def changed(*_overloaded: Any) -> None:
            if box.currentIndex > 0:
                self.mapping[name] = box.itemData(box.currentIndex)
            else:
                self.mapping.pop(name, None)
            self._listener.labels_chosen()

        return changed
