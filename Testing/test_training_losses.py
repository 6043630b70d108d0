from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tumorseg_training.config import Optimisation, Tversky
from tumorseg_training.losses import build_loss
from tumorseg_training.optimisers import build_optimiser, build_schedule

SETTINGS = Optimisation(epochs=1)


def loss_value(name: Any, logits: Tensor, targets: Tensor, activation: str, **more: Any) -> float:
    return float(build_loss(replace(SETTINGS, loss=name, **more), activation)(logits, targets))


@pytest.fixture
def sigmoid_batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 9, 7, generator=generator)
    return logits, (torch.rand(3, 2, 9, 7, generator=generator) > 0.6).float()


@pytest.fixture
def softmax_batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 3, 9, 7, generator=generator)
    classes = torch.randint(0, 3, (3, 9, 7), generator=generator)
    return logits, torch.nn.functional.one_hot(classes, 3).movedim(-1, 1).float()


def test_bce_weights_classes(sigmoid_batch: tuple[Tensor, Tensor]) -> None:
    logits, targets = sigmoid_batch
    p = logits.sigmoid()
    by_class = -(targets * p.log() + (1 - targets) * (1 - p).log()).mean(dim=(0, 2, 3))
    assert loss_value("bce", logits, targets, "sigmoid") == pytest.approx(float(by_class.mean()))
    weighted = float((by_class * torch.tensor([3.0, 0.5])).mean())
    found = loss_value("bce", logits, targets, "sigmoid", class_weights=(3.0, 0.5))
    assert found == pytest.approx(weighted, rel=1e-5)


def test_cross_entropy(softmax_batch: tuple[Tensor, Tensor]) -> None:
    logits, targets = softmax_batch
    expected = -(targets * logits.log_softmax(dim=1)).sum(dim=1).mean()
    assert loss_value("ce", logits, targets, "softmax") == pytest.approx(float(expected), rel=1e-5)


