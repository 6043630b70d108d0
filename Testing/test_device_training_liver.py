"""The liver's training on a device, on made-up volumes and the CPU."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_models import ct_specification, write_tiny_bundle
from waiting import HANG_SECONDS

from tumorseg_training.candidates import Fold, collect
from tumorseg_training.case import Case, LabelledCase
from tumorseg_training.device_training import liver_candidates
from tumorseg_training.device_training.average import Average, exponential, over_part
from tumorseg_training.device_training.brain_plans import PLANS
from tumorseg_training.device_training.liver import main, planned
from tumorseg_training.device_training.liver_bundles import bundle_of
from tumorseg_training.device_training.liver_candidates import SMALLEST_ML, Choice, marked_in
from tumorseg_training.device_training.liver_changes import (
    Crops,
    paint_lesions,
    shift_organ,
    transplant_lesions,
)
from tumorseg_training.device_training.liver_draws import LiverStage
from tumorseg_training.device_training.liver_loss import partial_loss, targets_of
from tumorseg_training.device_training.liver_pack import (
    LESION_BIT,
    ORGAN_BIT,
    PackedVolume,
    read_packs,
    write_pack,
)
from tumorseg_training.device_training.liver_prediction import measure, predict
from tumorseg_training.device_training.liver_runs import FITTING, Data, Run
from tumorseg_training.device_training.liver_store import SliceStore, skin_depth
from tumorseg_training.device_training.loop import Fitting
from TumorSegLib.errors import InputError
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.bundle import load_network, read_bundle
from TumorSegLib.model.candidate_features import FEATURES
from TumorSegLib.model.postprocessing import FalsePositiveFilter, RemoveSmall
from TumorSegLib.model.specification import ModelSpecification, Network

pytestmark = pytest.mark.slow

TISSUES = ("", "skin", "spleen", "liver", "livertumor", "livercyst", "portalvein")
CPU = torch.device("cpu")


def made_up(
    name: str, *, kind: str = "annotated", fold: str = "", patient: str | None = None, seed: int = 0
) -> PackedVolume:
    """A body with an organ of which one half holds a dark lesion, on slices of 72 x 80 pixels."""
    random = np.random.default_rng([seed, *name.encode()])
    z, y, x = np.ogrid[:8, :72, :80]
    body = (((y - 36) / 32) ** 2 + ((x - 40) / 36) ** 2 < 1) & (z >= 0)
    organ = ((y - 34) / 16) ** 2 + ((x - 28) / 14) ** 2 + ((z - 4) / 5) ** 2 < 1
    at = random.integers(-5, 5)
    lesion = (((y - 34 - at) / 5) ** 2 + ((x - 28) / 5) ** 2 + ((z - 4) / 3) ** 2 < 1) & organ
    values = np.where(body, 0.4, 0.0) + np.where(organ, 0.25, 0.0) - np.where(lesion, 0.3, 0.0)
    values = values + np.where(body, random.normal(0, 0.03, body.shape), 0)
    images = (values.clip(0, 1) * 255).astype(np.uint8)
    masks = organ.astype(np.uint8) + lesion
    tissues: tuple[str, ...] = ()
    if kind == "organ_only":
        masks = organ.astype(np.uint8)
    if kind == "negative":
        masks = np.zeros(body.shape, np.uint8)
    if kind == "labels":
        tissues = TISSUES
        images = images[:0]
        masks = body.astype(np.uint8) + 2 * organ.astype(np.uint8) + lesion
        masks = masks + ORGAN_BIT * organ.astype(np.uint8) + LESION_BIT * lesion.astype(np.uint8)
    return PackedVolume(
        name, patient or name, kind, fold, (4.0, 1.5, 1.5), images, masks.astype(np.uint8), tissues
    )


@pytest.fixture(scope="module")
def volumes() -> list[PackedVolume]:
    return [
        made_up("one", fold="fold0"),
        made_up("two", fold="fold0", patient="one"),
        made_up("three", fold="fold1"),
        made_up("four", fold="fold1"),
        made_up("outside", kind="further"),
        made_up("organ", kind="organ_only"),
        made_up("head", kind="negative"),
        made_up("paint-one", kind="labels", patient="one"),
        made_up("paint-other", kind="labels", patient="other"),
    ]


def crops(images: int = 6) -> Crops:
    """The same slice with an organ and a lesion several times."""
    volume = made_up("one")
    image = torch.from_numpy(volume.images[3:6] / np.float32(255))[None].repeat(images, 1, 1, 1)
    mask = torch.from_numpy(volume.masks[4])[None].repeat(images, 1, 1)
    return Crops(image, mask >= 1, mask == 2, torch.zeros_like(mask, dtype=torch.bool), 1.5)


def sigmoid_model() -> ModelSpecification:
    """Three slices to organ and lesion, on pixels of 1.5 mm within the body's box."""
    base = ct_specification()
    network = Network("U-Net", {"in_channels": 3, "out_channels": 2, "width": 4, "depth": 2})
    chosen = planned(["unet"], [], tiny=True)[0].model
    return replace(base, input=chosen.input, activation="sigmoid", network=network)


