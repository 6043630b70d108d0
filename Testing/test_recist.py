"""Response by RECIST 1.1, computed by hand from the paper's rules."""

from __future__ import annotations

import numpy as np
import pytest

from TumorSegLib.image.grid import Grid
from TumorSegLib.measurement.follow_up import follow_up
from TumorSegLib.measurement.lesion_matching import Lesions
from TumorSegLib.measurement.recist import assess, categorised, target_lesions

GRID = Grid((3, 240, 120), (1.0, 1.0, 2.5))


def lesions(*lengths):
    """One lesion for each length in mm, 20 mm from the next; 0: none there."""
    mask = np.zeros(GRID.shape, np.bool_)
    for index, length in enumerate(lengths):
        mask[1, 5 + 20 * index, 5 : 5 + length] = True
    return Lesions.of(mask, GRID)


def changed(before, after):
    return follow_up(lesions(*before), lesions(*after))


def category(before, after):
    return assess({"Liver": changed(before, after)}, slice_mm=2.5).category


@pytest.mark.parametrize(
    ("baseline", "nadir", "current", "expected"),
    [
        (100, 100, 0, "CR"),
        (100, 100, 70, "PR"),  # a decrease of 30 % at least
        (100, 100, 70.1, "SD"),
        (100, 100, 119.9, "SD"),
        (100, 100, 120, "PD"),  # an increase of 20 % at least
        (100, 50, 60, "PD"),  # against the smallest sum, though 40 % below the baseline
        (100, 50, 59.9, "PR"),
        (100, 20, 24, "PR"),  # 20 %, but 4 mm: no progression
        (100, 20, 25, "PD"),  # 25 % and 5 mm
        (22, 22, 26.9, "SD"),  # 22 %, but 4.9 mm
        (60, 33, 40, "PD"),
        (60, 33, 39, "PR"),  # 18 %
        (50, 50, 55, "SD"),  # 5 mm, but 10 %
        (100, 0, 6, "PD"),  # back after a complete response
        (100, 0, 3, "PD"),
    ],
)
def test_target_lesions(baseline, nadir, current, expected):
    assert categorised(baseline, nadir, current, targets=2) == expected


@pytest.mark.parametrize(
    ("current", "others_now", "new", "expected"),
    [
        (0, 0, 0, "CR"),
        (0, 1, 0, "PR"),  # targets gone, others not
        (0, 0, 1, "PD"),  # a new lesion is progression whatever the rest does
        (60, 1, 0, "PR"),
        (60, 1, 1, "PD"),
        (100, 3, 0, "SD"),
    ],
)
def test_other_and_new_lesions(current, others_now, new, expected):
    found = categorised(100, 100, current, targets=2, others=3, others_now=others_now, new=new)
    assert found == expected


@pytest.mark.parametrize(
    ("others", "others_now", "new", "expected"),
    [(2, 1, 0, "Non-CR/non-PD"), (2, 0, 0, "CR"), (2, 2, 1, "PD"), (0, 0, 0, "NE")],
)
def test_without_target_lesions(others, others_now, new, expected):
    found = categorised(0, 0, 0, targets=0, others=others, others_now=others_now, new=new)
    assert found == expected


def test_the_largest_two_of_an_organ_and_five_in_all():
    organs = {
        "Liver": changed((50, 40, 30), ()),
        "Lung": changed((60, 12), ()),
        "Brain": changed((9, 20), ()),
        "Kidney": changed((15,), ()),
    }
    chosen = [(target.organ, target.mm) for target in target_lesions(organs, 2.5)]
    assert chosen == [("Lung", 60), ("Liver", 50), ("Liver", 40), ("Brain", 20), ("Kidney", 15)]


@pytest.mark.parametrize(
    ("slice_mm", "expected"), [(1.0, [12, 10]), (5.0, [12, 10]), (5.5, [12]), (7.0, [])]
)
def test_lesions_must_be_measurable(slice_mm, expected):
    """10 mm, and twice the distance of slices that are thicker than 5 mm."""
    found = target_lesions({"Liver": changed((12, 10, 9), ())}, slice_mm)
    assert [target.mm for target in found] == expected


def test_from_masks():
    assert category((40, 20), (28, 14)) == "PR"  # 60 to 42 mm
    assert category((40, 20), (28, 15)) == "SD"  # to 43
    assert category((40, 20), (45, 27)) == "PD"  # to 72
    assert category((40, 20), (45, 26)) == "SD"
    assert category((40, 20), (0, 0)) == "CR"
    assert category((40, 20), (40, 20, 6)) == "PD"
    assert category((40, 20, 15), (0, 0, 15)) == "PR"  # the third is no target, and stays
    assert category((40, 20, 15), (0, 0, 0)) == "CR"
    assert category((8, 9), (8, 9)) == "Non-CR/non-PD"
    assert category((8, 9), ()) == "CR"
    assert category((), ()) == "NE"
    assert category((), (12,)) == "PD"


def test_fragments_are_summed_and_merged_lesions_count_once():
    whole = np.zeros(GRID.shape, np.bool_)
    whole[1, 5, 5:55] = True
    parts = whole.copy()
    parts[1, 5, 20:30] = False  # 15 and 25 mm are left
    one, two = Lesions.of(whole, GRID), Lesions.of(parts, GRID)
    split = assess({"Liver": follow_up(one, two)}, slice_mm=2.5)
    assert (split.baseline_mm, split.current_mm, split.category) == (50, 40, "SD")
    merged = assess({"Liver": follow_up(two, one)}, slice_mm=2.5)
    assert (merged.baseline_mm, merged.current_mm, merged.category) == (40, 50, "PD")


def test_the_arithmetic_is_shown():
    found = assess({"Liver": changed((40, 20, 15), (30, 12, 15, 6))}, slice_mm=2.5)
    assert found.text.splitlines() == [
        "RECIST 1.1, computed from the table: PD (progressive disease)",
        "Target lesions at baseline: Liver 1 (40.0 mm), Liver 2 (20.0 mm)",
        "Sum at baseline: 40.0 + 20.0 = 60.0 mm",
        "Sum now: 30.0 + 12.0 = 42.0 mm",
        "Against the baseline: 42.0 - 60.0 = -18.0 mm (-30.0 %); response from -30 %",
        "Against the earlier image, taken as the smallest sum: 42.0 - 60.0 = -18.0 mm (-30.0 %);"
        " progression from +20 % and +5 mm",
        "New lesions: Liver 4 (6.0 mm)",
        "Other lesions: 1 at baseline, 1 of them still there",
        "For the reader: whether new lesions are real, whether others have progressed, whether the"
        " sum was smaller between",
    ]


def test_without_targets_the_text_says_so():
    found = assess({"Liver": changed((8,), (9,))}, slice_mm=2.5)
    assert "Target lesions at baseline: none" in found.text
    assert "Sum" not in found.text
