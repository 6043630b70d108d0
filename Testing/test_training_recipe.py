"""Recipes of several stages, and what configs of a family share."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_data import write_config, write_nnunet
from tiny_models import ct_specification, write_tiny_bundle

from tumorseg_training.config import read_config, read_ensemble, read_recipe
from tumorseg_training.datasets import select_cases
from tumorseg_training.patients_apart import check_members, check_stages
from tumorseg_training.recorded_names import record_of
from tumorseg_training.same_recipe import OtherRecipeError, check_recipe, recorded_recipe
from TumorSegLib.cli import main
from TumorSegLib.errors import InputError
from TumorSegLib.model.bundle import read_bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.provenance import Provenance

CONFIGS = Path(__file__).resolve().parent.parent / "training" / "configs"
STAGES = """
cross_validation = ["fold0", "fold1+fold2"]

[[stages]]
name = "coarse"
aside = "each"
model.input.in_plane.spacing_mm = 3.0
optimisation = { epochs = 1, learning_rate = 2e-2 }

[[stages]]
name = "fine"
aside = "each"
start_from = "coarse"

[[stages]]
name = "everybody"
aside = "nobody"
start_from = "fine/fold0"
measured = "fine"
optimisation.epochs = 1
"""


def write_recipe(folder: Path, data: Path, stages: str = STAGES) -> Path:
    path = write_config(folder, data, epochs=2)
    path.write_text(stages + path.read_text().replace("folds = 4", "folds = 3"))
    return path


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_recipe(tmp_path, tmp_path)


def test_a_stage_changes_what_it_names_and_keeps_the_rest(recipe: Path) -> None:
    found = read_recipe(recipe)
    assert found is not None
    assert found.names == ["coarse", "fine", "everybody"]
    coarse, other, fine, _, last = found.parts
    assert (coarse.folds, other.folds, last.folds) == ("fold0", "fold1+fold2", "")
    assert coarse.config.model.input.in_plane.spacing_mm == 3.0
    assert fine.config.model.input.in_plane.spacing_mm == 1.5
    assert [part.config.optimisation.epochs for part in found.parts] == [1, 1, 2, 2, 1]
    assert [part.config.optimisation.learning_rate for part in (coarse, fine)] == [2e-2, 1e-2]
    validated = [part.config.data.validate for part in found.parts]
    assert validated == ["fold0", "fold1+fold2", "fold0", "fold1+fold2", None]
    assert [part.start for part in (coarse, other, fine)] == [None, None, ("coarse", "fold0")]
    assert last.start == ("fine", "fold0")
    assert found.crossed == {"fine"}
    assert read_config(recipe).data.validate == "fold0"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("start_from = ", "starts_from = ", r"stages\[1\]\.starts_from: unknown key"),
        ("learning_rate = ", "learning_rat = ", r"stages\.coarse\.optimisation\.learning_rat: unk"),
        ("epochs = 1,", "epochs = 0,", r"stages\.coarse\.optimisation: epochs 0"),
        ('"each"', '"all"', r"stages\[0\]\.aside: found 'all'"),
        ('name = "fine"', 'name = "coarse"', r"stages\.coarse: stands twice"),
        ('name = "fine"', 'name = "../fine"', r"stages\[1\]: name '\.\./fine'"),
        ('start_from = "coarse"', 'start_from = "fine"', "'fine/fold0': no such stage before it"),
        ('start_from = "coarse"', 'start_from = "coarse/fold0"', "expected 'coarse'"),
        ('start_from = "fine/fold0"', 'start_from = "fine"', "'fine': no such stage before it"),
        ('measured = "fine"', 'measured = "everybody"', "measured 'everybody': no stage before"),
        ('aside = "nobody"', 'aside = "each"', "measured goes with aside"),
        ("cross_validation = [", "crossvalidation = [", r"ball\.toml: crossvalidation: unknown"),
        ('cross_validation = ["fold0", "fold1+fold2"]', "", "cross_validation is missing"),
        ('"fold1+fold2"]', '"fold1+fold2", 3]', r"cross_validation\[2\]"),
        (
            'start_from = "coarse"',
            'start_from = "coarse"\noptimisation.start_from = "a.ckpt"',
            "start_from stands twice",
        ),
    ],
)
def test_impossible_stages_are_refused_by_name(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    assert old in STAGES
    path = write_recipe(tmp_path, tmp_path, STAGES.replace(old, new, 1))
    with pytest.raises(InputError, match=words) as refusal:
        read_recipe(path)
    assert "\n" not in str(refusal.value)


def check_all(path: Path, *overrides: str) -> None:
    found = read_recipe(path, overrides)
    assert found is not None
    selections = {part.key: select_cases(part.config) for part in found.parts}
    for part in found.parts:
        check_stages(found, part, selections)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'aside = "nobody"\nstart_from = "fine/fold0"\nmeasured = "fine"',
            'start_from = "fine/fold1+fold2"',
            r"stages\.everybody: start_from 'fine' has learnt from BALL_00\d, BALL_00\d, kept",
        ),
        (
            'start_from = "coarse"',
            'start_from = "coarse"\noptimisation.seed = 1',
            r"stages\.fine: start_from 'coarse' has learnt from BALL_00\d.*, or a file of folds",
        ),
        (
            'start_from = "coarse"',
            'start_from = "coarse"\ndata.folds = 4',
            r"stages\.fine: start_from 'coarse' has learnt from BALL_00\d",
        ),
    ],
)
def test_whom_a_stage_keeps_aside_no_earlier_one_has_learnt_from(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    data = write_nnunet(tmp_path / "data", 6)
    check_all(write_recipe(tmp_path, data))
    path = write_recipe(tmp_path, data, STAGES.replace(old, new, 1))
    with pytest.raises(InputError, match=words) as refusal:
        check_all(path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("named", [str, record_of])
def test_members_have_not_learnt_from_whom_they_are_measured_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: Callable[[str], str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    data = write_nnunet(tmp_path / "data", 4)
    selection = select_cases(read_config(write_config(tmp_path, data)))
    trained = Provenance(split={"training": tuple(map(named, selection.split["training"]))})
    model = ct_specification(provenance=trained)
    write_tiny_bundle(tmp_path / "models", model)
    models = Catalogue.of([tmp_path / "models"])
    check_members(models, [model.id], selection.validation, "fold0")
    with pytest.raises(InputError, match=r": has learnt from BALL_00\d.*, whom fold0 keeps aside"):
        check_members(models, [model.id], selection.training, "fold0")


def test_overrides_change_all_stages_or_one(recipe: Path) -> None:
    words = ["optimisation.epochs=5", "stages.coarse.optimisation.epochs=4", "data.folder=there"]
    found = read_recipe(recipe, words)
    assert found is not None
    assert [part.config.optimisation.epochs for part in found.parts] == [4, 4, 5, 5, 1]
    assert {part.config.data.folder for part in found.parts} == {"there"}
    with pytest.raises(InputError, match="is not a key of a section"):
        read_recipe(recipe, ["stages.missing.optimisation.epochs=4"])
    assert read_recipe(recipe, ["stages=[]"]) is None


def test_a_stage_may_train_by_another_config(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_recipe(other, tmp_path)
    stages = STAGES.replace('name = "coarse"', 'name = "coarse"\nconfig = "other/ball.toml"')
    text = (other / "ball.toml").read_text().replace('id = "ball"', 'id = "other-ball"')
    (other / "ball.toml").write_text(text)
    found = read_recipe(write_recipe(tmp_path, tmp_path, stages), ["data.folder=there"])
    assert found is not None
    assert [part.config.model.id for part in found.parts[:3]] == ["other-ball"] * 2 + ["ball"]
    assert found.parts[0].config.optimisation.epochs == 1
    assert found.parts[0].config.data.folder == "there"


def in_family(folder: Path, own: str) -> Path:
    path = write_config(folder, folder)
    path.rename(folder / "family.toml")
    path.write_text(f'family = "family.toml"\n{own}')
    return path


def test_a_config_says_what_differs_from_its_family(tmp_path: Path) -> None:
    own = """
        [model]
        id = "own"
        [model.input]
        in_plane = { kind = "field_of_view", size = 64 }
        [model.input.normalisation]
        high = 300.0
        [[model.labels]]
        value = 1
        threshold = 0.3
        [optimisation]
        epochs = 9
    """
    config = read_config(in_family(tmp_path, own))
    assert config.model.id == "own"
    assert config.model.title == "Ball"
    assert config.model.input.in_plane.size == 64
    assert (config.model.input.normalisation.low, config.model.input.normalisation.high) == (
        -100.0,
        300.0,
    )
    (label,) = config.model.labels
    assert (label.name, label.threshold) == ("Ball", 0.3)
    assert config.optimisation.epochs == 9
    assert config.augmentation.rotate == 10.0


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ("[model]\nnonsense = 1", r"ball\.toml: model\.nonsense: unknown key"),
        ("[[model.labels]]\nvalue = 1\nnonsense = 1", r"model\.labels\[0\]\.nonsense: unknown key"),
        ("[[model.labels]]\nvalue = 2", r"model\.labels\[1\]\.name: missing"),
    ],
)
def test_what_a_family_does_not_know_is_refused(tmp_path: Path, own: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_config(in_family(tmp_path, own))


def test_a_family_is_a_file_without_a_family(tmp_path: Path) -> None:
    path = in_family(tmp_path, "")
    (tmp_path / "family.toml").write_text('family = "ball.toml"')
    with pytest.raises(InputError, match=r"family\.toml: family: a family has none itself"):
        read_config(path)
    (tmp_path / "family.toml").unlink()
    with pytest.raises(InputError, match=r"family\.toml: No such file"):
        read_config(path)
    path.write_text("family = 3")
    with pytest.raises(InputError, match=r"ball\.toml: family: found 3"):
        read_config(path)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_end_with_what_is_published(path: Path) -> None:
    recipe = None if read_ensemble(path) else read_recipe(path)
    if recipe is None:
        return
    last = recipe.parts[-1]
    assert last.config.data.validate is None
    assert last.config.model == read_config(path).model
    assert last.stage.measured is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"recipe.model": "cube"}, r"model cube, this run's is ball"),
        ({"recipe.network.arguments.width": 4}, r'network \{.*"width": 4.*this run.*"width": 8'),
        ({"recipe.data": "others"}, r"data others, this run's is data"),
        ({"recipe.data": None}, ""),
        ({"cases": [{"patient": "OTHER_000"}]}, r"patients OTHER_000, none of whom is in"),
        ({"recipe": None}, "an earlier version wrote it"),
        ({"recipe": None, "summary.model": "cube"}, r"model cube, this run's is ball"),
    ],
)
def test_figures_of_another_recipe_are_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    config = read_config(write_config(tmp_path, write_nnunet(tmp_path / "data", 4)))
    recipe = recorded_recipe(config.model) | {"data": "data"}
    content = {"summary": {"model": "ball"}, "recipe": recipe, "cases": [{"patient": "BALL_001"}]}
    for key, value in changes.items():
        *way, last = key.split(".")
        place = content
        for part in way:
            place = place[part]
        place[last] = value
    if content["recipe"] is None:
        del content["recipe"]
    told: list[str] = []
    path = tmp_path / "evaluation.json"
    if words.startswith("an earlier"):
        check_recipe(path, content, config, told.append)
        assert words in told[0]
    elif words:
        with pytest.raises(OtherRecipeError, match=words):
            check_recipe(path, content, config, told.append)
    else:
        check_recipe(path, content, config, told.append)
    assert bool(told) == words.startswith("an earlier")


def test_the_liver_u_nets_recipe_is_the_one_that_made_it() -> None:
    recipe = read_recipe(CONFIGS / "liver-ct-unet.toml")
    assert recipe is not None
    trained = [
        (
            part.stage.name,
            part.config.model.input.in_plane.spacing_mm,
            part.config.augmentation.crop,
            part.config.augmentation.mimics,
            part.config.augmentation.context_step,
            part.config.optimisation.epochs,
            part.config.optimisation.batch_size,
            part.config.optimisation.learning_rate,
            len(part.config.further),
            "/".join(part.start) if part.start else None,
        )
        for part in recipe.parts
        if part.folds in ("fold1", "")
    ]
    assert trained == [
        ("coarse", 3.0, 128, 0.0, 0, 8, 16, 3e-3, 0, None),
        ("fine", 1.5, 160, 0.0, 0, 34, 8, 1.5e-3, 0, "coarse/fold1"),
        ("mimics", 1.5, 160, 0.35, 0, 14, 8, 8e-4, 2, "fine/fold1"),
        ("neighbours", 1.5, 160, 0.35, 3, 12, 8, 8e-4, 2, "mimics/fold1"),
        ("everybody", 1.5, 160, 0.35, 3, 12, 8, 8e-4, 2, "mimics/fold0+fold4"),
    ]


def test_options_that_stages_answer_are_refused(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(recipe), "--cross-validate"]) == 2
    assert "--cross-validate: the stages of" in capsys.readouterr().err
    assert main(["train", str(recipe), "--stage", "coarse", "finest"]) == 2
    assert "--stage finest: expected one of coarse, fine, everybody" in capsys.readouterr().err
    assert main(["train", str(recipe), "--set", "stages=[]", "--stage", "fine"]) == 2
    assert "has no stages" in capsys.readouterr().err


def files(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.suffix in (".ckpt", ".safetensors", ".json")
    }


def epochs_of(folder: Path) -> int:
    with (folder / "epochs.csv").open() as file:
        return len(list(csv.DictReader(file)))


@pytest.mark.slow
def test_stages_run_in_order_and_what_is_done_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    path = write_recipe(tmp_path, write_nnunet(tmp_path / "data", 6))
    runs = tmp_path / "runs"
    words = ["train", str(path), "-o", str(runs), "--accelerator", "cpu"]
    assert main([*words, "--stage", "fine"]) == 2
    assert "stage fine starts from coarse, which is not done" in capsys.readouterr().err
    assert not list(runs.rglob("*.ckpt"))

    assert main([*words, "--stage", "coarse"]) == 0
    said = capsys.readouterr().err
    assert said.index("stage 1 of 3: coarse, fold0 aside") < said.index("fold1+fold2 aside")
    coarse = files(runs)
    assert sum(name.endswith("stage.json") for name in coarse) == 2
    assert not (runs / "coarse" / "cross-validation" / "evaluation.json").exists()

    assert main(words) == 2
    assert "go on with --resume" in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr("tumorseg_training.whole_run.publish", interrupted)
        assert main([*words, "--resume"]) == 130
    capsys.readouterr()
    first = runs / "fine" / "cross-validation" / "fold0"
    assert epochs_of(first) == 2
    assert not (first / "stage.json").exists()

    assert main([*words, "--resume"]) == 0
    said = capsys.readouterr().err
    assert "stage 1 of 3: coarse, fold0 aside: done already" in said
    start = runs / "coarse" / "cross-validation" / "fold1+fold2" / "last.ckpt"
    assert f"started from {start}: " in said
    assert epochs_of(first) == 2
    done = files(runs)
    assert coarse.items() <= done.items()
    pooled = json.loads((runs / "fine" / "cross-validation" / "evaluation.json").read_text())
    patients = [case["patient"] for case in pooled["models"][0]["cases"]]
    assert sorted(patients) == [f"BALL_{number:03d}" for number in range(6)]
    model = read_bundle(runs / "everybody" / "ball").specification
    assert not model.provenance.split["validation"]
    assert model.evaluation.measured_on.startswith("patients kept aside from a run of the same")
    assert model.evaluation.structures["Ball"].dice.patients == 6

    assert main([*words, "--resume"]) == 0
    assert files(runs) == done
    assert main([*words, "--resume", "--set", "stages.coarse.optimisation.epochs=7"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert "stage coarse is done with other settings than optimisation.epochs = 7" in line
    assert files(runs) == done
    drawn = [*words[:2], "-o", str(tmp_path / "drawn"), "--set", "stages.fine.optimisation.seed=1"]
    assert main(drawn) == 2
    assert "stages.fine: start_from 'coarse' has learnt from BALL_00" in capsys.readouterr().err
    assert not (tmp_path / "drawn").exists()
    write_nnunet(tmp_path / "data", 7)
    assert main([*words, "--resume"]) == 2
    assert "was begun with other patients: BALL_00" in capsys.readouterr().err
    assert files(runs) == done


def interrupted(*_arguments: object, **_options: object) -> None:
    raise KeyboardInterrupt