def test_packs_keep_volumes_and_lose_little(tmp_path: Path, volumes: list[PackedVolume]) -> None:
    write_pack(tmp_path / "a.pack", volumes)
    found = read_packs([tmp_path / "a.pack"])
    for volume, read in zip(volumes, found, strict=True):
        assert (read.name, read.patient, read.kind, read.fold) == (
            volume.name, volume.patient, volume.kind, volume.fold,
        )  # fmt: skip
        assert read.spacing_zyx == volume.spacing_zyx
        assert read.tissues == volume.tissues
        np.testing.assert_array_equal(read.masks, volume.masks)
        assert read.images.shape == volume.images.shape
        if volume.images.size:
            assert np.abs(read.images.astype(int) - volume.images).mean() < 3
    middle = read_packs([tmp_path / "a.pack"], limit=2)[0]
    np.testing.assert_array_equal(middle.masks, volumes[0].masks[3:5])


def test_what_is_no_pack_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.pack").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a\.pack: not a pack"):
        read_packs([tmp_path / "a.pack"])


def test_patients_aside_are_learnt_from_nowhere(volumes: list[PackedVolume]) -> None:
    data = Data.of(volumes, CPU)
    run = Run(planned(["unet"], [], tiny=True)[0].model, "fold0", 1.0)
    draws = data.draws(run)
    learnt = {data.store.volumes[number].name for number in draws.learn_from}
    assert learnt == {"three", "four", "organ", "head"}
    assert data.labels is not None
    assert [data.labels.volumes[number].name for number in draws.paint_from] == ["paint-other"]
    drawn = np.flatnonzero(draws.weights.numpy())
    assert {data.store.volumes[data.store.volume_of[place]].name for place in drawn} == learnt
    painted = np.flatnonzero(draws.label_weights.numpy())
    assert set(data.labels.volume_of[painted]) == set(draws.paint_from)
    aside = data.kept_aside(run, further=True)
    assert {volume.name for volume in aside} == {"one", "two", "outside", "head"}


def test_everybody_is_learnt_from_in_the_run_to_publish(volumes: list[PackedVolume]) -> None:
    data = Data.of(volumes, CPU)
    run = planned(["unet"], ["fold0"], tiny=True)[0]
    assert run.name == "all"
    assert len(data.draws(run).learn_from) == 7
    assert data.kept_aside(run, further=False) == []


def test_small_tumours_are_drawn_as_often_as_large_ones(volumes: list[PackedVolume]) -> None:
    small = made_up("small", fold="fold1")
    small.masks[small.masks == 2] = 1
    small.masks[4, 34, 28] = 2
    store = SliceStore([volumes[2], small], CPU)
    model = planned(["unet"], [], tiny=True)[0].model
    weights = Data(store, None).draws(Run(model, "all", 1.0)).weights.numpy()
    with_lesion = store.shows(lambda masks: masks == 2)
    by_volume = [weights[with_lesion & (store.volume_of == number)].sum() for number in (0, 1)]
    assert 0.65 * by_volume[0] < by_volume[1] < by_volume[0]


def test_batches_show_what_they_say(volumes: list[PackedVolume]) -> None:
    data = Data.of(volumes, CPU)
    draws = data.draws(Run(planned(["unet"], [], tiny=True)[0].model, "all", 1.0))
    torch.manual_seed(1)
    for stage in (LiverStage(1, 32, True, 12), LiverStage(1, 48, False, 12)):
        batch = draws.batch(stage)
        assert batch.image.shape == (12, 3, stage.crop, stage.crop)
        assert batch.targets.shape == batch.weights.shape == (12, 2, stage.crop, stage.crop)
        assert 0 <= float(batch.image.min()) <= float(batch.image.max()) <= 1
        assert float(batch.image.std()) > 0.05
        organ, lesion = batch.targets.unbind(1)
        assert organ.any()
        assert lesion.any()
        assert not (lesion > organ).any()


