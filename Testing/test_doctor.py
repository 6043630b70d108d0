"""`tumorseg doctor` says what is there, what is missing, and the line that mends it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny_models import brain_specification, write_tiny_bundle

from TumorSegLib.cli import main
from TumorSegLib.commands import doctor
from TumorSegLib.support.extras import EXTRAS

ROOT = Path(__file__).resolve().parent.parent


def findings(capsys, status=0):
    assert main(["doctor", "--json"]) == status
    return {row["about"]: row for row in json.loads(capsys.readouterr().out)["findings"]}


def test_what_is_whole_is_said_so(capsys):
    found = findings(capsys)
    assert {row["state"] for row in found.values()} <= {"ok", "missing"}
    assert found["device"]["found"].startswith(("cpu", "cuda", "mps"))
    assert any(about.startswith("model brain-lgg-linknet ") for about in found)


def test_every_package_that_the_project_names_is_looked_at():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[^A-Za-z0-9-]", line)[0] for line in project["dependencies"]}
    assert set(doctor.REQUIRED) == names
    assert set(doctor.OPTIONAL) == set(EXTRAS)


def test_a_missing_package_comes_with_the_command_that_installs_it(capsys, monkeypatch):
    monkeypatch.setattr(
        doctor, "find_spec", lambda name: None if name == "pydicom" else find_spec(name)
    )
    row = findings(capsys, status=2)["pydicom"]
    assert (row["state"], row["found"]) == ("broken", "not installed")
    assert row["mend"].endswith("-m pip install pydicom")


def test_the_command_that_installs_can_be_pasted_where_folders_have_blanks(
    capsys, monkeypatch, tmp_path
):
    python = tmp_path / "my own" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.symlink_to("/bin/echo")
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(
        doctor, "find_spec", lambda name: None if name == "pydicom" else find_spec(name)
    )
    mend = findings(capsys, status=2)["pydicom"]["mend"]
    shell = subprocess.run(
        mend, shell=True, env={"HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert shell.stdout == "-m pip install pydicom\n"


def test_what_only_some_work_needs_is_no_fault(capsys, monkeypatch):
    monkeypatch.setattr(
        doctor, "find_spec", lambda name: None if name == "highdicom" else find_spec(name)
    )
    row = findings(capsys)["highdicom"]
    assert row["state"] == "missing"
    assert 'pip install "highdicom>=' in row["mend"]


def test_a_damaged_model_of_ones_own_is_named(capsys, monkeypatch, tmp_path):
    own = tmp_path / "own"
    monkeypatch.setenv("TUMORSEG_MODELS", str(own))
    bundle = write_tiny_bundle(own, brain_specification())
    with (bundle.folder / "weights.safetensors").open("ab") as file:
        file.write(b"x")
    row = findings(capsys, status=2)[f"model {bundle.id} {bundle.specification.version}"]
    assert row["state"] == "broken"
    assert row["mend"] == f"tumorseg models --remove {bundle.id}"


@pytest.mark.parametrize("words", [["doctor"], ["doctor", "--json"]])
def test_the_users_name_is_not_in_it(capsys, monkeypatch, tmp_path, words):
    home = tmp_path / "Quendelbaum"
    (home / "models" / "broken").mkdir(parents=True)
    (home / "models" / "broken" / "model.json").write_text("{")
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setenv("TUMORSEG_MODELS", str(home / "models"))
    assert main(words) == 2
    said = capsys.readouterr().out
    assert "~" in said
    assert "Quendelbaum" not in said
