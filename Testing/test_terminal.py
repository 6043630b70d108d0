"""What the command prints: nothing in it steers the terminal, and every refusal is one line."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from command_line import refused
from rich.table import Table

from TumorSegLib import cli
from TumorSegLib.commands import terminal as printing

STEERING = "tumour\x1b[2J\u202egpj\nwrote nothing"
SHOWN = "tumour\\x1b[2J\\u202egpj\\nwrote nothing"
LONG = "x" * 300


@pytest.fixture
def console():
    console = printing.terminal()
    console.file, console.width = io.StringIO(), 200
    return console


def test_lines_and_cells_hold_nothing_that_a_terminal_obeys(console):
    table = Table(STEERING, box=None)
    table.add_row(f"[red]{STEERING}")
    console.print(table)
    console.print(f"wrote {STEERING}", soft_wrap=True)
    lines = [line.strip() for line in console.file.getvalue().splitlines()]
    assert lines == [SHOWN, f"[red]{SHOWN}", f"wrote {SHOWN}"]


@pytest.mark.parametrize(("told", "start"), [(printing.warn, "warning: "), (printing.say, "")])
def test_warnings_and_lines_hold_nothing_that_a_terminal_obeys(capsys, told, start):
    told(STEERING)
    assert capsys.readouterr().err == f"{start}{SHOWN}\n"


def test_names_of_results_and_models_are_shown_as_they_are(place, capsys):
    path = Path("models", "tiny-brain", "model.json")
    content = json.loads(path.read_text())
    content["title"] = content["labels"][0]["name"] = STEERING
    path.write_text(json.dumps(content))
    assert cli.main(["segment", "flair.nii.gz", "-o", f"a{STEERING}.nii.gz"]) == 0
    assert cli.main(["models"]) == 0
    captured = capsys.readouterr()
    assert f"wrote a{SHOWN}.nii.gz" in captured.err
    assert all(not set("\x1b\u202e") & set(text) for text in captured)


@pytest.mark.parametrize(
    "words",
    [
        ["segment", LONG],
        ["segment", "flair.nii.gz", "-o", f"{LONG}.nii.gz"],
        ["segment", "flair.nii.gz", "--report", f"{LONG}.html"],
        ["segment", "flair.nii.gz", "--model", LONG],
        ["segment", "flair.nii.gz", "--channel", f"t1={LONG}"],
        ["models", "--install", LONG],
        ["models", "--remove", LONG],
        ["models", "--default", LONG],
        ["demo", "-o", LONG],
    ],
)
def test_a_name_that_is_too_long_is_told_in_a_line(place, capsys, words):
    refused(capsys, words, LONG)


def test_any_file_that_cannot_be_used_is_told_in_a_line(place, capsys, monkeypatch):
    """A folder that may not be looked into, for instance, wherever that is noticed."""

    def forbidden(*_):
        raise PermissionError(13, "Permission denied", "patients/\x1b[2J")

    monkeypatch.setattr("TumorSegLib.commands.doctor.run", forbidden)
    refused(capsys, ["doctor"], "patients/\\x1b[2J: cannot be used (Permission denied)")


def test_names_that_an_output_has_no_letters_for_are_escaped(monkeypatch):
    """As in a file into which Windows puts the output."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", newline="\n")
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(
        "TumorSegLib.commands.models.run", lambda _: printing.terminal().print("Müller 脑") or 0
    )
    assert cli.main(["models"]) == 0
    assert output.buffer.getvalue() == "Müller \\u8111\n".encode("cp1252")


@pytest.mark.parametrize("words", [["models"], ["doctor"], ["segment", "flair.nii.gz"]])
def test_a_user_without_a_home_is_told_what_to_do(place, capsys, monkeypatch, words):
    """As in containers and batch systems, for users that have no account."""

    def nobody(*_):
        raise RuntimeError("Could not determine home directory.")

    for name in ("TUMORSEG_MODELS", "XDG_DATA_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr(Path, "expanduser", nobody)
    refused(capsys, words, "this user has no home folder; name one in the environment: HOME=/a")


def test_without_a_folder_for_temporary_files_a_user_is_told_what_to_do(place, capsys, monkeypatch):
    """As in containers whose disk can only be read."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(place / "none")])
    monkeypatch.setattr("TumorSegLib.commands.models.run", lambda _: tempfile.gettempdir())
    refused(capsys, ["models"], "no folder for temporary files that this user can write to; name")


@pytest.mark.skipif(os.name == "nt", reason="it has no such shell")
def test_what_is_closed_is_not_taken_by_a_file(place):
    """What was said went to standard output, and a result could get number 2."""
    words = [sys.executable, "-m", "TumorSegLib.cli", "segment", "none.nii.gz"]
    shell = ["sh", "-c", 'exec "$0" "$@" 2>&-', *words]
    folder = str(Path(cli.__file__).resolve().parents[1])
    environment = os.environ | {"PYTHONPATH": folder}
    done = subprocess.run(shell, cwd=place, env=environment, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (2, b"")
