"""The few CTK widgets that the panel uses."""

from __future__ import annotations

import qt
from ctk_dicom import ctkDICOMDatabase, ctkDICOMIndexer

__all__ = ["ctkCollapsibleButton", "ctkDICOMDatabase", "ctkDICOMIndexer", "ctkSliderWidget"]

HEADER = 24
"""Height of a collapsible button's title in pixels."""


class ctkCollapsibleButton(qt.QAbstractButton):
    contentsCollapsed = qt.Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._folded = []
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(qt.QSizePolicy.Preferred, qt.QSizePolicy.Preferred)
        self.setContentsMargins(0, HEADER, 0, 0)
        self.toggled.connect(self._fold)

    def event(self, event):
        if event.type() == qt.QEvent.Polish and not self.checked:
            self._hide_contents()
        return super().event(event)

    def hitButton(self, position):
        return position.y() < HEADER

    def paintEvent(self, event):
        painter = qt.QPainter(self)
        font = qt.QFont(self.font())
        font.setBold(True)
        painter.setFont(font)
        sign = "▾" if self.checked else "▸"
        painter.drawText(2, HEADER - 7, f"{sign}  {self.text}")
        painter.end()

    def _is_collapsed(self):
        return not self.checked

    def _collapse(self, collapsed):
        self.setChecked(not collapsed)

    def _fold(self, opened):
        if opened:
            for child in self._folded:
                child.show()
            self._folded = []
        else:
            self._hide_contents()
        self.setMaximumHeight(16777215 if opened else HEADER)
        self.contentsCollapsed.emit(not opened)

    def _hide_contents(self):
        shown = [
            child for child in self.children() if child.isWidgetType() and not child.isHidden()
        ]
        self._folded += shown
        for child in shown:
            child.hide()

    collapsed = qt.Property(bool, _is_collapsed, _collapse)


class ctkSliderWidget(qt.QWidget):
    valueChanged = qt.Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._slider = qt.QSlider(qt.Qt.Horizontal, self)
        self._box = qt.QDoubleSpinBox(self)
        layout.addWidget(self._slider)
        layout.addWidget(self._box)
        self._slider.valueChanged.connect(self._box.setValue)
        self._box.valueChanged.connect(self._changed)

    def _changed(self, value):
        self._slider.setValue(int(value))
        self.valueChanged.emit(value)

    def _get_value(self):
        return self._box.value

    def _set_value(self, value):
        self._box.setValue(value)

    def _get_minimum(self):
        return self._box.minimum

    def _set_minimum(self, value):
        self._slider.setMinimum(int(value))
        self._box.setMinimum(value)

    def _get_maximum(self):
        return self._box.maximum

    def _set_maximum(self, value):
        self._slider.setMaximum(int(value))
        self._box.setMaximum(value)

    def _get_decimals(self):
        return self._box.decimals

    def _set_decimals(self, value):
        self._box.setDecimals(value)

    def _get_step(self):
        return self._box.singleStep

    def _set_step(self, value):
        self._box.setSingleStep(value)

    value = qt.Property(float, _get_value, _set_value)
    minimum = qt.Property(float, _get_minimum, _set_minimum)
    maximum = qt.Property(float, _get_maximum, _set_maximum)
    decimals = qt.Property(int, _get_decimals, _set_decimals)
    singleStep = qt.Property(float, _get_step, _set_step)
