"""A few of the faults that `make fault-injection` tries all of, and that it can find something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTING = Path(__file__).resolve().parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks, limits and /proc"),
]

CARELESS = """
import os, sys
from pathlib import Path

import fault_injection
from fault_scenarios import SCENARIOS, Scenario

def prepare(folder):
    (folder / "mine.json").write_text("[1, 2]")

def careless(folder):
    (folder / "mine.json").write_text("[" + "1, " * 1000 + "2]")
    return 0

def tidy(folder):
    (folder / "new.json.partial").write_text("[3]")
    os.rename(folder / "new.json.partial", folder / "new.json")
    return 0

def unsorted(folder):
    left = folder / f".left-{os.getpid()}"
    try:
        left.write_text("3")
        os.rename(left, folder / "out.json")
    except OSError as error:
        print(f"tumorseg: {error}", file=sys.stderr)
        return 2
    return 0

SCENARIOS["careless"] = Scenario(prepare, careless, ("mine",))
SCENARIOS["tidy"] = Scenario(prepare, tidy)
SCENARIOS["unsorted"] = Scenario(prepare, unsorted)
for name in ("careless", "tidy", "unsorted"):
    print("\\n".join(fault_injection.run(name, sample=None)[2]))
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=TESTING, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("sample", "scenarios"),
    [
        ("4", ("segment.seg", "segment.nii.gz", "export, again", "import, archive", "remove")),
        ("5", ("retrain",)),
    ],
    ids=["results, exports, models", "retraining"],
)
def test_a_fault_costs_nothing_that_was_whole(sample: str, scenarios: tuple[str, ...]) -> None:
    done = run("fault_injection.py", "--sample", sample, *scenarios)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{int(sample) * len(scenarios)}       0" in done.stdout.splitlines()[-1]


def test_what_careless_writing_loses_is_found() -> None:
    done = run("-c", CARELESS)
    assert done.returncode == 0, done.stderr
    found = done.stdout.splitlines()
    for name, fault, words in (
        ("careless", "full once", "not whole: mine.json"),
        ("careless", "full once", "traceback"),
        ("careless", "killed before", "not whole: mine.json"),
        ("tidy", "input/output error", ": new.json.partial"),
        ("unsorted", "permission denied", ": .left-"),
        ("unsorted", "killed before", "left after the next run: .left-"),
    ):
        assert any(line.startswith(name) and fault in line and words in line for line in found), (
            name,
            fault,
            words,
            found,
        )
