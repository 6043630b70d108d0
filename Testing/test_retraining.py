"""Corrected cases become a new version of a model, which is compared with the one before."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from synthetic_data import write_nnunet
from tiny_models import ALTERED, MASS, ct_specification, stump, write_tiny_bundle
from waiting import HANG_SECONDS, wait_until

from tumorseg_training.comparison import NEW, OLD, Verdict, verdict
from tumorseg_training.deadline import Deadline
from tumorseg_training.heldout_split import held_out
from tumorseg_training.retraining import Retrained, retrain
from tumorseg_training.retraining_plan import RetrainRequest, read_sets
from tumorseg_training.train import Devices
from tumorseg_training.versions import GUARD, next_version
from TumorSegLib.cli import main
from TumorSegLib.errors import InputError, ModelError, OutputError
from TumorSegLib.export.case_metadata import CaseRecord, record_text
from TumorSegLib.image.in_plane import PixelSpacing
from TumorSegLib.image.normalisation import Window
from TumorSegLib.model.bundle import Bundle, add_forest, load_forest, read_bundle
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.model.postprocessing import FalsePositiveFilter
from TumorSegLib.model.provenance import Provenance
from TumorSegLib.model.specification import Label, Network

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
BALL = Label(1, "Ball", (255, 196, 0), ALTERED, MASS)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with corrected cases, old cases, and a model that knows nothing yet."""
    folder = tmp_path_factory.mktemp("home")
    write_nnunet(folder / "corrected", 6)
    old = write_nnunet(folder / "old", 4)
    for path in sorted(old.rglob("BALL_*")):  # other patients
        path.rename(path.with_name(path.name.replace("BALL", "OLD")))
    specification = ct_specification(
        id="ball",
        version="1.0.0",
        input=replace(
            ct_specification().input, in_plane=PixelSpacing(1.5), normalisation=Window(-100, 250)
        ),
        labels=(BALL,),
        activation="sigmoid",
        network=Network("U-Net", {"in_channels": 1, "out_channels": 1, "width": 8, "depth": 3}),
        default=True,
        provenance=Provenance(
            config={"optimisation": {"loss": "dice"}}, split={"training": ("X",)}
        ),
    )
    write_tiny_bundle(folder / "shipped", specification)
    return folder


@pytest.fixture(autouse=True)
def models(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of models; the base is a copy there."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "ball").symlink_to(home / "shipped" / "ball")
    monkeypatch.setenv("TUMORSEG_MODELS", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))  # slices are cached there
    return folder


def wish(home: Path, **changes: Any) -> RetrainRequest:
    made = RetrainRequest(
        home / "corrected", "ball", epochs=2, learning_rate=1e-2, cache=str(home / "cache")
    )
    return replace(made, **changes)


def run(made: RetrainRequest, folder: Path, **more: Any) -> Retrained:
    options = {"devices": Devices(accelerator="cpu"), "report": lambda _: None} | more
    return retrain(made, folder, progress=False, **options)


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]


def at(words: str, action: Callable[[], object]) -> Callable[[str], None]:
    """Return a reporter that acts at the first line that begins with `words`."""

    def report(line: str) -> None:
        if line.startswith(words):
            action()

    return report


def test_cases_as_a_model_drew_them_teach_nothing(home: Path, tmp_path: Path) -> None:
    untouched = write_nnunet(tmp_path / "untouched", 4)
    (untouched / "cases").mkdir()
    for number, (corrected, reviewed) in enumerate([(False, False), (False, True), (True, False)]):
        name = sorted((untouched / "labelsTr").iterdir())[number].name.removesuffix(".nii.gz")
        record = CaseRecord(
            name,
            f"patient {number}",
            True,
            "ball 1.0.0",
            "TumorSeg",
            reviewed,
            {},
            corrected=corrected,
        )
        (untouched / "cases" / f"{name}.json").write_text(record_text(record))
    (new, _) = read_sets(
        wish(home, dataset=untouched), read_bundle(home / "shipped" / "ball").specification
    )
    assert len(new.cases) == 3
    (left_out,) = new.unusable
    assert "is as the model drew it; correct it" in left_out.reason


