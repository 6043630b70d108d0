from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from bright_models import write_ct_model
from scenes import dice
from scipy import ndimage
from synthetic_data import write_config, write_nnunet
from tiny_models import ct_specification, stump, write_tiny_bundle

from tumorseg_training.candidates import Examples, Fold, fit_forest, judged, read_forest
from tumorseg_training.case import Case, LabelledCase
from tumorseg_training.config import EnsembleConfig, read_config
from tumorseg_training.cross_validation import pooled
from tumorseg_training.datasets import select_cases
from tumorseg_training.publishing import publish_ensemble
from TumorSegLib.errors import InputError, ModelError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.normalisation import Window
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.candidates import (
    SegmentedVolume,
    find_candidates,
    remove_false_positives,
)
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.inference.sensitivity import apply_sensitivity
from TumorSegLib.model.bundle import Bundle, load_forest, load_network, read_bundle, write_bundle
from TumorSegLib.model.candidate_features import FEATURES
from TumorSegLib.model.forest import Forest
from TumorSegLib.model.postprocessing import FalsePositiveFilter, RemoveSmall
from TumorSegLib.model.provenance import Provenance
from TumorSegLib.support.schema import from_dict, to_dict

pytestmark = pytest.mark.slow

JUDGED = FalsePositiveFilter(2, 1, 0.5)
LABELS = ct_specification().labels
SPACING = (3.0, 1.5, 1.5)  # z, y, x


def liver(spacing=SPACING, seed=0):
    """A liver of 100 HU with a dark lesion inside it, and fluid that sinks into its left border."""
    shape = [round(mm / step) for mm, step in zip((60, 120, 120), spacing, strict=True)]
    z, y, x = (index * mm for index, mm in zip(np.indices(shape), spacing, strict=True))
    random = np.random.default_rng(seed)
    organ = ((z - 30) / 24) ** 2 + ((y - 60) / 45) ** 2 + ((x - 50) / 40) ** 2 < 1
    lesion = (z - 30) ** 2 + (y - 60) ** 2 + (x - 40) ** 2 < 9**2
    fluid = (z - 30) ** 2 + (y - 60) ** 2 + (x - 90) ** 2 < 10**2
    image = np.where(organ, 100.0, -20.0) + random.normal(0, 5, z.shape)
    image[lesion], image[fluid] = 50, 10
    labelmap = organ.astype(np.uint8)
    labelmap[lesion | fluid] = 2
    probabilities = [
        np.where(organ, 240, np.where(fluid, 100, 5)).astype(np.uint8),
        np.where(lesion | fluid, 230, 20).astype(np.uint8),
    ]
    intensity = Window(-40, 160).fit(image)
    return SegmentedVolume(image, intensity, probabilities, labelmap, spacing), lesion, fluid


def named(segmented):
    found = find_candidates(segmented, LABELS, JUDGED)
    rows = [dict(zip(FEATURES, row.tolist(), strict=True)) for row in found.features]
    return sorted(rows, key=lambda row: row["x"])


def test_features_tell_what_lies_in_the_organ_from_what_lies_against_it():
    segmented, lesion, fluid = liver()
    inside, against = named(segmented)
    millilitres = np.array([lesion.sum(), fluid.sum()]) * np.prod(SPACING) / 1000
    assert np.exp([inside["log_ml"], against["log_ml"]]) == pytest.approx(millilitres, rel=1e-5)
    assert inside["share"] + against["share"] == pytest.approx(1)
    assert inside["near_in_organ"] == inside["far_in_organ"] == 1
    assert 0.2 < against["near_in_organ"] < 0.8
    assert inside["from_organ"] == pytest.approx(-0.25, abs=0.01)
    assert against["median"] == pytest.approx(0.25, abs=0.01)
    assert inside["contrast_inside"] == pytest.approx(0.25, abs=0.02)
    assert inside["mean_p"] == pytest.approx(230 / 255)
    assert against["organ_p"] < 0.7 < inside["organ_p"]
    assert inside["contrast_outside"] == 0  # nothing of its rings is outside
    assert against["fat_outside"] > 0.9
    assert (inside["z"], inside["y"]) == pytest.approx((0.5, 0.5), abs=0.03)
    assert inside["x"] < 0.45 < 0.85 < against["x"]


