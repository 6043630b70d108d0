"""From segments to label values: which label a segment is, and what wins where segments meet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_models import ALTERED, MASS, ct_specification

from TumorSegLib.errors import InputError
from TumorSegLib.export.errors import OverlapError, UnknownSegmentsError
from TumorSegLib.export.labelling import LEAVE_OUT, is_known, labelled, labelmap_of, mask_of
from TumorSegLib.image.grid import Grid
from TumorSegLib.model.specification import Label, Network
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.slicer_io.segments import segment_id

GRID = Grid((3, 4, 5), (1.0, 2.0, 3.0))
CYST = Label(7, "Cyst", (1, 2, 3), ALTERED, MASS)
ABDOMEN = ct_specification(
    labels=(*ct_specification().labels, CYST),
    network=Network("U-Net", {"in_channels": 1, "out_channels": 4, "width": 4, "depth": 2}),
)
"""Liver 1, which includes Liver tumour 2; Cyst 7, which nothing includes."""

LIVER, TUMOUR = ABDOMEN.labels[:2]


def segment(name, *voxels, own="Segment_1"):
    """A segment that is drawn at voxels (z, y, x) and has value 3 in its label map."""
    labelmap = np.zeros(GRID.shape, np.uint8)
    labelmap[0, 0, 0] = 9  # another segment's
    for voxel in voxels:
        labelmap[voxel] = 3
    return NamedMask(own, name, labelmap, 3, GRID.affine)


def names(found):
    return {value: [mask.name for mask in masks] for value, masks in found.items() if masks}


def test_segments_are_known_by_the_names_of_labels():
    for name in ("Liver tumour", "liver TUMOUR", "  Liver   tumour "):
        assert is_known("Segment_1", name, ABDOMEN)
        assert names(labelled([segment(name)], ABDOMEN, {})) == {2: [name]}
    assert not is_known("Segment_1", "Livertumour", ABDOMEN)
    assert not is_known("Segment_1", "Liver_tumour", ABDOMEN)


def test_all_labels_are_there_even_without_segments():
    assert labelled([], ABDOMEN, {}) == {1: [], 2: [], 7: []}


def test_a_segment_without_a_name_is_known_by_its_id():
    for label in ABDOMEN.labels:
        own = segment_id(ABDOMEN, label)
        for name in ("", "  ", own, own.upper()):
            assert names(labelled([segment(name, own=own)], ABDOMEN, {})) == {label.value: [name]}
    assert not is_known("Segment_1", "", ABDOMEN)
    assert not is_known("Segment_1", "Segment_1", ABDOMEN)


def test_a_renamed_segment_is_what_its_new_name_says():
    own = segment_id(ABDOMEN, LIVER)
    assert names(labelled([segment("Cyst", own=own)], ABDOMEN, {})) == {7: ["Cyst"]}
    assert not is_known(own, "Spleen", ABDOMEN)


def test_a_mapping_comes_before_the_own_name_and_a_name_before_an_id():
    mapping = {"Liver": "CYST", "other": "Liver", "Segment_9": "liver tumour", "Spleen": "Cyst"}
    masks = [
        segment("Liver"),
        segment("other", own="Segment_9"),
        segment("no label", own="Segment_9"),
        segment("Cyst"),
    ]
    assert names(labelled(masks, ABDOMEN, mapping)) == {
        7: ["Liver", "Cyst"],
        1: ["other"],
        2: ["no label"],
    }


def test_segments_are_left_out_where_the_mapping_says_so():
    masks = [segment("Liver"), segment("Spleen"), segment("Cyst")]
    mapping = {"Liver": LEAVE_OUT, "Spleen": LEAVE_OUT}
    assert names(labelled(masks, ABDOMEN, mapping)) == {7: ["Cyst"]}


def test_unknown_segments_are_all_named():
    masks = [segment("Spleen"), segment("Liver"), segment("Ascites")]
    with pytest.raises(UnknownSegmentsError) as refused:
        labelled(masks, ABDOMEN, {})
    assert refused.value.names == ("Spleen", "Ascites")
    assert str(refused.value) == (
        "segments Spleen, Ascites are no labels of tiny-ct (Liver, Liver tumour, Cyst); say which"
        " label each of them is, or leave it out"
    )


def test_a_mapping_to_what_is_no_label_is_refused_even_if_no_segment_needs_it():
    with pytest.raises(InputError, match="label Spleen: tiny-ct has the labels Liver, Liver tum"):
        labelled([], ABDOMEN, {"Segment_4": LEAVE_OUT, "Segment_5": "Spleen"})


@pytest.mark.parametrize("backwards", [False, True])
def test_where_a_structure_and_its_part_meet_there_is_the_part(backwards):
    specification = ABDOMEN
    if backwards:
        specification = replace(ABDOMEN, labels=ABDOMEN.labels[::-1])
    found = {
        1: [segment("Liver", (1, 1, 1), (1, 1, 2)), segment("Left lobe", (2, 0, 0))],
        2: [segment("Liver tumour", (1, 1, 2), (1, 1, 3))],
        7: [segment("Cyst", (0, 3, 4))],
    }
    expected = np.zeros(GRID.shape, np.uint8)
    expected[1, 1, 1:4] = 1, 2, 2
    expected[2, 0, 0] = 1
    expected[0, 3, 4] = 7
    labelmap = labelmap_of(found, specification, GRID)
    assert labelmap.dtype == np.uint8
    np.testing.assert_array_equal(labelmap, expected)


def test_parts_of_parts_win_over_both():
    chain = (replace(LIVER, includes=(2, 7)), replace(TUMOUR, includes=(7,)), CYST)
    for labels in (chain, chain[::-1]):
        found = {value: [segment("any", (1, 1, 1))] for value in (7, 1, 2)}
        assert labelmap_of(found, replace(ABDOMEN, labels=labels), GRID)[1, 1, 1] == 7


def test_an_overlap_of_others_is_refused_with_its_size():
    found = {
        1: [segment("any", (1, 1, 1), (1, 1, 2), (1, 1, 3))],
        2: [],
        7: [segment("any", (1, 1, 2), (1, 1, 3), (2, 2, 2))],
    }
    with pytest.raises(OverlapError, match=r"(Liver and Cyst|Cyst and Liver) overlap in 2 voxels"):
        labelmap_of(found, ABDOMEN, GRID)
    found[7] = [segment("any", (1, 1, 3))]
    with pytest.raises(OverlapError, match="overlap in 1 voxels"):
        labelmap_of(found, ABDOMEN, GRID)


def test_segments_of_one_label_may_overlap():
    found = {1: [segment("a", (1, 1, 1)), segment("b", (1, 1, 1), (1, 1, 2))], 2: [], 7: []}
    np.testing.assert_array_equal(
        np.argwhere(labelmap_of(found, ABDOMEN, GRID) == 1), [[1, 1, 1], [1, 1, 2]]
    )


def test_a_mask_is_1_where_one_of_the_segments_is():
    mask = mask_of([segment("a", (1, 1, 1)), segment("b", (2, 3, 4), (1, 1, 1))], GRID)
    expected = np.zeros(GRID.shape, np.uint8)
    expected[1, 1, 1] = expected[2, 3, 4] = 1
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, expected)
    assert not mask_of([], GRID).any()
