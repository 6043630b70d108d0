from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_data import write_config

from tumorseg_training.config import read_config, read_ensemble
from TumorSegLib.errors import InputError

CONFIGS = sorted((Path(__file__).resolve().parent.parent / "training" / "configs").glob("*.toml"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_config(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("optimisation.learning_rat=1", "optimisation.learning_rat"),
        ("optimisation.epochs=0", "epochs 0"),
        ('optimisation.epochs="many"', r"optimisation\.epochs"),
        ("optimisation.loss=hinge", r"optimisation\.loss"),
        ("optimisation.loss=ce", r"optimisation\.loss 'ce'"),
        ("optimisation.class_weights=[1.0, 2.0]", r"optimisation\.class_weights"),
        ("optimisation.warm_up=1.5", "warm_up 1.5"),
        ("optimisation.tversky.gamma=9", r"optimisation\.tversky: gamma 9"),
        ("augmentation.rotate=-5", "augmentation: rotate -5"),
        ("augmentation.scale=2", "scale 2"),
        ("optimisation.within_intensities=true", "intensities of every label"),
        ("data.foreground_share=3", "foreground_share 3"),
        ("data.window=[100, 0]", "window"),
        ("data.spacing=[1, 1]", r"data\.spacing"),
        ("model.network.arguments.out_channels=4", "out_channels"),
        ("model.input.in_plane.kind=pixels", r"in_plane\.kind"),
        ("synthesis.share=0.5", r"synthesis\.folder"),
        ("nonsense.key=1", "nonsense"),
    ],
)
def test_errors_name_the_key(path: Path, override: str, named: str) -> None:
    with pytest.raises(InputError, match=named):
        read_config(path, [override])


@pytest.mark.parametrize(
    ("annotated", "labels", "named"),
    [
        ("[]", "{}", "has nothing; expected some of the model's values 1"),
        ("[1, 7]", "{}", "has 7; expected some of the model's values 1"),
        ("[1]", "{ liver = 1, tumour = 2 }", "has 2, which further.annotated lacks"),
    ],
)
def test_what_a_data_set_was_annotated_for_has_to_fit(
    path: Path, annotated: str, labels: str, named: str
) -> None:
    more = f'[[further]]\nfolder = "more"\nlayout = "nnunet"\nlabels = {labels}\n'
    path.write_text(f"{path.read_text()}{more}annotated = {annotated}\n")
    with pytest.raises(InputError, match=named):
        read_config(path)


def test_a_softmax_model_learns_of_every_label(path: Path) -> None:
    more = '[[further]]\nfolder = "more"\nlayout = "nnunet"\nannotated = [1]\n'
    path.write_text(path.read_text() + more)
    softmax = ["model.activation=softmax", "model.network.arguments.out_channels=2"]
    with pytest.raises(InputError, match="activation 'sigmoid'"):
        read_config(path, [*softmax, "optimisation.loss=ce"])
    assert read_config(path).further[0].annotated == (1,)


def test_a_fold_needs_folds(tmp_path: Path) -> None:
    path = write_config(tmp_path, tmp_path)
    path.write_text(path.read_text().replace("folds = 4\n", ""))
    with pytest.raises(InputError, match="no folds"):
        read_config(path)


def test_overrides_set_keys_of_any_depth(path: Path) -> None:
    config = read_config(path, ["optimisation.tversky.gamma=2", "data.labels.lesion=1"])
    assert config.optimisation.tversky.gamma == 2
    assert config.data.labels == {"lesion": 1}


def test_broken_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("model = [")
    with pytest.raises(InputError, match=r"broken\.toml: not TOML"):
        read_config(path)
    with pytest.raises(InputError, match="No such file"):
        read_config(tmp_path / "missing.toml")


@pytest.mark.parametrize("coding", ["utf-8-sig", "utf-16"])
def test_a_file_that_windows_saved_is_read(path: Path, coding: str) -> None:
    config = read_config(path)
    path.write_text(path.read_text("utf-8"), coding)
    assert read_config(path) == config


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_is_valid_and_named_after_its_model(path: Path) -> None:
    config = read_ensemble(path) or read_config(path)
    assert config.model.id == path.stem
