"""What the user is asked before a run: over edits, over frames, over licences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import slicer

from TumorSegLib.errors import ModelError
from TumorSegLib.model.bundle import Bundle
from TumorSegModule.logic.doubts import doubts_of_node
from TumorSegModule.logic.frame_shown import Frames, frames_of
from TumorSegModule.logic.run_options import Options, edits_in
from TumorSegModule.logic.segments import REPLACE
from TumorSegModule.logic.selection import Selection
from TumorSegModule.logic.settings import WHOLE_VOLUME
from TumorSegModule.logic.volumes import check_usable


@dataclass
class RunQuestions:
    """Asks where the selection leaves something open.

    Attributes:
        selection: what is to be run.
        ask_about_edits: by the names of edited segments, returns what to do with them; None for
            nothing.
        ask_about_frames: by the name of a volume over time and its frames, returns whether all are
            to be segmented; None for nothing.
        sure: shows why it is not certain that a model fits a volume, returns whether to run it.
        agree: shows the licences of models that the user has not accepted, returns whether all are
            accepted.
    """

    selection: Selection
    ask_about_edits: Callable[[Sequence[str]], str | None]
    ask_about_frames: Callable[[str, Frames], bool | None]
    agree: Callable[[Sequence[Bundle]], bool]
    sure: Callable[[Sequence[str], Bundle], bool]
    _settled: set[tuple[str, str]] = field(default_factory=set)

    def every_frame(self) -> bool | None:
        """Return whether all frames of a volume over time are to be segmented, None for nothing."""
        volume: Any = self.selection.volume
        limited = self.selection.settings.extent != WHOLE_VOLUME
        frames = None if volume is None or limited else frames_of(volume)
        return False if frames is None else self.ask_about_frames(volume.GetName(), frames)

    def options(self, target: slicer.vtkMRMLSegmentationNode | None) -> Options | None:
        """Return what the settings ask for, None if the user was asked and does not want it.

        Args:
            target: segmentation node to write to, None for a new one.

        Raises:
            TumorSegError: the volume cannot be segmented, or there is no model for it.
        """
        volume, bundle = self.selection.volume, self.selection.bundle
        check_usable(volume)
        if bundle is None:
            raise ModelError(self.selection.models.why_none(volume))
        edited = edits_in(target, volume, bundle)
        mode = self.ask_about_edits(edited) if edited else REPLACE
        return self.selection.options(bundle, target, mode) if mode is not None else None

    def is_sure(self, options: Options) -> bool:
        """Ask, once for a volume and a model, where it is not certain that the model fits.

        Raises:
            InputError: the volume cannot be segmented.
        """
        volume, bundle = options.volume, options.bundle
        key = (volume.GetID(), bundle.id)
        if key in self._settled:
            return True
        picked = self.selection.models.picked(self.selection.parameters) is not None
        found = doubts_of_node(volume, bundle, picked=picked)
        if found and not self.sure(found, bundle):
            return False
        self._settled.add(key)
        return True

    def forget(self) -> None:
        """Ask anew, as when the scene is closed: the next one's nodes have the same ids."""
        self._settled.clear()

    def agreed(self, options: Options) -> bool:
        """Show licences that the user has not accepted; return whether all are."""
        catalogue = self.selection.models.catalogue
        models = catalogue.members(options.bundle)
        if options.run.slice_detector is not None:
            models.append(catalogue.find(options.run.slice_detector))
        return self.agree(models)
