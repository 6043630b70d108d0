"""A folder to run the command in, and what it says when it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from tiny_models import brain_specification, write_tiny_bundle

from TumorSegLib import cli
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import to_sitk

OBLIQUE = ((0.96, -0.28, 0.0), (0.28, 0.96, 0.0), (0.0, 0.0, 1.0))
GRID = Grid((6, 40, 48), (0.9, 1.1, 5.0), (-20.5, 30.25, 7.125), OBLIQUE)
"""Of the volumes in the folder."""


def write_place(folder: Path) -> None:
    """Write a model and a volume of three sequences (FLAIR, T1, T1c)."""
    write_tiny_bundle(folder / "models", brain_specification(default=True))
    generator = np.random.default_rng(0)
    for name in ("flair", "t1", "t1c"):
        voxels = generator.integers(0, 900, GRID.shape).astype(np.int16)
        sitk.WriteImage(to_sitk(voxels, GRID), str(folder / f"{name}.nii.gz"))


def refused(capsys, words, message):
    before = sorted(path for path in Path.cwd().rglob("*") if "models" not in path.parts)
    assert cli.main([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("tumorseg: ")
    assert message in lines[0]
    assert sorted(path for path in Path.cwd().rglob("*") if "models" not in path.parts) == before
