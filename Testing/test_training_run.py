from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from synthetic_data import SHAPE, ball_case, write_config, write_ircad, write_nnunet

from tumorseg_training import publishing
from tumorseg_training.config import read_config
from tumorseg_training.cross_validation import cross_validate
from tumorseg_training.publishing import figures_of, write_model
from tumorseg_training.train import Devices, Trained, moving_average, train
from tumorseg_training.whole_run import Running
from TumorSegLib import __version__
from TumorSegLib.cli import main
from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.segmenter import Segmenter
from TumorSegLib.model.bundle import read_bundle

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
CPU = Devices(accelerator="cpu")


def quiet(_line: str) -> None:
    pass


def run(config: Path, folder: Path, *overrides: str, **more: Any) -> Trained:
    options = {"devices": CPU, "report": quiet, "progress": False} | more
    return train(read_config(config, overrides), folder, **options)


@pytest.fixture(scope="module", autouse=True)
def own_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the key by which models name patients in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="module")
def balls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("balls")
    return write_config(folder, write_nnunet(folder / "data", 12), epochs=20)


@pytest.fixture(scope="module")
def published(balls: Path) -> Path:
    folder = balls.parent / "run"
    assert main(["train", str(balls), "-o", str(folder), "--accelerator", "cpu"]) == 0
    return folder


def test_a_short_training_reaches_dice_095_on_patients_it_never_saw(published: Path) -> None:
    bundle = read_bundle(published / "ball")
    dice = bundle.specification.evaluation.structures["Ball"].dice
    assert dice.patients == 3
    assert dice.mean > 0.95
    assert dice.low <= dice.mean <= dice.high


def test_the_bundle_segments_a_new_volume(published: Path) -> None:
    image, truth = ball_case(1000)
    volume = Volume(image, Grid(SHAPE, (1.5, 1.5, 3.0)), "CT")
    result = Segmenter(read_bundle(published / "ball"), device="cpu").segment({"ct": volume})
    both = ((result.labelmap == 1) & (truth == 1)).sum()
    assert 2 * both / ((result.labelmap == 1).sum() + truth.sum()) > 0.93


def test_the_bundle_holds_the_averaged_weights(published: Path) -> None:
    from TumorSegLib.model.bundle import load_network

    checkpoint = torch.load(published / "last.ckpt", weights_only=True)
    network = load_network(read_bundle(published / "ball")).state_dict()
    averaged, current = checkpoint["state_dict"], checkpoint["current_model_state"]
    name = "head.weight"
    torch.testing.assert_close(
        network[name], averaged[f"network.{name}"].half().float(), rtol=0, atol=0
    )
    assert not torch.equal(averaged[f"network.{name}"], current[f"network.{name}"])


def test_provenance_says_what_went_in(published: Path) -> None:
    training = read_bundle(published / "ball").specification.provenance
    assert len(training.split["validation"]) == 3
    assert len(training.split["training"]) == 9
    assert not set(training.split["validation"]) & set(training.split["training"])
    assert training.config["optimisation"]["loss"] == "bce+dice"
    assert training.config["data"]["folder"] == "data"
    assert training.datasets[0].name == "data"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", training.date)
    card = (published / "ball" / "README.md").read_text()
    assert "not a medical device" in card
    assert "| Ball | 0.9" in card


