"""From files to a label map as whole processes: ours, the obvious script, nnU-Net's predictor."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rows import process
from rows.machine import precisions
from rows.pairs import Contender, Group, Sample
from rows.samples import without_mirroring, write_ct, write_mri
from TumorSegLib.model.bundle import read_bundle
from TumorSegLib.model.catalogue import SHIPPED

PEERS = Path(__file__).with_name("peers")
SCRIPT = "the obvious script, not mirrored"
MIRRORED, PLAIN = "nnU-Net 2d, mirrored (its default)", "nnU-Net 2d, not mirrored"
MRI, CT = "MRI 256x256x40x3", "CT 512x512x200"


def groups() -> Iterator[Group]:
    """Yield the groups of this family."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mri = write_mri(folder)
        yield group(folder, f"{MRI}, LinkNet", "brain-lgg-linknet", mri, nnunet=(16, 256, 0.9))
        yield group(folder, f"{MRI}, mU-Net", "brain-lgg-munet", mri, nnunet=(24, 192, 1.2))
        ct = [write_ct(folder)]
        yield group(folder, f"{CT}, U-Net", "liver-ct-unet", ct, nnunet=(16, 256, 1.5))


def group(
    folder: Path, what: str, model: str, volumes: list[Path], nnunet: tuple[int, int, float]
) -> Group:
    """Return the contenders for one model.

    Args:
        folder: for what they write.
        what: for the table.
        model: id of a shipped one.
        volumes: one a channel.
        nnunet: width, size in pixels and spacing in mm of nnU-Net's network beside it.
    """
    own = SHIPPED / model
    flips = read_bundle(own).specification.flips
    outputs = {name: folder / f"{model}-{name}.nii.gz" for name in ("ours", "script")}
    contenders = []
    pairs: list[tuple[str, str | None]] = []
    runs = [(precision, own) for precision in precisions()]
    runs += [("fp32", without_mirroring(model, folder))] if flips else []
    for precision, place in runs:
        mirrored = flips and place == own
        title = f"TumorSegLib {precision}{', mirrored' if mirrored else ''}"
        words = tumorseg_words(volumes, place, outputs["ours"], precision)
        contenders.append(Contender(title, partial(process.sample_of, words)))
        pairs += [(title, SCRIPT)]
        if precision == "fp32":
            pairs += [(title, MIRRORED)] if mirrored or not flips else []
            pairs += [(title, PLAIN)] if not mirrored else []
    script = [str(PEERS / "straightforward.py"), str(own), str(outputs["script"])]
    contenders.append(Contender(SCRIPT, partial(_python, [*script, *map(str, volumes)])))
    for name, word in ((MIRRORED, "mirror"), (PLAIN, "plain")):
        words = _nnunet(volumes, folder / "nnunet.nii.gz", nnunet, word)
        contenders.append(Contender(name, partial(_python, words)))
    return Group(what, contenders, pairs)


def tumorseg_words(volumes: list[Path], model: Path, out: Path, precision: str) -> list[str]:
    """Return the command that segments files, one a channel, on the CPU."""
    names = [channel.name for channel in read_bundle(model).specification.input.channels]
    further = [f"--channel={n}={path}" for n, path in zip(names[1:], volumes[1:], strict=True)]
    words = [sys.executable, "-m", "TumorSegLib.cli", "segment", str(volumes[0]), *further]
    words += ["--model", str(model), "--precision", precision, "--device", "cpu"]
    return [*words, "--quiet", "--overwrite", "-o", str(out)]


def _python(words: list[str]) -> Sample:
    return process.sample_of([sys.executable, *words])


def _nnunet(
    volumes: list[Path], out: Path, network: tuple[int, int, float], mirror: str
) -> list[str]:
    normalisation = "window" if len(volumes) == 1 else "zscore"
    words = [str(PEERS / "nnunet.py"), str(out), *map(str, network), normalisation, mirror]
    return [*words, *map(str, volumes)]
