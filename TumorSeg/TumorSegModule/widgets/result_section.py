"""The result's widgets: the sensitivity slider and the button that shows it in 3-D."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from TumorSegModule.logic.listeners import ResultListener
from TumorSegModule.logic.new_segmentation import prepare_segmentation
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.session import Session

SURFACE_MILLISECONDS = 400
"""Rest of the sensitivity slider after which a shown 3-D surface is made anew."""


class ResultSection:
    """Drives the widgets of one segmentation, the one that is chosen as target."""

    def __init__(
        self, ui: Any, selection: Selection, session: Session, listener: ResultListener
    ) -> None:
        """Drive the widgets in `ui`.

        Args:
            ui: the panel's widgets.
            selection: has the target.
            session: has the last result.
            listener: told when the slider is moved.
        """
        self._ui = ui
        self._selection = selection
        self._session = session
        self._listener = listener
        self._updating = False
        self._surface_target = ""
        self._surface_timer = qt.QTimer()
        self._surface_timer.setSingleShot(True)
        self._surface_timer.setInterval(SURFACE_MILLISECONDS)
        self._surface_timer.timeout.connect(self._make_surface)
        ui.targetSelector.nodeAddedByUser.connect(self._target_created)
        ui.sensitivitySlider.valueChanged.connect(self._sensitivity_changed)

    def show(self) -> None:
        """Show the target's 3-D button."""
        self._ui.show3DButton.setSegmentationNode(self._selection.target)

    def show_sensitivity(self) -> None:
        """Show whether the target can be adjusted."""
        ui, target = self._ui, self._selection.target
        can_adjust = self._session.can_adjust(target)
        ui.sensitivitySlider.enabled = can_adjust
        ui.sensitivityNote.visible = (
            self._selection.volume is not None and target is not None and not can_adjust
        )
        ui.sensitivityNote.text = _(
            "The sensitivity can be adjusted after a run, as long as its result is not edited."
        )

    def reset_sensitivity(self) -> None:
        """Put the slider back to the middle, as for a new result."""
        self._updating = True
        self._ui.sensitivitySlider.value = 0
        self._updating = False

    def surface_outdated(self, target: slicer.vtkMRMLSegmentationNode) -> None:
        """Make a shown 3-D surface anew, soon."""
        self._surface_target = target.GetID()
        self._ui.show3DButton.text = _("Updating 3D…")
        self._surface_timer.start()

    def close(self) -> None:
        """Let go of the nodes, as before the scene is closed."""
        self._surface_timer.stop()

    def _make_surface(self) -> None:
        """Make a shown 3-D surface anew, which takes Slicer a moment."""
        target = slicer.mrmlScene.GetNodeByID(self._surface_target)
        if target is not None:
            target.CreateClosedSurfaceRepresentation()
            self._ui.show3DButton.setSegmentationNode(target)
        self._ui.show3DButton.text = _("Show 3D")

    def _sensitivity_changed(self, value: float) -> None:
        if not self._updating and not self._session.busy:
            self._listener.adjust(value)

    def _target_created(self, segmentation: slicer.vtkMRMLSegmentationNode) -> None:
        volume = self._selection.volume
        if volume is not None and not self._selection.problem:
            prepare_segmentation(segmentation, volume)
