"""A table of a few rows that is as high as these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt


class SmallTable:
    """Fills a QTableWidget."""

    def __init__(self, widget: Any, columns: Sequence[str]) -> None:
        """Give `widget` the titles `columns`."""
        self._widget = widget
        widget.setColumnCount(len(columns))
        widget.setHorizontalHeaderLabels(list(columns))
        widget.verticalHeader().setVisible(False)
        widget.horizontalHeader().setStretchLastSection(True)

    def fill(self, rows: Sequence[Sequence[str]]) -> None:
        """Show `rows`, texts in the order of the columns."""
        widget = self._widget
        widget.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                widget.setItem(number, column, qt.QTableWidgetItem(text))
        widget.resizeColumnsToContents()
        height = widget.horizontalHeader().height + 6
        widget.setFixedHeight(height + sum(widget.rowHeight(n) for n in range(len(rows))))
