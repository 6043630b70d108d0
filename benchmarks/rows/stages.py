"""Where the time of the whole path goes: stages by the command's own clock, and its start."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from rows import process
from rows.pairs import Contender, Group, Row, Series, measured
from rows.path import CT, MRI, tumorseg_words
from rows.samples import write_ct, write_mri
from TumorSegLib.model.catalogue import SHIPPED

CASES = {f"{MRI}, LinkNet": "brain-lgg-linknet", f"{CT}, U-Net": "liver-ct-unet"}
WHOLE, REST = "the whole process", "start of Python, imports, reading, measuring, writing, end"


def rows(rounds: int) -> list[Row]:
    """Return a row for each stage of each case, and for importing torch alone."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, model in CASES.items():
            volumes = write_mri(folder) if model.startswith("brain") else [write_ct(folder)]
            words = tumorseg_words(volumes, SHIPPED / model, folder / "out.nii.gz", "fp32")
            runs = [_seconds([*words, "--json"]) for _ in range(rounds)]
            for stage in runs[0]:
                seconds = tuple(run.get(stage, 0.0) for run in runs)
                found.append(Row(what, Series(stage, seconds)))
    torch = Contender("import torch", partial(process.sample_of, [sys.executable, *IMPORT]))
    return found + measured(Group("Python alone", [torch], [(torch.name, None)]), rounds)


IMPORT = ("-c", "import torch")


def _seconds(words: list[str]) -> dict[str, float]:
    """Run the command; return seconds by stage, of what is no stage, and of everything."""
    started = time.perf_counter()
    said = subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
    whole = time.perf_counter() - started
    stages: dict[str, float] = json.loads(said)["seconds"]
    return {WHOLE: whole, **stages, REST: whole - sum(stages.values())}
