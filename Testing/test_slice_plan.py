"""An organ's slices alone give what all slices give."""

from __future__ import annotations

import re

import numpy as np
import pytest
from bright_models import LIVER, LIVER_TUMOUR, write_ct_model
from scipy import ndimage
from tiny_models import ct_specification

from TumorSegLib.errors import Cancelled
from TumorSegLib.image.grid import Grid, runs_within
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.postprocessing import postprocess
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.inference.slice_plan import EverySlice, OrganSlices, plan_of
from TumorSegLib.model.postprocessing import KeepLargest, RemoveSmall

SEARCHED = (KeepLargest(1, search_mm=15.0), RemoveSmall(2, millilitres=0.001))


def blobs(seed, height):
    """Return labels of uneven pieces of about a height, some of which touch; 2 is a part of 1."""
    rng = np.random.default_rng(seed)
    shape = (rng.integers(20, 120), 24, 20)
    sigma = (height * rng.uniform(0.5, 1.5), 2.5, 2.5)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), sigma)
    whole = field > np.quantile(field, rng.uniform(0.6, 0.99))
    part = ndimage.gaussian_filter(rng.standard_normal(shape), 2) > 0
    return np.where(whole, np.where(part, 2, 1), 0).astype(np.uint8)


def largest(labels, given):
    kept = labels.copy()
    postprocess(kept, [KeepLargest(1)], voxel_ml=1, labels=given)
    return kept


def ran(plan, labels, target):
    """Let slices of `labels` appear in `target` as they are handed out; return which, in order."""
    slices = []
    for part in plan:
        assert part.tolist() == sorted(part.tolist())
        assert len(part)
        target[part] = labels[part]
        slices += part.tolist()
    assert len(set(slices)) == len(slices) == plan.total
    return slices


@pytest.mark.parametrize("step", [2, 3, 7, 15])
def test_the_largest_component_is_the_same_and_slices_without_it_do_not_run(step):
    given = ct_specification().labels
    shares = []
    for seed in range(60):
        labels = blobs(seed, step)
        found = np.zeros_like(labels)
        slices = ran(OrganSlices(found, (1, 2), step), labels, found)
        np.testing.assert_array_equal(largest(found, given), largest(labels, given), f"{seed}")
        shares.append(len(slices) / len(labels))
    assert min(shares) < 1


