"""Threads of the network sleep while they wait, which is settled before PyTorch is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from surroundings import ROOT

WATCH = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
class Watch:
    def find_spec(self, name, *_):
        if name == "torch":
            print("at torch:", os.environ.get("OMP_WAIT_POLICY"), file=sys.stderr)
sys.meta_path.insert(0, Watch())
"""


def told(code, **variables):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | variables
    standard_input, held = os.pipe()  # at the end of its input the worker is gone at once
    try:
        done = subprocess.run(
            [sys.executable, "-c", WATCH + code],
            env=environment,
            stdin=standard_input,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        os.close(standard_input)
        os.close(held)
    return [line for line in done.stderr.splitlines() if line.startswith("at ")]


SEGMENT = """
from TumorSegLib import cli
assert cli.main(["segment", "flair.nii.gz", "-o", "out.nii.gz", "--quiet"]) == 0
"""


@pytest.mark.slow
def test_the_commands_threads_wait_asleep(place):
    assert told(SEGMENT) == ["at torch: passive"]


@pytest.mark.slow
def test_a_users_choice_stays(place):
    assert told(SEGMENT, OMP_WAIT_POLICY="active") == ["at torch: active"]


@pytest.mark.slow
def test_the_workers_threads_wait_asleep():
    code = """
from TumorSegLib.worker import process
process.Worker.serve = lambda worker: __import__("torch")
process.main()
"""
    assert told(code) == ["at torch: passive"]


@pytest.mark.slow
def test_a_library_in_somebody_elses_process_leaves_threads_as_they_are():
    assert told("import TumorSegLib; TumorSegLib.Segmenter") == ["at torch: None"]
