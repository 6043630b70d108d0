"""The command in a shell: its help, versions, completion, colours, and the JSON it documents."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from TumorSegLib import cli
from TumorSegLib.support.version import JSON_FORMAT

ROOT = Path(__file__).resolve().parent.parent


def shown(capsys, *words):
    with pytest.raises(SystemExit) as done:
        cli.main(list(words))
    assert done.value.code == 0
    return capsys.readouterr().out


def test_the_help_lists_every_command_once_by_what_it_is_for(capsys):
    help_text = shown(capsys, "--help")
    for name in cli.all_commands():
        assert len(re.findall(rf"^  {name} ", help_text, re.MULTILINE)) == 1, name
    assert [task for task in cli.TASKS if f"\n{task}:\n" in help_text] == list(cli.TASKS)
    assert "Further:" not in help_text


@pytest.mark.parametrize("words", [["--no-such"], ["--no-such", "value"]])
def test_a_wrong_option_shows_the_usage_of_its_command(capsys, words):
    with pytest.raises(SystemExit) as done:
        cli.main(["segment", "flair.nii.gz", *words])
    assert done.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: tumorseg segment [-h]")
    assert said.endswith(f"tumorseg segment: error: unrecognized arguments: {' '.join(words)}\n")


def test_commands_of_other_packages_are_listed_apart(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"], further={"dance": ("nowhere", "dance a waltz")})
    assert "\nFurther:\n  dance       dance a waltz\n" in capsys.readouterr().out


def test_the_examples_of_the_help_are_commands_that_are_there():
    commands = cli.all_commands()
    parser = cli.command_parser(commands, commands)
    for example in cli.EXAMPLES:
        assert parser.parse_args(example.split()[1:]).command in commands


def test_the_help_imports_nothing_that_takes_long():
    heavy = ["numpy", "SimpleITK", "torch", "rich", "pydicom", "scipy"]
    script = (
        "import sys; from TumorSegLib import cli\n"
        "try: cli.main(['--help'], further={})\n"
        f"except SystemExit: print(sorted(set(sys.modules) & set({heavy})), file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert run.stderr == "[]\n"


def test_the_version_names_the_models(place, capsys):
    assert shown(capsys, "--version").splitlines()[1:] == ["tiny-brain 1"]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_options(capsys, shell):
    pytest.importorskip("shtab")
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("segment", "--gate-threshold", "retrain", "--old-cases"):
        assert word in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_completion_says_what_it_needs(capsys, monkeypatch):
    monkeypatch.setattr("TumorSegLib.commands.completion.find_spec", lambda name: None)
    assert cli.main(["completion", "bash"]) == 2
    assert 'pip install "shtab' in capsys.readouterr().err


def test_nothing_is_coloured_where_the_user_wants_no_colour(place, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    warned = ["segment", "flair.nii.gz", "--overwrite"]
    assert cli.main(warned) == 0
    assert "\x1b[33m" in capsys.readouterr().err
    monkeypatch.setenv("NO_COLOR", "1")
    assert cli.main(warned) == 0
    assert not re.search("\x1b\\[[0-9;]*3[0-7]m", capsys.readouterr().err)


def documented(command):
    """The fields that docs/json.md names for a command."""
    page = (ROOT / "docs" / "json.md").read_text("utf-8")
    (part,) = re.findall(rf"^## `tumorseg {command}`$(.*?)(?=^## |\Z)", page, re.M | re.S)
    rows = re.findall(r"^\| (`.+?) \| (.*) \|$", part, re.MULTILINE)
    names = {name for row, _ in rows for name in re.findall("`(.+?)`", row)}
    return names, dict(rows), part


@pytest.mark.parametrize("command", ["segment", "detect", "models", "doctor"])
def test_the_json_is_what_the_page_says(place, capsys, command):
    volume = ["flair.nii.gz"] if command in ("segment", "detect") else []
    assert cli.main([command, *volume, "--json"]) in (0, 2)
    said = json.loads(capsys.readouterr().out)
    names, rows, part = documented(command)
    assert set(said) == names
    assert said["format"] == JSON_FORMAT
    parts = {"segments": rows.get("`segments`"), "slices": rows.get("`slices`")}
    for field, text in parts.items():
        if field in said:
            assert set(said[field][0]) <= set(re.findall("`(.+?)`", text)), field
    for lesion in said.get("segments", [{}])[0].get("lesions", [])[:1]:
        (listed,) = re.findall(r"^`lesions` are.*?(?=^$|\Z)", part, re.M | re.S)
        assert set(lesion) <= set(re.findall("`(.+?)`", listed))
