"""Whether what the model doubted is shown over the slice views, and whether it can be. No Qt."""

from __future__ import annotations

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from TumorSegModule.logic import uncertainty_map
from TumorSegModule.logic.later import Pieces
from TumorSegModule.logic.session import Session


class UncertaintyLayer:
    """Shows or hides the map of one segmentation; it is made when it is first wanted.

    Attributes:
        wanted: whether the user wants to see it.
        possible: whether there is a map, or what it is made of.
        meaning: what the switch does, or why it does nothing.
    """

    def __init__(self, session: Session, making: Pieces, changed: Callable[[], None]) -> None:
        """Show nothing yet.

        Args:
            session: whose last run left what the model doubted.
            making: makes maps.
            changed: called when `possible` and `meaning` are of another segmentation.
        """
        self.wanted = self.possible = False
        self.meaning = ""
        self._session, self._making, self._changed = session, making, changed
        self._target: slicer.vtkMRMLSegmentationNode | None = None
        self._mapped: int | None = None
        self._overlay = uncertainty_map.Overlay()

    @property
    def busy(self) -> bool:
        """Whether the map is being made."""
        return self._making.busy

    def want(self, wanted: bool) -> None:
        """Show the map, or what was there before."""
        self.wanted = wanted
        self.show(self._target)

    def show(self, target: slicer.vtkMRMLSegmentationNode | None) -> None:
        """Show what is wanted for a segmentation, None for none."""
        self._target = target
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
        self.possible = node is not None or result is not None
        self.meaning = (
            _("Colour what the model doubted, from dark red to white, in all slice views")
            if self.possible
            else _("Segment again: what the model doubted is kept for the last run only")
        )
        self._changed()
        if self.wanted and node is None and result is not None:
            self._mapped, volume, probabilities = result
            work = uncertainty_map.make_map(target, volume, probabilities)
            self._making.start(work, self._made)
        else:
            self._overlay.show(node if self.wanted else None)

    def stop(self) -> None:
        """Leave a map unfinished, as when the segmentation is let go of."""
        self._making.stop()

    def _made(self, _nothing: None) -> None:
        self._overlay.show(uncertainty_map.map_of(self._target))
