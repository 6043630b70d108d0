"""Waiting for what takes its own time, also on a machine that is busy with other things."""

from __future__ import annotations

import time
from collections.abc import Callable

HANG_SECONDS = 900
"""Ends a test that hangs; no test may expect anything to be done by then."""


def wait_until(
    condition: Callable[[], object],
    *,
    turn: Callable[[], object] = lambda: time.sleep(0.01),
    state: Callable[[], object] = lambda: "",
) -> None:
    """Wait until `condition` holds, calling `turn` meanwhile; a hang says the `state`."""
    end = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < end, f"hangs: {state()}"
        turn()
