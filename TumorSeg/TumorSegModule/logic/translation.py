"""Slicer's translation of messages, for files that also work without Slicer."""

from __future__ import annotations

try:
    from slicer.i18n import tr
except ImportError:  # the worker's end in tests, PythonSlicer without the application

    def tr(text: str) -> str:
        """Return `text` as it is."""
        return text


__all__ = ["tr"]
