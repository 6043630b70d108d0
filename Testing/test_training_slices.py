from __future__ import annotations

import ast
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from synthetic_data import write_config, write_nnunet
from tiny_models import BRAIN_INPUT, brain_specification
from torch.utils.data import DataLoader

from tumorseg_training.augmentation import DropChannels, augmentation
from tumorseg_training.case import Case, LabelledCase
from tumorseg_training.code_version import DECODING, decoding_files, version_of
from tumorseg_training.config import Augmentation, TrainingConfig, read_config
from tumorseg_training.datasets import select_cases
from tumorseg_training.oblique import oblique_slice, plane_positions
from tumorseg_training.sampling import Draw
from tumorseg_training.slice_cache import CachedCase, fill_cache, open_cache, resize_labels
from tumorseg_training.slices import Patients, Slices, targets
from TumorSegLib.cli import main
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.normalisation import Window
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.specification import Channel, Label, ModelSpecification, Network

ROOT = Path(__file__).resolve().parent.parent
TRAINING = ROOT / "training"


@pytest.fixture
def config(tmp_path: Path) -> TrainingConfig:
    return read_config(write_config(tmp_path, write_nnunet(tmp_path / "data", 4)))


def cached(images: NDArray[np.uint8], masks: NDArray[np.uint8], z_mm: float) -> CachedCase:
    return CachedCase("c", "p", images, masks, (z_mm, 1.0, 1.0), masks.any(axis=(1, 2)))


def test_the_second_start_decodes_nothing(config: TrainingConfig, tmp_path: Path) -> None:
    cases = select_cases(config).training
    first = fill_cache(cases, config.model.input, tmp_path / "cache")
    assert len(first.cases) == len(cases)

    def decode() -> LabelledCase:
        raise AssertionError("decoded again")

    again = fill_cache(
        [replace(case, decode=decode) for case in cases], config.model.input, tmp_path / "cache"
    )
    assert len(again.cases) == len(cases)
    opened = open_cache(cases, config.model.input, tmp_path / "cache")
    assert all(isinstance(case.images, np.memmap) for case in opened)
    assert opened[0].spacing_zyx == (3.0, 1.5, 1.5)


def test_a_small_head_is_learnt_as_it_is_segmented(tmp_path: Path) -> None:
    y, x = np.mgrid[-64:64, -64:64]
    inside = np.broadcast_to(np.hypot(y - 10, x + 8) < 24, (6, 128, 128))
    voxels = np.where(inside, np.random.default_rng(0).normal(100, 9, inside.shape), 0)
    labelmap = np.broadcast_to(np.hypot(y - 10, x + 8) < 8, inside.shape).astype(np.uint8)
    volume = Volume(voxels.astype(np.float32), Grid(inside.shape, (4.0, 4.0, 5.0)))
    source = tmp_path / "head"
    source.touch()
    case = Case("a", "a", (source,), lambda: LabelledCase({"flair": volume}, labelmap))
    fill_cache([case], BRAIN_INPUT, tmp_path / "cache")
    (opened,) = open_cache([case], BRAIN_INPUT, tmp_path / "cache")
    assert opened.images.shape == (6, 3, 64, 64)
    assert opened.spacing_zyx[1] == pytest.approx(4 * 48 / (0.875 * 64), rel=0.1)
    area = opened.spacing_zyx[1] * opened.spacing_zyx[2]
    assert opened.masks[0].sum() * area == pytest.approx(labelmap[0].sum() * 16, rel=0.1)


def test_changed_files_and_changed_preparation_are_decoded_again(
    config: TrainingConfig, tmp_path: Path
) -> None:
    case = select_cases(config).training[0]
    folder = tmp_path / "cache"
    fill_cache([case], config.model.input, folder)
    case.files[0].touch()
    assert not open_cache([case], config.model.input, folder)
    fill_cache([case], config.model.input, folder)
    other = replace(config.model.input, context=1)
    assert not open_cache([case], other, folder)


@pytest.mark.parametrize("name", ["images.npy", "masks.npy", "case.json"])
@pytest.mark.parametrize("kept", [0, 40, 500])
def test_a_case_that_is_cut_short_is_decoded_again(
    config: TrainingConfig, tmp_path: Path, name: str, kept: int
) -> None:
    case = select_cases(config).training[0]
    folder = tmp_path / "cache"
    fill_cache([case], config.model.input, folder)
    (path,) = folder.rglob(name)
    whole = path.read_bytes()
    path.write_bytes(whole[: min(kept, len(whole) - 1)])
    assert not open_cache([case], config.model.input, folder)
    fill_cache([case], config.model.input, folder)
    assert path.read_bytes() == whole
    assert len(open_cache([case], config.model.input, folder)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="folders have other rights there")