@pytest.fixture
def always_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models after an epoch or two count as better, and are installed."""
    told = Verdict(True, "better")
    monkeypatch.setattr("tumorseg_training.comparison.verdict", lambda pairs: told)


@pytest.fixture(scope="module")
def finished(home: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A finished run with old cases mixed in, and the bundle that it wrote."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        (folder / "models").mkdir()
        (folder / "models" / "ball").symlink_to(home / "shipped" / "ball")
        patch.setenv("TUMORSEG_MODELS", str(folder / "models"))
        patch.setenv("HOME", str(folder))  # the key of what is exported is kept there
        before = default_catalogue().default_for("CT").id
        made = wish(home, epochs=6, old_cases=home / "old")
        found = run(made, folder / "run")
        after = default_catalogue().default_for("CT").id
    return SimpleNamespace(folder=folder / "run", found=found, before=before, after=after)


def test_a_new_version_lies_beside_its_base(finished: SimpleNamespace) -> None:
    model = read_bundle(finished.found.bundle.folder).specification
    assert (model.id, model.version) == ("ball-1.1.0", "1.1.0")
    assert finished.found.bundle.folder.parent.name == "models"
    assert model.title.endswith("retrained 1.1.0")
    assert not model.default
    assert finished.before == finished.after == "ball"
    assert not list(finished.folder.glob("*.ckpt"))


def test_the_new_version_is_better_and_both_stand_side_by_side(finished: SimpleNamespace) -> None:
    comparison = json.loads((finished.folder / "comparison.json").read_text())
    assert comparison["better"]
    assert {row["cases"] for row in comparison["rows"]} == {NEW, OLD}
    for row in comparison["rows"]:
        assert row["retrained"] > row["base"]
        assert row["difference"]["mean"] == pytest.approx(row["retrained"] - row["base"])
    page = (finished.folder / "comparison.html").read_text()
    assert "ball 1.0.0" in page
    assert "<th>ball-1.1.0</th>" in page
    assert page.count("<h2>Tiny CT model") >= 2


def test_provenance_names_base_cases_and_software(finished: SimpleNamespace, home: Path) -> None:
    training = finished.found.bundle.specification.provenance
    base = read_bundle(home / "shipped" / "ball").specification
    assert base.weights is not None
    assert training.base.weights_sha256 == base.weights.sha256
    assert training.base.version == "1.0.0"
    split = training.split
    parts = [split[name] for name in ("training", "validation", "old_training", "old_validation")]
    assert all(parts)
    assert len({patient for part in parts for patient in part}) == sum(map(len, parts))
    assert sum(map(len, parts[:2])) == 6
    assert split["earlier"] == ("X",)
    assert len(training.label_maps_sha256) == 64
    assert training.config["optimisation"]["loss"] == "dice"
    assert {"torch", "lightning", "python"} <= training.software.keys()
    card = (finished.found.bundle.folder / "README.md").read_text()
    assert "Trained further from ball 1.0.0" in card
    assert "held-out patients of corrected" in card
    assert "Mean Dice beside the base: Ball" in card


def test_progress_can_be_followed_line_by_line(finished: SimpleNamespace) -> None:
    found = events(finished.folder)
    assert found[0]["event"] == "planned"
    epochs = [entry for entry in found if entry["event"] == "epoch"]
    assert [entry["epoch"] for entry in epochs] == list(range(7))
    assert "loss" not in epochs[0]
    assert all(0 <= entry["dice"] <= 1 for entry in epochs)
    assert epochs[-1]["loss"] < epochs[1]["loss"]
    assert [e["done"] for e in found if e["event"] == "measuring"][-1] == found[-2]["cases"]
    assert found[-1]["event"] == "done"
    assert found[-1]["better"]


def test_a_worse_model_is_neither_installed_nor_made_the_default(
    home: Path, finished: SimpleNamespace, tmp_path: Path, models: Path
) -> None:
    good = str(finished.found.bundle.folder)
    made = wish(home, base=good, epochs=1, learning_rate=5.0, as_default=True)
    found = run(made, tmp_path / "run")
    assert found.bundle.id == "ball-1.2.0"
    assert not found.comparison["better"]
    assert "not better" in found.comparison["reason"]
    assert found.bundle.folder == tmp_path / "run" / "ball-1.2.0"
    assert not (models / "ball-1.2.0").exists()
    assert default_catalogue().default_for("CT").id == "ball"
    split = found.bundle.specification.provenance.split
    assert set(finished.found.bundle.specification.provenance.split["training"]) <= {
        *split["training"],
        *split["earlier"],
    }


def test_a_better_model_becomes_the_default_if_asked_for(home: Path, tmp_path: Path) -> None:
    arguments = [str(home / "corrected"), "--base", "ball", "--epochs", "4", "--as-default"]
    arguments += ["--learning-rate", "1e-2", "--accelerator", "cpu", "-o", str(tmp_path / "run")]
    assert main(["retrain", *arguments]) == 0
    catalogue = default_catalogue()
    assert catalogue.default_for("CT").id == "ball-1.1.0"
    assert main(["models", "--default", "ball"]) == 0
    assert default_catalogue().default_for("CT").id == "ball"


def test_a_new_version_keeps_its_bases_forest(home: Path, tmp_path: Path, models: Path) -> None:
    specification = replace(
        read_bundle(home / "shipped" / "ball").specification,
        id="judging",
        input=replace(ct_specification().input, in_plane=PixelSpacing(1.5)),
        labels=(replace(BALL, includes=(2,)), replace(BALL, value=2, name="Part")),
        network=Network("U-Net", {"in_channels": 1, "out_channels": 2, "width": 8, "depth": 3}),
        default=False,
    )
    forest = stump("share", 0.5)
    base = add_forest(
        write_tiny_bundle(models, specification), forest, FalsePositiveFilter(2, 1, 0.4)
    )
    found = run(wish(home, base="judging", epochs=1), tmp_path / "run").bundle
    kept = load_forest(found)
    assert kept is not None
    assert kept.to_bytes() == forest.to_bytes()
    assert found.specification.candidates == base.specification.candidates


@pytest.mark.usefixtures("always_better")
def test_a_stopped_run_goes_on(home: Path, tmp_path: Path, models: Path) -> None:
    folder = tmp_path / "run"
    made = wish(home, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        run(made, folder, report=at("epoch 1/3", (folder / "stop").touch))
    assert (folder / "last.ckpt").exists()
    assert not (folder / "stop").exists()
    assert events(folder)[-1] == {"event": "stopped", "resumable": True}
    assert not (models / "ball-1.1.0").exists()
    with pytest.raises(InputError, match="--resume"):
        run(made, folder)
    run(replace(made, epochs=5), folder, resume=True)  # as it was begun
    for again in (False, True):
        with pytest.raises(InputError, match="holds a finished run"):
            run(made, folder, resume=again)
    with pytest.raises(InputError, match="holds files of the data set"):
        run(made, home / "corrected")
    epochs = [entry["epoch"] for entry in events(folder) if entry["event"] == "epoch"]
    assert epochs == [0, 1, 2, 3]
    assert (models / "ball-1.1.0" / "model.json").exists()


@pytest.mark.usefixtures("always_better")
def test_two_runs_at_once_write_two_versions(home: Path, tmp_path: Path, models: Path) -> None:
    other = []

    def begin() -> None:
        with pytest.raises(InputError, match="another run is at work there"):
            run(wish(home, epochs=1), tmp_path / "one")
        other.append(run(wish(home, epochs=1), tmp_path / "two"))

    first = run(wish(home, epochs=1), tmp_path / "one", report=at("epoch 1/1", begin))
    assert [first.bundle.id, other[0].bundle.id] == ["ball-1.1.0", "ball-1.2.0"]
    names = [path.name for path in models.iterdir() if path.name != GUARD]
    assert sorted(names) == ["ball", "ball-1.1.0", "ball-1.2.0"]


@pytest.mark.usefixtures("always_better")
def test_a_resumed_run_does_not_replace_what_another_has_written(
    home: Path, tmp_path: Path, models: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(wish(home), folder, report=at("epoch 1/2", (folder / "stop").touch))
    other = run(wish(home, epochs=1), tmp_path / "other")
    before = (other.bundle.folder / "model.json").read_bytes()
    found = run(wish(home), folder, resume=True)
    assert [other.bundle.id, found.bundle.id] == ["ball-1.1.0", "ball-1.2.0"]
    assert found.bundle.specification.version == "1.2.0"
    assert (models / "ball-1.1.0" / "model.json").read_bytes() == before


def test_what_lies_in_a_models_place_in_the_runs_folder_stays(home: Path, tmp_path: Path) -> None:
    there = tmp_path / "run" / "ball-1.1.0" / "scan.nii.gz"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"a patient's")
    with pytest.raises(OutputError, match="holds scan.nii.gz, which is no part of a model"):
        run(wish(home, epochs=1), tmp_path / "run")
    assert there.read_bytes() == b"a patient's"
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_names_of_files_do_not_get_into_the_model(
    home: Path, tmp_path: Path, finished: SimpleNamespace
) -> None:
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in finished.found.bundle.folder.iterdir()
        if path.suffix in (".json", ".md")
    )
    assert "patient_" in text
    assert not re.findall(r"(?:BALL|OLD)_\d+", text)


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "other"])
def test_a_damaged_checkpoint_is_one_line(
    home: Path, tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(wish(home), folder, report=at("epoch 1/2", (folder / "stop").touch))
    path = folder / "last.ckpt"
    content = path.read_bytes()
    if damage == "other":
        torch.save({"state_dict": {}}, path)
    else:
        path.write_bytes({"cut": content[:900], "empty": b"", "noise": b"x" * 999}[damage])
    with pytest.raises(InputError, match=r"last\.ckpt: not a checkpoint") as caught:
        run(wish(home), folder, resume=True)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_is_resumed_without_running_code_in_it(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(wish(home), folder, report=at("epoch 1/2", (folder / "stop").touch))
    asked = []
    load = torch.load

    def watched(*arguments: Any, **options: Any) -> Any:
        asked.append(options.get("weights_only"))
        return load(*arguments, **options)

    monkeypatch.setattr(torch, "load", watched)
    run(wish(home), folder, resume=True)
    assert asked
    assert all(asked)


def test_a_run_can_be_stopped_while_it_measures(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    made = wish(home, epochs=1)
    with pytest.raises(KeyboardInterrupt):
        run(made, folder, report=at("measuring", (folder / "stop").touch))
    found = run(made, folder, resume=True)
    assert found.bundle.specification.provenance.epochs == 1


def test_a_signal_leaves_a_checkpoint(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "TumorSegLib.cli", "retrain", str(home / "corrected")]
    command += ["--base", "ball", "--epochs", "500", "--accelerator", "cpu", "-o", str(folder)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    wait_until(lambda: (folder / "last.ckpt").exists() or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    _, printed = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 130
    assert b"Traceback" not in printed
    assert events(folder)[-1] == {"event": "stopped", "resumable": True}


def test_a_time_limit_ends_the_run_with_the_learning_rate_down(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which each epoch takes four seconds, and the third one eight."""
    now, took = 0.0, iter([4, 4, 8, 4, 4, 4, 4])
    ended = Deadline.on_validation_end

    def later(deadline: Deadline, trainer: Any, *rest: Any) -> None:
        nonlocal now
        if not trainer.sanity_checking:
            now += next(took)
        ended(deadline, trainer, *rest)

    monkeypatch.setattr(Deadline, "on_validation_end", later)
    monkeypatch.setattr("tumorseg_training.deadline.time", SimpleNamespace(monotonic=lambda: now))
    folder = tmp_path / "run"
    run(wish(home, epochs=None, hours=26 / 3600), folder)
    epochs = [entry for entry in events(folder) if entry["event"] == "epoch"][1:]
    assert [entry["epochs"] for entry in epochs] == [6, 6, 4, 5, 5]  # as planned after each
    assert now <= 26
    assert epochs[-1]["learning_rate"] < 1e-3


