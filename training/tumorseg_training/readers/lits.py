"""LiTS 2017 as published (`lits`): `volume-<n>.nii` and `segmentation-<n>.nii`, in any sub-folder.

Label values are 0, 1 (liver) and 2 (tumour). Some segmentations carry another origin or spacing
than their volume although the voxels correspond; the volume's counts, and a line says so.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from tumorseg_training.case import Case, CaseList, ReaderOptions, SkippedCase
from tumorseg_training.readers.images import decode_files, why_apart
from tumorseg_training.readers.meaning import LIVER

NAME = re.compile(r"(volume|segmentation)-(\d+)\.nii(\.gz)?")


def read_lits(folder: Path, reading: ReaderOptions) -> CaseList:
    """List the volumes below `folder`.

    Raises:
        LabelError: the values are something else to the model, and `data.labels` maps none.
    """
    LIVER.check("lits", reading)
    found: dict[str, dict[int, Path]] = {"volume": {}, "segmentation": {}}
    for path in sorted(folder.rglob("*.nii*")):
        if match := NAME.fullmatch(path.name):
            found[match[1]][int(match[2])] = path
    volumes, segmentations = found["volume"], found["segmentation"]
    channel = reading.channels[0].name
    cases: list[Case] = []
    unusable: list[SkippedCase] = []
    for number in sorted(volumes.keys() | segmentations.keys()):
        name = f"volume-{number}"
        reason, notes = _why_not(volumes.get(number), segmentations.get(number))
        if reason is not None:
            unusable.append(SkippedCase(name, reason))
            continue
        files = (volumes[number], segmentations[number])
        pair = {channel: files[0]}
        decode = partial(decode_files, name, pair, files[1], reading, by_place=False)
        recipe = f"by place {channel} {dict(reading.labels)}"
        cases.append(Case(name, name, files, decode, recipe, notes))
    return CaseList(tuple(cases), tuple(unusable))


def _why_not(volume: Path | None, segmentation: Path | None) -> tuple[str | None, tuple[str, ...]]:
    """Return why a pair cannot be used, none if it can, and what to note."""
    if volume is None:
        return "no volume", ()
    if segmentation is None:
        return "no segmentation", ()
    return why_apart([volume], segmentation, by_place=False)