def test_nobody_else_can_look_into_the_cache(config: TrainingConfig, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        fill_cache(select_cases(config).training, config.model.input, tmp_path / "cache")
    finally:
        os.umask(before)
    folders = [tmp_path / "cache", *(tmp_path / "cache").iterdir()]
    assert len(folders) > 1
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}


@pytest.mark.parametrize("name", ["../../elsewhere", "/elsewhere", "..", "a\0b", "x" * 300])
def test_a_cases_name_names_no_place(config: TrainingConfig, tmp_path: Path, name: str) -> None:
    case = replace(select_cases(config).training[0], name=name)
    folder = tmp_path / "some" / "cache"
    fill_cache([case], config.model.input, folder)
    assert [path.name for path in folder.parent.iterdir()] == ["cache"]
    assert len(list(folder.iterdir())) == 1
    assert len(open_cache([case], config.model.input, folder)) == 1


def test_the_cache_is_cleared_and_nothing_else(
    config: TrainingConfig,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "cache"
    fill_cache(select_cases(config).training, config.model.input, folder)
    count = len(list(folder.iterdir()))
    kept = folder / "scans" / "a.nii.gz"
    kept.parent.mkdir()
    kept.write_bytes(b"a patient's")
    other = folder / "scans-0123456789abcdef" / "a.nii.gz"
    other.parent.mkdir()
    other.write_bytes(b"a patient's")
    monkeypatch.setattr("tumorseg_training.commands.extra.find_spec", lambda _: None)
    assert main(["cache", "--folder", str(folder)]) == 0
    assert str(folder) in capsys.readouterr().err
    assert main(["cache", "--clear", "--folder", str(folder)]) == 0
    assert f"removed {count} cases" in capsys.readouterr().err
    assert set(folder.rglob("*.*")) == {kept, other}


def test_a_corrupt_case_is_listed_and_the_others_go_on(
    config: TrainingConfig, tmp_path: Path
) -> None:
    cases = select_cases(config).training
    path = cases[0].files[0]
    path.write_bytes(path.read_bytes()[:900])
    found = fill_cache(cases, config.model.input, tmp_path / "cache")
    assert len(found.cases) == len(cases) - 1
    assert found.unusable[0].name == cases[0].name
    assert path.name in found.unusable[0].reason


@pytest.mark.slow
def test_a_full_disk_while_caching_keeps_what_is_whole(tmp_path: Path) -> None:
    write_config(tmp_path, write_nnunet(tmp_path / "data", 2))
    script = f"""
import resource, sys
from pathlib import Path
from tumorseg_training.config import read_config
from tumorseg_training.datasets import select_cases
from tumorseg_training.slice_cache import fill_cache
from TumorSegLib.errors import OutputError
config = read_config(Path({str(tmp_path / "ball.toml")!r}), ["data.folds=2"])
case, = select_cases(config).training
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    fill_cache([case], config.model.input, Path({str(tmp_path / "cache")!r}))
except OutputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "while caching BALL_00" in done.stdout
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("columns", "value"), [((1, 1, 2, 0, 0), 1), ((2, 0, 1, 2, 0), 2), ((1, 2, 0, 0, 0), 0)]
)
def test_labels_that_cover_half_of_a_pixel_together_leave_no_gap_between_them(
    columns: tuple[int, ...], value: int
) -> None:
    fine = np.tile(np.array(columns, np.uint8), (1, 25, 5))
    assert resize_labels(fine, (5, 5))[0, 2, 2] == value


def test_neighbours_lie_up_to_some_slices_apart(config: TrainingConfig) -> None:
    z = np.arange(21, dtype=np.uint8)[:, None, None, None] * 10
    case = cached(np.broadcast_to(z, (21, 1, 8, 8)).copy(), np.zeros((21, 8, 8), np.uint8), 5.0)
    network = Network("U-Net", {"in_channels": 3, "out_channels": 1, "width": 8, "depth": 3})
    neighbours = replace(config.model.input, context=1)
    model = replace(config.model, input=neighbours, network=network)
    slices = Slices([case], model, context_step=3)

    def depths(place: int, seed: int) -> tuple[int, ...]:
        image = slices.slice(Draw(place, seed))[0]
        return tuple(int(depth) for depth in (image[:, 0, 0] * 25.5).round())

    seen = [depths(10, seed) for seed in range(200)]
    assert set(seen) == {(10, 10, 10), (9, 10, 11), (8, 10, 12), (7, 10, 13)}
    assert seen.count((9, 10, 11)) > 100
    assert {depths(1, seed) for seed in range(50)} == {(1, 1, 1), (0, 1, 2), (0, 1, 3), (0, 1, 4)}
    assert [int(depth) for depth in (slices.slice(20)[0][:, 0, 0] * 25.5).round()] == [19, 20, 20]


def test_pixels_that_no_label_can_have_belong_to_no_class(config: TrainingConfig) -> None:
    hu = np.array([-250, -190, -110, -30, -20, 60])
    images = np.round((hu + 250) / 500 * 255).astype(np.uint8).repeat(6).reshape(1, 1, 6, 6)
    masks = np.zeros((1, 6, 6), np.uint8)
    masks[:, :, 3:] = 1
    label = replace(config.model.labels[0], intensities=(-191.0, -29.0))
    network = Network("FCN-8s", {"in_channels": 1, "out_channels": 2})
    window = replace(config.model.input, normalisation=Window(-250, 250))
    model = replace(
        config.model, labels=(label,), activation="softmax", input=window, network=network
    )
    case = cached(images, masks, 5.0)
    answers = Slices([case], model, within_intensities=True)[0][1]
    assert answers[:, :, 0].tolist() == [[0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]]
    assert answers[:, :, 5].tolist() == [[0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 0, 0]]
    turned = Slices([case], model, oblique_degrees=1, oblique_share=1, within_intensities=True)
    assert not turned[Draw(0, 0)][1][:, 0].any()
    everywhere = Slices([case], model)[0][1]
    assert everywhere.sum(dim=0).eq(1).all()
    validated = Patients([case], model, within_intensities=True)[0][2]
    torch.testing.assert_close(validated[0], answers)


def organ_and_lesion(config: TrainingConfig) -> ModelSpecification:
    ball = config.model.labels[0]
    lesion, vessel = replace(ball, value=2, name="Lesion"), replace(ball, value=3, name="Vessel")
    network = Network("U-Net", {"in_channels": 1, "out_channels": 3})
    labels = (replace(ball, includes=(2,)), lesion, vessel)
    return replace(config.model, labels=labels, network=network)


def test_what_was_not_looked_for_is_unknown_where_it_may_be(config: TrainingConfig) -> None:
    model = organ_and_lesion(config)
    mask = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    organ, lesion, vessel = targets(mask, model, annotated=(1,))
    assert organ.tolist() == [[0, 1, 1, 0]]
    assert lesion.tolist() == [[0, -1, 1, 0]]  # a lesion that was painted in is known to be one
    assert vessel.tolist() == [[-1, -1, -1, 1]]
    organ, lesion, vessel = targets(mask, model, annotated=(2, 3))
    assert organ.tolist() == [[-1, 1, 1, -1]]
    assert lesion.tolist() == [[0, 0, 1, 0]]
    assert vessel.tolist() == [[0, 0, 0, 1]]


def test_slices_know_what_their_case_was_annotated_for(config: TrainingConfig) -> None:
    model = organ_and_lesion(config)
    images = np.full((2, 1, 8, 8), 100, np.uint8)
    masks = np.ones((2, 8, 8), np.uint8)
    both = cached(images, masks, 3.0)
    slices = Slices([both, replace(both, annotated=(1,))], model)
    assert [slices[place][1][1].unique().tolist() for place in range(4)] == [[0], [0], [-1], [-1]]
    assert slices[Draw(3, 0)][1][1].unique().tolist() == [-1]


def test_an_untilted_plane_is_the_axial_slice() -> None:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (9, 2, 20, 24), np.uint8)
    masks = random.integers(0, 3, (9, 20, 24), np.uint8)
    case = cached(images, masks, 5.0)
    image, mask = oblique_slice(case, 4, (0.0, 0.0), context=1)
    expected = images[3:6].transpose(1, 0, 2, 3).reshape(6, 20, 24) / 255
    np.testing.assert_allclose(image, expected, atol=1e-5)
    np.testing.assert_array_equal(mask[0], masks[4])


def test_a_tilted_plane_passes_through_higher_slices() -> None:
    z = np.arange(21, dtype=np.uint8)[:, None, None, None] * 10
    images = np.broadcast_to(z, (21, 1, 31, 31)).copy()
    case = cached(images, np.zeros((21, 31, 31), np.uint8), 2.0)
    tilt = np.radians(30)
    image, _ = oblique_slice(case, 10, (tilt, 0.0), context=0)
    rise_mm = np.sin(tilt) * 10  # ten pixels of 1 mm below the centre
    assert float(image[0, 25, 15]) * 255 == pytest.approx(100 + rise_mm / 2.0 * 10, abs=0.1)
    assert float(image[0, 15, 15]) * 255 == pytest.approx(100, abs=0.1)


def test_oblique_planes_keep_distances() -> None:
    positions = plane_positions((30, 40, 40), (3.0, 1.0, 1.0), 15, (0.3, -0.2), 1)
    millimetres = positions * np.array([3.0, 1.0, 1.0])
    down = np.linalg.norm(millimetres[:, 1:] - millimetres[:, :-1], axis=-1)
    across = np.linalg.norm(millimetres[:, :, 1:] - millimetres[:, :, :-1], axis=-1)
    parallel = np.linalg.norm(millimetres[1:] - millimetres[:-1], axis=-1)
    np.testing.assert_allclose(down, 1.0)
    np.testing.assert_allclose(across, 1.0)
    np.testing.assert_allclose(parallel, 3.0)


EVERYTHING = Augmentation(
    rotate=25, scale=0.2, shear=0.1, shift=0.1, elastic=0.03, flip=True, gain=0.2, bias=0.1,
    gamma=0.3, noise=0.03, blur=1.0, bias_field=0.3,
)  # fmt: skip


def test_image_and_mask_move_together(config: TrainingConfig) -> None:
    geometric = replace(
        EVERYTHING, gain=0.0, bias=0.0, gamma=0.0, noise=0.0, blur=0.0, bias_field=0.0
    )
    changes = augmentation(geometric, config.model, 64)
    mask = torch.zeros(1, 64, 64)
    mask[0, 20:34, 26:44] = 1
    overlaps = []
    for seed in range(40):
        changes.seed(seed)
        changed = changes({"image": mask.clone(), "mask": mask.clone()})
        image, moved = changed["image"] > 0.5, changed["mask"] > 0.5
        overlaps.append(2 * (image & moved).sum() / (image.sum() + moved.sum()))
        assert set(torch.unique(changed["mask"]).tolist()) <= {0.0, 1.0}
    assert min(overlaps) > 0.93


def test_slices_shift_along_both_axes(config: TrainingConfig) -> None:
    changes = augmentation(Augmentation(shift=0.2), config.model, 64)
    mask = torch.zeros(1, 64, 64)
    mask[0, 30:34, 30:34] = 1
    centres = []
    for seed in range(40):
        changes.seed(seed)
        moved = changes({"image": mask.clone(), "mask": mask.clone()})["mask"][0]
        centres.append(torch.nonzero(moved).float().mean(dim=0))
    rows, columns = torch.stack(centres).std(dim=0).tolist()
    assert rows == pytest.approx(columns, rel=0.4)
    assert min(rows, columns) > 3


def test_neighbours_of_a_sequence_become_brighter_together() -> None:
    network = Network("U-Net", {"in_channels": 9, "out_channels": 1, "width": 4, "depth": 2})
    model = brain_specification(input=replace(BRAIN_INPUT, context=1), network=network)
    sequences = len(model.input.channels)
    changes = augmentation(Augmentation(gain=0.2, bias=0.1), model, 8)
    image, mask = torch.full((3 * sequences, 8, 8), 0.5), torch.zeros(1, 8, 8)
    apart = 0
    for seed in range(20):
        changes.seed(seed)
        changed = changes({"image": image.clone(), "mask": mask})["image"]
        assert changed.shape == image.shape
        levels = changed[:, 0, 0].reshape(sequences, 3)
        assert torch.equal(levels, levels[:, :1].expand(-1, 3))
        apart += len(set(levels[:, 0].tolist())) == sequences
    assert apart > 10


def test_sequences_are_dropped_as_they_are_when_a_user_has_none() -> None:
    channels = (
        Channel("flair", "FLAIR"),
        Channel("t1c", "T1 after contrast", "t1"),
        Channel("t1", "T1", "flair"),
    )
    model = replace(BRAIN_INPUT, channels=channels, context=1)
    drop = DropChannels(model, 0.5)
    image = torch.arange(9.0).reshape(9, 1, 1).expand(9, 4, 4)
    kept = {}
    for seed in range(30):
        drop.set_random_state(seed)
        found = torch.as_tensor(drop({"image": image})["image"])
        sources = tuple(int(value) // 3 for value in found[1::3, 0, 0])
        kept[sources] = found
        torch.testing.assert_close(
            found.unflatten(0, (3, 3))[:, :, 0, 0] % 3, torch.arange(3.0).expand(3, 3)
        )
    # everything; no T1: contrast stays; no contrast: T1; neither: FLAIR for both
    assert set(kept) == {(0, 1, 2), (0, 1, 0), (0, 2, 2), (0, 0, 0)}


def test_cached_slices_are_those_of_this_code(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases, cache = select_cases(config).training, tmp_path / "cache"
    fill_cache(cases, config.model.input, cache)
    assert len(open_cache(cases, config.model.input, cache)) == len(cases)
    monkeypatch.setattr("tumorseg_training.slice_cache.decoding_version", lambda: "after an update")
    assert open_cache(cases, config.model.input, cache) == []


def test_every_file_that_makes_slices_counts_in_their_version(tmp_path: Path) -> None:
    """What slice_cache and the readers import counts, or is here because it changes no voxel."""
    harmless = {
        "training/tumorseg_training/case.py",  # types
        "training/tumorseg_training/code_version.py",
        "TumorSegLib/errors.py",
        "TumorSegLib/support/silence.py",
        "TumorSegLib/support/schema.py",
        "TumorSegLib/support/atomic_write.py",  # how a file gets its name
        "TumorSegLib/support/__init__.py",
        "TumorSegLib/support/leftovers.py",  # what killed processes left
        "TumorSegLib/model/specification.py",  # its content counts
        "TumorSegLib/image/sequence_names.py",
        "TumorSegLib/export/dataset.py",  # where a data set's files lie
        "TumorSegLib/export/case_metadata.py",
        "TumorSegLib/support/words.py",
        "TumorSegLib/support/child_process.py",  # how a process is started
    }
    seen: set[Path] = set()
    package = TRAINING / "tumorseg_training"
    todo = [package / "slice_cache.py", *(package / "readers").glob("*.py")]
    while todo:
        path = todo.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        if path.relative_to(ROOT).as_posix() in harmless:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                home = TRAINING if node.module.startswith("tumorseg_training") else ROOT
                module = home / node.module.replace(".", "/")
                todo += [module.with_suffix(".py"), module / "__init__.py"]
                todo += [(module / alias.name).with_suffix(".py") for alias in node.names]
    counted = set(decoding_files())
    folders = [ROOT if pattern.startswith("TumorSegLib") else TRAINING for pattern in DECODING]
    assert all(any(f.glob(p)) for f, p in zip(folders, DECODING, strict=True))
    assert {path.relative_to(ROOT).as_posix() for path in seen - counted} == harmless
    copies = [tmp_path / "one.py", tmp_path / "two.py"]
    for copy in copies:
        copy.write_bytes(b"gain = 1\n")
    before = version_of(copies)
    copies[0].write_bytes(b"gain = 1\r\n")  # a checkout on Windows
    assert version_of(copies) == before
    copies[0].write_bytes(b"gain = 2\n")
    assert version_of(copies) != before


def test_a_loaders_process_is_handed_the_files_not_their_content(
    config: TrainingConfig, tmp_path: Path
) -> None:
    """Where it is spawned, as on Windows and macOS, and does not share the memory."""
    cases = select_cases(config).training
    fill_cache(cases, config.model.input, tmp_path / "cache")
    opened = open_cache(cases, config.model.input, tmp_path / "cache")
    content = pickle.dumps(opened)
    assert len(content) < 2000 * len(opened)
    assert sum(case.images.nbytes for case in opened) > 50 * len(content)
    for case, again in zip(opened, pickle.loads(content), strict=True):
        assert isinstance(again.images, np.memmap)
        np.testing.assert_array_equal(again.images, case.images)
        np.testing.assert_array_equal(again.masks, case.masks)
        np.testing.assert_array_equal(again.foreground, case.foreground)
        assert (again.name, again.patient, again.spacing_zyx) == (
            case.name, case.patient, case.spacing_zyx,
        )  # fmt: skip
    part = replace(opened[0], images=opened[0].images[1:3])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(part)).images, part.images)


@pytest.mark.slow
def test_slices_are_drawn_in_a_process_that_was_spawned(
    config: TrainingConfig, tmp_path: Path
) -> None:
    cases = select_cases(config).training
    fill_cache(cases, config.model.input, tmp_path / "cache")
    opened = open_cache(cases, config.model.input, tmp_path / "cache")
    changes = augmentation(EVERYTHING, config.model, 64)
    slices = Slices(opened, config.model, transform=changes)
    draws = [Draw(index, 7 + index) for index in range(4)]
    loader = DataLoader(slices, 2, sampler=draws, num_workers=1, multiprocessing_context="spawn")
    here = DataLoader(Slices(opened, config.model, transform=changes), 2, sampler=draws)
    for one, other in zip(loader, here, strict=True):
        torch.testing.assert_close(one, other)


def test_a_seed_repeats_every_change(config: TrainingConfig) -> None:
    changes = augmentation(EVERYTHING, config.model, 48)
    image = torch.rand(1, 48, 48)

    def changed(seed: int) -> torch.Tensor:
        changes.seed(seed)
        return torch.as_tensor(changes({"image": image.clone(), "mask": image > 0.5})["image"])

    results = [changed(seed) for seed in range(6)]
    for seed in reversed(range(6)):
        torch.testing.assert_close(changed(seed), results[seed], rtol=0, atol=0)
    assert len({float(result.sum()) for result in results}) > 4


@pytest.mark.parametrize("size", [48, 100])
def test_a_crop_has_its_size_whatever_the_slice_has(config: TrainingConfig, size: int) -> None:
    changes = augmentation(Augmentation(crop=64), config.model, size)
    image = torch.rand(1, size, size) + 0.1
    places = set()
    for seed in range(5):
        changes.seed(seed)
        changed = changes({"image": image.clone(), "mask": (image > 0.6).float()})
        cut = torch.as_tensor(changed["image"])
        assert cut.shape == (1, 64, 64)
        assert torch.equal((cut > 0.6).float(), torch.as_tensor(changed["mask"]))
        places.add(round(float(cut.sum()), 3))
    assert len(places) == (1 if size == 48 else 5)


def test_slices_are_the_same_whatever_was_drawn_before(
    config: TrainingConfig, tmp_path: Path
) -> None:
    cases = select_cases(config).training
    fill_cache(cases, config.model.input, tmp_path / "cache")
    opened = open_cache(cases, config.model.input, tmp_path / "cache")

    def slices() -> Slices:
        changes = augmentation(EVERYTHING, config.model, 48)
        return Slices(
            opened, config.model, transform=changes, oblique_degrees=20, oblique_share=0.5
        )

    one, other = slices(), slices()
    for place in range(8):
        other[Draw(place, place)]
    for place in (5, 2):
        for left, right in zip(one[Draw(place, 99)], other[Draw(place, 99)], strict=True):
            torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_slices_say_which_structures_they_show(config: TrainingConfig) -> None:
    ball = config.model.labels[0]
    inner = Label(2, "Core", ball.colour, ball.category, ball.type)
    network = Network("U-Net", {"in_channels": 1, "out_channels": 2})
    model = replace(config.model, labels=(replace(ball, includes=(2,)), inner), network=network)
    masks = np.zeros((3, 4, 4), np.uint8)
    masks[1, 0, 0], masks[2, 3, 3] = 1, 2
    case = cached(masks[:, None], masks, 1.0)
    slices = Slices([case, case], model)
    assert slices.shows().tolist() == 2 * [[False, False], [True, False], [True, True]]
    assert slices.cases_of_slices.tolist() == [0, 0, 0, 1, 1, 1]


def test_targets_of_each_kind(config: TrainingConfig) -> None:
    ball = config.model.labels[0]
    inner = Label(2, "Core", ball.colour, ball.category, ball.type)
    outer = replace(ball, includes=(2,))
    network = Network("U-Net", {"in_channels": 1, "out_channels": 2})
    model = replace(config.model, labels=(outer, inner), network=network)
    mask = torch.tensor([[0.0, 1.0, 2.0]])
    assert targets(mask, model).tolist() == [[[0, 1, 1]], [[0, 0, 1]]]
    three = Network("U-Net", {"in_channels": 1, "out_channels": 3})
    softmax = replace(model, activation="softmax", network=three)
    assert targets(mask, softmax).tolist() == [[[1, 0, 0]], [[0, 1, 0]], [[0, 0, 1]]]
    detection = replace(model, task="detection")
    assert targets(mask, detection).tolist() == [1, 1]
    assert targets(mask.clamp(max=1), detection).tolist() == [1, 0]
