"""3D-IRCADb-01 as published by IRCAD (`3Dircadb1`).

A folder a patient, `3Dircadb1.<n>`, with the CT in `PATIENT_DICOM` and one DICOM series a structure
in `MASKS_DICOM/<structure>`, 0 or 255 on the grid of the CT. Structures overlap: tumours lie within
the liver. They are painted in the order of `data.labels`, so that later ones show.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tumorseg_training.case import Case, CaseList, LabelledCase, ReaderOptions, SkippedCase
from tumorseg_training.labelling import LabelError, value_of
from tumorseg_training.readers.images import read_mask_series
from tumorseg_training.readers.meaning import LIVER
from TumorSegLib.errors import InputError
from TumorSegLib.reading import read_volume

DEFAULT_LABELS = {"liver": 1, "livertumo*": 2}


def read_ircad(folder: Path, reading: ReaderOptions) -> CaseList:
    """List the patients below `folder`; without `data.labels`: liver 1, all liver tumours 2.

    Raises:
        LabelError: the model has no such values, or they are something else to it.
    """
    LIVER.check("3Dircadb1", reading)
    labels = dict(reading.labels or DEFAULT_LABELS)
    if surplus := sorted(set(labels.values()) - {0, *reading.values}):
        known = ", ".join(map(str, reading.values))
        raise LabelError(f"data.labels: value {surplus[0]} is not among the model's ({known})")
    cases: list[Case] = []
    unusable: list[SkippedCase] = []
    for patient in sorted(path for path in folder.iterdir() if path.is_dir()):
        scan, masks = patient / "PATIENT_DICOM", patient / "MASKS_DICOM"
        if not scan.is_dir() or not masks.is_dir():
            reason = "expected PATIENT_DICOM and MASKS_DICOM in it"
            unusable.append(SkippedCase(patient.name, reason))
            continue
        slices = _files(scan)
        structures = {
            path: value
            for path in masks.iterdir()
            if path.is_dir() and (value := value_of(path.name, labels)) is not None
        }
        odd = [path for path in structures if len(_files(path)) != len(slices)]
        if not slices or not structures or odd:
            unusable.append(SkippedCase(patient.name, _why_not(slices, odd, labels)))
            continue
        order = list(labels.values())
        painted = tuple(sorted(structures.items(), key=lambda item: (order.index(item[1]), item)))
        files = (*slices, *(file for path in sorted(structures) for file in _files(path)))
        decode = partial(_decode, patient.name, scan, painted, reading.channels[0].name)
        recipe = f"{reading.channels[0].name} {labels}"
        cases.append(Case(patient.name, patient.name, files, decode, recipe))
    return CaseList(tuple(cases), tuple(unusable))


def _why_not(slices: tuple[Path, ...], odd: list[Path], labels: dict[str, int]) -> str:
    if not slices:
        return "PATIENT_DICOM is empty"
    if odd:
        found = ", ".join(f"{path.name} {len(_files(path))}" for path in sorted(odd))
        return f"the CT has {len(slices)} slices, but {found}"
    return f"no mask of {', '.join(labels)}"


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in folder.iterdir() if path.is_file()))


def _decode(
    name: str, scan: Path, structures: tuple[tuple[Path, int], ...], channel: str
) -> LabelledCase:
    volume = replace(read_volume(scan), modality="CT", name=name)
    labelmap = np.zeros(volume.voxels.shape, np.uint8)
    for folder, value in structures:
        mask, mask_grid = read_mask_series(folder)
        if not mask_grid.geometry_equal(volume.grid, tolerance_mm=0.1):
            raise InputError(f"{name}: {folder.name} lies on another grid than the CT")
        labelmap[mask > 0] = value
    return LabelledCase({channel: volume}, labelmap)
