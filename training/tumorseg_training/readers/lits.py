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
from tumorseg_training.readers.numbering import by_number, several

NAME = re.compile(r"(volume|segmentation)-(\d+)\.nii(\.gz)?")


def read_lits(folder: Path, reading: ReaderOptions) -> CaseList:
    """List the volumes below `folder`.

    Raises:
        LabelError: the values are something else to the model, and `data.labels` maps none.
    """
    LIVER.check("lits", reading)
    found: dict[str, list[tuple[int, Path]]] = {"volume": [], "segmentation": []}
    for path in folder.rglob("*.nii*"):
        if match := NAME.fullmatch(path.name):
            found[match[1]].append((int(match[2]), path))
    volumes, segmentations = by_number(found["volume"]), by_number(found["segmentation"])
    channel = reading.channels[0].name
    cases: list[Case] = []
    unusable: list[SkippedCase] = []
    for number in sorted(volumes.keys() | segmentations.keys()):
        name = f"volume-{number}"
        reason, notes = _why_not(volumes.get(number), segmentations.get(number), folder)
        if reason is not None:
            unusable.append(SkippedCase(name, reason))
            continue
        files = (volumes[number][0], segmentations[number][0])
        pair = {channel: files[0]}
        decode = partial(decode_files, name, pair, files[1], reading, by_place=False)
        recipe = f"by place {channel} {dict(reading.labels)}"
        cases.append(Case(name, name, files, decode, recipe, notes))
    return CaseList(tuple(cases), tuple(unusable))


def _why_not(
    volumes: list[Path] | None, segmentations: list[Path] | None, folder: Path
) -> tuple[str | None, tuple[str, ...]]:
    """Return why files of a number cannot be used, none if they can, and what to note."""
    if volumes is None:
        return "no volume", ()
    if segmentations is None:
        return "no segmentation", ()
    for files in (volumes, segmentations):
        if len(files) > 1:
            return several(files, folder), ()
    return why_apart(volumes, segmentations[0], by_place=False)
