from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from bright_models import LIVER, LIVER_TUMOUR, write_ct_model
from test_grid import ORIENTATIONS, rotation_about, stored_as
from tiny_models import (
    BRAIN_INPUT,
    CT_INPUT,
    brain_specification,
    ct_specification,
    write_tiny_bundle,
)

from TumorSegLib.errors import Cancelled, InputError, ModelError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.in_plane import FieldOfView, PixelSpacing
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.probabilities import activation_of, smoothed
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.inference.uncertainty import expected_wrong, slice_uncertainty
from TumorSegLib.model.bundle import load_network, read_bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.postprocessing import RemoveSmall
from TumorSegLib.model.specification import Channel, Network
from TumorSegLib.phantom import abdomen_phantom


def dice(first, second):
    return (
        2
        * np.count_nonzero((first > 0) & (second > 0))
        / max(1, np.count_nonzero(first) + np.count_nonzero(second))
    )


@pytest.fixture(scope="module")
def head():
    """Smooth structures that are different in every direction."""
    z, y, x = np.mgrid[:11, :64, :48]
    voxels = 200 * np.exp(-(((y - 20) / 14) ** 2) - ((x - 30) / 9) ** 2 - ((z - 4) / 4) ** 2)
    voxels += np.random.default_rng(0).normal(100, 4, voxels.shape) * (
        np.hypot(y - 32, x - 24) < 22
    )
    return voxels.astype(np.float32)


@pytest.fixture(scope="module")
def brain(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("models"), brain_specification())


@pytest.fixture(scope="module")
def segmenter(brain):
    return Segmenter(brain, device="cpu", precision="fp32")


def flair(voxels, direction=((1, 0, 0), (0, 1, 0), (0, 0, 1)), spacing=(1.0, 1.0, 4.0)):
    return {
        "flair": Volume(voxels, Grid(voxels.shape, spacing, (7, -8, 9), direction), "MR", "case")
    }


def test_same_as_the_network_on_every_slice(segmenter, brain, head):
    """The streamed pipeline is the obvious computation, no more."""
    result = segmenter.segment(flair(head))
    network = load_network(brain)
    intensity = brain.specification.input.normalisation.fit(head)
    slices = torch.from_numpy(intensity.apply(head))[:, None].expand(-1, 3, -1, -1)
    with torch.inference_mode():
        expected = torch.cat([network(part[None]).sigmoid() for part in slices])[:, 0].numpy()
    np.testing.assert_allclose(result.probabilities[0] / 255, expected, atol=0.6 / 255)
    assert 0 < np.count_nonzero(result.labelmap) < result.labelmap.size
    np.testing.assert_array_equal(result.labelmap > 0, result.probabilities[0] >= 128)
    assert result.volume.grid.shape == result.labelmap.shape
    assert [figure.index for figure in result.slices] == list(range(11))


@pytest.mark.slow
def test_all_48_orientations_give_the_same_segmentation(segmenter, head):
    reference = segmenter.segment(flair(head)).labelmap
    rotation = rotation_about(0, 15) @ rotation_about(2, 20)
    for axes, signs in ORIENTATIONS:
        voxels, direction = stored_as(head, axes, signs, rotation)
        spacing = tuple(np.array([4.0, 1.0, 1.0])[list(axes)][::-1].tolist())
        result = segmenter.segment(flair(np.ascontiguousarray(voxels), direction, spacing))
        stored_reference, _ = stored_as(reference, axes, signs)
        assert dice(result.labelmap, stored_reference) >= 0.99, (axes, signs)


def test_expected_correction_is_an_area_whatever_the_pixels(segmenter, head):
    result = segmenter.segment(flair(head))
    corrections = [figure.correction_mm2 for figure in result.slices]
    p = result.probabilities[0] / 255
    doubted = np.minimum(p, 1 - p).sum(axis=(1, 2))
    differing = (np.diff(result.labelmap.astype(int), axis=0) != 0).sum(axis=(1, 2))
    neighbours = (np.insert(differing, 0, differing[0]) + np.append(differing, differing[-1])) / 2
    np.testing.assert_allclose(corrections, doubted + neighbours / 4, rtol=0.02)
    large = head.repeat(2, axis=1).repeat(2, axis=2)
    finer = segmenter.segment(flair(large, spacing=(0.5, 0.5, 4.0))).slices
    np.testing.assert_allclose([f.correction_mm2 for f in finer], corrections, rtol=0.1)


