"""Figures that travel as plain values are the same on the other side, without SciPy."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from TumorSegLib.image.grid import Grid
from TumorSegLib.measurement.follow_up import follow_up
from TumorSegLib.measurement.lesion_matching import Lesions
from TumorSegLib.measurement.records import (
    component_of,
    plain,
    reading_follow_up,
    reading_measurement,
)
from TumorSegLib.measurement.segment import measure_segment
from TumorSegLib.support.steps import finished

GRID = Grid((6, 20, 20), (0.8, 0.8, 3.0))


def spots(*places):
    mask = np.zeros(GRID.shape, bool)
    for z, y, x in places:
        mask[z : z + 2, y : y + 4, x : x + 5] = True
    return mask


def through_json(record):
    return json.loads(json.dumps(plain(record)))


def test_measurements_are_the_same_with_and_without_figures_that_are_not_known():
    mask = spots((1, 2, 2), (3, 12, 12))
    voxels = np.random.default_rng(0).normal(100, 5, GRID.shape).astype(np.float32)
    for given in (None, voxels):
        found = measure_segment(mask, GRID, name="肝", voxels=given)
        assert finished(reading_measurement(through_json(found))) == found
        assert component_of(through_json(found.parts[0])) == found.parts[0]
    empty = measure_segment(np.zeros_like(mask), GRID)
    assert finished(reading_measurement(through_json(empty))) == empty


def test_changes_are_the_same():
    earlier = Lesions.of(spots((1, 2, 2), (3, 12, 12)), GRID)
    later = Lesions.of(spots((1, 3, 2), (4, 2, 14)), GRID)
    found = follow_up(earlier, later)
    assert len(found.changes) == 2
    assert finished(reading_follow_up(through_json(found))) == found


def test_who_shows_figures_loads_no_scipy():
    code = (
        "import sys; import TumorSegLib.measurement.records, TumorSegLib.measurement.table,"
        " TumorSegLib.measurement.recist; print('scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
