from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from synthetic_data import write_config, write_nnunet

from tumorseg_training.config import read_config
from tumorseg_training.datasets import select_cases
from tumorseg_training.patient_folds import folds_of
from tumorseg_training.sampling import EpochSampler, balanced_popularity, draw_weights
from TumorSegLib.errors import InputError


def test_drawn_folds_share_out_every_patient_once() -> None:
    patients = [f"p{index}" for index in range(13)]
    folds = folds_of(5, patients)
    assert sorted(patient for fold in folds.values() for patient in fold) == sorted(patients)
    assert {len(fold) for fold in folds.values()} == {2, 3}
    assert folds_of(5, reversed(patients)) == folds


def test_fewer_patients_than_folds_is_an_error() -> None:
    with pytest.raises(InputError, match="5 folds of 2 patients"):
        folds_of(5, ["a", "b", "a"])


def test_folds_of_groups_keep_a_patients_cases_together(tmp_path: Path) -> None:
    path = tmp_path / "volumes.json"
    path.write_text(
        json.dumps(
            {
                "7": {"group": "7-8", "fold": 1},
                "8": {"group": "7-8", "fold": 1},
                "9": {"group": "9", "fold": 0},
            }
        )
    )
    assert folds_of(str(path), ["7-8", "9"]) == {"fold0": {"9"}, "fold1": {"7-8"}}


def test_a_patient_in_two_folds_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    path.write_text(json.dumps({"fold0": ["a"], "fold1": ["a", "b"]}))
    with pytest.raises(InputError, match="patient a is in fold0 and in fold1"):
        folds_of(str(path), ["a", "b"])


def test_folds_without_anybody_in_the_data_set_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    path.write_text(json.dumps({"fold0": ["a"], "fold1": ["b"]}))
    with pytest.raises(InputError, match="none for fold1"):
        folds_of(str(path), ["a"])


def test_several_folds_are_kept_aside_together(tmp_path: Path) -> None:
    path = write_config(tmp_path, write_nnunet(tmp_path / "data", 4))
    parts = [
        select_cases(read_config(path, [f"data.validate={fold}"])).split
        for fold in ("fold0", "fold2", "fold0+fold2")
    ]
    assert parts[2]["validation"] == sorted(parts[0]["validation"] + parts[1]["validation"])
    assert set(parts[2]["training"]) == set(parts[0]["training"]) & set(parts[1]["training"])
    with pytest.raises(InputError, match=r"data\.validate: found 'fold7', folds are fold0, fold1"):
        select_cases(read_config(path, ["data.validate=fold0+fold7"]))


def test_draws_have_the_wanted_shares() -> None:
    foreground = np.arange(1000) % 10 == 0
    synthetic = np.arange(1000) >= 800
    weights = draw_weights(foreground.astype(float), 0.6, synthetic, 0.25)
    places = np.array([draw.place for draw in EpochSampler(weights, 1000, 20000, seed=1)])
    assert foreground[places].mean() == pytest.approx(0.6, abs=0.02)
    assert synthetic[places].mean() == pytest.approx(0.25, abs=0.02)


def test_balanced_draws_show_rare_structures_and_small_cases() -> None:
    organ = np.arange(1000) < 500
    tumour = np.isin(np.arange(1000), [10, 11, 12, 13, 400])  # four slices of case 0, one of case 1
    cases = np.where(np.arange(1000) < 250, 0, 1)
    popularity = balanced_popularity(np.stack([organ, tumour], axis=1), cases)
    weights = draw_weights(popularity, 0.8, np.zeros(1000, np.bool_), 0.0)
    places = np.array([draw.place for draw in EpochSampler(weights, 1000, 20000, seed=1)])
    assert organ[places].mean() == pytest.approx(0.8, abs=0.02)
    assert tumour[places].mean() == pytest.approx(0.4, abs=0.03)
    shown_alone = (places == 400).sum() / np.isin(places, [10, 11, 12, 13]).sum()
    assert shown_alone == pytest.approx(0.5, abs=0.1)


def test_without_shares_every_slice_is_drawn_once() -> None:
    nothing = np.zeros(50, np.bool_)
    assert draw_weights(nothing.astype(float), None, nothing, 0.0) is None
    assert sorted(draw.place for draw in EpochSampler(None, 50, 50, seed=1)) == list(range(50))


def test_processes_share_one_epoch_and_epochs_differ() -> None:
    whole = EpochSampler(None, 40, 40, seed=3)
    parts = [EpochSampler(None, 40, 40, seed=3, rank=rank, processes=2) for rank in range(2)]
    for sampler in (whole, *parts):
        sampler.set_epoch(4)
    draws = list(whole)
    assert list(parts[0]) == draws[::2]
    assert list(parts[1]) == draws[1::2]
    whole.set_epoch(5)
    assert list(whole) != draws


@pytest.mark.parametrize("name", ["../../elsewhere", "/elsewhere", "..", "", "a/b"])
def test_a_folds_name_names_no_place(tmp_path, name):
    path = tmp_path / "folds.json"
    path.write_text(json.dumps({name: ["a"], "fold1": ["b"]}))
    with pytest.raises(InputError, match="expected letters, digits"):
        folds_of(str(path), ["a", "b"])
