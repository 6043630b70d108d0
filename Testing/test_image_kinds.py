"""The classifier that tells T1, T2 and CT from FLAIR: on phantoms, and how it is trained."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorseg_training.image_kinds.changes import changed, made_up_t2, without_skull
from tumorseg_training.image_kinds.examples import Example
from tumorseg_training.image_kinds.fitting import (
    KINDS,
    THRESHOLDS,
    blank,
    choose_threshold,
    fit,
    measure,
    stacked,
    unstacked,
    without_ct,
)
from TumorSegLib.errors import ModelError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.image_features import FEATURES, features_of, image_features
from TumorSegLib.inference.image_kind import kind_probabilities, seen_instead_of_flair
from TumorSegLib.model.catalogue import SHIPPED, Catalogue
from TumorSegLib.model.image_kinds import FOLDER, read_kinds, shipped_kinds
from TumorSegLib.phantom import brain_phantom
from TumorSegLib.reading import read_volume

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def head():
    return brain_phantom(shape=(12, 128, 128), spacing=(1.8, 1.8, 10.0))[0]


def unnamed(volume, voxels=None, modality="MR"):
    return replace(
        volume, voxels=volume.voxels if voxels is None else voxels, name="1", modality=modality
    )


def test_phantoms_are_told_apart(head):
    assert seen_instead_of_flair(unnamed(head["flair"])) is None
    assert seen_instead_of_flair(unnamed(head["flair"], modality=None)) is None
    assert seen_instead_of_flair(unnamed(head["t1"])) == "t1"
    assert seen_instead_of_flair(unnamed(head["t1c"])) == "t1"


def test_a_made_up_t2_and_heads_without_a_skull(head):
    rng = np.random.default_rng(0)
    t1, flair = (head[name].voxels.astype(np.float32) for name in ("t1", "flair"))
    t2 = made_up_t2(t1, flair, 1.8, rng)
    assert seen_instead_of_flair(unnamed(head["flair"], t2)) == "t2"
    stripped = without_skull(flair, 1.8, rng)
    assert np.mean(stripped == 0) > np.mean(flair == 0) + 0.1 or (stripped != flair).any()
    assert seen_instead_of_flair(unnamed(head["flair"], stripped)) is None
    stripped = without_skull(t1, 1.8, rng)
    assert seen_instead_of_flair(unnamed(head["t1"], stripped)) == "t1"


def test_the_numbers_do_not_depend_on_units_or_mirroring(head):
    flair = head["flair"]
    numbers = image_features(flair)
    assert numbers.shape == (len(FEATURES),)
    assert len(set(FEATURES)) == len(FEATURES)
    scaled = flair.voxels.astype(np.float32) * 3.7 - 400
    assert image_features(unnamed(flair, scaled)) == pytest.approx(numbers, abs=2e-3)
    mirrored = image_features(unnamed(flair, np.ascontiguousarray(flair.voxels[:, :, ::-1])))
    assert mirrored == pytest.approx(numbers, abs=0.05)


@pytest.mark.parametrize("shape", [(1, 40, 40), (3, 7, 9), (2, 1, 1), (1, 600, 80)])
def test_odd_images_have_numbers_or_none(shape):
    noise = np.random.default_rng(0).integers(0, 99, shape).astype(np.int16)
    found = features_of(noise, (0.5, 3.0))
    assert found is None or np.isfinite(found).all()
    assert features_of(np.zeros(shape, np.uint8), (1.0, 1.0)) is None


def test_what_the_header_says_is_mri_is_never_taken_for_ct(head):
    kinds = shipped_kinds()
    assert "ct" in kind_probabilities(unnamed(head["flair"], modality=None), kinds)
    told = kind_probabilities(unnamed(head["flair"]), kinds)
    assert "ct" not in told
    assert sum(told.values()) == pytest.approx(1)


def test_the_classifier_is_no_model_that_segments():
    assert (SHIPPED / FOLDER / "kinds.json").is_file()
    catalogue = Catalogue.of([SHIPPED])
    assert not catalogue.broken
    assert FOLDER not in {bundle.id for bundle in catalogue.bundles}


@pytest.fixture
def folder(tmp_path):
    for name in ("kinds.json", "weights.safetensors"):
        (tmp_path / name).write_bytes((SHIPPED / FOLDER / name).read_bytes())
    return tmp_path


def test_damaged_classifiers_are_refused(folder):
    assert read_kinds(folder).probabilities(np.zeros(len(FEATURES), np.float32))
    weights = folder / "weights.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ModelError, match=r"is not the file that kinds\.json names"):
        read_kinds(folder)
    weights.unlink()
    with pytest.raises(ModelError, match="No such file"):
        read_kinds(folder)


def test_weights_that_do_not_fit_are_refused(folder):
    path = folder / "kinds.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"kinds": content["kinds"][:-1]}), encoding="utf-8")
    with pytest.raises(ModelError, match="coefficients is missing or not float32 of shape"):
        read_kinds(folder)
    path.write_text(json.dumps({"version": "1"}), encoding="utf-8")
    with pytest.raises(ModelError, match=r"kinds\.json"):
        read_kinds(folder)


def test_a_classifier_of_other_numbers_is_refused(head):
    kinds = shipped_kinds()
    other = replace(kinds.specification, features=FEATURES[:-1])
    with pytest.raises(ModelError, match="is of another version"):
        kind_probabilities(head["flair"], replace(kinds, specification=other))


@pytest.fixture(scope="module")
def examples():
    """Examples that the first five numbers tell apart, of three hospitals and CTs."""
    rng = np.random.default_rng(0)
    made = []
    for patient in range(12):
        name = f"TCGA_{'ABC'[patient % 3]}_{patient}"
        for kind in KINDS:
            for how in ("whole", "coarse", "stripped", "changed", "changed"):
                numbers = rng.normal(0, 0.3, len(FEATURES)).astype(np.float32)
                numbers[KINDS.index(kind)] += 4
                owner = f"volume-{patient}" if kind == "ct" else name
                made.append(Example(owner, kind, how, numbers))
    return made


def hospital_of(patient):
    return patient.split("_")[1] if "_" in patient else "CT"


def test_what_is_fitted_gives_scikit_learns_probabilities(examples):
    from sklearn.linear_model import LogisticRegression

    model = fit(examples, blank())
    learnt = [one for one in examples if one.how != "stripped"]
    features = np.stack([one.features for one in learnt])
    scaled = (features - features.mean(0)) / features.std(0)
    reference = LogisticRegression(C=0.05, class_weight="balanced", max_iter=2000)
    reference.fit(scaled, [KINDS.index(one.kind) for one in learnt])
    own = [list(model.probabilities(row).values()) for row in features[:50]]
    assert own == pytest.approx(reference.predict_proba(scaled[:50]), abs=1e-4)


def test_whoever_is_measured_took_no_part(examples, monkeypatch):
    from tumorseg_training.image_kinds import fitting

    seen = []
    monkeypatch.setattr(
        fitting,
        "fit",
        lambda some, words: seen.append({one.patient for one in some}) or fit(some, words),
    )
    measured = measure(examples, hospital_of, hospital_of)
    assert len(measured) == sum(one.kind != "ct" for one in examples)
    first = {one.example.patient for one in measured if one.group == "A"}
    without_first = [patients for patients in seen if not patients & first]
    assert len(without_first) >= 3  # one to measure with, two to choose its threshold
    assert {one.threshold for one in measured} <= set(THRESHOLDS)
    told = [without_ct(one.probabilities)["flair"] < one.threshold for one in measured]
    right = [
        flag == (one.example.kind != "flair") for flag, one in zip(told, measured, strict=True)
    ]
    assert np.mean(right) > 0.9


def test_the_threshold_leaves_few_false_alarms(examples):
    assert choose_threshold(examples, hospital_of) in THRESHOLDS
    odd = [
        replace(one, features=one.features - 4 * (np.arange(len(FEATURES)) == 0))
        if one.kind == "flair" and one.patient.startswith("TCGA_A")
        else one
        for one in examples
    ]
    assert choose_threshold(odd, hospital_of) < choose_threshold(examples, hospital_of)


def test_examples_are_kept_and_read_again(examples, tmp_path):
    words, features = stacked(examples)
    np.savez(tmp_path / "examples.npz", words=words, features=features)
    with np.load(tmp_path / "examples.npz") as arrays:
        again = unstacked(arrays["words"], arrays["features"])
    assert [(one.patient, one.kind, one.how) for one in again] == [
        (one.patient, one.kind, one.how) for one in examples
    ]
    assert (again[7].features == examples[7].features).all()


def test_the_training_runs_from_pictures_to_files(head, tmp_path, monkeypatch):
    """Six made-up patients of three hospitals, and six CTs of two slices."""
    from tumorseg_training.image_kinds import examples
    from tumorseg_training.image_kinds.__main__ import main

    monkeypatch.setattr(examples, "CHANGED", 2)
    monkeypatch.setattr(examples, "SINGLE", 1)
    whole = np.stack([head[key].voxels[1::2, ::2, ::2] for key in ("t1", "flair", "t1c")], -1)
    heads, trunks = tmp_path / "heads", tmp_path / "trunks"
    for patient in range(6):
        name = f"TCGA_{'ABC'[patient % 3]}_{patient}"
        channels = whole * np.random.default_rng(patient).uniform(0.95, 1.05, whole.shape)
        channels = np.clip(channels / channels.max() * 255, 0, 255).astype(np.uint8)
        (heads / name).mkdir(parents=True)
        for number, plane in enumerate(channels):
            Image.fromarray(plane).save(heads / name / f"{name}_{number}.tif")
            mask = Image.fromarray(np.zeros(plane.shape[:2], np.uint8))
            mask.save(heads / name / f"{name}_{number}_mask.tif")
        folder = trunks / f"volume-{patient}"
        folder.mkdir(parents=True)
        disk = np.hypot(*np.mgrid[-1:1:64j, -1:1:64j]) < 0.8
        rng = np.random.default_rng(patient)
        for number in range(2):
            body = (disk * rng.integers(100, 180, disk.shape)).astype(np.uint8)
            Image.fromarray(body).save(folder / f"{number}.png")
            Image.fromarray(np.zeros_like(body)).save(folder / f"{number}_mask.png")
    folds = {f"fold{k}": [f"TCGA_{'ABC'[n % 3]}_{n}" for n in range(k, 6, 2)] for k in range(2)}
    (tmp_path / "folds.json").write_text(json.dumps(folds), encoding="utf-8")
    words = [heads, "--ct", trunks, "--patients", tmp_path / "folds.json", "-o", tmp_path / "out"]
    assert main([str(word) for word in words]) == 0
    assert read_kinds(tmp_path / "out").specification.kinds == KINDS


def test_changes_are_repeatable_and_leave_an_image(head):
    slices = head["t1"].voxels.astype(np.float32)
    for seed in range(8):
        one, mm = changed(slices, 1.8, np.random.default_rng(seed))
        other, _ = changed(slices, 1.8, np.random.default_rng(seed))
        assert (one == other).all()
        assert one.std() > 0
        assert 1.3 < mm < 2.3
        assert features_of(one, (mm, mm)) is not None


def test_real_heads_are_told_apart(shared):
    """The classifier learnt from these; patients kept aside are in docs/models.md."""
    told = {"flair": [0, 0], "t1": [0, 0], "t1c": [0, 0]}
    packs = sorted((shared / "data" / "lgg").glob("*.zip"))
    assert len(packs) == 78
    for pack in packs[::3]:
        voxels = _slices(pack)
        grid = Grid(voxels.shape[:3], (0.9, 0.9, 5.0))
        for channel, name in enumerate(("t1", "flair", "t1c")):
            if name != "flair" and (voxels[..., channel] == voxels[..., 1]).all():
                continue
            volume = Volume(voxels[..., channel], grid, "MR", "case")
            told[name][0] += seen_instead_of_flair(volume) is not None
            told[name][1] += 1
    assert told["flair"][0] == 0
    assert told["t1"][0] >= 0.8 * told["t1"][1]
    assert told["t1c"][0] >= 0.9 * told["t1c"][1]


def test_single_slices_are_not_judged(head):
    t1 = head["t1"]
    for count, kind in ((1, None), (2, None), (3, "t1")):
        some = t1.voxels[5 : 5 + count]
        volume = replace(t1, voxels=some, grid=replace(t1.grid, shape=some.shape))
        assert seen_instead_of_flair(unnamed(volume)) == kind


def test_real_images_that_took_no_part_in_the_training(shared):
    data = shared / "data"
    slices = sorted((data / "brats21_flair").glob("*/flair.nii.gz"))
    assert len(slices) == 38
    for path in slices:
        assert seen_instead_of_flair(unnamed(read_volume(path), modality=None)) is None
    after_contrast = read_volume(data / "volumes" / "brain1_image.nrrd")
    assert seen_instead_of_flair(unnamed(after_contrast, modality=None)) == "t1"
    trunk = read_volume(data / "volumes" / "abdomen_ct_3mm.nii.gz")
    soft = unnamed(trunk, np.clip(trunk.voxels, -40, 160), modality=None)
    assert seen_instead_of_flair(soft) == "ct"


def _slices(pack):
    """Return (z, y, x, channel) of a patient: T1, FLAIR, T1 after contrast."""
    with zipfile.ZipFile(pack) as content:
        names = [name for name in content.namelist() if "mask" not in name]
        names.sort(key=lambda name: int(Path(name).stem.rsplit("_", 1)[1]))
        return np.stack([np.asarray(Image.open(io.BytesIO(content.read(n)))) for n in names])
