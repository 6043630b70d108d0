"""Slicer's translation of messages, for files that also work without Slicer."""

try:
    from slicer.i18n import tr
except ImportError:  # the worker's end in tests, PythonSlicer without the application

    def tr(text):
        """Return `text` as it is."""
        return text


__all__ = ["tr"]