def test_nobody_who_was_trained_on_is_measured_on_when_cases_are_added() -> None:
    patients = [f"patient{number}" for number in range(40)]
    trained: set[str] = set()
    for count in range(4, 41):
        aside = held_out(patients[:count], frozenset(), "data")
        assert 1 <= len(aside) <= count // 2
        assert not aside & trained
        trained = set(patients[:count]) - aside
    assert 3 <= len(aside) <= 16


def test_at_least_one_patient_is_held_out_and_one_is_not() -> None:
    for number in range(30):
        pair = {f"a{number}", f"b{number}"}
        assert len(held_out(pair, frozenset(), "data")) == 1


def test_whom_the_base_was_trained_on_is_not_measured_on() -> None:
    patients = [f"patient{number}" for number in range(10)]
    usual = held_out(patients, frozenset(), "data")
    assert not usual & held_out(patients, usual, "data")
    with pytest.raises(InputError, match="none is left to measure on"):
        held_out(patients, frozenset(patients), "data")


def test_cases_of_one_patient_never_part(home: Path, tmp_path: Path) -> None:
    data = write_nnunet(tmp_path / "data", 6)
    (data / "cases").mkdir()
    for number in range(6):
        name = f"BALL_{number:03d}"
        record = {
            "case": name,
            "patient": f"patient_{number // 2}",
            "patient_known": True,
            "labels_of": "ball 1.0.0",
            "software": "",
            "reviewed": True,
            "labels": {},
        }
        (data / "cases" / f"{name}.json").write_text(json.dumps(record))
    run(wish(home, dataset=data, epochs=1), tmp_path / "run")
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert len(plan["held_out"]) == 2
    pairs = {name: int(name[-3:]) // 2 for name in plan["held_out"] + plan["training"]}
    assert not {pairs[n] for n in plan["held_out"]} & {pairs[n] for n in plan["training"]}


def test_one_patient_is_too_few(home: Path, tmp_path: Path) -> None:
    data = write_nnunet(tmp_path / "data", 1)
    with pytest.raises(InputError, match=r"found 1 patient, expected two or more"):
        run(wish(home, dataset=data), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unknown_structures_are_named_and_can_be_mapped(home: Path, tmp_path: Path) -> None:
    data = write_nnunet(tmp_path / "data", 2)
    content = json.loads((data / "dataset.json").read_text())
    content["labels"] = {"background": 0, "sphere": 1}
    (data / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"sphere \(1\) are no labels of ball.*--label"):
        run(wish(home, dataset=data), tmp_path / "run")
    run(wish(home, dataset=data, epochs=1, labels={"sphere": 1}), tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": "nobody"}, "not found"),
        ({"dataset": "nowhere"}, "nowhere"),
        ({"old_cases": "corrected"}, "the data set itself"),
        ({"old_cases": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    home: Path, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    paths = {k: v if k == "base" else home / v for k, v in changes.items()}
    with pytest.raises((InputError, ModelError), match=message) as error:
        run(wish(home, **paths), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_impossible_wishes_are_refused(home: Path) -> None:
    with pytest.raises(InputError, match="one of them"):
        wish(home, hours=1.0)
    with pytest.raises(InputError, match="--hours"):
        wish(home, epochs=None, hours=-1.0)
    with pytest.raises(InputError, match="holds no run to resume"):
        run(wish(home), home / "nothing", resume=True)


def test_detectors_and_ensembles_are_refused(home: Path, models: Path, tmp_path: Path) -> None:
    base = read_bundle(models / "ball").specification
    write_tiny_bundle(models, replace(base, id="seer", task="detection", weights=None))
    with pytest.raises(InputError, match="detection"):
        run(wish(home, base="seer"), tmp_path / "run")
    content = json.loads((models / "ball" / "model.json").read_text())
    content |= {"id": "both", "members": ["ball", "ball-1.1.0"]}
    del content["network"], content["weights"]
    (models / "both").mkdir()
    (models / "both" / "model.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="is an ensemble.*ball-1.1.0"):
        run(wish(home, base="both"), tmp_path / "run")


def test_the_next_version_that_is_free() -> None:
    model = ct_specification(id="liver", version="1.0.0")
    assert next_version(model, ()) == ("liver-1.1.0", "1.1.0")
    assert next_version(model, {"liver-1.1.0"}) == ("liver-1.2.0", "1.2.0")
    again = replace(model, id="liver-1.1.0", version="1.1.0")
    assert next_version(again, {"liver-1.1.0"}) == ("liver-1.2.0", "1.2.0")
    assert next_version(replace(model, version="2"), ()) == ("liver-2.1.0", "2.1.0")


@pytest.mark.parametrize(
    ("gains", "better"),
    [
        ({NEW: 0.02}, True),
        ({NEW: 0.0}, False),
        ({NEW: -0.01, OLD: 0.3}, False),
        ({NEW: 0.02, OLD: -0.005}, True),
        ({NEW: 0.02, OLD: -0.02}, False),
    ],
)
def test_better_is_better_on_new_cases_and_not_worse_on_old(
    gains: dict[str, float], better: bool
) -> None:
    pairs: Any = [SimpleNamespace(cases=cases, gain=gain) for cases, gain in gains.items()]
    assert verdict(pairs).better is better


def test_choices_of_a_default_are_kept_by_modality(models: Path) -> None:
    bundle: Bundle = read_bundle(models / "ball")
    other = replace(bundle.specification, id="ball-two", default=False, weights=None)
    write_tiny_bundle(models, other)
    assert main(["models", "--default", "ball-two"]) == 0
    assert default_catalogue().default_for("CT").id == "ball-two"
    (models / "defaults.json").write_text("[]")
    assert default_catalogue().default_for("CT").id == "ball"