def test_other_in_plane_size_is_brought_back(segmenter, head):
    large = head.repeat(2, axis=1).repeat(2, axis=2)
    reference = segmenter.segment(flair(head)).labelmap
    result = segmenter.segment(flair(large, spacing=(0.5, 0.5, 4.0)))
    assert result.labelmap.shape == large.shape
    assert dice(result.labelmap[:, ::2, ::2], reference) > 0.9


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8, np.float64, np.dtype(">i2")])
def test_voxel_types(segmenter, head, dtype):
    voxels = np.clip(head, 0, 250).astype(dtype)
    reference = segmenter.segment(flair(voxels.astype(np.float32))).labelmap
    np.testing.assert_array_equal(segmenter.segment(flair(voxels)).labelmap, reference)


def test_progress_and_slices_appear_in_order(segmenter, head):
    labelmap = np.zeros(head.shape, np.uint8)
    seen, progress = [], []

    def on_slices(start, stop):
        seen.append((start, stop, np.count_nonzero(labelmap[start:stop])))

    segmenter.segment(
        flair(head),
        labelmap=labelmap,
        on_slices=on_slices,
        progress=lambda done, total: progress.append((done, total)),
    )
    assert [start for start, _, _ in seen] == [0, *(stop for _, stop, _ in seen[:-1])]
    assert sum(count for *_, count in seen) == np.count_nonzero(labelmap) > 0
    assert progress[-1] == (11, 11)
    assert progress[0] == (1, 11)  # on a CPU, there is soon something to see


def test_cancellation_within_one_batch(segmenter, head):
    done = []
    with pytest.raises(Cancelled):
        segmenter.segment(
            flair(np.concatenate([head] * 20)),
            progress=lambda slices, _: done.append(slices),
            cancelled=lambda: bool(done),
        )
    assert len(done) == 1


def test_some_slices_only(segmenter, head):
    whole = segmenter.segment(flair(head))
    labelmap = np.full(head.shape, 9, np.uint8)
    part = segmenter.segment(flair(head), slices=range(4, 6), labelmap=labelmap)
    np.testing.assert_array_equal(part.labelmap[4:6], whole.labelmap[4:6])
    assert (part.labelmap[[0, 3, 6, 10]] == 9).all()
    assert [figure.index for figure in part.slices] == [4, 5]
    with pytest.raises(InputError, match="has axial slices 0 to 11"):
        segmenter.segment(flair(head), slices=range(9, 12))


def test_sequences_on_another_grid_are_resampled(segmenter, head):
    volumes = flair(head)
    fine = head.repeat(2, axis=2)
    grid = Grid(fine.shape, (0.5, 1.0, 4.0), (6.75, -8, 9))
    result = segmenter.segment({**volumes, "t1": Volume(fine, grid, name="other")})
    same = segmenter.segment({**volumes, "t1": volumes["flair"]})
    assert dice(result.labelmap, same.labelmap) > 0.95
    assert "channel t1: resampled onto the grid of channel flair" in result.warnings
    assert "channel t1c: not given, replaced by flair" in result.warnings
    elsewhere = Volume(head, Grid(head.shape, (1, 1, 4), (500, 0, 0)), name="other")
    with pytest.raises(InputError, match="covers 0% of case"):
        segmenter.segment({**volumes, "t1": elsewhere})


def test_the_wrong_modality_is_mentioned(segmenter, body):
    grid = Grid(body.shape, (1, 1, 4))
    for modality in ("CT", None):
        warnings = segmenter.segment({"flair": Volume(body, grid, modality, "abdomen")}).warnings
        assert any("abdomen: seems to be CT" in line for line in warnings)
    assert not any("seems to be" in line for line in segmenter.segment(flair(body + 1000)).warnings)


def test_a_label_map_as_input_is_mentioned(segmenter, head):
    warnings = segmenter.segment(flair((head > 50).astype(np.uint8))).warnings
    line = "case: seems to be a label map, not an image; do not rely on the result"
    assert line in warnings
    assert not any("label map" in line for line in segmenter.segment(flair(head)).warnings)


def test_tilted_slices_are_mentioned(segmenter, head):
    rotation = tuple(tuple(row) for row in rotation_about(0, 40).tolist())
    warnings = segmenter.segment(flair(head, rotation)).warnings
    assert any("tilted by 40 degrees" in line for line in warnings)


