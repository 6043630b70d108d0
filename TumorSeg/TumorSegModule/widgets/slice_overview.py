"""All slices of a case in one strip: area, expected correction, where one is and has been."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from TumorSegModule.logic.listeners import SliceListener
from TumorSegModule.logic.review import Strip

HEIGHT = 92
AREA_SHARE = 0.58
"""Of the height between the margins; the expected correction has the rest."""
MARGIN, MARKS = 4, 6
"""Pixels at top and bottom, and of the row of marks."""

LETTERS = 9
"""Pixels that the two captions are high."""

AREA = "#7f97b2"
SURE, UNSURE = "#e3c08a", "#e07b1f"
SEEN, CHANGED, HERE = "#3f9b5c", "#3b6fd1", "#d1373a"


class SliceStrip(qt.QWidget):
    """Draws a `Strip`; a click or drag on it chooses a slice."""

    def __init__(self, listener: SliceListener) -> None:
        """Tell `listener` which slice is clicked."""
        super().__init__()
        self._listener = listener
        self._strip = Strip()
        self._current: int | None = None
        self.setMinimumHeight(HEIGHT)
        self.setMaximumHeight(HEIGHT)
        self.setMouseTracking(True)
        self.setCursor(qt.QCursor(qt.Qt.PointingHandCursor))

    def show_strip(self, strip: Strip) -> None:
        """Draw another strip."""
        if strip != self._strip:
            self._strip = strip
            self.update()

    def show_current(self, index: int | None) -> None:
        """Mark the slice that the views show; None: they show none."""
        if index != self._current:
            self._current = index
            self.update()

    def mousePressEvent(self, event: Any) -> None:
        """Go to the slice that was clicked."""
        if event.button() == qt.Qt.LeftButton and self._strip.areas:
            self._listener.go_to(self._index_at(event.pos().x()))

    def mouseMoveEvent(self, event: Any) -> None:
        """Say what is below the pointer; go there while the button is down."""
        if not self._strip.areas:
            return
        index = self._index_at(event.pos().x())
        self.setToolTip(self._described(index))
        if event.buttons() == qt.Qt.LeftButton and index != self._current:
            self._listener.go_to(index)

    def paintEvent(self, event: Any) -> None:
        """Draw."""
        painter = qt.QPainter()
        painter.begin(self)
        painter.fillRect(0, 0, self.width, self.height, self.palette.color(qt.QPalette.Base))
        if self._strip.areas:
            self._draw(painter)
        painter.end()

    def _draw(self, painter: Any) -> None:
        strip, colours = self._strip, {}
        for name in (AREA, SURE, UNSURE, SEEN, CHANGED, HERE):
            colours[name] = qt.QColor(name)
        room = self.height - 2 * MARGIN - MARKS
        area_base = MARGIN + int(room * AREA_SHARE)
        base = MARGIN + room
        largest = max(strip.areas) or 1.0
        worst = max(strip.corrections) or 1.0
        for index, (area, correction) in enumerate(
            zip(strip.areas, strip.corrections, strict=True)
        ):
            left, width = self._columns_of(index)
            gap = 1 if width > 3 else 0
            tall = round((area_base - MARGIN) * area / largest)
            painter.fillRect(left, area_base - tall, width - gap, tall, colours[AREA])
            tall = round((base - area_base - 3) * correction / worst)
            shade = UNSURE if index in strip.unsure else SURE
            painter.fillRect(left, base - tall, width - gap, tall, colours[shade])
            if index in strip.seen:
                painter.fillRect(left, base + 2, width - gap, MARKS - 3, colours[SEEN])
            if index in strip.changed:
                painter.fillRect(left, area_base, width - gap, 2, colours[CHANGED])
        font = qt.QFont()
        font.setPixelSize(LETTERS)
        painter.setFont(font)
        ink = self.palette.color(qt.QPalette.Text)
        ink.setAlphaF(0.6)
        painter.setPen(ink)
        painter.drawText(MARGIN, MARGIN + LETTERS, _("area"))
        painter.drawText(MARGIN, area_base + MARGIN + LETTERS, _("may need correction"))
        if self._current is not None and self._current < len(strip.areas):
            left, width = self._columns_of(self._current)
            painter.fillRect(left + width // 2, 0, 2, self.height, colours[HERE])

    def _columns_of(self, index: int) -> tuple[int, int]:
        """Return the first pixel column of a slice and how many it has."""
        count = len(self._strip.areas)
        left = index * self.width // count
        return left, max(1, (index + 1) * self.width // count - left)

    def _index_at(self, x: int) -> int:
        count = len(self._strip.areas)
        return min(max(x * count // max(1, self.width), 0), count - 1)

    def _described(self, index: int) -> str:
        text = _("Slice {number} of {count}: {area:.1f} cm², may need correction: {doubt:.1f} cm²")
        return text.format(
            number=index + 1,
            count=len(self._strip.areas),
            area=self._strip.areas[index] / 100,
            doubt=self._strip.corrections[index] / 100,
        )