def test_a_thin_bridge_is_followed_from_gap_to_gap():
    labels = np.zeros((62, 30, 30), np.uint8)
    labels[2:20, 3:25, 3:25] = 1
    for z in range(20, 62):
        labels[z, 10, 10 + z // 4] = 1  # on no slice that runs first does it touch the one before
    found = np.zeros_like(labels)
    ran(OrganSlices(found, (1,), 10), labels, found)
    np.testing.assert_array_equal(found, labels)


def test_a_component_at_the_last_slices_is_found():
    labels = np.zeros((38, 10, 10), np.uint8)
    labels[36:, 2:8, 2:8] = 1
    found = np.zeros_like(labels)
    ran(OrganSlices(found, (1,), 12), labels, found)
    np.testing.assert_array_equal(found, labels)


def test_where_there_is_no_organ_only_the_first_look_runs():
    labels = np.zeros((31, 8, 8), np.uint8)
    assert ran(OrganSlices(labels, (1,), 10), labels, labels) == [0, 10, 20, 30]


def test_thick_slices_and_other_models_run_all():
    labels = np.zeros((90, 4, 4), np.uint8)
    searching = ct_specification(postprocessing=SEARCHED)
    assert isinstance(plan_of(searching, labels, 7.5), OrganSlices)
    assert isinstance(plan_of(searching, labels, 8.0), EverySlice)
    assert isinstance(plan_of(ct_specification(), labels, 1.0), EverySlice)
    assert isinstance(
        plan_of(ct_specification(postprocessing=(KeepLargest(1),)), labels, 1.0), EverySlice
    )


def test_only_what_includes_all_labels_is_searched():
    with pytest.raises(ValueError, match="does not include label 1, which may lie where it is not"):
        ct_specification(postprocessing=(KeepLargest(2, search_mm=15.0),))


def test_a_header_that_says_too_thin_slices_does_not_hide_an_organ():
    labels = np.zeros((64, 8, 8), np.uint8)
    labels[40:50, 2:6, 2:6] = 1
    found = np.zeros_like(labels)
    plan = plan_of(ct_specification(postprocessing=SEARCHED), found, 0.01)
    ran(plan, labels, found)
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("millimetres", [-1.0, 101.0, float("nan")])
def test_an_impossible_distance_is_refused(millimetres):
    with pytest.raises(ValueError, match="search_mm .* is not within 0 and 100"):
        KeepLargest(1, search_mm=millimetres)


def test_runs_of_consecutive_slices():
    assert runs_within(np.array([0, 1, 2, 5, 7, 8])) == [(0, 3), (5, 6), (7, 9)]
    assert runs_within(np.array([], np.intp)) == []


PARTED = [{**LIVER, "includes": [2]}, LIVER_TUMOUR]
KEPT = {"kind": "keep_largest", "label": 1}


def scan(*bright):
    """Return a CT of 80 slices, 3 mm apart, with a bright box on some runs of slices."""
    voxels = np.full((80, 32, 32), -50, np.float32)
    voxels += np.random.default_rng(0).normal(0, 5, voxels.shape)
    for start, stop in bright:
        voxels[start:stop, 8:24, 6:20] = 200
    return Volume(voxels, Grid(voxels.shape, (4.0, 4.0, 3.0)), "CT", "scan")


def segmenter(folder, search_mm, **options):
    steps = [{**KEPT, "search_mm": search_mm}]
    bundle = write_ct_model(folder, f"bright-{search_mm:g}", labels=PARTED, postprocessing=steps)
    return Segmenter(bundle, device="cpu", precision="fp32", **options)


@pytest.mark.parametrize("bright", [[(12, 25)], [(0, 3), (20, 31)], [(78, 80)], []])
def test_a_run_on_the_organs_slices_gives_what_a_run_on_all_gives(tmp_path, bright):
    volume = scan(*bright)
    whole = segmenter(tmp_path, 0.0).segment(volume)
    searched = segmenter(tmp_path, 15.0).segment(volume)
    assert whole.labelmap.any() == bool(bright)
    np.testing.assert_array_equal(searched.labelmap, whole.labelmap)
    organ = whole.labelmap > 0
    np.testing.assert_array_equal(searched.probabilities[:, organ], whole.probabilities[:, organ])
    assert [one.area_mm2 for one in searched.slices] == [one.area_mm2 for one in whole.slices]
    assert "slices" not in whole.settings
    ran, of = map(int, re.match(r"(\d+) of (\d+), ", searched.settings["slices"]).groups())
    assert ran < of == 80


def test_what_arrays_held_before_is_gone_and_whoever_listens_hears_of_every_slice(tmp_path):
    model = segmenter(tmp_path, 15.0)
    labelmap = np.full((80, 32, 32), 9, np.uint8)
    probabilities = np.full((2, 80, 32, 32), 9, np.uint8)
    heard, progress = [], []
    result = model.segment(
        scan((12, 25)),
        labelmap=labelmap,
        probabilities=probabilities,
        on_slices=lambda start, stop: heard.extend(range(start, stop)),
        progress=lambda *numbers: progress.append(numbers),
    )
    assert set(np.unique(labelmap)) == {0, 2}
    assert not probabilities[:, [1, 77]].any()
    assert heard[:17] == [*range(0, 80, 5), 79]
    assert sorted(heard) == sorted({*range(0, 80, 5), 79, *range(10, 25)})
    assert progress[0] == (1, 80)
    assert progress[-1] == (len(heard), len(heard))
    assert result.settings["slices"].startswith(f"{len(heard)} of 80")


def test_progress_comes_to_its_end_where_there_is_no_organ(tmp_path):
    progress = []
    model = segmenter(tmp_path, 15.0)
    model.segment(scan(), progress=lambda *numbers: progress.append(numbers))
    assert progress[-1] == (17, 17)


def test_chosen_slices_and_what_they_show_alone_are_not_searched(tmp_path):
    model = segmenter(tmp_path, 15.0)
    heard = []
    model.segment(
        scan((12, 25)),
        slices=range(11, 14),
        on_slices=lambda start, stop: heard.extend(range(start, stop)),
    )
    assert heard == [11, 12, 13]
    assert len(model.detect(scan((12, 25))).probabilities) == 80


def test_a_search_can_be_cancelled(tmp_path):
    asked = iter([False, False, True])
    with pytest.raises(Cancelled):
        segmenter(tmp_path, 15.0).segment(scan((12, 25)), cancelled=lambda: next(asked))
