"""Which MRI sequence a name or a header's times tell."""

from __future__ import annotations

import pytest

from TumorSegLib.image.sequence_names import sequence_by_header, sequence_of, without_sequence

NAMES = {
    "flair": [
        *("FLAIR", "Ax T2 FLAIR", "T2_TIRM_DARK-FLUID", "t2_space_dark-fluid_sag", "FLAIR +C"),
        *("T2 FLAIR POST CONTRAST", "flair_in_t1_space", "flair_to_t1c", "P1_flair"),
        *("sub-1_space-T1w_FLAIR", "sub-1_ses-T1_FLAIR"),
    ],
    "t1": [
        *("Ax T1 FLAIR", "T1FLAIR", "sT1W_FLAIR", "t1_tirm_tra_dark-fluid", "T1 FSE FLAIR"),
        *("T1 CUBE", "T1 COR", "T1_CS", "T1 C-SPINE", "T1w", "MPRAGE", "pre contrast"),
        *("T1 pre contrast", "T1 w/o contrast", "T1 WITHOUT GAD", "T1 ohne KM", "T1 vor KM"),
        *("T1 POST FOSSA", "T1 post op", "t1_postop", "T1 non-contrast", "T1 PRE GAD"),
    ],
    "t1c": [
        *("Ax T1 FLAIR +C", "t1c", "t1ce", "T1-ce", "t1gd", "t1w_ce", "t1_km", "T1 contrast"),
        *("T1 SE post GAD", "T1 FS POST", "T1 +C", "T1+C", "T1 Gadovist", "AX T1 FSE+GD"),
        *("t1_mpr_tra_KM", "T1 TRA FS C+", "mprage gd", "MPRAGE POST", "POST AX T1 FS"),
        *("sub-01_ce-gadolinium_T1w", "post contrast", "t1c_to_t2"),
    ],
    "t2": ["t2", "AX T2 FSE", "T2 +C", "t2w"],
    None: ["", "ct_1", "t2star", "head", "post"],
}


@pytest.mark.parametrize(
    ("name", "sequence"), [(name, sequence) for sequence, names in NAMES.items() for name in names]
)
def test_a_name_tells_a_sequence(name, sequence):
    assert sequence_of(name) == sequence


def test_names_that_differ_in_the_sequence_alone_are_alike_without_it():
    names = ("P1_flair", "P1_t1", "P1_t1ce", "P1_t1_post_contrast", "P1_t2", "P1_t1+c")
    assert {without_sequence(name) for name in names} == {"P1_"}
    assert without_sequence("P1 T1 tra KM 2") == "P1  tra  2"


@pytest.mark.parametrize(
    ("description", "times", "sequence"),
    [
        ("Sag FLAIR", (10, 2200, 860), "t1"),
        ("Sag FLAIR +C", (10, 2200, 860), "t1c"),
        ("Ax GAD", (9, 500, None), "t1c"),
        ("Ax FLAIR", (120, 9000, 2500), "flair"),
        ("Ax FLAIR", (120, 9000, None), "flair"),
        ("Ax FLAIR", (None, None, None), "flair"),
        ("Ax FLAIR", (40, 9000, 2500), "flair"),
        ("pre contrast", (100, 4000, None), "t2"),
        ("Ax T2 GRE", (20, 600, None), "t2"),
        ("T1 +C", (10, 500, None), "t1c"),
        ("Kopf", (120, 9000, 2500), "flair"),
    ],
)
def test_times_that_contradict_a_description_are_believed(description, times, sequence):
    assert sequence_by_header(description, *times) == sequence