def test_features_depend_little_on_the_grid():
    coarse, fine = named(liver()[0]), named(liver((1.0, 0.7, 0.7))[0])
    for name in (
        "log_ml",
        "log_area",
        "near_in_organ",
        "from_organ",
        "organ_median",
        "x",
        "log_depth",
    ):
        for one, other in zip(coarse, fine, strict=True):
            assert one[name] == pytest.approx(other[name], abs=0.12), name


def test_a_candidate_between_the_voxels_looked_at_has_features_all_the_same():
    segmented, lesion, fluid = liver((1.0, 0.7, 0.7))
    segmented.labelmap[lesion | fluid] = 1
    segmented.labelmap[31, 81, 61] = 2
    (row,) = find_candidates(segmented, LABELS, JUDGED).features
    assert not row.any()


def test_unlikely_candidates_are_given_up_and_come_back_with_more_sensitivity():
    segmented, lesion, fluid = liver()
    before = segmented.labelmap.copy()
    remove_false_positives(segmented, LABELS, JUDGED, stump("near_in_organ", 0.9))
    organ, tumour = segmented.probabilities
    assert (segmented.labelmap[lesion] == 2).all()
    assert set(np.unique(segmented.labelmap[fluid])) == {0, 1}  # what the organ's probability says
    assert ((segmented.labelmap[fluid] == 1) == (organ[fluid] >= 128)).all()
    assert (segmented.labelmap == before)[~fluid].all()
    assert (tumour[lesion] == 230).all()
    assert (tumour[fluid] == int(230 * 0.5 * 0.1 / 0.5)).all()
    grid = Grid(before.shape, SPACING[::-1])
    model = ct_specification()
    again = np.zeros_like(before)
    apply_sensitivity(np.stack([organ, tumour]), again, model, grid, sensitivity=0.0)
    assert (again == segmented.labelmap).all()
    apply_sensitivity(np.stack([organ, tumour]), again, model, grid, sensitivity=0.7)
    assert (again[fluid] == 2).all()


def test_what_surrounds_a_candidate_is_less_likely_with_it():
    segmented, lesion, fluid = liver()
    segmented.labelmap[lesion] = 1  # the fluid is all there is
    remove_false_positives(segmented, LABELS, JUDGED, stump("near_in_organ", 0.9))
    tumour = segmented.probabilities[1]
    rim = ndimage.binary_dilation(fluid, iterations=2) & ~fluid
    assert (tumour[rim] == int(20 * 0.5 * 0.1 / 0.5)).all()


def test_large_candidates_stay_however_unlikely():
    segmented, _, fluid = liver()
    millilitres = fluid.sum() * np.prod(SPACING) / 1000
    for limit, left in ((millilitres - 0.1, True), (millilitres + 0.1, False)):
        wanted = replace(JUDGED, up_to_ml=limit)
        remove_false_positives(segmented, LABELS, wanted, stump("near_in_organ", 0.9))
        assert (segmented.labelmap[fluid] == 2).all() == left


def test_nothing_to_judge():
    segmented, *_ = liver()
    segmented.labelmap[segmented.labelmap == 2] = 1
    assert find_candidates(segmented, LABELS, JUDGED) is None
    remove_false_positives(segmented, LABELS, JUDGED, stump("share", 2.0))
    assert not (segmented.labelmap == 2).any()


def some_examples(seed):
    random = np.random.default_rng(seed)
    features = random.normal(size=(80, len(FEATURES))).astype(np.float32)
    return Examples(features, features[:, 3] + features[:, 5] > 0)


def test_a_grown_forest_answers_as_scikit_learn_does():
    from sklearn.ensemble import RandomForestClassifier

    examples = [some_examples(0), some_examples(1)]
    forest = Forest.from_bytes(fit_forest(examples, trees=20).to_bytes(), len(FEATURES))
    peer = RandomForestClassifier(
        20, min_samples_leaf=3, max_features=0.3, class_weight="balanced", random_state=0
    ).fit(*(np.concatenate([getattr(e, name) for e in examples]) for name in ("features", "right")))
    new = some_examples(2)
    found = forest.probabilities(new.features)
    assert found == pytest.approx(peer.predict_proba(new.features)[:, 1], abs=1e-6)
    assert ((found > 0.5) == new.right).mean() > 0.8