def test_flips_average_with_the_mirror_image(brain, segmenter, head):
    mirrored = np.ascontiguousarray(head[:, :, ::-1])
    plain = segmenter.segment(flair(head)).probabilities[0].astype(float)
    other = segmenter.segment(flair(mirrored)).probabilities[0][:, :, ::-1].astype(float)
    both = Segmenter(brain, RunOptions("cpu", "fp32", mirror_tta=True)).segment(flair(head))
    np.testing.assert_allclose(both.probabilities[0], (plain + other) / 2, atol=1.5)


def test_bf16_stays_close(brain, segmenter, head):
    try:
        quick = Segmenter(brain, device="cpu", precision="bf16")
    except InputError as error:
        pytest.skip(str(error))
    assert quick.precision == "bf16"
    reference = segmenter.segment(flair(head))
    found = quick.segment(flair(head))
    apart = np.abs(found.probabilities[0].astype(int) - reference.probabilities[0]).mean()
    assert apart < 4


def ct(voxels):
    return {"ct": Volume(voxels, Grid(voxels.shape, (3.0, 3.0, 5.0)), "CT", "abdomen")}


@pytest.fixture(scope="module")
def body():
    voxels = np.full((9, 300, 320), -1000, np.int16)
    _, y, x = np.mgrid[:9, :300, :320]
    inside = np.hypot((y - 90) / 60, (x - 100) / 70) < 1
    voxels[inside] = 60 + (40 * np.sin(x / 9) * np.cos(y / 7))[inside]
    voxels[[0, 8]] = -1000
    return voxels


def test_body_box_changes_little_and_air_needs_no_network(tmp_path, body, monkeypatch):
    bundle = write_tiny_bundle(tmp_path, ct_specification())
    whole = Segmenter(bundle, device="cpu", precision="fp32", body_box=False).segment(ct(body))
    cropping = Segmenter(bundle, device="cpu", precision="fp32", body_box=True)
    sizes = []
    engine = cropping._engine
    run = engine.probabilities
    monkeypatch.setattr(
        engine, "probabilities", lambda x: (sizes.append(tuple(x.shape)), run(x))[1]
    )
    cropped = cropping.segment(ct(body))
    assert sum(size[0] for size in sizes) == 7
    assert max(size[2] * size[3] for size in sizes) < 200 * 230
    inside = body > -500
    assert (cropped.labelmap == whole.labelmap)[inside].mean() > 0.99
    assert not whole.labelmap[[0, 8]].any()


def test_softmax_counts_parts_as_the_whole():
    specification = ct_specification()
    logits = torch.tensor([0.0, 1.0, 2.0])[None, :, None, None]
    background, liver, tumour = logits.softmax(dim=1)[0, :, 0, 0].tolist()
    found = activation_of(specification)(logits)[0, :, 0, 0].tolist()
    assert found == pytest.approx([liver + tumour, tumour])
    assert background == pytest.approx(1 - found[0])


def test_postprocessing_is_applied(tmp_path, head):
    plain = write_tiny_bundle(tmp_path / "plain", brain_specification())
    strict = write_tiny_bundle(
        tmp_path / "strict", brain_specification(postprocessing=(RemoveSmall(1, 1e6),))
    )
    assert Segmenter(plain, device="cpu").segment(flair(head)).labelmap.any()
    result = Segmenter(strict, device="cpu").segment(flair(head))
    assert not result.labelmap.any()
    assert all(figure.area_mm2 == 0 for figure in result.slices)


def test_no_voxel_beyond_a_labels_intensities_carries_it(brain, tmp_path, head, segmenter):
    (tumour,) = brain.specification.labels
    limited = replace(brain.specification, labels=(replace(tumour, intensities=(120.0, 200.0)),))
    bundle = write_tiny_bundle(tmp_path, limited)
    voxels, direction = stored_as(head, *ORIENTATIONS[17])
    free, confined = (
        model.segment(flair(voxels, direction))
        for model in (segmenter, Segmenter(bundle, device="cpu", precision="fp32"))
    )
    within = (voxels >= 120) & (voxels <= 200)
    assert (free.labelmap[~within] > 0).any()
    np.testing.assert_array_equal(confined.labelmap, np.where(within, free.labelmap, 0))
    assert not confined.probabilities[0][~within].any()
    assert (
        0
        < sum(one.uncertainty for one in confined.slices)
        < sum(one.uncertainty for one in free.slices)
    )


