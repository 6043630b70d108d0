"""Turns of the event loop that take one step each of what is done bit by bit, for tests."""

from __future__ import annotations

from types import SimpleNamespace

STEP_SECONDS = 0.006
"""More than half of what a turn may take."""


def short_turns(monkeypatch, *modules):
    """Show `modules` a clock that goes on by a step whenever somebody looks at it."""
    now = [0.0]

    def look():
        now[0] += STEP_SECONDS
        return now[0]

    for module in modules:
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=look))
