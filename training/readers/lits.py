"""LiTS 2017 as published (`lits`): `volume-<n>.nii` and `segmentation-<n>.nii`, in any sub-folder.

Label values are 0, 1 (liver) and 2 (tumour). Some segmentations carry another affine than their
volume although the voxels correspond; the volume's counts.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from training.case import Case, CaseList, Reading, Unusable
from training.readers.images import decode_files, grid_of_file, mismatch
from TumorSegLib.errors import InputError

NAME = re.compile(r"(volume|segmentation)-(\d+)\.nii(\.gz)?")


def read_lits(folder: Path, reading: Reading) -> CaseList:
    """List the volumes below `folder`."""
    found: dict[str, dict[int, Path]] = {"volume": {}, "segmentation": {}}
    for path in sorted(folder.rglob("*.nii*")):
        if match := NAME.fullmatch(path.name):
            found[match[1]][int(match[2])] = path
    volumes, segmentations = found["volume"], found["segmentation"]
    channel = reading.channels[0].name
    cases: list[Case] = []
    unusable: list[Unusable] = []
    for number in sorted(volumes.keys() | segmentations.keys()):
        name = f"volume-{number}"
        reason = _why_not(volumes.get(number), segmentations.get(number))
        if reason is not None:
            unusable.append(Unusable(name, reason))
            continue
        files = (volumes[number], segmentations[number])
        decode = partial(decode_files, name, {channel: files[0]}, files[1], reading)
        cases.append(Case(name, name, files, decode, f"{channel} {dict(reading.labels)}"))
    return CaseList(tuple(cases), tuple(unusable))


def _why_not(volume: Path | None, segmentation: Path | None) -> str | None:
    if volume is None:
        return "no volume"
    if segmentation is None:
        return "no segmentation"
    try:
        shape, expected = grid_of_file(volume).shape, grid_of_file(segmentation).shape
    except InputError as error:
        return str(error)
    return None if shape == expected else mismatch(volume, shape, segmentation, expected)
