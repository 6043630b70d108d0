"""One set of events: what a retraining run writes is what the panel and others read."""

from __future__ import annotations

import json

import pytest

from TumorSegLib.worker.retrain_events import (
    Epoch,
    Failed,
    Finished,
    Measuring,
    Planned,
    Step,
    Stopped,
    from_line,
    to_line,
)

EVENTS = [
    Planned("ball-1.1.0", "1.1.0", "ball", {"training": 5, "held_out": 1}),
    Step(1, 8, 12, 40),
    Epoch(0, 8, figures={"dice": 0.8}),
    Epoch(1, 8, 95.0, {"loss": 0.31, "dice": 0.84}),
    Measuring("ball", 2, 4),
    Finished("ball-1.1.0", "1.1.0", "/models/ball", True, "better", False, ({"base": 0.7},), "p"),
    Stopped(resumable=True),
    Failed("data: found 1 patient"),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_every_event_survives_its_line(event):
    line = to_line(event)
    assert "\n" not in line
    assert from_line(line) == event


def test_the_lines_are_those_that_earlier_versions_wrote():
    assert json.loads(to_line(EVENTS[3])) == {
        "event": "epoch", "epoch": 1, "epochs": 8, "seconds_left": 95.0, "loss": 0.31, "dice": 0.84,
    }  # fmt: skip
    earlier = '{"event": "done", "id": "a", "better": true, "reason": "r", "further": [1]}'
    assert from_line(earlier) == Finished("a", better=True, reason="r")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[1]",
        '{"event": "step", "epoch": 1',
        '{"event": "from a later version"}',
        '{"event": ["step"]}',
        '{"event": "step", "epoch": 1}',
        '{"event": "step", "epoch": "1", "epochs": 2, "step": 1, "steps": 2}',
        '{"event": "step", "epoch": true, "epochs": 2, "step": 1, "steps": 2}',
        '{"event": "epoch", "epoch": 1, "epochs": 2, "seconds_left": "soon"}',
        b"\xff",
    ],
)
def test_a_line_that_is_none_is_passed_over(line):
    assert from_line(line) is None
