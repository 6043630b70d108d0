"""Reading a CT of 200 slices in this process: a DICOM folder, and NIfTI, beside other readers.

Each reads what it needs for the voxels on their grid; ours checks the series, too (gaps, tilt,
duplicates, several series), and holds what NIfTI says against what it may say.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from rows.machine import timed
from rows.network import peer
from rows.pairs import Contender, Group, LeftOut, Sample
from rows.samples import write_ct, write_series
from TumorSegLib.reading import read_volume

Read = Callable[[Path], object]

OURS = "TumorSegLib"
SLICES, SIZE = 200, 512


def groups() -> Iterator[Group]:
    """Yield the groups of this family."""
    with tempfile.TemporaryDirectory() as name:
        volume = write_ct(Path(name), SLICES, SIZE)
        series = _write_series(Path(name) / "series", sitk.ReadImage(str(volume)))
        yield _group(
            f"DICOM folder of {SLICES} files, uncompressed",
            series,
            {"SimpleITK": _itk_series, "MONAI LoadImage": _monai("PydicomReader")},
        )
        yield _group(
            f"CT {SIZE}x{SIZE}x{SLICES}, .nii.gz",
            volume,
            {"nibabel": _nibabel, "MONAI LoadImage": _monai("NibabelReader")},
        )


def _group(what: str, path: Path, peers: dict[str, Read | str]) -> Group:
    reads = {OURS: read_volume} | {n: read for n, read in peers.items() if callable(read)}
    left_out = {n: why for n, why in peers.items() if isinstance(why, str)}
    contenders = [Contender(n, partial(_sample, read, path)) for n, read in reads.items()]
    return Group(what, contenders, [(OURS, name) for name in peers], left_out)


def _sample(read: Read, path: Path) -> Sample:
    return timed(lambda: read(path))


def _itk_series(folder: Path) -> object:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return sitk.GetArrayViewFromImage(reader.Execute())


def _nibabel(path: Path) -> object:
    return np.asanyarray(peer("nibabel").load(path).dataobj)


def _monai(reader: str) -> Read | str:
    """Return MONAI's way to read, or why there is none here."""
    try:
        peer("pydicom" if reader == "PydicomReader" else "nibabel")
        load = peer("monai.transforms").LoadImage(reader=reader)
    except LeftOut as reason:
        return str(reason)
    return load


def _write_series(folder: Path, image: sitk.Image) -> Path:
    """Write an axial CT as a DICOM file a slice; return the folder."""
    import pydicom

    paths = write_series(folder, sitk.GetArrayViewFromImage(image), image.GetSpacing())
    for number, path in enumerate(paths, 1):  # without which MONAI leaves a slice out
        header = pydicom.dcmread(path)
        header.InstanceNumber = number
        header.save_as(path)
    return folder
