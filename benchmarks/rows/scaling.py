"""Time and memory against the number of slices, each run a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from rows import process
from rows.pairs import Contender, Group, Row, measured
from rows.path import tumorseg_words
from TumorSegLib.model.catalogue import SHIPPED
from TumorSegLib.phantom import abdomen_phantom

SLICES = (25, 100, 200, 400, 800)
SIZE, PAINTED = 512, 50
LABELS = 2
"""Of the liver model; each has a map of probabilities beside the label map."""

MIB = 1 << 20


def rows(rounds: int) -> list[Row]:
    """Return a row for each number of slices; its note says what input and output take of it."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        phantom, _ = abdomen_phantom(
            shape=(PAINTED, SIZE, SIZE), spacing=(384 / SIZE, 384 / SIZE, 200 / PAINTED)
        )
        for slices in SLICES:
            volume = _write(folder / "ct.nii", phantom.voxels, slices)
            words = tumorseg_words([volume], SHIPPED / "liver-ct-unet", folder / "out.nii", "auto")
            one = Contender(f"{slices} slices", partial(process.sample_of, words))
            what = f"CT {SIZE}x{SIZE}x{slices}, U-Net, {data_bytes(slices) / MIB:.0f} MiB of data"
            found += measured(Group(what, [one], [(one.name, None)]), rounds)
    return found


def data_bytes(slices: int) -> int:
    """Return what input, label map and probabilities take in memory."""
    return slices * SIZE**2 * (np.dtype(np.int16).itemsize + 1 + LABELS)


def _write(path: Path, voxels: np.ndarray, slices: int) -> Path:
    """Write a CT of so many slices, those of the phantom in equal numbers."""
    chosen = np.arange(slices) * len(voxels) // slices
    image = sitk.GetImageFromArray(voxels[chosen])
    image.SetSpacing((384 / SIZE, 384 / SIZE, 200 / slices))
    sitk.WriteImage(image, str(path))
    return path


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw seconds and memory against the number of slices."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    time, memory = figure.subplots(1, 2)
    measured_rows = [row.ours for row in rows if row.ours is not None]
    slices = [int(series.name.split()[0]) for series in measured_rows]
    seconds = [float(np.median(series.processor_seconds)) for series in measured_rows]
    time.plot(slices, seconds, "o-", color="tab:blue")
    time.set(xlabel="slices of 512x512", ylabel="processor time, s", xlim=(0, None), ylim=(0, None))
    peaks = [(series.peak_bytes or 0) / MIB for series in measured_rows]
    data = [data_bytes(count) / MIB for count in slices]
    memory.plot(slices, peaks, "o-", color="tab:red", label="peak of the process")
    memory.plot(slices, data, "--", color="tab:grey", label="volume, labels, probabilities")
    memory.set(xlabel="slices of 512x512", ylabel="MiB", xlim=(0, None), ylim=(0, None))
    memory.legend(frameon=False)
    figure.savefig(path, dpi=110)
