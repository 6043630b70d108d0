"""The few CTK widgets that the panel uses."""

from __future__ import annotations

import qt


class ctkCollapsibleButton(qt.QGroupBox):
    contentsCollapsed = qt.Signal(bool)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._text, self._collapsed = "", False
        self._folded = []
        self.setStyleSheet(
            "ctkCollapsibleButton { font-weight: bold; border: none; margin-top: 20px; }"
            "ctkCollapsibleButton::title { subcontrol-origin: margin; left: 2px; }"
        )

    def event(self, event):
        if event.type() == qt.QEvent.Polish:
            self._collapse(self._collapsed)
        return super().event(event)

    def _get_text(self):
        return self._text

    def _set_text(self, text):
        self._text = text
        self.setTitle(f"{'▸' if self._collapsed else '▾'}  {text}")

    def _is_collapsed(self):
        return self._collapsed

    def _collapse(self, collapsed):
        self._collapsed = bool(collapsed)
        self._set_text(self._text)
        if self._collapsed:
            self._folded += [
                child for child in self.children() if child.isWidgetType() and not child.isHidden()
            ]
            for child in self._folded:
                child.hide()
        else:
            for child in self._folded:
                child.show()
            self._folded = []
        self.setMaximumHeight(24 if self._collapsed else 16777215)
        self.contentsCollapsed.emit(self._collapsed)

    text = qt.Property(str, _get_text, _set_text)
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
