"""Stand-ins for the MRML widgets of the panel, as attributes of `slicer`."""

from __future__ import annotations

import qt
import slicer
from node_combo_box import qMRMLNodeComboBox
from segment_editor import qMRMLSegmentationShow3DButton, qMRMLSegmentEditorWidget


class qMRMLWidget(qt.QWidget):
    mrmlSceneChanged = qt.Signal(object)

    def setMRMLScene(self, newScene):
        self._scene = newScene
        self.mrmlSceneChanged.emit(newScene)

    def mrmlScene(self):
        return self._scene


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """What a module panel shows; `self()` is the Python object behind it."""

    def self(self):
        return self._python


WIDGETS = (
    qMRMLWidget,
    qSlicerScriptedLoadableModuleWidget,
    qMRMLNodeComboBox,
    qMRMLSegmentEditorWidget,
    qMRMLSegmentationShow3DButton,
)


def install():
    """Make the widgets attributes of `slicer`."""
    for widget in WIDGETS:
        setattr(slicer, widget.__name__, widget)
