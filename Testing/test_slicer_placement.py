"""Where the voxels of a volume node lie, and which of them are axial slices."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import add_head
from test_slicer_geometry import MATRICES, add_transform, rotation

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import LPS_FROM_RAS
from TumorSegLib.slicer_io.geometry import parent_matrix, placement_of

SHAPE = (4, 6, 9)
PARENT = rotation(90, 1)
PARENT[:3, 3] = 7.0, -8.0, 9.0


@pytest.fixture
def scene(host):
    yield host
    host.mrmlScene.Clear()


@pytest.mark.parametrize("name", MATRICES)
def test_a_placement_holds_the_nodes_matrix_and_its_grid(scene, name):
    volume, _ = add_head(scene, shape=SHAPE, matrix=MATRICES[name])
    found = placement_of(volume)
    np.testing.assert_allclose(found.ijk_to_ras, MATRICES[name], atol=1e-9)
    np.testing.assert_allclose(found.ijk_to_world, MATRICES[name], atol=1e-9)
    np.testing.assert_allclose(found.grid.affine, LPS_FROM_RAS @ MATRICES[name], atol=1e-9)
    assert found.grid.shape == SHAPE
    assert found.transform is None


def test_a_transform_above_the_volume_moves_it_in_the_world_only(scene):
    volume, _ = add_head(scene, shape=SHAPE)
    own = placement_of(volume).ijk_to_ras
    transform = add_transform(scene, PARENT)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    found = placement_of(volume)
    np.testing.assert_allclose(found.ijk_to_ras, own)
    np.testing.assert_allclose(found.ijk_to_world, PARENT @ own, atol=1e-9)
    assert found.transform == transform.GetID()


def test_indices_go_to_the_coordinates_that_another_node_stores(scene):
    volume, _ = add_head(scene, shape=SHAPE)
    other, _ = add_head(scene, shape=SHAPE)
    above, beside = add_transform(scene, PARENT), add_transform(scene, rotation(30, 2), "U")
    volume.SetAndObserveTransformNodeID(above.GetID())
    placement = placement_of(volume)
    np.testing.assert_allclose(placement.ijk_to(other), placement.ijk_to_world, atol=1e-9)
    other.SetAndObserveTransformNodeID(above.GetID())
    np.testing.assert_array_equal(placement.ijk_to(other), placement.ijk_to_ras)
    other.SetAndObserveTransformNodeID(beside.GetID())
    expected = np.linalg.inv(rotation(30, 2)) @ placement.ijk_to_world
    np.testing.assert_allclose(placement.ijk_to(other), expected, atol=1e-9)


@pytest.mark.parametrize("name", MATRICES)
def test_a_box_of_axial_slices_is_where_the_view_shows_them(scene, name):
    """Marked in the array's order, slice 1 is the one that the view shows there."""
    volume, _ = add_head(scene, shape=SHAPE, matrix=MATRICES[name])
    placement = placement_of(volume)
    z0, z1, y0, y1, x0, x1 = box = placement.box_of_slices(1, 2)
    marked = np.zeros(SHAPE, bool)
    marked[z0:z1, y0:y1, x0:x1] = True
    assert placement.axial_slices_of(box) == (1, 2)
    shown = placement.view.apply(marked)
    assert shown[1].all()
    assert shown.sum() == shown[1].size


@pytest.mark.parametrize("name", MATRICES)
def test_the_axial_slices_that_a_box_meets(scene, name):
    volume, _ = add_head(scene, shape=SHAPE, matrix=MATRICES[name])
    placement = placement_of(volume)
    marked = np.zeros(SHAPE, bool)
    marked[0:2, 1:3, 3:8] = True
    met = np.flatnonzero(placement.view.apply(marked).any(axis=(1, 2)))
    assert placement.axial_slices_of((0, 2, 1, 3, 3, 8)) == (met[0], met[-1] + 1)


def test_without_a_transform_coordinates_are_the_worlds(scene):
    volume, _ = add_head(scene, shape=SHAPE)
    np.testing.assert_array_equal(parent_matrix(volume), np.eye(4))


def test_a_transform_that_warps_is_named(scene):
    volume, _ = add_head(scene, "CT", shape=SHAPE)
    warp = scene.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "Warp")
    volume.SetAndObserveTransformNodeID(warp.GetID())
    with pytest.raises(InputError, match=r"^CT: the transform Warp above it is not linear"):
        placement_of(volume)


def test_a_sheared_volume_is_named(scene):
    volume, _ = add_head(scene, "CT", shape=SHAPE)
    shear = np.eye(4)
    shear[0, 1] = 0.2
    volume.SetAndObserveTransformNodeID(add_transform(scene, shear).GetID())
    with pytest.raises(InputError, match="^CT: its axes are not at right angles"):
        placement_of(volume)