def test_where_no_label_can_be_there_is_no_doubt(brain, tmp_path, head):
    (tumour,) = brain.specification.labels
    nowhere = replace(brain.specification, labels=(replace(tumour, intensities=(9e5, 1e6)),))
    segmenter = Segmenter(write_tiny_bundle(tmp_path, nowhere), device="cpu")
    result = segmenter.segment(flair(head))
    assert all(one.uncertainty == one.correction_mm2 == 0 for one in result.slices)
    assert not any(segmenter.detect(flair(head)).probabilities)


def test_ensemble_averages_probabilities(tmp_path, head):
    parts = [
        write_tiny_bundle(tmp_path, brain_specification(id=name), seed=seed)
        for seed, name in enumerate(("first", "second"))
    ]
    content = json.loads((parts[0].folder / "model.json").read_text())
    del content["network"], content["weights"]
    folder = tmp_path / "both"
    folder.mkdir()
    (folder / "model.json").write_text(
        json.dumps({**content, "id": "both", "members": ["first", "second"]})
    )
    catalogue = Catalogue.of([tmp_path])
    options = {"device": "cpu", "precision": "fp32"}
    single = [
        Segmenter(part, **options).segment(flair(head)).probabilities[0].astype(float)
        for part in parts
    ]
    both = Segmenter(read_bundle(folder), catalogue=catalogue, **options).segment(flair(head))
    np.testing.assert_allclose(both.probabilities[0], sum(single) / 2, atol=1)

    content |= {"id": "both", "members": ["first", "second"], "member_weights": [1, 3]}
    (folder / "model.json").write_text(json.dumps(content))
    both = Segmenter(read_bundle(folder), catalogue=catalogue, **options).segment(flair(head))
    weighted = (single[0] + 3 * single[1]) / 4
    np.testing.assert_allclose(both.probabilities[0], weighted, atol=1)
    assert np.abs(weighted - sum(single) / 2).max() > 2


def test_first_alone_needs_sequences_that_the_first_replaces():
    channels = (Channel("flair", "FLAIR"), Channel("t1", "T1"))
    network = Network("U-Net", {"in_channels": 2, "out_channels": 1, "width": 4, "depth": 2})
    two = {"input": replace(BRAIN_INPUT, channels=channels), "network": network}
    with pytest.raises(ValueError, match="flair does not replace t1"):
        brain_specification(first_alone=0.5, **two)
    with pytest.raises(ValueError, match="first_alone 1 is not within"):
        brain_specification(first_alone=1.0)


def test_a_model_may_average_with_what_its_first_sequence_gives(tmp_path, head):
    both = write_tiny_bundle(tmp_path, brain_specification())
    shared = write_tiny_bundle(tmp_path, brain_specification(id="half", first_alone=0.5))
    alone = flair(head)
    volumes = alone | {"t1": flair(head[:, ::-1].copy())["flair"]}
    found = {
        (name, len(given)): Segmenter(bundle, device="cpu").segment(given).probabilities.astype(int)
        for name, bundle in (("both", both), ("half", shared))
        for given in (volumes, alone)
    }
    np.testing.assert_array_equal(found["half", 1], found["both", 1])
    expected = (found["both", len(volumes)] + found["both", 1]) / 2
    np.testing.assert_allclose(found["half", len(volumes)], expected, atol=1)
    assert np.abs(found["half", len(volumes)] - found["both", len(volumes)]).max() > 2


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, -2.0], [1.0, float("inf")]])
def test_member_weights_are_positive_and_one_for_each(weights):
    with pytest.raises(ValueError, match="expected a positive number for each of 2 members"):
        brain_specification(
            network=None, weights=None, members=("a", "b"), member_weights=tuple(weights)
        )


