"""The whole path of a large CT, file to file: time by stage and peak memory of the process.

    python benchmarks/ct_path.py [--slices 200] [--size 512] [--width 16] [--precision auto fp32]

A phantom abdomen and an mU-Net with random weights (time and memory do not depend on them) are
written to a temporary folder; `tumorseg segment` then runs as its own process, with and without
the body box. Peak memory is the operating system's figure for that process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import SimpleITK as sitk
import torch

from TumorSegLib.image.in_plane import PixelSpacing
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.image.normalisation import Window
from TumorSegLib.model.bundle import write_bundle
from TumorSegLib.model.specification import (
    Channel,
    CodedConcept,
    Input,
    Label,
    ModelSpecification,
    Network,
)
from TumorSegLib.networks import build_network
from TumorSegLib.phantom import abdomen_phantom

MIB = 1 << 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--precision", nargs="+", default=["auto", "fp32"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        volume, spacing = write_phantom(folder, arguments.slices, arguments.size)
        for box in (False, True):
            model = write_model(
                folder / f"box-{box}".lower(), arguments.width, spacing, body_box=box
            )
            for precision in arguments.precision:
                report, peak = segment(volume, model, precision, folder / "out.seg.nrrd")
                seconds = report["seconds"]
                stages = ", ".join(f"{stage} {spent:.1f}" for stage, spent in seconds.items())
                print(
                    f"body box {'on ' if box else 'off'} {report['precision']}:"
                    f" {sum(seconds.values()):6.1f} s ({stages}), peak {peak / MIB:.0f} MiB"
                )


def write_phantom(folder: Path, slices: int, size: int) -> tuple[Path, float]:
    """Write the phantom as NRRD; return its path and its in-plane spacing in mm."""
    spacing = (384 / size, 384 / size, 200 / slices)
    phantom, _ = abdomen_phantom(shape=(slices, size, size), spacing=spacing)
    path = folder / "abdomen.nrrd"
    sitk.WriteImage(to_sitk(phantom.voxels, phantom.grid), str(path), useCompression=False)
    return path, phantom.grid.spacing[0]


def write_model(folder: Path, width: int, spacing: float, *, body_box: bool) -> Path:
    """Write an mU-Net with random weights that sees the CT at its full resolution."""
    torch.manual_seed(0)
    code = CodedConcept("SCT", "10200004", "Liver")
    specification = ModelSpecification(
        id="benchmark",
        title="Benchmark",
        version="0",
        description="random weights",
        modality="CT",
        input=Input(
            channels=(Channel("ct", "CT"),),
            in_plane=PixelSpacing(spacing),
            normalisation=Window(-40, 160),
            body_box=body_box,
        ),
        labels=(Label(1, "Liver", (221, 130, 101), code, code),),
        network=Network("mU-Net", {"in_channels": 1, "out_channels": 1, "width": width}),
    )
    assert specification.network is not None
    network = build_network(specification.network.name, specification.network.arguments)
    write_bundle(folder, specification, network.eval(), card="random weights\n")
    return folder


def segment(volume: Path, model: Path, precision: str, out: Path) -> tuple[dict, int]:
    """Run the command; return what it reports and the peak memory of its process in bytes."""
    words = [sys.executable, "-m", "TumorSegLib.cli", "segment", str(volume), "--model", str(model)]
    words += ["--precision", precision, "--json", "-o", str(out), "--overwrite"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(process.returncode)
    return json.loads(text), usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