@pytest.mark.parametrize("right", [True, False])
def test_a_forest_needs_right_and_wrong_candidates(right):
    examples = replace(some_examples(0), right=np.full(80, right))
    with pytest.raises(InputError, match="right ones of 80, expected right and wrong"):
        fit_forest([examples])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"left": np.array([0, 1, 2], np.int32)}, "no trees"),  # a node that leads to itself
        ({"right": np.array([9, 1, 2], np.int32)}, "no trees"),
        ({"feature": np.array([99, 0, 0], np.int32)}, "no trees"),
        ({"roots": np.array([-1], np.int32)}, "no trees"),
        ({"value": np.zeros(2, np.float32)}, "do not fit"),
        ({"value": np.zeros(3, np.int32)}, "value is missing or not a row of float32"),
    ],
)
def test_what_is_no_forest_is_refused(change, line):
    content = replace(stump("share", 0.5), **change).to_bytes()
    with pytest.raises(ValueError, match=line):
        Forest.from_bytes(content, len(FEATURES))


def test_what_is_no_safetensors_file_is_refused():
    with pytest.raises(ValueError, match="not a safetensors file"):
        Forest.from_bytes(b"pickled", len(FEATURES))


@pytest.fixture
def bundle(tmp_path):
    model = write_ct_model(tmp_path, "plain", window=(-40, 160))
    content = read_bundle(model).specification
    labels = (replace(content.labels[0], includes=(2,)), content.labels[1])

    return write_bundle(
        tmp_path / "judging",
        replace(
            content,
            id="judging",
            labels=labels,
            candidates=JUDGED,
            postprocessing=(RemoveSmall(2, 0.3),),
        ),
        load_network(read_bundle(model)),
        forest=stump("near_in_organ", 0.9),
        card="#\n",
    )


def test_a_bundle_keeps_its_forest(bundle):
    assert read_bundle(bundle.folder) == bundle
    wanted = bundle.specification.candidates
    assert (wanted.label, wanted.organ, wanted.threshold) == (2, 1, 0.5)
    assert wanted.features == FEATURES
    found = load_forest(bundle)
    assert found.to_bytes() == stump("near_in_organ", 0.9).to_bytes()


def test_without_a_forest_a_bundle_judges_nothing(tmp_path):
    bundle = write_tiny_bundle(tmp_path, ct_specification(candidates=JUDGED))
    assert bundle.specification.candidates is None
    assert load_forest(bundle) is None


def test_a_damaged_missing_or_foreign_forest_is_refused(bundle):
    path = bundle.folder / "candidates.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(ModelError, match=r"candidates\.safetensors: SHA-256 is .* damaged"):
        Segmenter(bundle, device="cpu")
    path.unlink()
    with pytest.raises(ModelError, match="install the model again"):
        Segmenter(bundle, device="cpu")
    wanted = bundle.specification.candidates
    path.write_bytes(b"junk")
    junk = replace(wanted, sha256=hashlib.sha256(b"junk").hexdigest())
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_forest(replace(bundle, specification=replace(bundle.specification, candidates=junk)))
    other = replace(wanted, features=("colour",))
    with pytest.raises(ModelError, match="by other features than this version"):
        load_forest(replace(bundle, specification=replace(bundle.specification, candidates=other)))


def test_a_filter_must_name_an_organ_that_includes_the_label():
    with pytest.raises(ValueError, match="no label 2 includes label 1"):
        ct_specification(candidates=FalsePositiveFilter(1, 2))
    with pytest.raises(ValueError, match="not between 0 and 1"):
        FalsePositiveFilter(2, 1, 1.5)


def scan(seed):
    """A CT whose liver holds a bright lesion, and a brighter loop of bowel that sinks into it."""
    segmented, lesion, fluid = liver(seed=seed)
    random = np.random.default_rng(seed)
    image = (segmented.image - 100) / 2 + 82  # dark enough for the model's first label
    image[lesion] = 170 + random.normal(0, 5, lesion.sum())
    image[fluid] = 200 + random.normal(0, 5, fluid.sum())
    truth = segmented.labelmap.copy()
    truth[fluid] = 0
    truth[lesion] = 2
    volume = Volume(image.astype(np.int16), Grid(image.shape, SPACING[::-1]), f"ct{seed}")
    return LabelledCase({"ct": volume}, truth), lesion, fluid


