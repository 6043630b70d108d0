"""The choice of what to segment of a volume: all, the slice that is shown, or a region."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from TumorSegModule.logic.run_extent import fit_region
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.settings import REGION, THIS_SLICE, WHOLE_VOLUME


class ExtentSection:
    """Drives the selectors of extent and region."""

    def __init__(self, ui: Any, selection: Selection) -> None:
        """Drive the widgets in `ui`; what is chosen is kept in `selection`."""
        self._ui = ui
        self._selection = selection
        self._updating = False
        for text, extent in (
            (_("The whole volume"), WHOLE_VOLUME),
            (_("Only the slice in the red view"), THIS_SLICE),
            (_("Only a region of interest"), REGION),
        ):
            ui.extentSelector.addItem(text, extent)
        ui.extentSelector.currentIndexChanged.connect(self._changed)
        ui.regionSelector.nodeAddedByUser.connect(self._region_created)

    def show(self) -> None:
        """Show what is chosen."""
        selector, extent = self._ui.extentSelector, self._selection.settings.extent
        self._updating = True
        selector.currentIndex = selector.findData(extent)
        self._updating = False
        self._ui.regionSelector.visible = extent == REGION

    def _changed(self, *_overloaded: Any) -> None:
        if self._selection.parameters is not None and not self._updating:
            selector = self._ui.extentSelector
            self._selection.parameters.extent = selector.itemData(selector.currentIndex)

    def _region_created(self, region: slicer.vtkMRMLMarkupsROINode) -> None:
        """Fit a region that the selector made; without a usable volume it stays empty."""
        volume = self._selection.volume
        if volume is not None and not self._selection.problem:
            fit_region(region, volume)