def test_ensemble_members_may_see_coarser_or_finer_slices(tmp_path, head):
    sizes = {"coarse": 48, "fine": 96}
    parts = {
        name: write_tiny_bundle(
            tmp_path,
            brain_specification(id=name, input=replace(BRAIN_INPUT, in_plane=FieldOfView(size))),
            seed=size,
        )
        for name, size in sizes.items()
    }
    content = json.loads((parts["coarse"].folder / "model.json").read_text())
    del content["network"], content["weights"]
    content["input"]["in_plane"]["size"] = 64
    (tmp_path / "both").mkdir()
    path = tmp_path / "both" / "model.json"
    path.write_text(json.dumps({**content, "id": "both", "members": list(sizes)}))
    catalogue = Catalogue.of([tmp_path])
    options = {"device": "cpu", "precision": "fp32"}
    single = [
        Segmenter(part, **options).segment(flair(head)).probabilities[0].astype(float)
        for part in parts.values()
    ]
    both = Segmenter(read_bundle(tmp_path / "both"), catalogue=catalogue, **options)
    found = both.segment(flair(head)).probabilities[0]
    assert np.abs(found - sum(single) / 2).mean() < 1.5
    assert min(np.abs(found - part).mean() for part in single) > 3

    spaced = replace(BRAIN_INPUT, in_plane=PixelSpacing(1.0))
    write_tiny_bundle(tmp_path, brain_specification(id="fine", input=spaced))
    with pytest.raises(ModelError, match="its member fine differs in input"):
        Segmenter(read_bundle(tmp_path / "both"), catalogue=Catalogue.of([tmp_path]), **options)


def test_context_slices_reach_the_network(tmp_path, head):
    specification = ct_specification(
        input=replace(CT_INPUT, context=1),
        network=Network("U-Net", {"in_channels": 3, "out_channels": 3, "width": 4, "depth": 2}),
    )
    segmenter = Segmenter(
        write_tiny_bundle(tmp_path, specification), device="cpu", precision="fp32"
    )
    voxels = (head - 100).astype(np.int16)
    before = segmenter.segment(ct(voxels)).probabilities
    voxels[5] += 60
    after = segmenter.segment(ct(voxels)).probabilities
    changed = [z for z in range(11) if (before[:, z] != after[:, z]).any()]
    assert changed == [4, 5, 6]


def test_detector(tmp_path, head):
    specification = brain_specification(
        id="tiny-detector",
        task="detection",
        network=Network("ResNet-50", {"in_channels": 3, "out_channels": 1, "width": 4}),
    )
    segmenter = Segmenter(
        write_tiny_bundle(tmp_path, specification), RunOptions("cpu", mirror_tta=True)
    )
    result = segmenter.detect(flair(head))
    assert len(result.probabilities) == 11
    assert all(0 <= probability <= 1 for probability in result.probabilities)
    with pytest.raises(ModelError, match="it does not segment"):
        segmenter.segment(flair(head))


def test_a_detector_can_ask_its_neighbouring_slices():
    lonely = [0.02, 0.02, 0.9, 0.02, 0.02, 0.02, 0.9, 0.7, 0.4, 0.9, 0.9]
    found = np.array(smoothed(lonely, 1.0))
    assert (found >= 0.5).tolist() == [False] * 7 + [True] * 4
    assert smoothed(lonely, 0.0) == lonely
    assert smoothed([1.0, 1.0, 1.0], 1.0) == pytest.approx([1.0] * 3, abs=1e-3)
    with pytest.raises(ValueError, match=r"smoothing 1 is not a detector's"):
        brain_specification(smoothing=1.0)


@pytest.fixture(scope="module")
def detector(tmp_path_factory, head):
    """A detector on a coarser grid, a threshold that half of the slices reach, and which do."""
    folder = tmp_path_factory.mktemp("detector")
    specification = brain_specification(
        id="tiny-detector",
        task="detection",
        input=replace(BRAIN_INPUT, in_plane=FieldOfView(32)),
        network=Network("ResNet-50", {"in_channels": 3, "out_channels": 1, "width": 4}),
    )
    loose = write_tiny_bundle(folder, specification)
    result = Segmenter(loose, device="cpu", precision="fp32").detect(flair(head))
    ordered = sorted(result.probabilities)
    threshold = (ordered[5] + ordered[6]) / 2
    return loose, threshold, [probability >= threshold for probability in result.probabilities]


@pytest.mark.parametrize("slices", [None, range(2, 9)])
def test_only_slices_that_the_detector_finds_are_segmented(
    segmenter, brain, detector, head, slices
):
    bundle, threshold, found = detector
    assert 0 < sum(found) < len(found)
    everywhere = segmenter.segment(flair(head), slices=slices)
    gated = Segmenter(
        brain,
        RunOptions("cpu", "fp32", slice_detector=str(bundle.folder), detector_threshold=threshold),
    )
    result = gated.segment(flair(head), slices=slices)
    kept = np.array(found)
    np.testing.assert_array_equal(result.probabilities[0][kept], everywhere.probabilities[0][kept])
    assert not result.probabilities[0][~kept].any()
    assert not result.labelmap[~kept].any()
    examined = slices or range(11)
    left_out = sum(not found[index] for index in examined)
    line = f"{left_out} of {len(examined)} slices were not segmented, as tiny-detector found"
    assert result.warnings[-1].startswith(line)
    assert len(result.slices) == len(examined)


