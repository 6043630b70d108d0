"""Whom the parts of the panel tell what: one small protocol for each thing that can happen.

A section is given its widgets, the `Selection` that it shows, and one object that it tells. The
panel is most of these objects; in a test any object with the methods will do.
"""

from __future__ import annotations

from typing import Protocol

import slicer

from TumorSegLib.model.bundle import Bundle
from TumorSegModule.logic.findings import Findings
from TumorSegModule.logic.run_options import Options


class NodeKeeper(Protocol):
    """Keeps the node that a selector shows."""

    @property
    def node(self) -> slicer.vtkMRMLNode | None:
        """The node that is kept, None if none is."""

    def keep(self, node: slicer.vtkMRMLNode | None) -> None:
        """Keep a node, or None."""


class SelectionListener(Protocol):
    """Hears of nodes that the user picked, or that left the scene."""

    def selection_changed(self) -> None:
        """What is chosen is another."""


class ModelListener(Protocol):
    """Hears of the user's wishes about models."""

    def model_picked(self, bundle: Bundle) -> None:
        """The user picked a model."""

    def models_changed(self, model_id: str | None = None) -> None:
        """There are other models, or another default.

        Args:
            model_id: id of the model to choose, "" for the default; the choice stays if not given.
        """


class SegmentationListener(Protocol):
    """Hears of edits."""

    def segmentation_edited(self) -> None:
        """The segmentation under review was written to, by whomever; told soon after."""


class FindingsListener(Protocol):
    """Hears of the figures of the segmentation that the panel shows."""

    def findings_changed(self, found: Findings | None) -> None:
        """There are new figures, or none any more."""


class SliceListener(Protocol):
    """Hears which slice the user wants to see."""

    def go_to(self, index: int) -> None:
        """Show an axial slice, 0 the most inferior."""


class ResultListener(Protocol):
    """Hears of the sensitivity slider."""

    def adjust(self, sensitivity: float) -> None:
        """The user wants the result labelled with a sensitivity of -100 to 100."""


class Series(Protocol):
    """Starts the runs of a series, all with the settings of the moment when it was made."""

    def start(
        self, volume: slicer.vtkMRMLScalarVolumeNode, bundle: Bundle | None = None
    ) -> int | None:
        """Start a run into a new segmentation.

        Args:
            volume: node.
            bundle: model, if it is not to be the one chosen or the default.

        Returns:
            The run's number, None if what is needed is not installed or a licence not accepted.

        Raises:
            TumorSegError: the volume cannot be run.
        """


class RunStarter(Protocol):
    """Starts runs one after the other."""

    def series(self) -> Series:
        """Return what starts runs with the settings of this moment."""


class FrameListener(Protocol):
    """Runs a volume's frames, and hears what became of them."""

    def start(self, options: Options) -> int:
        """Start a run and return its number.

        Raises:
            TumorSegError: it cannot be run.
        """

    def frames_segmented(
        self, segmentation: slicer.vtkMRMLSegmentationNode | None, line: str
    ) -> None:
        """All frames are over.

        Args:
            segmentation: node that shows the results, None if there are none.
            line: for the user.
        """
