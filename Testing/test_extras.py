"""What is named for installation is what `pyproject.toml` asks for, and can be installed."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from TumorSegLib import cli
from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.server import serving
from TumorSegLib.support import extras
from TumorSegLib.support.extras import EXTRAS, pip_install

ROOT = Path(__file__).resolve().parents[1]


def test_the_extras_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for name, lines in EXTRAS.items():
        assert list(lines) == project["optional-dependencies"][name]


def test_the_command_names_packages_and_this_python():
    assert pip_install("dicom").startswith(f'{sys.executable} -m pip install "')
    assert "tumorseg" not in pip_install("train")


@pytest.mark.parametrize("place", ["/opt/tumorseg", "/opt/my own", "/home/o'neill/é (2)"])
def test_the_command_can_be_pasted_wherever_python_lies(monkeypatch, place):
    monkeypatch.setattr(sys, "executable", f"{place}/bin/python3")
    words = shlex.split(pip_install("node"))
    assert words == [f"{place}/bin/python3", "-m", "pip", "install", *EXTRAS["node"]]


def test_the_command_can_be_pasted_on_windows(monkeypatch):
    monkeypatch.setattr(extras, "is_windows", lambda: True)
    monkeypatch.setattr(sys, "executable", "C:\\My Python\\python.exe")
    assert pip_install("shell").startswith('"C:\\My Python\\python.exe" -m pip install "')
    monkeypatch.setattr(sys, "executable", "C:\\Python\\python.exe")
    assert pip_install("shell").startswith("C:\\Python\\python.exe -m pip install ")


def test_no_page_or_message_installs_tumorseg_from_an_index():
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
    code = [*ROOT.glob("TumorSegLib/**/*.py"), *ROOT.glob("training/**/*.py")]
    code += ROOT.glob("TumorSeg/**/*.py")
    named = re.compile(r"pip install\s+(-\S+\s+)*[\"']?tumorseg(?![-\w]*\.whl|-\d)", re.IGNORECASE)
    for path in [*pages, *code]:
        assert not named.search(path.read_text("utf-8")), path
    assert named.search('pip install "tumorseg[train]"')
    assert not named.search('pip install "tumorseg-0.1.0-py3-none-any.whl[train]"')


def test_a_package_has_the_name_that_pip_knows(monkeypatch, capsys):
    def missing(_):
        raise ModuleNotFoundError("No module named 'PIL'", name="PIL.Image")

    monkeypatch.setattr("TumorSegLib.commands.models.run", missing)
    assert cli.main(["models"]) == 2
    said = capsys.readouterr().err
    assert "the package pillow is not installed" in said
    assert "pip install pillow" in said
    commands = pytest.importorskip("tumorseg_training.commands.extra")
    monkeypatch.setattr(commands, "find_spec", lambda name: None if name == "PIL" else name)
    monkeypatch.setattr(commands, "why_not_train", lambda: None)
    with pytest.raises(InputError, match="tumorseg train needs pillow, which is not installed"):
        commands.require_train_extra("train")


@pytest.mark.parametrize(
    ("missing", "verb"), [(["uvicorn"], "uvicorn, which is"), (["ray", "uvicorn"], "which are")]
)
def test_what_a_server_and_a_training_lack_is_said_in_the_right_number(monkeypatch, missing, verb):
    commands = pytest.importorskip("tumorseg_training.commands.extra")

    def found(name):
        return None if name in missing else name

    for module in (serving, commands):
        monkeypatch.setattr(module, "find_spec", found)
    monkeypatch.setattr(commands, "NEEDED", serving.NEEDED)
    monkeypatch.setattr(commands, "why_not_train", lambda: None)
    with pytest.raises(TumorSegError, match=f"a server needs .*{verb} not installed; run "):
        serving.serve(None, print)
    with pytest.raises(InputError, match=f"tumorseg train needs .*{verb} not installed; run "):
        commands.require_train_extra("train")
