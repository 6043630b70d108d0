"""A table of a few rows that is as high as these."""

import qt


class SmallTable:
    """Fills a QTableWidget."""

    def __init__(self, widget, columns):
        """Give `widget` the titles `columns`."""
        self._widget = widget
        widget.setColumnCount(len(columns))
        widget.setHorizontalHeaderLabels(list(columns))
        widget.verticalHeader().setVisible(False)
        widget.horizontalHeader().setStretchLastSection(True)

    def fill(self, rows):
        """Show `rows`, texts in the order of the columns."""
        widget = self._widget
        widget.setRowCount(len(rows))
        for number, row in enumerate(rows):
            for column, text in enumerate(row):
                widget.setItem(number, column, qt.QTableWidgetItem(text))
        widget.resizeColumnsToContents()
        height = widget.horizontalHeader().height + 6
        widget.setFixedHeight(height + sum(widget.rowHeight(n) for n in range(len(rows))))
