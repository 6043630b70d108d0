"""Processor time of reading a compressed DICOM series, beside the same series uncompressed.

    pip install pyjpegls pylibjpeg pylibjpeg-openjpeg     # only this script compresses
    python benchmarks/dicom_reading.py

A CT phantom of 200 slices of 512x512 is written as it is, as JPEG-LS and as JPEG 2000, both
lossless. Each kind is read twice in a process of its own: cold, then warm. "GDCM" is the same files
decoded by SimpleITK in the process that asks.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pydicom
import SimpleITK as sitk
from rows.samples import write_series

from TumorSegLib.phantom.abdomen import abdomen_phantom
from TumorSegLib.reading import read_volume

SLICES = 200
SYNTAXES = {"JPEG-LS": pydicom.uid.JPEGLSLossless, "JPEG 2000": pydicom.uid.JPEG2000Lossless}


def seconds() -> float:
    """Return the processor time of this process and of its children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def write(folder: Path) -> None:
    """Write the phantom in all kinds."""
    volume, _ = abdomen_phantom(shape=(SLICES, 512, 512), spacing=(0.75, 0.75, 1.0))
    plain = write_series(folder / "plain", volume.voxels, volume.grid.spacing)
    for name, syntax in SYNTAXES.items():
        (folder / name).mkdir()
        for path in plain:
            dataset = pydicom.dcmread(path)
            dataset.compress(syntax, generate_instance_uid=False)
            dataset.save_as(folder / name / path.name)


def read(folder: Path) -> None:
    """Print what reading takes."""
    taken = []
    for _ in range(2):
        start = seconds()
        read_volume(folder)
        taken.append(seconds() - start)
    start = seconds()
    for path in sorted(folder.iterdir()):
        sitk.ReadImage(str(path), imageIO="GDCMImageIO")
    line = f"{folder.name}: cold {taken[0]:.2f} s, warm {taken[1]:.2f} s"
    print(f"{line}, GDCM {seconds() - start:.2f} s")


def main() -> None:
    """Read one folder if it is named, otherwise write all and read each."""
    if len(sys.argv) > 1:
        read(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as place:
        write(Path(place))
        for folder in sorted(Path(place).iterdir()):
            subprocess.run([sys.executable, __file__, str(folder)], check=True)


if __name__ == "__main__":
    main()
