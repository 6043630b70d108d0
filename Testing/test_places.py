"""Where what comes with TumorSeg lies, and what it keeps for the user, on each system."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from TumorSegLib.model.catalogue import user_folder
from TumorSegLib.support import places, system
from TumorSegLib.support.places import data_folder

NAMES = {"linux": "Unix", "darwin": "MacOS", "win32": "Windows"}


@pytest.fixture
def computer(tmp_path, monkeypatch):
    """Pretend a user's computer; return a function that takes its system and gives the home."""

    def pretend(name, local=""):
        monkeypatch.setattr(system.sys, "platform", name)
        for variable in ("XDG_DATA_HOME", "TUMORSEG_MODELS", "LOCALAPPDATA"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        if local:
            monkeypatch.setenv("LOCALAPPDATA", local)
        return tmp_path

    return pretend


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("linux", ".local/share/TumorSeg"),
        ("darwin", "Library/Application Support/TumorSeg"),
        ("win32", "AppData/Local/TumorSeg"),
    ],
)
def test_the_users_folder_lies_where_the_system_wants_it(computer, tmp_path, name, inside):
    home = computer(name, local=str(tmp_path / "AppData" / "Local") if name == "win32" else "")
    assert data_folder() == home / inside
    assert user_folder() == home / inside / "Models"
    assert not data_folder().exists()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_one_that_platformdirs_names(computer, tmp_path, monkeypatch, name):
    platformdirs = pytest.importorskip("platformdirs")
    from platformdirs import macos, unix, windows

    computer(name, local=str(tmp_path / "AppData" / "Local") if name == "win32" else "")
    module = {"linux": unix, "darwin": macos, "win32": windows}[name]
    local = str(tmp_path / "AppData" / "Local")
    monkeypatch.setattr(windows, "get_win_folder", lambda folder: local)
    expected = getattr(module, NAMES[name])("TumorSeg", appauthor=False).user_data_dir
    assert Path(expected) == data_folder(), platformdirs.__version__


@pytest.mark.parametrize("name", NAMES)
def test_the_variable_counts_everywhere(computer, tmp_path, monkeypatch, name):
    computer(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "given"))
    assert data_folder() == tmp_path / "given" / "TumorSeg"


def test_a_windows_path_stays_one(computer, monkeypatch):
    from pathlib import PureWindowsPath

    computer("win32", local=r"C:\Users\Eva Müller\AppData\Local")
    monkeypatch.setattr(places, "Path", PureWindowsPath)
    assert str(data_folder()) == r"C:\Users\Eva Müller\AppData\Local\TumorSeg"


def test_the_folder_of_an_earlier_version_stays_in_use_on_a_mac(computer):
    home = computer("darwin")
    earlier = home / ".local" / "share" / "TumorSeg"
    earlier.mkdir(parents=True)
    assert data_folder() == earlier


@pytest.mark.parametrize("installed", [True, False])
def test_resources_and_configs_are_found_in_the_package_and_beside_it(
    tmp_path, monkeypatch, installed
):
    from tumorseg_training import places as training_places

    for module, package, folder, find in (
        (places, "TumorSegLib", "Resources", places.resources),
        (training_places, "tumorseg_training", "configs", training_places.configs),
    ):
        monkeypatch.setattr(module, "PACKAGE", tmp_path / package)
        place = tmp_path / package / folder if installed else tmp_path / folder
        place.mkdir(parents=True)
        assert find() == place
        shutil.rmtree(place)


def test_a_config_is_named_by_its_path_or_by_the_id_of_its_model(tmp_path, monkeypatch):
    from tumorseg_training.places import config_file, configs

    assert config_file("liver-ct-unet") == configs() / "liver-ct-unet.toml"
    assert config_file("liver-ct-unet").is_file()
    assert config_file("mine.toml") == Path("mine.toml")
    assert config_file("../configs/liver-ct-unet") == Path("../configs/liver-ct-unet")
    (tmp_path / "liver-ct-unet").touch()
    monkeypatch.chdir(tmp_path)
    assert config_file("liver-ct-unet") == Path("liver-ct-unet")
