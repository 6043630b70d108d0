"""What the worker answers to the command to measure, without a process."""

from __future__ import annotations

import numpy as np
import pytest

from TumorSegLib.image.grid import Grid
from TumorSegLib.inference.given_up import GivenUp, runs_of
from TumorSegLib.measurement.records import component_of, reading_follow_up, reading_measurement
from TumorSegLib.measurement.runs import ALL_ROUND, Runs
from TumorSegLib.measurement.segment import measure_segment
from TumorSegLib.support.steps import finished
from TumorSegLib.worker.measure_command import answer
from TumorSegLib.worker.measure_protocol import Measure, SharedGrid, SharedSegment, SharedSegments
from TumorSegLib.worker.protocol import from_line, to_line

SHAPE, SPACING = (8, 30, 40), (0.7, 0.7, 2.5)
GRID = Grid(SHAPE, SPACING, (5.0, -3.0, 20.0))
SHARED = SharedGrid(SHAPE, SPACING, GRID.origin, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
BOX = (1, 7, 2, 28, 3, 38)
INSIDE = np.s_[1:7, 2:28, 3:38]


def boxes(*places):
    mask = np.zeros(SHAPE, bool)
    for place in places:
        mask[place] = True
    return mask


ORGAN, TUMOUR = (
    boxes(np.s_[1:7, 4:26, 4:36]),
    boxes(np.s_[2:4, 6:10, 6:11], np.s_[3:5, 20:22, 30:33]),
)
ABSENT = [boxes(np.s_[2:5, 12:15, 12:20]), boxes(np.s_[4, 18:24, 8:10])]
VOXELS = np.random.default_rng(0).normal(60, 9, SHAPE).astype(np.float32)


def command(**more):
    """The command for a liver, whose mask is without its tumours, and what its blocks hold."""
    blocks = {
        "organ": (ORGAN & ~TUMOUR)[INSIDE],
        "tumour": TUMOUR[INSIDE],
        "ct": VOXELS[INSIDE],
        "numbers": np.zeros(TUMOUR[INSIDE].shape, np.uint16),
    }
    segments = (
        SharedSegment("o", "Liver", "organ", ("t",)),
        SharedSegment("t", "肝肿瘤", "tumour", numbers="numbers"),
    )
    now = SharedSegments(SHARED, BOX, segments)
    return Measure(7, now, "ct", "float32", **more), blocks


def test_components_are_looked_for_once_a_segment(monkeypatch):
    looked, connected = [], Runs.connected
    monkeypatch.setattr(
        Runs, "connected", lambda runs, steps: looked.append(steps) or connected(runs, steps)
    )
    answered(*command())
    assert looked.count(ALL_ROUND) == 2


def answered(told, blocks):
    """The answer, after both have travelled as lines."""
    found = answer(
        from_line(to_line(told)), lambda name, shape, _dtype: blocks[name].reshape(shape)
    )
    return from_line(to_line(found))


def test_a_box_of_a_volume_is_measured_as_the_whole():
    told, blocks = command()
    found = answered(told, blocks)
    expected = [
        measure_segment(ORGAN, GRID, name="Liver", voxels=VOXELS),
        measure_segment(TUMOUR, GRID, name="肝肿瘤", voxels=VOXELS),
    ]
    assert [finished(reading_measurement(one)) for one in found.segments] == expected
    numbers = blocks["numbers"]
    assert [(numbers == part.number).sum() for part in expected[1].parts] == [40, 12]


@pytest.mark.parametrize("back", [0, 1, 2])
def test_what_was_given_up_is_measured_unless_it_is_back(back):
    items = tuple(GivenUp(2, 0.2, runs_of(np.argwhere(mask))) for mask in ABSENT)
    told, blocks = command(given_up={"t": (*items, GivenUp(2, 0.1, ()))})
    for mask in ABSENT[:back]:
        blocks["tumour"] |= mask[INSIDE]
    found = answered(told, blocks).given_up["t"]
    assert [place for place, _ in found] == [0, 1][back:]
    for place, values in found:
        (alone,) = measure_segment(ABSENT[place], GRID, voxels=VOXELS).parts
        part = component_of(values)
        assert (part.voxels, part.box) == (alone.voxels, alone.box)
        assert part.longest_axial_diameter_mm == alone.longest_axial_diameter_mm
        assert part.mean == pytest.approx(alone.mean)


def test_nothing_at_all_is_measured_as_nothing():
    empty = SharedSegments(SHARED, (), (SharedSegment("t", "Tumour", ""),))
    found = answered(Measure(1, empty), {})
    assert finished(reading_measurement(found.segments[0])).parts == ()
    assert found.changes == {}


def test_an_earlier_image_is_compared_through_its_transform():
    told, blocks = command()
    earlier = SharedSegments(SHARED, BOX, (SharedSegment("t", "Tumour", "tumour"),))
    here = np.eye(4)
    far = here.copy()
    far[0, 3] = 300
    for matrix, words in ((here, {"unchanged"}), (far, {"new", "vanished"})):
        told, blocks = command(earlier=earlier, transform=tuple(matrix.ravel().tolist()))
        changes = finished(reading_follow_up(answered(told, blocks).changes["t"])).changes
        assert {change.change for change in changes} == words