def overlaps(p: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    both = (p * g).sum(dim=(0, 2, 3))
    return both, (p * (1 - g)).sum(dim=(0, 2, 3)), ((1 - p) * g).sum(dim=(0, 2, 3))


def test_dice_is_over_the_batch_and_leaves_background_out(
    sigmoid_batch: tuple[Tensor, Tensor], softmax_batch: tuple[Tensor, Tensor]
) -> None:
    logits, targets = sigmoid_batch
    both, false, missed = overlaps(logits.sigmoid(), targets)
    expected = 1 - (2 * both / (2 * both + false + missed)).mean()
    found = loss_value("dice", logits, targets, "sigmoid")
    assert found == pytest.approx(float(expected), rel=1e-4)
    logits, targets = softmax_batch
    both, false, missed = overlaps(logits.softmax(dim=1)[:, 1:], targets[:, 1:])
    expected = 1 - (2 * both / (2 * both + false + missed)).mean()
    found = loss_value("dice", logits, targets, "softmax")
    assert found == pytest.approx(float(expected), rel=1e-4)


def test_focal_tversky_is_the_papers(sigmoid_batch: tuple[Tensor, Tensor]) -> None:
    logits, targets = sigmoid_batch
    both, false, missed = overlaps(logits.sigmoid(), targets)
    index = both / (both + 0.7 * missed + 0.3 * false)
    found = loss_value("tversky", logits, targets, "sigmoid")
    assert found == pytest.approx(float((1 - index).mean()), rel=1e-4)
    found = loss_value("focal_tversky", logits, targets, "sigmoid")
    assert found == pytest.approx(float(((1 - index) ** 0.75).mean()), rel=1e-4)


def test_missed_voxels_cost_more_than_false_ones() -> None:
    targets = torch.zeros(1, 1, 4, 4)
    targets[..., :2] = 1
    bold, shy = torch.full((1, 1, 4, 4), 8.0), torch.full((1, 1, 4, 4), -8.0)
    bold[..., 3], shy[..., 0] = -8.0, 8.0  # a column too many, a column too few
    asymmetric = {"tversky": Tversky(0.1, 0.9)}
    too_much = loss_value("tversky", bold, targets, "sigmoid", **asymmetric)
    too_little = loss_value("tversky", shy, targets, "sigmoid", **asymmetric)
    assert too_little > 2 * too_much


def test_sums_of_losses(
    sigmoid_batch: tuple[Tensor, Tensor], softmax_batch: tuple[Tensor, Tensor]
) -> None:
    for name, batch, activation in (
        ("bce+dice", sigmoid_batch, "sigmoid"),
        ("ce+dice", softmax_batch, "softmax"),
    ):
        parts = sum(loss_value(part, *batch, activation) for part in name.split("+"))
        assert loss_value(name, *batch, activation) == pytest.approx(parts)


@pytest.mark.parametrize("name", ["ce", "dice", "ce+dice", "tversky", "focal_tversky"])
@pytest.mark.parametrize("class_weights", [None, (0.5, 1.0, 2.0)])
def test_pixels_of_no_class_do_not_count(
    softmax_batch: tuple[Tensor, Tensor], name: Any, class_weights: tuple[float, ...] | None
) -> None:
    logits, targets = softmax_batch
    weighted = {"class_weights": class_weights}
    alone = loss_value(name, logits[..., :4], targets[..., :4], "softmax", **weighted)
    targets[..., 4:] = 0
    logits.requires_grad_()
    loss = build_loss(replace(SETTINGS, loss=name, class_weights=class_weights), "softmax")(
        logits, targets
    )
    assert loss.item() == pytest.approx(alone, rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert logits.grad[..., :4].abs().min() > 0
    assert not logits.grad[..., 4:].any()


def test_a_batch_in_which_nothing_counts_has_a_loss(softmax_batch: tuple[Tensor, Tensor]) -> None:
    logits, targets = softmax_batch
    assert loss_value("ce", logits, 0 * targets, "softmax") == 0


@pytest.mark.parametrize("name", ["bce", "dice", "bce+dice", "tversky", "focal_tversky"])
def test_every_loss_has_a_finite_slope_at_perfection_and_at_emptiness(name: str) -> None:
    for targets in (torch.zeros(2, 1, 8, 8), torch.ones(2, 1, 8, 8)):
        logits = torch.where(targets > 0, 30.0, -30.0).requires_grad_()
        build_loss(replace(SETTINGS, loss=name), "sigmoid")(logits, targets).backward()  # type: ignore[arg-type, no-untyped-call]
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", ["bce", "bce+dice", "tversky", "focal_tversky"])
def test_nothing_is_learnt_where_no_answer_is_known(
    name: Any, sigmoid_batch: tuple[Tensor, Tensor]
) -> None:
    logits, targets = sigmoid_batch
    targets[0, 1] = -1
    targets[1, :, :4] = -1
    logits.requires_grad_()
    build_loss(replace(SETTINGS, loss=name), "sigmoid")(logits, targets).backward()
    slope = logits.grad
    assert slope is not None
    assert not slope[targets < 0].any()
    assert slope[targets >= 0].count_nonzero() > 0.9 * (targets >= 0).sum()


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_every_optimiser_minimises(name: Any) -> None:
    weight = torch.nn.Parameter(torch.tensor([3.0]))
    settings = replace(SETTINGS, optimiser=name, learning_rate=0.1)
    optimiser = build_optimiser(settings, [weight])
    for _ in range(100):
        optimiser.zero_grad()
        (weight**2).sum().backward()
        optimiser.step()
    assert abs(weight.item()) < 0.2


def rates(name: Any, steps: int = 100, warm_up: float = 0.2) -> list[float]:
    settings = replace(SETTINGS, schedule=name, warm_up=warm_up, learning_rate=1.0)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0, momentum=0.9)
    schedule = build_schedule(settings, optimiser, steps)
    found = []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


@pytest.mark.parametrize("name", ["onecycle", "cosine", "poly"])
def test_schedules_rise_then_fall_to_nothing(name: str) -> None:
    found = np.array(rates(name))
    peak = int(found.argmax())
    assert 18 <= peak <= 21
    assert found[peak] == pytest.approx(1.0, abs=0.01)
    assert (np.diff(found[: peak + 1]) > 0).all()
    assert (np.diff(found[peak:]) <= 0).all()
    assert found[-1] < 0.03


def test_poly_is_steeper_at_the_end_than_cosine() -> None:
    assert rates("poly")[-5] > rates("cosine")[-5]
    assert rates("constant")[20:] == [1.0] * 80
