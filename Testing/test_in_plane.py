"""The grid that a network sees, and the matrices that resample slices to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from TumorSegLib.image.in_plane import (
    FieldOfView,
    PixelSpacing,
    downsampling_factor,
    grid_of,
    resize,
    resize_matrix,
)


@pytest.mark.parametrize("size", [16, 2048])
def test_sizes_up_to_the_limits_are_taken(size):
    assert FieldOfView(size).size == size


@pytest.mark.parametrize("size", [15, 2049])
def test_sizes_beyond_the_limits_are_refused(size):
    with pytest.raises(ValueError, match=f"^size {size} is not within 16 and 2048 pixels$"):
        FieldOfView(size)


@pytest.mark.parametrize("mm", [0.1, 20])
def test_spacings_up_to_the_limits_are_taken(mm):
    assert PixelSpacing(mm).spacing_mm == mm


@pytest.mark.parametrize("mm", [0.0999, 20.1])
def test_spacings_beyond_the_limits_are_refused(mm):
    with pytest.raises(ValueError, match=f"^spacing_mm {mm} is not within 0.1 and 20 mm$"):
        PixelSpacing(mm)


def test_grids_cover_the_field_of_view():
    assert FieldOfView(100).grid((300, 200), (0.5, 0.6)) == (100, 80)
    assert FieldOfView(100).grid((200, 300), (0.6, 0.5)) == (80, 100)
    assert PixelSpacing(1.5).grid((300, 200), (0.5, 0.6)) == (100, 80)
    assert grid_of((10, 3), (1.0, 1.0), 4.0) == (2, 1)
    assert grid_of((1, 1), (0.5, 0.5), 20.0) == (1, 1)


def test_grids_are_named_in_models_by_their_kind():
    assert (FieldOfView.kind, PixelSpacing.kind) == ("field_of_view", "spacing")


def test_factors_between_grids_of_a_kind():
    assert downsampling_factor(FieldOfView(256), FieldOfView(64)) == 4
    assert downsampling_factor(PixelSpacing(0.5), PixelSpacing(2.0)) == 4
    assert downsampling_factor(FieldOfView(256), PixelSpacing(1.0)) is None
    assert downsampling_factor(PixelSpacing(1.0), FieldOfView(256)) is None


def test_enlarging_interpolates_between_the_centres_of_pixels():
    expected = [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    np.testing.assert_allclose(resize_matrix(2, 4), expected, rtol=1e-6)


def test_shrinking_weights_by_a_triangle_as_wide_as_the_new_pixels():
    expected = np.array([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7
    np.testing.assert_allclose(resize_matrix(4, 2), expected, rtol=1e-6)


@pytest.mark.parametrize(("source", "target"), [(5, 5), (7, 3), (3, 7), (1, 4), (9, 1)])
def test_rows_of_a_matrix_sum_to_one(source, target):
    matrix = resize_matrix(source, target)
    assert (matrix.shape, matrix.dtype) == ((target, source), np.float32)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-6)
    if source == target:
        np.testing.assert_array_equal(matrix, np.eye(source))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_and_columns_are_resampled_apart(dtype):
    slices = torch.rand((3, 2, 5, 6), generator=torch.Generator().manual_seed(0)).to(dtype)
    both = resize(slices, (8, 4))
    assert both.dtype == dtype
    expected = np.einsum("Hh,nchw,Ww->ncHW", resize_matrix(5, 8), slices, resize_matrix(6, 4))
    np.testing.assert_allclose(both, expected, rtol=1e-5)
    np.testing.assert_allclose(
        resize(slices, (8, 6)), np.einsum("Hh,nchw->ncHw", resize_matrix(5, 8), slices), rtol=1e-5
    )
    np.testing.assert_allclose(
        resize(slices, (5, 4)), np.einsum("nchw,Ww->nchW", slices, resize_matrix(6, 4)), rtol=1e-5
    )


def test_slices_of_the_right_size_are_left_alone():
    slices = torch.rand((1, 1, 5, 6))
    assert resize(slices, (5, 6)) is slices


def test_slices_of_any_leading_axes_are_resampled_along_the_last_two():
    stack = torch.rand(2, 3, 1, 6, 10)
    expected = resize(stack.reshape(6, 1, 6, 10), (4, 7)).reshape(2, 3, 1, 4, 7)
    torch.testing.assert_close(resize(stack, (4, 7)), expected)
    torch.testing.assert_close(resize(stack[0, 0, 0], (4, 7)), expected[0, 0, 0])
