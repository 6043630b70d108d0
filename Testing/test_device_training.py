"""The training on a GPU, here on a CPU with made-up heads of 64 x 64 pixels."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors import safe_open

pytest.importorskip("lightning")  # what trains is not installed with what segments

from tiny_models import BRAIN_INPUT, brain_specification

from tumorseg_training.device_training import brain, brain_augmentation, loop
from tumorseg_training.device_training.average import exponential
from tumorseg_training.device_training.brain_augmentation import Augmenter
from tumorseg_training.device_training.brain_draws import Draws
from tumorseg_training.device_training.brain_equalisation import (
    Histograms,
    apply_curves,
    curves,
    enlarged,
)
from tumorseg_training.device_training.brain_lesions import Painter
from tumorseg_training.device_training.brain_loss import overlap_loss
from tumorseg_training.device_training.brain_mask import DEPTH_STEPS, OUTLINE, brain_depth
from tumorseg_training.device_training.brain_pack import half_size, read_packs, write_pack
from tumorseg_training.device_training.brain_plans import PLANS, BrainStage, planned_runs, tiny
from tumorseg_training.device_training.brain_prediction import Examiner, dice, engine_of
from tumorseg_training.device_training.brain_runs import examples
from tumorseg_training.device_training.loop import Fitting, train
from tumorseg_training.device_training.saving import load_weights, save_weights
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.in_plane import FieldOfView, resize
from TumorSegLib.image.normalisation import HistogramEqualisation
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.bundle import write_bundle
from TumorSegLib.model.specification import Network
from TumorSegLib.networks import build_network

pytestmark = pytest.mark.slow

SIDE, SLICES = 64, 6
PATIENTS = ("a", "b", "c", "d")


def head(seed):
    """Images, mask, depth: scalp, bone, brain; a tumour bright on FLAIR on slices 2 and 3."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    radius = np.hypot(y, x * 1.15)
    flair = np.select([radius < 20, radius < 23, radius < 27], [90, 15, 140], 3.0)
    images = np.repeat(flair[None, None], SLICES, 0).repeat(3, 1)
    images[:, 1:] *= np.array([0.8, 0.7])[:, None, None]
    mask = np.zeros((SLICES, SIDE, SIDE), np.uint8)
    shift = random.integers(-8, 8, 2)
    mask[2:4] = np.hypot(y - shift[0], x - shift[1]) < 5
    images[:, 0] += 70 * mask
    images += random.normal(0, 3, images.shape)
    images = np.clip(images, 0, 255).astype(np.uint8)
    if seed == 1:
        images[:, 2] = images[:, 0]  # no sequence after contrast
    depth = brain_depth(half_size(images[:, 0]), half_size(mask) > 0)
    return images, mask, depth


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packs")
    heads = {name: head(seed) for seed, name in enumerate(PATIENTS)}
    write_pack(folder / "lgg-1.npz", {name: heads[name] for name in PATIENTS[:2]})
    write_pack(folder / "lgg-2.npz", {name: heads[name] for name in PATIENTS[2:]})
    images, mask, depth = head(9)
    write_pack(folder / "further-1.npz", {"other": (images[2:3], mask[2:3], depth[2:3])})
    folds = {"fold0": ["a", "b"], "fold1": ["c", "d"]}
    (folder / "folds.json").write_text(json.dumps(folds))
    return folder


@pytest.fixture(scope="module")
def heads(packs):
    return read_packs(packs, "lgg-*.npz")


def test_packs_hold_heads_nearly_as_they_are(heads):
    assert heads.names == PATIENTS
    assert heads.slices_of("b") == range(SLICES, 2 * SLICES)
    for seed, name in enumerate(PATIENTS):
        images, mask, depth = head(seed)
        part = heads.slices_of(name)
        found = heads.images[part.start : part.stop].numpy()
        assert np.abs(found.astype(int) - images).mean() < 3
        np.testing.assert_array_equal(heads.masks[part.start : part.stop], mask)
        np.testing.assert_array_equal(heads.depth[part.start : part.stop], depth)
    second = heads.images[heads.slices_of("b").start :]
    assert torch.equal(second[:SLICES, 2], second[:SLICES, 0])


