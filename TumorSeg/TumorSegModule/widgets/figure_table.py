"""A table of figures: numbers to the right, headings in two lines, at most so many rows high."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import qt

SHOWN_ROWS = 8
"""Rows to see at once; the others are scrolled to."""

HEADER_PIXELS, ROW_PIXELS, PADDING = 40, 24, 2
"""Of a heading in two lines, a row, and the frame."""


class FigureTable:
    """Fills a QTableWidget; texts are shown as they are, whatever they look like."""

    def __init__(self, widget: Any, *, words: Iterable[int] = (0,), header: bool = True) -> None:
        """Fill `widget`.

        Args:
            widget: a QTableWidget.
            words: columns that hold words, not numbers.
            header: whether to show the columns' titles.
        """
        self._widget = widget
        self._words = set(words)
        self._header_pixels = HEADER_PIXELS if header else 0
        widget.verticalHeader().setVisible(False)
        widget.horizontalHeader().setVisible(header)
        widget.setShowGrid(header)
        widget.horizontalHeader().setHighlightSections(False)
        widget.horizontalHeader().setFixedHeight(HEADER_PIXELS)
        widget.verticalHeader().setDefaultSectionSize(ROW_PIXELS)
        widget.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        widget.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        widget.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        widget.setVerticalScrollMode(qt.QAbstractItemView.ScrollPerPixel)
        widget.setWordWrap(False)

    def set_words(self, columns: Iterable[int]) -> None:
        """Say which columns hold words."""
        self._words = set(columns)

    def set_headings(self, texts: Sequence[str], meanings: Sequence[str] = ()) -> None:
        """Name the columns.

        Args:
            texts: titles.
            meanings: tool tips, ours and no text of a user.
        """
        widget = self._widget
        widget.setRowCount(0)  # rows would be looked through for each heading
        widget.setColumnCount(len(texts))
        for column, text in enumerate(texts):
            item = qt.QTableWidgetItem(text)
            item.setTextAlignment(self._alignment(column))
            if column < len(meanings):
                item.setToolTip(meanings[column])
            widget.setHorizontalHeaderItem(column, item)
        header, wide = widget.horizontalHeader(), min(self._words, default=0)
        for column in range(len(texts)):
            mode = qt.QHeaderView.Stretch if column == wide else qt.QHeaderView.ResizeToContents
            header.setSectionResizeMode(column, mode)

    def fill(
        self,
        rows: Sequence[Sequence[str]],
        *,
        grey: Iterable[int] = (),
        meanings: Sequence[str] = (),
    ) -> None:
        """Show `rows`, texts in the order of the columns.

        Args:
            rows: of texts.
            grey: numbers of rows to show as not counting.
            meanings: tool tip of each row, ours and no text of a user.
        """
        widget = self._widget
        blocked = widget.blockSignals(True)
        widget.clearContents()
        widget.setRowCount(len(rows))
        sides = [self._alignment(column) for column in range(widget.columnCount)]
        pale = qt.QBrush(qt.QColor(140, 140, 140))
        dim = set(grey)
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                item = qt.QTableWidgetItem(text)
                item.setTextAlignment(sides[column])
                if number in dim:
                    item.setForeground(pale)
                if number < len(meanings):
                    item.setToolTip(meanings[number])
                widget.setItem(number, column, item)
        widget.clearSelection()
        widget.blockSignals(blocked)
        self._fit(len(rows))

    def select(self, row: int | None) -> None:
        """Select a row, None for none, without telling anybody."""
        widget = self._widget
        blocked = widget.blockSignals(True)
        if row is None:
            widget.clearSelection()
            widget.setCurrentCell(-1, -1)
        else:
            widget.selectRow(row)
        widget.blockSignals(blocked)

    def _alignment(self, column: int) -> Any:
        side = qt.Qt.AlignLeft if column in self._words else qt.Qt.AlignRight
        return side | qt.Qt.AlignVCenter

    def _fit(self, count: int) -> None:
        """Make the table as high as its rows."""
        shown = min(count, SHOWN_ROWS) + (0.5 if count > SHOWN_ROWS else 0)  # half: there are more
        self._widget.setFixedHeight(self._header_pixels + int(ROW_PIXELS * shown) + PADDING)