def test_segmenting_gives_up_unlikely_candidates_of_whole_volumes(bundle):
    content, lesion, fluid = scan(0)
    middle = len(lesion) // 2
    segmenter = Segmenter(bundle, device="cpu")
    result = segmenter.segment(content.volumes)
    assert (result.labelmap[lesion] == 2).mean() > 0.8
    assert not (result.labelmap[fluid] == 2).any()
    assert result.seconds["candidates"] > 0
    (given_up,) = result.given_up
    assert (given_up.label, given_up.likelihood) == (2, pytest.approx(0.1))
    kept = np.zeros_like(fluid)
    given_up.draw(kept)
    assert dice(kept, fluid) > 0.8
    assert not (kept & (result.labelmap == 2)).any()
    part = segmenter.segment(content.volumes, slices=range(middle, middle + 1))
    assert not part.given_up
    assert (part.labelmap[middle][fluid[middle]] == 2).any()  # one slice shows no component


def test_folds_judge_each_others_candidates(bundle, tmp_path):
    to_dict = replace(bundle.specification, candidates=None)
    folds = []
    for index in range(3):
        folder = tmp_path / f"fold{index}"

        model = write_bundle(folder, to_dict, load_network(bundle), card="#\n")
        cases = [
            Case(f"ct{seed}", f"p{seed}", (), lambda seed=seed: scan(seed)[0])
            for seed in range(10 * index, 10 * index + 4)
        ]
        folds.append(Fold(model, cases))
    lines: list[str] = []
    results, _ = pooled(folds, JUDGED, tmp_path, lines.append)
    assert "candidates: 24, of which 12 are right" in lines
    assert read_forest(results.parent) is not None
    for fold in folds:
        assert read_bundle(fold.bundle.folder).specification.candidates.label == 2

    (model,) = json.loads(results.read_text())["models"]
    assert model["summary"]["structures"]["Liver tumour"]["lesions"]["false_per_case"] == 0
    assert judged(folds[:1], JUDGED, tmp_path / "forest", lines.append) == folds[:1]
    assert lines[-1].startswith("candidates: not judged, as that takes two folds")
    assert not (tmp_path / "forest").exists()


def test_an_ensemble_is_not_measured_on_whom_a_member_has_learnt_from(tmp_path, monkeypatch):
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    aside = read_config(write_config(tmp_path, write_nnunet(tmp_path / "data", 4)))
    patients = tuple(select_cases(aside).split["validation"])
    model = ct_specification(provenance=Provenance(split={"training": patients}))
    write_tiny_bundle(tmp_path / "models", model)
    ensemble = replace(
        model, id="both", network=None, members=(model.id, model.id), provenance=Provenance()
    )
    with pytest.raises(InputError, match=rf"{model.id}: has learnt from {patients[0]}"):
        publish_ensemble(EnsembleConfig(ensemble, aside.data), tmp_path / "run", print)
    assert not (tmp_path / "run").exists()


def test_what_is_published_carries_the_cross_validations_forest(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path))
    model = to_dict(bundle.specification)
    for key in ("network", "weights", "candidates", "provenance"):
        model.pop(key, None)
    model |= {"id": "both", "members": ["judging", "judging"]}
    model["candidates"] = {"label": 2, "organ": 1}
    data = {"folder": "none", "layout": "nnunet"}
    config = from_dict(EnsembleConfig, {"model": model, "data": data})
    folder = tmp_path / "run"
    lines: list[str] = []
    without = publish_ensemble(config, folder, lines.append).bundle
    assert without.specification.candidates is None
    (folder / "cross-validation").mkdir()
    forest = stump("share", 0.5)
    (folder / "cross-validation" / "candidates.safetensors").write_bytes(forest.to_bytes())
    published = publish_ensemble(config, folder, lines.append).bundle
    assert load_forest(published).to_bytes() == forest.to_bytes()
    card = (published.folder / "README.md").read_text()
    assert "A random forest judges every separate liver tumour of up to 50 ml; those less" in card
    other = publish_ensemble(config, folder, lines.append, forest=stump("log_depth", 1.0)).bundle
    assert load_forest(other).threshold[0] == 1
    aside = replace(config, data=replace(config.data, folds="f.json", validate="fold0"))
    seen: list[Bundle] = []
    monkeypatch.setattr("tumorseg_training.publishing.cases_aside", lambda *_: [])
    monkeypatch.setattr(
        "tumorseg_training.publishing.measure", lambda bundle, *_: (seen.append(bundle), None)
    )
    publish_ensemble(aside, folder, lines.append, forest=forest)
    assert seen[0].specification.candidates is None  # it has seen whom this would measure
    (folder / "cross-validation" / "candidates.safetensors").write_bytes(b"junk")
    with pytest.raises(
        InputError, match=r"candidates\.safetensors: .*run the cross-validation again"
    ):
        publish_ensemble(config, folder, lines.append)
