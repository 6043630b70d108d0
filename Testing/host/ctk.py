"""The few CTK widgets that the panel uses."""

from __future__ import annotations

import qt


class ctkCollapsibleButton(qt.QWidget):  # noqa: N801
    contentsCollapsed = qt.Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._button = qt.QToolButton(self)
        self._button.setToolButtonStyle(qt.Qt.ToolButtonTextBesideIcon)
        self._button.setAutoRaise(True)
        self._button.setStyleSheet("QToolButton { font-weight: bold; border: none; }")
        self._button.clicked.connect(lambda: self._collapse(not self._collapsed))
        self._collapsed = False
        self._collapse(False)

    def _title(self):
        return self._button.text

    def _set_title(self, text):
        self._button.setText(text)

    def _is_collapsed(self):
        return self._collapsed

    def _collapse(self, collapsed):
        self._collapsed = bool(collapsed)
        self._button.setArrowType(qt.Qt.RightArrow if collapsed else qt.Qt.DownArrow)
        for child in self.children():
            if child.isWidgetType() and child is not self._button:
                child.setVisible(not self._collapsed)
        self.setMaximumHeight(28 if self._collapsed else 16777215)
        self.contentsCollapsed.emit(self._collapsed)

    text = qt.Property(str, _title, _set_title)
    collapsed = qt.Property(bool, _is_collapsed, _collapse)

    def showEvent(self, event):
        super().showEvent(event)
        if self.layout() is not None:
            margins = self.layout().contentsMargins()
            self.layout().setContentsMargins(margins.left(), 30, margins.right(), margins.bottom())
        self._collapse(self._collapsed)

    def resizeEvent(self, event):
        super().resizeEvent(event)
        self._button.setGeometry(0, 2, self.width, 24)


class ctkSliderWidget(qt.QWidget):  # noqa: N801
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