def test_the_skull_lies_outside_the_brain_and_a_lesion_within():
    images, mask, depth = head(0)
    y, x = np.mgrid[: SIDE // 2, : SIDE // 2] * 2 - (SIDE - 2) / 2
    radius = np.hypot(y, x * 1.15)
    assert (depth[:, radius < 16] > OUTLINE).all()
    assert (depth[:, radius > 23] < OUTLINE).all()
    assert depth[0, 16, 16] > OUTLINE + 5 * DEPTH_STEPS
    at_the_skull = np.zeros_like(mask, np.bool_)
    at_the_skull[3, 30:34, 55:59] = True
    moved = brain_depth(half_size(images[:, 0]), half_size(at_the_skull) > 0)
    assert (moved[half_size(at_the_skull) > 0] > OUTLINE).all()
    nothing = np.zeros((2, 32, 32), np.float32)
    assert not brain_depth(nothing, nothing > 0).any()


def test_curves_are_the_ranks_that_inference_gives(heads):
    histogram = Histograms(heads).between(torch.tensor([6]), torch.tensor([12])).sum(2)
    images = heads.images[6:12]
    shown = apply_curves(images[None].float(), curves(histogram))[0]
    for channel in range(3):
        voxels = images[:, channel].numpy()
        ranks = HistogramEqualisation().fit(voxels).apply(voxels)
        heaviest = (
            np.bincount(voxels[voxels > voxels.mean()]).max() / (voxels > voxels.mean()).sum()
        )
        assert np.abs(shown[:, channel].numpy() - ranks).max() <= heaviest


def test_without_skull_the_histogram_is_that_of_the_brain_alone(heads):
    level = torch.tensor([1])
    histogram = Histograms(heads).between(torch.tensor([0]), torch.tensor([6]))
    found = brain_augmentation._without_skull(histogram, level, torch.tensor([True]))
    inside = enlarged(heads.depth[:6], SIDE) > brain_augmentation.LEVELS[1]
    for channel in range(3):
        stripped = heads.images[:6, channel] * inside
        expected = torch.bincount(stripped.ravel().int(), minlength=256).float()
        torch.testing.assert_close(found[0, channel], expected)


def test_fat_is_brightened_in_the_histogram_as_in_the_image(heads):
    histogram = Histograms(heads).between(torch.tensor([0]), torch.tensor([6]))
    found = brain_augmentation._with_fat(histogram, torch.tensor([1.5])).sum(2)[0, 0]
    outside = enlarged(heads.depth[:6], SIDE) < brain_augmentation.LEVELS[0]
    images = heads.images[:6, 0].float()
    brighter = torch.where(outside, (images * 1.5).clamp(max=255).round(), images)
    expected = torch.bincount(brighter.ravel().int(), minlength=256).float()
    torch.testing.assert_close(found, expected)


def test_image_mask_and_depth_are_sampled_alike(heads):
    torch.manual_seed(0)
    augmenter = Augmenter(heads, [SIDE], 1)
    data = augmenter.sizes[SIDE]
    marked = data.masks[:, None].expand(-1, 3, -1, -1) * 255
    stack = torch.tensor([[2, 2, 3], [8, 9, 9], [1, 2, 3]])
    grid = brain_augmentation.random_grids(3, SIDE, 48, torch.device("cpu"))
    images, depth, masks = brain_augmentation._sampled(replace(data, images=marked), stack, grid)
    assert images.shape == (3, 3, 3, 48, 48)
    assert depth.shape == (3, 3, 48, 48)
    torch.testing.assert_close(images[:, 1, 0] / 255, masks[:, 0])
    assert (depth[:, 1][masks[:, 0] > 0.9] > 0).all()


def test_matrices_turn_scale_and_mirror_within_limits():
    torch.manual_seed(0)
    matrices = brain_augmentation.random_matrices(2000, torch.device("cpu"))
    area = torch.linalg.det(matrices)
    assert 0.4 < (area < 0).float().mean() < 0.6
    assert area.abs().sqrt().min() > 1 / 1.3
    assert area.abs().sqrt().max() < 1.3


def test_a_batch_is_what_a_network_takes(heads):
    torch.manual_seed(0)
    augmenter = Augmenter(heads, [48], 1)
    draws = Draws(heads, PATIENTS, 0)
    slices, tumours = draws.batch(40, Painter.roomy(40))
    inputs, targets = augmenter.batch(slices, draws.tumours(Painter.pasted(40)), 48, 40, tumours)
    assert inputs.shape == (40, 9, 40, 40)
    assert targets.shape == (40, 1, 40, 40)
    assert torch.isfinite(inputs).all()
    assert inputs.min() >= 0
    assert inputs.max() <= 1
    assert set(targets.unique().tolist()) <= {0.0, 1.0}
    by_sequence = inputs.view(40, 3, 3, 40, 40)
    alone = (by_sequence[:, 1:] == by_sequence[:, :1]).flatten(1).all(1)
    assert 0.3 < alone.float().mean() < 0.8
    empty = targets[tumours:].flatten(1).sum(1) == 0
    assert 0 < empty.float().mean() < 1  # some had a lesion pasted or painted


def test_lesions_lie_in_the_brain_and_change_nothing_else(heads):
    torch.manual_seed(0)
    augmenter = Augmenter(heads, [SIDE], 1)
    slices = torch.zeros(40, dtype=torch.int64)
    images = torch.full((40, 3, 3, SIDE, SIDE), 0.4)
    depth = augmenter.sizes[SIDE].depth[slices][:, None].expand(-1, 3, -1, -1).float()
    masks = torch.zeros(40, 1, SIDE, SIDE)
    step = torch.ones(40, dtype=torch.int64)
    changes = augmenter.painter.paint(images, depth, masks, step, 0)
    painted = changes.masks.flatten(1).any(1)
    assert painted.sum() == round(0.08 * 40)
    assert not (changes.masks[:, 0] * (depth[:, 1] <= 0)).any()
    untouched = (changes.images == 0.4).flatten(1).all(1)
    assert torch.equal(untouched, ~painted)
    marked = changes.masks[:, 0] > 0
    assert (changes.images[:, 1, 0][marked] > 0.42).all()


def test_draws_keep_to_their_patients_and_give_each_a_turn(heads):
    draws = Draws(heads, ["b", "c"], 0)
    slices, tumours = draws.batch(400, 20)
    assert tumours == 200
    allowed = [*heads.slices_of("b"), *heads.slices_of("c")]
    assert set(slices.tolist()) <= set(allowed)
    shows = heads.masks.flatten(1).bool().any(1)[slices]
    assert shows[:tumours].all()
    assert not shows[tumours:].any()
    of_b = (slices[:tumours] < heads.slices_of("b").stop).float().mean()
    assert 0.4 < of_b < 0.6
    repeated, _ = Draws(heads, ["b", "c"], 0).batch(400, 20)
    assert torch.equal(slices, repeated)
    with pytest.raises(ValueError, match="0 patients have no slices with tumour"):
        Draws(heads, [], 0)


def test_the_loss_is_least_where_the_answer_is_right():
    targets = torch.zeros(2, 1, 16, 16)
    targets[0, 0, 4:12, 4:12] = 1
    right = overlap_loss(20 * targets - 10, targets)
    assert right < 0.05
    assert overlap_loss(10 - 20 * targets, targets) > 1.5
    small = targets.clone()
    small[1, 0, 2:4, 2:4] = 1  # found nothing of a small tumour: dearer than its pixels
    assert overlap_loss(20 * targets - 10, small) > right + 0.1


class Clock:
    """Every look at it takes its time."""

    def __init__(self, step):
        self.now, self.step = 0.0, step

    def monotonic(self):
        self.now += self.step
        return self.now


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr(loop, "time", Clock(30.0))


class Broken(Augmenter):
    """Every second batch is not finite."""

    calls = 0

    def batch(self, *arguments):
        inputs, targets = super().batch(*arguments)
        self.calls += 1
        return inputs * (float("nan") if self.calls % 2 == 0 else 1.0), targets


def test_a_step_that_is_not_finite_is_skipped_and_counted(heads, clock):
    network = torch.nn.Conv2d(9, 1, 3, padding=1)
    learned = train(
        network,
        (BrainStage(0.5, 32, 24, 10), BrainStage(1.0, 32, 32, 10)),
        partial(examples, Draws(heads, PATIENTS, 0), Broken(heads, [32], 1)),
        Fitting(1e-2, 0.0, 5.0, 0.1, 0.0, exponential(0.998)),
        device=torch.device("cpu"),
        seconds=600,
        log=lambda line: None,
    )
    assert learned.steps > 4
    assert learned.skipped == learned.steps // 2
    assert learned.images == 10 * learned.steps
    assert all(torch.isfinite(tensor).all() for tensor in learned.network.state_dict().values())


def test_weights_survive_in_several_files(tmp_path):
    network = build_network("U-Net", {"in_channels": 9, "out_channels": 1, "width": 4})
    paths = save_weights(network, tmp_path / "weights-x", most_bytes=100_000)
    assert len(paths) > 1
    assert all(path.stat().st_size < 120_000 for path in paths)
    other = build_network("U-Net", {"in_channels": 9, "out_channels": 1, "width": 4})
    load_weights(other, paths)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("size", [SIDE, 48])
@pytest.mark.parametrize("variant", ["all", "flair"])
def test_what_is_held_out_is_predicted_as_a_bundle_would(tmp_path, heads, size, variant):
    torch.manual_seed(0)
    network = build_network("U-Net", {"in_channels": 9, "out_channels": 1, "width": 4, "depth": 2})
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    network.eval()
    specification = brain_specification(
        input=replace(
            BRAIN_INPUT,
            in_plane=FieldOfView(size),
            normalisation=HistogramEqualisation(),
            context=1,
        ),
        network=Network("U-Net", {"in_channels": 9, "out_channels": 1, "width": 4, "depth": 2}),
        flips=True,
    )
    bundle = write_bundle(tmp_path / "held", specification, network, dtype="float32", card="")
    examiner = Examiner(heads, ["c"], torch.device("cpu"))
    found = examiner.predict(
        engine_of(network, torch.device("cpu")), "c", variant=variant, size=size, context=1
    )
    assert found.shape == (SLICES, size, size)

    part = heads.slices_of("c")
    images = heads.images[part.start : part.stop].numpy()
    grid = Grid((SLICES, SIDE, SIDE), (0.9, 0.9, 5.0))
    volumes = {
        name: Volume(np.ascontiguousarray(images[:, index]), grid, "MR", name)
        for index, name in enumerate(("flair", "t1", "t1c"))
    }
    if variant == "flair":
        volumes = {"flair": volumes["flair"]}
    expected = Segmenter(bundle, device="cpu", precision="fp32").segment(volumes).probabilities[0]
    shown = resize(torch.from_numpy(found).float(), (SIDE, SIDE)).numpy()
    assert expected.std() > 3
    assert np.abs(shown - expected).max() <= (0 if size == SIDE else 1)


def test_dice_of_a_head():
    mask = torch.zeros(2, 8, 8, dtype=torch.uint8)
    mask[0, 2:6, 2:6] = 1
    answer = np.zeros((2, 8, 8), np.uint8)
    assert dice(answer, mask * 0, 0.5) == 1
    assert dice(answer, mask, 0.5) == 0
    answer[0, 2:6, 2:4] = 120
    assert dice(answer, mask, 0.4) == pytest.approx(2 * 8 / 24)
    assert dice(answer, mask, 0.5) == 0


def test_runs_are_dealt_out_and_none_is_lost():
    folds = ["fold0", "fold1", "all"]
    every = [planned_runs(PLANS, folds, worker, 2) for worker in range(2)]
    assert len({run.name for runs in every for run in runs}) == 9
    assert {run.plan.id for run in every[1]} == {plan.id for plan in PLANS}


@pytest.mark.parametrize("plan", [*PLANS, *map(tiny, PLANS)], ids=lambda plan: plan.id)
def test_no_crop_is_padded(plan):
    """Padding takes no part in the loss: where crops had been padded, whole slices went wrong."""
    network = plan.build()
    assert network.stride == plan.stride
    assert all(stage.crop <= stage.size for stage in plan.stages)
    padded = replace(plan, stages=(BrainStage(1.0, 128, plan.stages[0].crop + 8, 8),))
    with pytest.raises(ValueError, match="expected a multiple"):
        padded.build()


def test_every_stage_runs_and_leaves_its_files(packs, tmp_path, capsys, clock):
    options = ["--seconds", "600", "--workers", "1", "--tiny", "--device", "cpu"]
    options += ["--networks", "U-Net", "--folds", "fold0", "all"]
    assert brain.main([str(packs), str(tmp_path), *options]) == 0
    said = capsys.readouterr().out
    assert "FAILED" not in said
    assert "heldout stripped 0.5" in said
    with zipfile.ZipFile(tmp_path / "brain-01.zip") as archive:
        names = set(archive.namelist())
    assert {
        "run-brain-lgg-unet-fold0.json",
        "heldout-brain-lgg-unet-fold0.npz",
        "further-brain-lgg-unet-all.npz",
        "weights-brain-lgg-unet-all.safetensors",
    } <= names
    with np.load(tmp_path / "heldout-brain-lgg-unet-fold0.npz") as kept:
        assert set(kept.files) == {f"{name}/{kind}" for name in "ab" for kind in ("all", "flair")}
        assert kept["a/all"].shape == (SLICES, 48, 48)
    run = json.loads((tmp_path / "run-brain-lgg-unet-fold0.json").read_text())
    assert len(run["rates"]) == 3
    with safe_open(tmp_path / "weights-brain-lgg-unet-all.safetensors", "pt") as weights:
        assert set(weights.keys()) == set(tiny(PLANS[1]).build().state_dict())


def test_a_run_that_fails_stops_no_other(packs, tmp_path, capsys, clock):
    options = ["--seconds", "600", "--workers", "1", "--tiny", "--device", "cpu"]
    options += ["--networks", "U-Net", "--folds", "nobody", "all"]
    no_weights = {"nobody": ["a", "b", "c", "d"]}
    folder = tmp_path / "packs"
    folder.mkdir()
    for path in packs.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "folds.json").write_text(json.dumps(no_weights))
    assert brain.main([str(folder), str(tmp_path / "out"), *options]) == 0
    said = capsys.readouterr().out
    assert "brain-lgg-unet-nobody FAILED" in said
    assert "brain-lgg-unet-all DONE" in said


def test_without_time_runs_are_left_out_and_the_rest_is_written(packs, tmp_path, capsys, clock):
    options = ["--seconds", "-100", "--workers", "1", "--tiny", "--device", "cpu"]
    assert brain.main([str(packs), str(tmp_path), *options]) == 0
    said = capsys.readouterr().out
    assert said.count("LEFT OUT") == 9
    assert "brain-lgg-munet: 0 runs" in said


def test_nothing_that_the_gpus_machine_lacks_is_imported():
    lacking = "('SimpleITK', 'monai', 'lightning', 'rich', 'filelock', 'sklearn')"
    code = (
        f"import sys\nfor name in {lacking}: sys.modules[name] = None\n"
        "import tumorseg_training.device_training.brain"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