def test_batches_made_together_share_what_is_real_and_what_is_painted(
    volumes: list[PackedVolume],
) -> None:
    data = Data.of([volumes[0], made_up("organ", kind="organ_only"), volumes[7]], CPU)
    draws = data.draws(Run(planned(["unet"], [], tiny=True)[0].model, "all", 1.0))
    made = draws.batch(LiverStage(1, 32, False, 12))
    draws.batch = lambda stage: made  # type: ignore[method-assign]
    parts = list(draws.batches(LiverStage(1, 32, False, 4), 3))
    assert [len(part.image) for part in parts] == [4, 4, 4]
    torch.testing.assert_close(
        torch.stack([part.image for part in parts], 1).flatten(0, 1), made.image
    )


def test_skin_lies_at_depth_one_and_depth_grows_inwards() -> None:
    body = torch.zeros(1, 41, 41, dtype=torch.uint8)
    body[:, 5:36, 5:36] = 1
    depth = skin_depth(body, 30)[0]
    assert int(depth[5, 20]) == 1
    assert int(depth[0, 0]) == 0
    assert int(depth[20, 20]) == 16
    assert (depth[5:21, 20].diff() == 1).all()


def test_painted_lesions_stay_in_the_organ_and_change_it() -> None:
    torch.manual_seed(0)
    found, before = crops(), crops()
    paint_lesions(found, 1.0)
    assert (found.lesion & ~found.organ).sum() == 0
    assert found.painted.flatten(1).any(1).all()
    torch.testing.assert_close(found.lesion, before.lesion | found.painted)
    changed = (found.image - before.image).abs()[:, 1]
    outside = ~found.organ
    assert float(changed[outside].max()) == 0
    assert float(changed[found.painted].mean()) > 0.03


def test_transplanted_lesions_look_like_those_they_come_from() -> None:
    torch.manual_seed(0)
    found, before = crops(8), crops(8)
    empty = [0, 1, 2, 3]
    for item in (found, before):
        item.image[empty] = torch.where(
            item.lesion[empty][:, None], item.organ_level()[0], item.image[empty]
        )
        item.lesion[empty] = False
    transplant_lesions(found, 1.0)
    given = [place for place in empty if found.painted[place].any()]
    assert given
    real = float(before.image[4, 1][before.lesion[4]].mean() - before.organ_level()[4])
    for place in given:
        put = found.painted[place]
        assert (put & ~found.organ[place]).sum() == 0
        seen = float(found.image[place, 1][put].mean() - before.organ_level()[place])
        assert seen == pytest.approx(real, abs=0.12)


def test_shifted_organs_leave_their_neighbours_alone() -> None:
    torch.manual_seed(0)
    found, before = crops(), crops()
    shift_organ(found, 1.0, 60.0)
    change = found.image - before.image
    far = torch.nn.functional.max_pool2d(found.organ.float()[:, None], 9, 1, 4) == 0
    assert float(change[far.expand_as(change)].abs().max()) == 0
    assert float(change[:, 1][found.organ].abs().mean()) > 0.05


def test_nothing_is_held_against_tumours_that_are_not_annotated() -> None:
    known = crops(2)
    known.lesion[:] = False
    known.painted[:, 30:33, 26:29] = known.lesion[:, 30:33, 26:29] = True
    targets, weights = targets_of(known, torch.tensor([True, False]))
    assert bool((weights[:, 0] == 1).all())
    assert bool((weights[1] == 1).all())
    organ, painted = known.organ[0], known.painted[0]
    assert bool((weights[0, 1][organ & ~painted] == 0).all())
    assert bool((weights[0, 1][painted | ~organ] == 1).all())
    logits = torch.zeros_like(targets, requires_grad=True)
    partial_loss(logits, targets, weights).backward()
    assert logits.grad is not None
    assert bool((logits.grad[0, 1][organ & ~painted] == 0).all())
    assert bool((logits.grad[0, 1][painted] < 0).all())
    assert bool((logits.grad[0, 1][~organ] > 0).all())
    assert bool((logits.grad[0, 0][organ] < 0).all())


