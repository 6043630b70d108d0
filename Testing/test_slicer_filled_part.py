"""What a label map holds, found slab by slab, and masks read of that alone."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import add_body, edit_by_hand

from TumorSegLib.image.voxel_box import bounding_box
from TumorSegLib.slicer_io.images import filled_part
from TumorSegLib.support.steps import finished

FRAME = (-3, 9, 5, 25, 100, 131)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "int64"])
@pytest.mark.parametrize("voxels", [1, 2000, 10**9])
def test_the_box_holds_all_that_is_not_0_and_no_more(dtype, voxels):
    random = np.random.default_rng(7)
    for count in (1, 2, 5):
        array = np.zeros((12, 20, 31), dtype)
        array[tuple(random.integers(0, (12, 20, 31), (count, 3)).T)] = random.integers(1, 99, count)
        z, y, x = bounding_box(array != 0)
        expected = (z.start - 3, z.stop - 3, y.start + 5, y.stop + 5, x.start + 100, x.stop + 100)
        assert finished(filled_part(array, FRAME, voxels)) == expected


def test_negative_labels_count_and_an_empty_label_map_has_no_box():
    array = np.zeros((12, 20, 31), np.int16)
    assert finished(filled_part(array, FRAME, 100)) == ()
    assert finished(filled_part(array[:0], FRAME, 100)) == ()
    array[4, 5, 6] = -1
    assert finished(filled_part(array, FRAME, 100)) == (1, 2, 10, 11, 106, 107)


def test_so_many_voxels_are_looked_at_in_a_step():
    steps = filled_part(np.zeros((12, 20, 31), np.uint8), FRAME, 3 * 20 * 31)
    assert len(list(steps)) == 4


@pytest.mark.parametrize("spacing", [1.0, 0.7, 2.3])
def test_a_mask_is_the_same_where_it_is_known_what_its_label_map_holds(host, spacing):
    """Also on the voxels of another volume, to which it is resampled."""
    from TumorSegLib.slicer_io.images import image_array, inside
    from TumorSegLib.slicer_io.masks import mask_reader

    volume = add_body(host)
    node = host.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("drawn")
    edit_by_hand(host, node, volume, np.s_[0:2, 10:13, 20:22])
    edit_by_hand(host, node, volume, np.s_[5:9, 30:41, 7:9])
    segment = node.GetSegmentation().GetNthSegment(0)
    array, frame = image_array(segment.GetRepresentation("Binary labelmap"))
    matrix = np.diag([spacing, spacing, 5.0 * spacing, 1.0])
    matrix[:3, 3] = (0.3, 0.2, 0.1) if spacing != 1 else 0
    whole, read = mask_reader(segment, matrix)
    held = finished(filled_part(array, frame, 1000))
    part, read_part = mask_reader(segment, matrix, held)
    expected = read(whole)
    found = np.zeros_like(expected)
    found[inside(part, whole)] = read_part(part)
    assert expected.any()
    assert np.prod(found[inside(part, whole)].shape) < expected.size / 2
    assert (found == expected).all()
    empty, read_nothing = mask_reader(segment, matrix, ())
    assert empty == ()
    assert not read_nothing(whole).any()
    host.mrmlScene.Clear()