def test_logs_lie_beside_the_checkpoints(published: Path) -> None:
    with (published / "epochs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert float(rows[-1]["dice"]) > float(rows[0]["dice"])
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert (published / "progress.png").read_bytes().startswith(b"\x89PNG")
    assert list((published / "tensorboard").glob("events.*"))
    page = (published / "evaluation.html").read_text()
    assert page.count("data:image/png;base64,") >= 4
    assert not re.search(r"(src|href)=\"(?!data:)", page)


def test_a_folder_with_a_run_is_not_overwritten(
    published: Path, balls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (published / "last.ckpt").read_bytes()
    assert main(["train", str(balls), "-o", str(published)]) == 2
    assert "--resume" in capsys.readouterr().err
    assert (published / "last.ckpt").read_bytes() == before


@pytest.mark.parametrize("more", [[], ["--cross-validate", "fold0"]])
def test_what_lies_where_the_model_will_be_is_never_deleted(
    balls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    scan = tmp_path / "run" / ("cross-validation/fold0" if more else "") / "ball" / "scan.nii.gz"
    scan.parent.mkdir(parents=True)
    scan.write_bytes(b"a patient's")
    words = ["train", str(balls), "-o", str(tmp_path / "run"), "--accelerator", "cpu", *more]
    assert main([*words, "--set", "optimisation.epochs=1"]) == 2
    assert "scan.nii.gz, which is no part of a model" in capsys.readouterr().err
    assert scan.read_bytes() == b"a patient's"
    assert not list(tmp_path.rglob("*.ckpt"))


def ensemble_of_balls(balls: Path, folder: Path) -> Path:
    before, _ = balls.read_text(encoding="utf-8").split("[optimisation]")
    single = before.split("[model.network]")[0], before.split("[model.input]")[1]
    text = f'{single[0]}members = ["ball"]\n[model.input]{single[1]}'
    config = folder / "balls.toml"
    text = text.replace('id = "ball"', 'id = "balls"').split("[augmentation]")[0]
    config.write_text(text, encoding="utf-8")
    return config


def test_an_ensemble_is_measured_and_published_without_training(
    published: Path, balls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUMORSEG_MODELS", str(published))
    config = ensemble_of_balls(balls, tmp_path)
    assert main(["train", str(config), "-o", str(tmp_path / "run")]) == 0
    ensemble = read_bundle(tmp_path / "run" / "balls")
    member = read_bundle(published / "ball")
    mean = ensemble.specification.evaluation.structures["Ball"].dice.mean
    assert mean == member.specification.evaluation.structures["Ball"].dice.mean
    assert ensemble.specification.provenance.members["ball"].sha256 == (
        member.specification.weights.sha256
    )
    assert not (ensemble.folder / "weights.safetensors").exists()
    assert (
        "Averages the probabilities of `ball` 1.0.0" in (ensemble.folder / "README.md").read_text()
    )

    everybody = ["train", str(config), "-o", str(tmp_path / "all"), "--set", "data.validate="]
    figures = tmp_path / "run" / "evaluation.json"
    assert main([*everybody, "--measured", str(figures)]) == 0
    metrics = read_bundle(tmp_path / "all" / "balls").specification.evaluation
    assert metrics.structures["Ball"].dice.mean == mean
    assert "never saw those patients" in metrics.measured_on
    assert main([*everybody, "--measured", str(config)]) == 2


def test_evaluate_compares_models(published: Path, balls: Path, tmp_path: Path) -> None:
    patients = tmp_path / "patients.txt"
    patients.write_text("BALL_000\nBALL_001\nBALL_002\n")
    model = str(published / "ball")
    output = tmp_path / "results.json"
    command = ["evaluate", str(balls.parent / "data"), "--layout", "nnunet", "--device", "cpu"]
    command += ["--model", model, "--model", model, "--patients", str(patients)]
    assert main([*command, "-o", str(output)]) == 0
    results = json.loads(output.read_text())
    assert [row["patient"] for row in results["models"][0]["cases"]] == [
        "BALL_000",
        "BALL_001",
        "BALL_002",
    ]
    summary = results["models"][0]["summary"]
    found = summary["structures"]["Ball"]
    assert found["dice"]["mean"] > 0.9
    assert found["hd95_mm"]["mean"] < 4
    assert found["lesions"]["found"] == 3
    assert summary["slices"]["roc_auc"]["value"] > 0.95
    assert results["comparisons"][0]["p_value"] == 1.0
    assert output.with_suffix(".html").is_file()


DROPOUT = (
    "model.network.name=FCN-8s",
    "model.network.arguments={ in_channels = 1, out_channels = 1, width = 2, hidden = 8 }",
    "optimisation.epochs=4",
    "optimisation.slices_per_epoch=32",
    "augmentation.oblique=15",
    "optimisation.workers=1",
)

KILLED = """
import os, signal, sys
from pathlib import Path
from tumorseg_training import publishing
from tumorseg_training.config import read_config
from tumorseg_training.module import SegmentationModule
from tumorseg_training.train import Devices, train
step = SegmentationModule.training_step
def killed(self, batch, index):
    if self.current_epoch == 2 and index == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch, index)
SegmentationModule.training_step = killed
config = read_config(Path(sys.argv[1]), sys.argv[3:])
train(config, Path(sys.argv[2]), devices=Devices(accelerator="cpu"), progress=False)
"""


def test_a_killed_run_resumes_to_the_weights_of_an_uninterrupted_one(
    balls: Path, tmp_path: Path
) -> None:
    run(balls, tmp_path / "whole", *DROPOUT)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(balls), str(tmp_path / "part"), *DROPOUT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    trained = run(balls, tmp_path / "part", *DROPOUT, resume=True)
    assert [row["epoch"] for row in trained.history] == [1, 2, 3, 4]
    whole, part = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "part")
    )
    assert whole["global_step"] == part["global_step"]
    for state in ("state_dict", "current_model_state"):
        for name, tensor in whole[state].items():
            torch.testing.assert_close(part[state][name], tensor, rtol=1e-4, atol=1e-6)


def test_a_long_path_of_the_temporary_folder_does_not_hang_the_loader(
    balls: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / ("a-job-s-own-temporary-folder-" * 5)
    temporary.mkdir()
    words = ["train", str(balls), "-o", str(tmp_path / "run"), "--accelerator", "cpu"]
    changes = ["optimisation.epochs=1", "optimisation.workers=1"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "TumorSegLib.cli",
            *words,
            *(w for c in changes for w in ("--set", c)),
        ],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_train_one_model(balls: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "TumorSegLib.cli", "train", str(balls), "-o", str(tmp_path)]
    command += ["--devices", "2", "--accelerator", "cpu", "--set", "optimisation.epochs=12"]
    command += ["optimisation.batch_size=4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "MEMBER: 2/2" in done.stderr
    with (tmp_path / "epochs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert float(rows[-1]["loss"]) < 0.7 * float(rows[0]["loss"])
    bundle = read_bundle(tmp_path / "ball")
    measured = bundle.specification.evaluation.structures["Ball"].dice
    assert measured.patients == 3  # an odd number: one process validates a patient twice
    last = float(rows[-1]["dice"])  # of the weights that are published
    assert measured.mean == pytest.approx(last, abs=0.02)


def test_corrupt_cases_are_said_and_left_out(balls: Path, tmp_path: Path) -> None:
    data = write_nnunet(tmp_path / "data", 9)
    for name in ("BALL_001", "BALL_004"):
        path = data / "imagesTr" / f"{name}_0000.nii.gz"
        path.write_bytes(path.read_bytes()[:5000])
    (data / "labelsTr" / "BALL_005.nii.gz").unlink()
    lines: list[str] = []
    settings = (f"data.folder={data}", "optimisation.epochs=1", "data.folds=2")
    trained = run(balls, tmp_path / "run", *settings, report=lines.append)
    said = [line for line in lines if line.startswith("left out: ")]
    assert sorted(line.split(": ")[1] for line in said) == ["BALL_001", "BALL_004", "BALL_005"]
    assert trained.left_out == tuple(said)
    assert sorted(trained.split["training"] + trained.split["validation"]) == [
        f"BALL_{number:03d}" for number in (0, 2, 3, 6, 7, 8)
    ]


def test_label_values_outside_the_config_stop_the_run_by_name(
    balls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_nnunet(tmp_path / "data", 4)
    path = data / "labelsTr" / "BALL_002.nii.gz"
    label = sitk.ReadImage(str(path))
    sitk.WriteImage(label * 5, str(path))
    settings = ["--set", f"data.folder={data}", "optimisation.epochs=1"]
    assert main(["train", str(balls), "-o", str(tmp_path / "run"), *settings]) == 2
    error = capsys.readouterr().err
    assert "BALL_002: label values 5" in error
    assert "data.labels" in error
    assert "Traceback" not in error


def test_annotations_that_show_nothing_of_the_model_stop_the_run(
    balls: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"no case to train on shows.*data\.labels"):
        run(balls, tmp_path / "run", 'data.labels={ ball = 1, "*" = 0 }')


def test_fewer_patients_than_folds(balls: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="40 folds of 12 patients"):
        run(balls, tmp_path, "data.folds=40")
    with pytest.raises(InputError, match=r"data\.validate: found 'fold9'"):
        run(balls, tmp_path, "data.validate=fold9")


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    script = f"""
import resource, torch
from pathlib import Path
from tumorseg_training.checkpoints import WholeCheckpoints
from TumorSegLib.errors import OutputError
target, saver = Path({str(tmp_path / "last.ckpt")!r}), WholeCheckpoints()
saver.save_checkpoint({{"weights": torch.zeros(100)}}, target)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    saver.save_checkpoint({{"weights": torch.ones(100_000)}}, target)
except OutputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "the checkpoint before is kept" in done.stdout
    assert done.stdout.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept["weights"].shape == (100,)


def test_cross_validation_measures_every_patient_once(balls: Path, tmp_path: Path) -> None:
    config = read_config(balls, ["data.folds=3", "optimisation.epochs=2"])
    written = cross_validate(config, tmp_path, Running(CPU, quiet))
    assert written is not None
    results = json.loads(written[0].read_text())
    patients = [row["patient"] for row in results["models"][0]["cases"]]
    assert sorted(patients) == [f"BALL_{index:03d}" for index in range(12)]
    for fold in range(3):
        training = read_bundle(
            tmp_path / "cross-validation" / f"fold{fold}" / "ball"
        ).specification.provenance
        assert not set(training.split["training"]) & set(training.split["validation"])
    weights = [path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")]
    cross_validate(config, tmp_path, Running(CPU, quiet, resume=True))
    again = [path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")]
    assert weights == again


def test_named_folds_are_kept_aside_and_their_models_averaged(
    balls: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--cross-validate", "fold1", "fold0+fold3"]
    short = ["--set", "optimisation.epochs=1"]
    assert main(["train", str(balls), "-o", str(tmp_path / "ball"), *options, *short]) == 0
    ensemble = ["train", str(ensemble_of_balls(balls, tmp_path)), "-o", str(tmp_path / "balls")]
    assert main([*ensemble, *options]) == 0
    single, averaged = (
        json.loads((tmp_path / name / "cross-validation" / "evaluation.json").read_text())
        for name in ("ball", "balls")
    )
    figures = [
        [row["structures"] for row in run["models"][0]["cases"]] for run in (single, averaged)
    ]
    assert len(figures[0]) == 9
    assert figures[0] == figures[1]
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "ball" / "cross-validation" / "fold1"))
    assert main([*ensemble, "--set", "data.validate="]) == 0
    metrics = read_bundle(tmp_path / "balls" / "balls").specification.evaluation
    assert metrics.patients == 9
    assert metrics.measured_on.startswith("patients kept aside in turn (cross-validation)")
    assert main([*ensemble, "--cross-validate", "fold9"]) == 2
    assert "--cross-validate: found 'fold9', folds are fold0" in capsys.readouterr().err
    assert main([*ensemble, "--cross-validate", "fold1", "fold0+fold1"]) == 2
    assert "--cross-validate: fold1 is named twice; its" in capsys.readouterr().err


def test_softmax_models_train(balls: Path, tmp_path: Path) -> None:
    settings = ("model.activation=softmax", "model.network.arguments.out_channels=2")
    trained = run(balls, tmp_path, *settings, "optimisation.loss=ce+dice", "optimisation.epochs=8")
    assert max(row["dice"] for row in trained.history) > 0.8


def test_detectors_train(balls: Path, tmp_path: Path) -> None:
    settings = (
        "model.task=detection",
        "model.network={ name = 'ResNet-50', arguments = "
        "{ in_channels = 1, out_channels = 1, width = 8, hidden = [16] } }",
        "optimisation.loss=bce",
        "optimisation.epochs=2",
    )
    trained = run(balls, tmp_path, *settings)
    assert all(0 <= row["auc"] <= 1 for row in trained.history)
    assert trained.checkpoint.name == "last.ckpt"
    assert not (tmp_path / "best.ckpt").exists()


def test_a_frozen_encoder_stays_as_it_is(balls: Path, tmp_path: Path) -> None:
    settings = ("optimisation.freeze_encoder=1", "optimisation.average_decay=0")
    run(balls, tmp_path / "start", "optimisation.epochs=1", "optimisation.learning_rate=1e-8")
    start = f"optimisation.start_from={tmp_path / 'start' / 'last.ckpt'}"
    before = torch.load(tmp_path / "start" / "last.ckpt", weights_only=True)["state_dict"]
    run(balls, tmp_path / "a", *settings, start, "optimisation.epochs=1")
    run(balls, tmp_path / "b", *settings, start, "optimisation.epochs=2")
    frozen, thawed = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"] for name in "ab"
    )
    encoder = [name for name in before if name.startswith("network.contracting")]
    assert all(torch.equal(frozen[name], before[name]) for name in encoder)
    assert not torch.equal(frozen["network.head.weight"], before["network.head.weight"])
    assert not all(torch.equal(thawed[name], before[name]) for name in encoder)


def test_a_model_keeps_whom_the_weights_it_started_from_had_seen(
    balls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(balls), "--accelerator", "cpu", "--set", "optimisation.epochs=1"]
    assert main([*command, "-o", str(tmp_path / "start")]) == 0
    first = read_bundle(tmp_path / "start" / "ball").specification.provenance
    for source in ("ball", "last.ckpt"):
        start = f"optimisation.start_from={tmp_path / 'start' / source}"
        further = [*command, start, "data.folder=" + str(tmp_path / "others")]
        if source == "ball":
            others = write_nnunet(tmp_path / "others", 4)
            for path in sorted(others.rglob("BALL_*")):
                path.rename(path.with_name(path.name.replace("BALL", "OTHER")))
        assert main([*further, "-o", str(tmp_path / source)]) == 0
        made = read_bundle(tmp_path / source / "ball").specification.provenance
        assert set(made.split["earlier"]) == set(first.split["training"]) < made.trained_on
    assert main([*command, start, "data.validate=fold1", "-o", str(tmp_path / "seen")]) == 2
    assert "patients kept aside (BALL_" in capsys.readouterr().err


def test_training_stops_early(balls: Path, tmp_path: Path) -> None:
    settings = ("optimisation.keep=best", "optimisation.patience=2", "optimisation.epochs=30")
    slow = ("optimisation.learning_rate=1e-9", "optimisation.slices_per_epoch=8")
    trained = run(balls, tmp_path, *settings, *slow)
    assert len(trained.history) < 30
    assert trained.checkpoint.name == "best.ckpt"


def test_patients_who_are_measured_choose_no_epoch_unsaid(
    balls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(balls), "--accelerator", "cpu", "--set", "optimisation.epochs=1"]
    assert main([*command, "optimisation.patience=2", "-o", str(tmp_path / "none")]) == 2
    assert 'leave it out, or say keep = "best"' in capsys.readouterr().err
    chosen = tmp_path / "best"
    assert main([*command, "optimisation.keep=best", "-o", str(chosen)]) == 0
    measured = read_bundle(chosen / "ball").specification.evaluation
    assert "who also chose the epoch" in measured.measured_on
    others = figures_of(chosen / "evaluation.json")
    assert others.measured_on.startswith(
        "patients kept aside from a run of the same recipe, who also chose the epoch, so that the"
        " figures are too good: the model measured never saw"
    )


def test_a_loss_that_is_no_number_ends_the_run_before_the_checkpoint(
    balls: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        return lambda logits, _targets: logits.sum() * float("nan")

    monkeypatch.setattr("tumorseg_training.module.build_loss", broken)
    with pytest.raises(InputError, match=r"epoch 1; lower optimisation\.learning_rate"):
        run(balls, tmp_path, "optimisation.epochs=2")
    assert not (tmp_path / "last.ckpt").exists()


def test_a_run_is_not_resumed_under_another_schedule(balls: Path, tmp_path: Path) -> None:
    run(balls, tmp_path, "optimisation.epochs=1")
    with pytest.raises(InputError, match=r"optimisation\.epochs: .*begun with 1, .* says 3"):
        run(balls, tmp_path, "optimisation.epochs=3", resume=True)


def test_a_run_is_not_resumed_on_other_patients(balls: Path, tmp_path: Path) -> None:
    data = write_nnunet(tmp_path / "data", 3)
    settings = (f"data.folder={data}", "data.folds=3", "optimisation.epochs=1")
    words = ["train", str(balls), "-o", str(tmp_path), "--accelerator", "cpu", "--set", *settings]
    run(balls, tmp_path / "run", *settings)
    assert run(balls, tmp_path / "run", *settings, resume=True).split["training"]
    assert main([*words, "--cross-validate", "fold0", "fold1"]) == 0
    written = (tmp_path / "cross-validation" / "evaluation.json").read_bytes()
    write_nnunet(data, 4)
    with pytest.raises(InputError, match=r"run: was begun with other patients: BALL_00\d \(then"):
        run(balls, tmp_path / "run", *settings, resume=True)
    with pytest.raises(InputError, match=r"data\.validate: .*begun with fold0, .* says fold1"):
        run(balls, tmp_path / "run", *settings, "data.validate=fold1", resume=True)
    assert main([*words, "--cross-validate", "--resume"]) == 2
    assert (tmp_path / "cross-validation" / "evaluation.json").read_bytes() == written
    assert not (tmp_path / "cross-validation" / "fold2").exists()


def test_without_folds_everybody_is_trained_on(balls: Path, tmp_path: Path) -> None:
    command = ["train", str(balls), "-o", str(tmp_path / "run"), "--accelerator", "cpu"]
    assert main([*command, "--set", "data.validate=", "optimisation.epochs=1"]) == 0
    model = read_bundle(tmp_path / "run" / "ball").specification
    assert len(model.provenance.split["training"]) == 12
    assert model.evaluation is None
    assert "Not measured" in (tmp_path / "run" / "ball" / "README.md").read_text()


def test_a_card_takes_figures_of_its_own_recipe_alone(
    published: Path, balls: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(balls), "--accelerator", "cpu", "--set", "data.validate="]
    command += ["optimisation.epochs=1", "optimisation.slices_per_epoch=16"]
    other = [*command, "model.network.arguments.width=4"]
    figures = published / "evaluation.json"
    assert main([*other, "-o", str(tmp_path / "a"), "--measured", str(figures)]) == 2
    assert f"{figures}: holds figures of network" in capsys.readouterr().err
    assert not list((tmp_path / "a").rglob("*.ckpt"))
    for name, words, taken in (("same", command, True), ("other", other, False)):
        (tmp_path / name / "cross-validation").mkdir(parents=True)
        shutil.copy(figures, tmp_path / name / "cross-validation")
        assert main([*words, "-o", str(tmp_path / name)]) == 0
        assert ("not taken for the card: " in capsys.readouterr().err) == (not taken)
        model = read_bundle(tmp_path / name / "ball").specification
        assert (model.evaluation is not None) == taken


def test_a_further_data_set_of_another_size_is_trained_on_and_never_validated_on(
    balls: Path, tmp_path: Path
) -> None:
    smaller = write_ircad(tmp_path / "ircad", {"one": ["livertumor"], "two": ["livertumor"]})
    more = f'[[further]]\nfolder = "{smaller}"\nlayout = "3Dircadb1"\n'
    config = tmp_path / "both.toml"
    more += "labels = { livertumor = 1 }\nannotated = [1]\n"
    config.write_text(balls.read_text() + more, encoding="utf-8")
    cut = ("optimisation.epochs=1", "augmentation.crop=32")
    trained = run(config, tmp_path / "run", *cut)
    assert {"one", "two"} <= set(trained.split["training"])
    assert len(trained.split["validation"]) == 3
    assert not {"one", "two"} & set(trained.split["validation"])
    bundle = write_model(read_config(config, cut), trained, tmp_path / "bundle")
    card = (bundle.folder / "README.md").read_text()
    assert "`data` (layout `nnunet`), `ircad` (layout `3Dircadb1`); 3 patients" in card


def test_a_public_volume_in_nnunet_layout_trains_with_a_shipped_config(
    shared: Path, tmp_path: Path
) -> None:
    volumes = shared / "data" / "volumes"
    data = tmp_path / "Dataset001_Brain"
    for folder in ("imagesTr", "labelsTr"):
        (data / folder).mkdir(parents=True)
    label = sitk.ReadImage(str(volumes / "brain1_label.nrrd"))
    values = np.unique(sitk.GetArrayFromImage(label))
    image = volumes / "brain1_image.nrrd"
    (data / "imagesTr" / "brain_0000.nrrd").write_bytes(image.read_bytes())
    sitk.WriteImage(label, str(data / "labelsTr" / "brain.nrrd"))
    names = {"background": 0} | {f"tumour {value}": int(value) for value in values if value}
    content = {"channel_names": {"0": "FLAIR"}, "labels": names, "file_ending": ".nrrd"}
    (data / "dataset.json").write_text(json.dumps(content))
    settings = [f"data.folder={data}", "data.layout=nnunet", f"data.cache={tmp_path / 'cache'}"]
    settings += ["model.network.arguments.width=8", "optimisation.epochs=2"]
    settings += [
        "data.folds=",
        "data.validate=",
        "data.labels={ 'tumour*' = 1 }",
        "optimisation.slices_per_epoch=24",
        "optimisation.learning_rate=5e-3",
    ]
    config = read_config(ROOT / "training" / "configs" / "brain-lgg-linknet.toml", settings)
    trained = train(config, tmp_path / "run", devices=CPU, report=quiet, progress=False)
    assert trained.history[1]["loss"] < trained.history[0]["loss"]


def test_the_preview_is_a_picture(balls: Path, tmp_path: Path) -> None:
    assert main(["train", str(balls), "-o", str(tmp_path), "--preview"]) == 0
    assert (tmp_path / "preview.png").stat().st_size > 20_000
    assert not (tmp_path / "last.ckpt").exists()


def test_missing_packages_are_named_with_the_command_that_installs_them(
    balls: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tumorseg_training.commands.extra.NEEDED", ("lightning", "no_such_package"))
    assert main(["train", str(balls)]) == 2
    error = capsys.readouterr().err
    assert "no_such_package" in error
    assert f'{sys.executable} -m pip install "lightning>=' in error


def test_an_installed_library_does_not_name_the_commit_of_the_repository_around_it(
    tmp_path, monkeypatch
):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "-m", "somebody's"], check=True)
    installed = tmp_path / ".venv/lib/python3/site-packages/tumorseg_training/publishing.py"
    installed.parent.mkdir(parents=True)
    monkeypatch.setattr(publishing, "__file__", str(installed))
    assert publishing.code_version() == __version__
    checkout = tmp_path / "training" / "tumorseg_training" / "publishing.py"
    checkout.parent.mkdir(parents=True)
    monkeypatch.setattr(publishing, "__file__", str(checkout))
    assert re.fullmatch(re.escape(__version__) + r" \([0-9a-f]{12}\)", publishing.code_version())


def test_the_average_of_a_short_run_forgets_its_start() -> None:
    average = moving_average(0.998)
    start, end = torch.tensor(100.0), torch.tensor(1.0)
    value = start
    for step in range(200):
        value = average(value, end, torch.tensor(step + 1))
    assert value == pytest.approx(1.0, abs=0.01)
    assert float(average(start, end, torch.tensor(10**6))) == pytest.approx(99.802)