def test_the_loss_falls_as_the_answer_gets_right() -> None:
    targets, weights = targets_of(crops(2), torch.tensor([False, False]))
    good, bad = (targets - 0.5) * 12, (0.5 - targets) * 12
    assert float(partial_loss(good, targets, weights)) < 0.1
    assert float(partial_loss(bad, targets, weights)) > 1.5


def test_the_average_follows_the_weights_and_their_statistics() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    average = Average(network, over_part(0.04))
    average.steps = 49
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.fill_(3.0)
    average.update()
    first = float(average.network[1].running_mean[0])
    assert first == pytest.approx(1.5)
    for _ in range(200):
        average.update()
    assert float(average.network[1].running_mean[0]) == pytest.approx(3.0, abs=1e-3)
    assert float(average.network[0].weight[0].detach()) == pytest.approx(3.0, abs=1e-3)


def test_averages_are_young_at_first_and_long_at_the_end() -> None:
    assert exponential(0.998)(1) == pytest.approx(1 - 2 / 11)
    assert exponential(0.998)(10**6) == pytest.approx(0.002)
    assert [over_part(0.04)(steps) for steps in (1, 25, 1000, 10**6)] == [1, 1, 1 / 40, 1 / 1000]


@pytest.mark.parametrize("fitting", [FITTING, PLANS[0].fitting], ids=["liver", "brain"])
def test_the_learning_rate_rises_once_and_falls_to_nothing(fitting: Fitting) -> None:
    rates = [fitting.rate(part / 100) / fitting.learning_rate for part in range(101)]
    assert max(rates) == pytest.approx(1, abs=2e-3)
    top = rates.index(max(rates))
    assert 3 <= top <= 12
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(fitting.final_rate)
    assert fitting.final_rate <= 0.002


@pytest.mark.parametrize("flips", [False, True])
def test_prediction_is_what_the_segmenter_finds(tmp_path: Path, flips: bool) -> None:
    model = replace(sigmoid_model(), flips=flips)
    bundle = write_tiny_bundle(tmp_path / "tiny", model)
    volume = made_up("one")
    found = predict(load_network(bundle), volume, model, CPU)
    result = Segmenter(bundle, device="cpu", precision="fp32").segment({"ct": volume.volume(model)})
    expected = np.stack(list(result.probabilities), axis=1)
    assert found.shape == expected.shape
    assert expected.min() < 100 < expected.max()
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_a_right_answer_is_measured_as_right() -> None:
    volume = made_up("one")
    model = planned(["unet"], [], tiny=True)[0].model
    right = np.stack([(volume.masks >= 1) * 255, (volume.masks == 2) * 255], axis=1)
    figures = measure(right.astype(np.uint8), volume, model)
    assert (figures.organ, figures.lesion) == (1, 1)
    assert (figures.lesions, figures.found, figures.false) == (1, 1, 0)
    right[0, 1, :4, :4] = 255
    assert measure(right.astype(np.uint8), volume, model).false == 1


def test_candidates_of_saved_probabilities_are_those_of_the_pipeline(tmp_path: Path) -> None:
    wanted = FalsePositiveFilter(2, 1)
    volume = made_up("one")
    base = replace(sigmoid_model(), candidates=wanted)
    network = load_network(write_tiny_bundle(tmp_path / "any", replace(base, candidates=None)))
    answer = predict(network, volume, base, CPU)
    thresholds = [
        float(np.quantile(answer[:, label], part)) / 255 for label, part in ((0, 0.3), (1, 0.9))
    ]
    model = replace(
        base,
        labels=tuple(
            replace(label, threshold=value)
            for label, value in zip(base.labels, thresholds, strict=True)
        ),
        postprocessing=(RemoveSmall(2, min(SMALLEST_ML)),),
    )
    bundle = write_tiny_bundle(tmp_path / "tiny", replace(model, candidates=None))

    def decode() -> LabelledCase:
        return LabelledCase({"ct": volume.volume(model)}, volume.masks)

    expected = collect(Fold(bundle, [Case("one", "one", (), decode)]), wanted)
    marked = marked_in(volume, answer, model, thresholds[1])
    # The pipeline may run in half precision, so that single pixels differ.
    assert len(expected.right) > 10
    assert len(marked.sizes) == pytest.approx(len(expected.right), rel=0.1)
    volumes = expected.features[:, FEATURES.index("log_ml")]
    mine, theirs = int(marked.millilitres.argmax()), int(volumes.argmax())
    np.testing.assert_allclose(
        marked.examples.features[mine], expected.features[theirs], rtol=0.05, atol=0.1
    )
    assert marked.examples.right[mine] == expected.right[theirs]


