"""Runs of a series: a new segmentation each, with the settings of the moment when it was made."""

from __future__ import annotations

from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError
from TumorSegLib.model.bundle import Bundle
from TumorSegModule.logic import server_choice
from TumorSegModule.logic.doubts import doubts_of_node
from TumorSegModule.logic.kept_run import known_sequences
from TumorSegModule.logic.model_choice import effective, run_settings
from TumorSegModule.logic.run_options import Options
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.settings import Settings
from TumorSegModule.logic.volumes import further_channels
from TumorSegModule.widgets.installation import ensure_installed


class Starter(Protocol):
    """Asks what must be asked before a run, and starts it."""

    def agreed(self, options: Options) -> bool:
        """Show licences that the user has not accepted; return whether all are."""

    def start(self, options: Options) -> int:
        """Start a run and return its number."""


class PanelSeries:
    """See `TumorSegModule.logic.listeners.Series`."""

    def __init__(self, selection: Selection, starter: Starter) -> None:
        """Keep the settings of `selection` as they are now."""
        self._models, self._settings = selection.models, Settings.of(selection.settings)
        self._server = server_choice.wished()
        self._volume, self._shown = selection.volume, selection.shown_sequences
        self._starter = starter

    def start(
        self, volume: slicer.vtkMRMLScalarVolumeNode, bundle: Bundle | None = None
    ) -> int | None:
        """See `TumorSegModule.logic.listeners.Series`."""
        catalogue, settings = self._models.catalogue, self._settings
        if bundle is None:
            bundle = effective(self._models.bundle_for(volume, settings), catalogue, settings)
            picked = self._models.picked(settings) is not None
            if found := doubts_of_node(volume, bundle, picked=picked):
                raise InputError(_("{doubt}; segment it by itself").format(doubt=found[0]))
        options = Options(
            volume,
            bundle,
            sequences=self._sequences_of(volume, bundle),
            show=False,
            run=run_settings(bundle, catalogue, settings),
            server=server_choice.checked(self._server),
        )
        if not ensure_installed(lambda: None) or not self._starter.agreed(options):
            return None
        return self._starter.start(options)

    def _sequences_of(
        self, volume: slicer.vtkMRMLScalarVolumeNode, bundle: Bundle
    ) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
        """Return further sequences: what the panel showed for its own volume, else as before."""
        found: dict[str, Any] = dict(known_sequences(volume, bundle))
        if volume is self._volume:
            taken = further_channels(bundle)
            found |= {name: node for name, node in self._shown.items() if name in taken}
        return {name: node for name, node in found.items() if node is not None}
