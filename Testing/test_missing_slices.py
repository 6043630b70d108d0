"""Slices that hold nothing where a volume goes on beyond them are told of."""

from __future__ import annotations

import numpy as np
import pytest
from test_grid import ORIENTATIONS, stored_as
from tiny_models import brain_specification

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.input_checks import input_warnings
from TumorSegLib.inference.missing_slices import missing_slices

GRID = Grid((20, 40, 40), (5.0, 5.0, 5.0))


def volume(*empty, value=0, name="flair", axis=0):
    voxels = np.random.default_rng(0).integers(1, 250, GRID.shape).astype(np.int16)
    voxels[(slice(None),) * axis + (list(empty),)] = value
    return Volume(voxels, GRID, "MR", name)


def test_empty_slices_amid_a_volume_are_told():
    for value in (0, -1000, 77):
        (line,) = missing_slices({"flair": volume(3, 10, 11, 12, value=value)})
        assert line == (
            "flair: 4 of 20 axial slices (4, 11 to 13) hold one value only; what they should show"
            " is missing"
        )


def test_margins_and_whole_volumes_are_no_gaps():
    for empty in ((), (0, 1, 19), range(19)):
        assert missing_slices({"flair": volume(*empty)}) == []


def test_a_voxel_is_something():
    almost = volume(5)
    almost.voxels[5, 13, 29] = 1
    assert missing_slices({"flair": almost}) == []


def test_many_gaps_are_not_all_listed():
    (line,) = missing_slices({"flair": volume(*range(1, 19, 2))})
    assert "9 of 20 axial slices (2, 4, 6, 8, 10, 12, ...) hold" in line


def test_slices_that_are_stored_sagittally_are_told():
    turned = ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
    sagittal = Volume(volume(7).voxels, Grid(GRID.shape, GRID.spacing, direction=turned), "MR", "s")
    (line,) = missing_slices({"flair": sagittal})
    assert line.startswith("s: 1 of 20 sagittal slices (8) hold one value only")


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_axial_slices_are_told_however_they_are_stored(orientation):
    voxels, direction = stored_as(volume(3).voxels, *orientation)
    grid = Grid(voxels.shape, (5.0, 5.0, 5.0), direction=direction)
    (line,) = missing_slices({"flair": Volume(voxels, grid, "MR", "case")})
    assert "1 of 20 axial slices (4)" in line


def test_a_sequence_that_is_empty_where_the_volume_shows_something():
    volumes = {"flair": volume(0), "t1": volume(0, 1, *range(14, 20), name="T1")}
    (line,) = missing_slices(volumes)
    assert line.startswith("channel t1: 7 of 20 axial slices (2, 15 to 20) hold one value only")


def test_the_lines_are_among_those_before_a_run():
    lines = input_warnings({"flair": volume(3)}, (), brain_specification())
    assert any("1 of 20 axial slices (4) hold" in line for line in lines)