def test_lesion_figures_count_what_is_kept() -> None:
    volume = made_up("one")
    model = planned(["unet"], [], tiny=True)[0].model
    answer = np.stack([(volume.masks >= 1) * 255, (volume.masks == 2) * 255], axis=1)
    answer[3:6, :, 30:36, 16:20] = 255  # a false lesion beside the true one, inside the organ
    marked = marked_in(volume, answer.astype(np.uint8), model, 0.5)
    assert len(marked.sizes) == 2
    assert marked.examples.right.sum() == 1
    everything = Choice(0.5, 0.0, 50.0, 0.0)
    nothing_lost = marked.figures(marked.kept(everything, np.zeros(2)))
    assert nothing_lost.false == 1
    assert nothing_lost.lesion < 1
    likely = marked.examples.right.astype(float)
    judged = marked.figures(marked.kept(replace(everything, likelihood=0.5), likely))
    assert (judged.lesion, judged.false) == (1, 0)
    true_ml = (volume.masks == 2).sum() * 4.0 * 1.5 * 1.5 / 1000
    assert judged.large == judged.large_found == int(true_ml >= 2)
    given_up = marked.figures(marked.kept(replace(everything, likelihood=0.5), np.zeros(2)))
    assert given_up.lesion == 0
    large_stay = replace(everything, likelihood=0.5, up_to_ml=0.0)
    assert marked.kept(large_stay, np.zeros(2)).all()


def test_a_tiny_training_leaves_all_it_promises(
    tmp_path: Path,
    volumes: list[PackedVolume],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By a clock on which a step of training takes as long as is patience for writing files."""
    now = 0.0

    def step() -> float:
        nonlocal now
        now += HANG_SECONDS
        return now

    still = SimpleNamespace(perf_counter=lambda: now)
    for module, clock in (
        ("liver", still),
        ("liver_runs", still),
        ("loop", SimpleNamespace(monotonic=step)),
    ):
        monkeypatch.setattr(f"tumorseg_training.device_training.{module}.time", clock)
    monkeypatch.setattr(
        "tumorseg_training.device_training.liver_runs.WRITING_SECONDS", HANG_SECONDS
    )
    packs, out = tmp_path / "packs", tmp_path / "out"
    packs.mkdir()
    write_pack(packs / "all.pack", volumes)
    argv = [
        "--packs",
        packs,
        "--out",
        out,
        "--seconds",
        300 * HANG_SECONDS,
        "--tiny",
        "--device",
        "cpu",
    ]
    argv += ["--models", "unet:24", "--aside", "fold0", "fold1"]
    assert main([str(item) for item in argv]) == 0
    results = json.loads((out / "results.json").read_text())
    assert set(results) == {"unet-all", "unet-fold0", "unet-fold1"}
    assert results["unet-fold0"]["patients_aside"] == ["one"]
    assert results["unet-fold0"]["steps"] > 2
    assert set(results["unet-fold0"]["figures"]) == {"one", "two", "outside", "head"}
    assert set(results["unet-fold1"]["figures"]) == {"three", "four"}
    with np.load(out / "unet-fold0-probabilities-0.npz") as found:
        assert found["one"].dtype == np.uint8
        assert found["one"].shape == (6, 2, 72, 80)
    bundle = bundle_of(
        out / "unet-all.safetensors", planned(["unet"], [], tiny=False)[0].model, tmp_path / "b"
    )
    assert read_bundle(bundle.folder).specification.network.arguments["width"] == 4
    Segmenter(bundle, device="cpu")
    printed = capsys.readouterr().out
    assert "failed" not in printed
    assert "done" in printed
    assert liver_candidates.main([str(packs), str(out), "--slices", "6"]) == 0
    nested = json.loads((out / "unet-nested.json").read_text())
    assert set(nested) == {"one", "two", "three", "four"}
    assert not math.isnan(nested["one"]["organ"])


def test_the_device_needs_no_more_than_it_has() -> None:
    script = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("SimpleITK", "monai", "lightning", "rich", "filelock"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocked())
import tumorseg_training.device_training.liver
"""
    subprocess.run([sys.executable, "-c", script], check=True)
