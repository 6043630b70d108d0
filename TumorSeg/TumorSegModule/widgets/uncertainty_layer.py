"""The check box that colours what the model doubted, in all slice views."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from TumorSegModule.logic import uncertainty_map
from TumorSegModule.logic.session import Session
from TumorSegModule.widgets.idle_work import IdleWork


class UncertaintyLayer:
    """Shows or hides the map of one segmentation; it is made when it is first wanted."""

    def __init__(self, box: Any, session: Session) -> None:
        """Drive `box`; what the model doubted is that of `session`'s last run."""
        self._box = box
        self._session = session
        self._target: slicer.vtkMRMLSegmentationNode | None = None
        self._mapped: int | None = None
        self._overlay = uncertainty_map.Overlay()
        self._making = IdleWork()
        box.toggled.connect(self._toggled)

    @property
    def busy(self) -> bool:
        """Whether the map is being made."""
        return self._making.busy

    def show(self, target: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Show what the box says for a segmentation, None for none."""
        box, self._target = self._box, target
        self._making.stop()
        if target is None:
            self._overlay.show(None)
            return
        node = uncertainty_map.map_of(target)
        result = self._session.probabilities_of(target)
        if result is not None and node is not None and self._mapped != result[0]:
            self._overlay.show(None)
            uncertainty_map.remove_map(target)  # of an earlier run
            node = None
        box.enabled = node is not None or result is not None
        box.toolTip = (
            _("Colour what the model doubted, from dark red to white, in all slice views")
            if box.enabled
            else _("Segment again: what the model doubted is kept for the last run only")
        )
        if box.checked and node is None and result is not None:
            self._mapped, volume, probabilities = result
            work = uncertainty_map.make_map(target, volume, probabilities)
            self._making.start(work, self._made)
        else:
            self._overlay.show(node if box.checked else None)

    def stop(self) -> None:
        """Leave a map unfinished, as when the segmentation is let go of."""
        self._making.stop()

    def _toggled(self, *_checked: Any) -> None:
        self.show(self._target)

    def _made(self, _nothing: None) -> None:
        self._overlay.show(uncertainty_map.map_of(self._target))
