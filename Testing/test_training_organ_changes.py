from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import BRAIN_INPUT, CT_INPUT, brain_specification, ct_specification

from tumorseg_training.augmentation import augmentation
from tumorseg_training.config import Augmentation
from tumorseg_training.lesion_augmentation import PaintLesions, PaintMimics, ShiftOrgan
from TumorSegLib.errors import InputError


def abdomen(slices: int = 3) -> dict[str, Any]:
    mask = torch.zeros(1, 96, 96)
    mask[:, 20:80, 10:60] = 1
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.02, (slices, 96, 96)))
    return {"image": (0.3 + 0.3 * mask + noise).float(), "mask": mask}


def painted(seed: int) -> tuple[dict[str, Any], dict[Any, Any]]:
    paint = PaintLesions(ct_specification(), 1.0)
    paint.R = np.random.RandomState(seed)
    return abdomen(), paint(abdomen())


def test_lesions_lie_in_the_organ_and_differ_from_it() -> None:
    darker = 0
    for seed in range(20):
        before, after = painted(seed)
        lesion = after["mask"] == 2
        assert ((before["mask"] == 1) | ~lesion).all()
        assert ((after["mask"] == 1) | lesion).equal(before["mask"] == 1)
        outside = (before["mask"] == 0).expand(3, -1, -1)
        torch.testing.assert_close(after["image"][outside], before["image"][outside])
        if lesion.sum() >= 25:
            darker += bool(after["image"][1][lesion[0]].mean() < 0.57)
        untouched = (after["image"] == before["image"]).float().mean()
        assert 0.5 < untouched < 1
        assert after["image"].min() >= 0
        assert after["image"].max() <= 1
    assert darker >= 8


def test_a_seed_repeats_the_lesions_and_the_input_stays() -> None:
    before, after = painted(3)
    again = painted(3)[1]
    torch.testing.assert_close(after["image"], again["image"], rtol=0, atol=0)
    torch.testing.assert_close(before["image"], abdomen()["image"], rtol=0, atol=0)


def test_lesions_fit_into_an_organ_at_the_border() -> None:
    paint = PaintLesions(ct_specification(), 1.0)
    everywhere = {"image": torch.full((3, 40, 60), 0.5), "mask": torch.ones(1, 40, 60)}
    for seed in range(30):
        paint.R = np.random.RandomState(seed)
        assert (paint(everywhere)["mask"] == 2).any()


def test_slices_without_the_organ_stay_as_they_are() -> None:
    paint = PaintLesions(ct_specification(), 1.0)
    empty = {**abdomen(), "mask": torch.zeros(1, 96, 96)}
    assert paint(empty)["image"] is empty["image"]


def mimicked(seed: int, data: dict[str, Any]) -> dict[Any, Any]:
    paint = PaintMimics(ct_specification(), 1.0)
    paint.R = np.random.RandomState(seed)
    return paint(data)


def test_mimics_reach_into_the_organ_as_background() -> None:
    cut, outside = 0, 0
    for seed in range(20):
        before, after = abdomen(), mimicked(seed, abdomen())
        gone = (before["mask"] == 1) & (after["mask"] == 0)
        assert (gone | (after["mask"] == before["mask"])).all()
        changed = (after["image"] != before["image"])[1]
        cut += bool(gone.any())
        outside += bool((changed & (before["mask"][0] == 0)).any())
        if gone.sum() >= 25:
            change = (after["image"] - before["image"])[1][gone[0]]
            assert change.abs().mean() > 0.08
        assert 0 <= after["image"].min() <= after["image"].max() <= 1
    assert cut >= 15
    assert outside >= 15


def test_mimics_leave_lesions_alone() -> None:
    data = abdomen()
    data["mask"][:, 20:80, 10:60][:, ::4] = 2
    lesions = (data["mask"] == 2).clone()
    for seed in range(20):
        assert ((mimicked(seed, data)["mask"] == 2) == lesions).all()


def test_mimics_fit_beside_an_organ_that_fills_the_slice() -> None:
    everywhere = {"image": torch.full((3, 40, 60), 0.5), "mask": torch.ones(1, 40, 60)}
    for seed in range(30):
        after = mimicked(seed, everywhere)
        assert torch.isfinite(after["image"]).all()
        assert (after["image"] != everywhere["image"]).any()


def test_an_organ_shifts_by_itself() -> None:
    shifts = []
    for seed in range(10):
        shift = ShiftOrgan(ct_specification(), 1.0, 50)
        shift.R = np.random.RandomState(seed)
        after = shift(abdomen())
        change = after["image"] - abdomen()["image"]
        torch.testing.assert_close(change[:, :16], torch.zeros(3, 16, 96))
        organ = change[:, 30:70, 20:50]
        assert organ.std() < 0.01
        shifts.append(float(organ.mean()) * 200)
    assert -50 <= min(shifts) < 0 < max(shifts) <= 50


def test_lesions_need_an_organ_and_units() -> None:
    with pytest.raises(InputError, match="no label includes another"):
        augmentation(Augmentation(lesions=0.5), brain_specification(), 64)
    units = replace(CT_INPUT, normalisation=BRAIN_INPUT.normalisation)
    other = ct_specification(input=units)
    with pytest.raises(InputError, match="normalisation window"):
        augmentation(Augmentation(lesions=0.5), other, 64)
