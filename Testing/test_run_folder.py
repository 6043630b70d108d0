"""A run's files lie where nothing takes them for cases or models, and no result is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic_data import write_nnunet
from tiny_models import ct_specification, write_tiny_bundle

from tumorseg_training.run_folder import check_run_folder, default_folder, is_finished
from tumorseg_training.train import LAST
from TumorSegLib.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a data set, and the user's models, of which there is one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUMORSEG_MODELS", str(tmp_path / "models"))
    write_nnunet(tmp_path / "data", 1)
    write_tiny_bundle(tmp_path / "models", ct_specification(id="ball"))
    write_tiny_bundle(tmp_path / "elsewhere", ct_specification(id="ball"))
    (tmp_path / "link").symlink_to("models")
    return tmp_path


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("models", "is the folder of your models"),
        ("link", "is the folder of your models"),
        ("models/ball", "is in the model ball"),
        ("elsewhere/ball", "is in the model ball"),
        ("elsewhere/ball/run/1", "is in the model ball"),
        ("data", "holds files of the data set data"),
        ("data/imagesTr", "holds files of the data set data"),
        ("data/../data/labelsTr/", "holds files of the data set data"),
    ],
)
def test_a_run_does_not_lie_among_cases_or_models(place, folder, found):
    """It was trained there, and a model that is not better was one of the user's from then on."""
    with pytest.raises(InputError, match=f"{found}.* choose another folder by -o"):
        check_run_folder(Path(folder), ["data"])


@pytest.mark.parametrize("folder", [".", "run", "data/runs/ball", "elsewhere", "models/runs"])
def test_other_folders_are_a_runs_own(place, folder):
    check_run_folder(Path(folder), ["data"])
    (place / "data" / "runs" / "ball").mkdir(parents=True)
    (place / "data" / "runs" / "ball" / "progress.png").touch()
    check_run_folder(Path(folder), ["data"])


def test_a_finished_run_is_not_the_default_place_of_the_next(place):
    assert default_folder("ball-1.1.0") == Path("runs", "ball-1.1.0")
    for name in ("ball-1.1.0", "ball-1.1.0-2"):
        folder = default_folder("ball-1.1.0")
        assert folder == Path("runs", name)
        folder.mkdir(parents=True)
        (folder / LAST).touch()
        assert not is_finished(folder)
        assert default_folder("ball-1.1.0") == folder
        (folder / "comparison.json").touch()
        assert not is_finished(folder)
        (folder / LAST).unlink()
        assert is_finished(folder)
    assert default_folder("ball-1.1.0") == Path("runs", "ball-1.1.0-3")
