"""Further sequences on the grid of the volume that is segmented, against linear functions."""

from __future__ import annotations

import numpy as np
import pytest
from test_grid import rotation_about

from TumorSegLib.errors import InputError
from TumorSegLib.image.alignment import aligned, overlap_share, resampled
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.remote.segmenter import _sent


def centres(grid):
    """Patient positions (z, y, x, 3) of a grid's voxels, LPS, mm."""
    z, y, x = np.indices(grid.shape)
    return np.stack([x, y, z, np.ones(grid.shape)], axis=-1) @ grid.affine.T[:, :3]


def slope(grid, dtype=np.float64):
    """A linear function of patient position: linear interpolation gives it back exactly."""
    return (1000 + centres(grid) @ (3, -5, 7)).astype(dtype)


def turned(degrees):
    matrix = rotation_about(0, degrees) @ rotation_about(2, degrees / 2)
    return tuple(tuple(row) for row in matrix.tolist())


REFERENCE = Grid((6, 10, 12), (1.5, 2.0, 5.0), (-4.0, 7.0, 20.0), turned(20))
OTHER = Grid((30, 60, 50), (1.0, 1.1, 2.0), (-20.0, -20.0, 0.0))


def test_positions_in_patient_space_decide_whatever_the_axes():
    moved = resampled(Volume(slope(OTHER), OTHER, "MR", "t1"), REFERENCE)
    assert (moved.grid, moved.modality, moved.name) == (REFERENCE, "MR", "t1")
    np.testing.assert_allclose(moved.voxels, slope(REFERENCE), atol=1e-3)


def test_beyond_the_border_lies_the_minimum():
    small = Grid((3, 4, 5), (2.0, 2.0, 5.0))
    large = Grid((5, 4, 5), (2.0, 2.0, 5.0), (0.0, 0.0, -5.0))
    voxels = np.arange(60, dtype=np.int16).reshape(small.shape) - 7
    moved = resampled(Volume(voxels, small), large).voxels
    assert moved.dtype == voxels.dtype
    np.testing.assert_array_equal(moved[1:4], voxels)
    assert (moved[[0, 4]] == -7).all()


def test_the_first_volume_stays_and_the_others_come_to_it():
    first = Volume(slope(REFERENCE), REFERENCE, name="flair")
    twin = Volume(slope(REFERENCE) + 1, REFERENCE, name="t1")
    other = Volume(slope(OTHER), OTHER, name="t2")
    volumes, warnings = aligned({"flair": first, "t1": twin, "t2": other})
    assert list(volumes) == ["flair", "t1", "t2"]
    assert volumes["flair"] is first
    assert volumes["t1"] is twin
    assert volumes["t2"].grid == REFERENCE
    np.testing.assert_allclose(volumes["t2"].voxels, first.voxels, atol=1e-3)
    assert warnings == ["channel t2: resampled onto the grid of channel flair"]


@pytest.mark.parametrize(
    ("given", "common"),
    [
        (">i2", "int16"),
        (">u4", "uint32"),
        (">f8", "float64"),
        ("e", "float32"),
        (">e", "float32"),
        ("g", "float64"),
        ("q", "int64"),
    ],
)
def test_voxels_of_every_type_can_be_resampled_and_sent(given, common):
    values = np.arange(960).reshape(REFERENCE.shape[0], -1, 16)
    grid = Grid(values.shape, (1.0, 1.0, 1.0))
    volume = Volume(values.astype(given), grid)
    assert (volume.voxels.dtype, volume.voxels.dtype.isnative) == (common, True)
    np.testing.assert_array_equal(volume.voxels, values)
    np.testing.assert_array_equal(resampled(volume, grid).voxels, values)
    assert _sent(volume).dtype == common


def test_voxels_of_a_common_type_are_not_copied():
    voxels = slope(REFERENCE)
    assert Volume(voxels, REFERENCE).voxels is voxels


def test_extended_precision_beyond_double_is_refused():
    voxels = np.array([[[0, 1]]], np.longdouble) * np.finfo(np.longdouble).max
    if np.isfinite(float(voxels.max())):
        pytest.skip("extended precision is double here")
    with pytest.raises(InputError, match="holds NaN or infinite voxels"):
        Volume(voxels, Grid(voxels.shape, (1.0, 1.0, 1.0)))


def apart(millimetres):
    """Two volumes of a shape, 16 mm wide, the other one so far to the left."""
    grid = Grid((10, 10, 16), (1.0, 1.0, 1.0))
    other = Grid(grid.shape, grid.spacing, (millimetres, 0.0, 0.0))
    return Volume(slope(grid), grid, name="a"), Volume(slope(other), other, name="b")


def test_a_sequence_that_covers_less_than_half_is_refused():
    first, second = apart(9.5)  # 9 columns are looked at, 0, 1.875 ... 15 mm
    line = "^channel t1: b covers 44% of a, expected at least 50%; is it the same patient and"
    with pytest.raises(InputError, match=line):
        aligned({"flair": first, "t1": second})


def test_a_sequence_that_covers_more_than_half_is_taken():
    first, second = apart(7.5)
    assert overlap_share(first.grid, second.grid) == pytest.approx(5 / 9)
    assert aligned({"flair": first, "t1": second})[1]


@pytest.mark.parametrize(
    ("millimetres", "told"), [(0.2, None), (4.0, "25%"), (7.5, "44%"), (1.0, "6%")]
)
def test_what_a_sequence_does_not_cover_is_told(millimetres, told):
    first, second = apart(millimetres)
    (line,) = aligned({"flair": first, "t1": second})[1]
    expected = "channel t1: resampled onto the grid of channel flair"
    if told:
        expected += f"; {told} of what channel flair shows lies beyond it and is taken for air"
    assert line == expected


def test_shares_count_the_outermost_half_voxels_too():
    grid = Grid((9, 9, 9), (1.0, 1.0, 1.0))
    for axis in range(3):
        for millimetres, expected in ((0.5, 1.0), (0.51, 8 / 9), (-0.5, 1.0), (-0.51, 8 / 9)):
            origin = [0.0, 0.0, 0.0]
            origin[axis] = millimetres
            other = Grid(grid.shape, grid.spacing, tuple(origin))
            assert overlap_share(grid, other) == pytest.approx(expected), (axis, millimetres)


def test_shares_of_a_corner():
    grid = Grid((9, 9, 9), (1.0, 1.0, 1.0))
    corner = Grid((4, 5, 6), (1.0, 1.0, 1.0), (4.0, 0.0, 0.0))
    assert overlap_share(grid, corner) == pytest.approx(5 * 5 * 4 / 9**3)
