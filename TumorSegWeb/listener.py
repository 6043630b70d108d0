"""Whom the parts of the page tell what."""

from __future__ import annotations

from typing import Protocol

from TumorSegModule.logic.ending import Ending


class Listener(Protocol):
    """The page, or whatever stands in for it in a test."""

    def run_progressed(self) -> None:
        """Further slices are in the preview; nobody has views drawn for that."""

    def run_ended(self, ending: Ending) -> None:
        """A run is over."""