def test_a_liver_as_without_contrast_medium_is_told_after_the_run(tmp_path):
    labels = [{**LIVER, "includes": [2]}, LIVER_TUMOUR]
    bundle = read_bundle(write_ct_model(tmp_path, "tiny-ct", labels=labels))
    voxels = np.full((12, 64, 64), -1000, np.int16)
    voxels[:, 8:56, 8:56] = 0
    told = []
    for hu in (68, 90):
        voxels[2:10, 16:48, 16:48] = hu
        volume = Volume(voxels.copy(), Grid(voxels.shape, (5.0, 5.0, 5.0)), modality="CT")
        result = Segmenter(bundle, RunOptions("cpu", "fp32")).segment(volume)
        assert np.count_nonzero(result.labelmap == 1) > 4000
        told.append([line for line in result.warnings if line.startswith("Liver: its median is")])
    assert [len(lines) for lines in told] == [1, 0]


def test_every_run_says_what_its_device_could_not_do(brain, detector, head, monkeypatch):
    """The detector's as well, and not what an earlier run could not do."""
    bundle, *_ = detector
    gated = Segmenter(brain, RunOptions("cpu", "fp32", slice_detector=str(bundle.folder)))
    lines = {gated._engine: "out of GPU memory", gated._detector._engine: "no kernel image"}
    for engine, line in lines.items():
        found = engine.probabilities

        def retreat(slices, engine=engine, line=line, found=found):
            engine.warnings[:] = [line]
            return found(slices)

        monkeypatch.setattr(engine, "probabilities", retreat)
    warnings = gated.segment(flair(head)).warnings
    assert "detector: no kernel image" in warnings
    monkeypatch.undo()
    assert not [line for line in gated.segment(flair(head)).warnings if "kernel" in line]


def test_a_gate_must_be_a_detector_for_the_same_images(brain, detector, tmp_path):
    bundle, *_ = detector
    with pytest.raises(ModelError, match="tiny-brain: segments, a detector is needed"):
        Segmenter(brain, RunOptions("cpu", slice_detector=str(brain.folder)))
    liver = write_tiny_bundle(tmp_path, ct_specification())
    with pytest.raises(ModelError, match=r"looks at MR \(flair\), tiny-ct at CT \(ct\)"):
        Segmenter(liver, RunOptions("cpu", slice_detector=str(bundle.folder)))


def test_segmentation_model_detects_by_its_highest_probability(segmenter, head):
    detected = segmenter.detect(flair(head))
    highest = segmenter.segment(flair(head)).probabilities[0].max(axis=(1, 2))
    np.testing.assert_allclose(np.array(detected.probabilities) * 255, highest, atol=1)


def test_an_organ_is_no_finding(tmp_path):
    scan = abdomen_phantom(shape=(4, 32, 32), spacing=(2.4, 2.4, 25.0))[0]
    specification = ct_specification(input=replace(CT_INPUT, in_plane=FieldOfView(32)))
    model = Segmenter(write_tiny_bundle(tmp_path, specification), device="cpu")
    detected = model.detect(scan)
    organ, tumour = model.segment(scan).probabilities
    assert detected.structures == ("Liver tumour",)
    assert not np.array_equal(organ.max(axis=(1, 2)), tumour.max(axis=(1, 2)))
    highest = np.array(detected.probabilities) * 255
    np.testing.assert_allclose(highest, tumour.max(axis=(1, 2)), atol=1)


def test_uncertainty_is_high_where_the_network_doubts():
    probabilities = torch.zeros(4, 1, 50, 50)
    probabilities[1, :, 10:30, 10:30] = 1.0
    probabilities[2, :, 10:30, 10:30] = 0.6
    probabilities[3, :, 0, :3] = 0.4
    wrong = expected_wrong(probabilities)
    assert wrong.tolist() == pytest.approx([0, 0, 160, 1.2])
    uncertainties = slice_uncertainty(wrong, probabilities, torch.tensor([0.5]))
    empty, sure, doubtful, speck = uncertainties.tolist()
    assert empty == sure == 0
    assert doubtful == pytest.approx(160 / (160 + 400 + 30))
    assert speck < 0.05
