"""Appends a case to a data set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.export.case_metadata import (
    CaseRecord,
    LabelCount,
    drawn_by,
    read_record,
    record_text,
)
from TumorSegLib.export.dataset import CASES, FILE_ENDING, IMAGES, LABELS, SEGMENTS, Dataset
from TumorSegLib.export.errors import CaseExistsError
from TumorSegLib.export.identity import ExportKey
from TumorSegLib.export.labelling import labelled, labelmap_of, mask_of
from TumorSegLib.image.alignment import aligned
from TumorSegLib.image.correction import Correction
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.support.silence import silenced_stderr
from TumorSegLib.support.version import __version__
from TumorSegLib.writing.image_writing import write_image_atomically

WHOLE = 0
"""Instead of a label's value: the label map of all labels."""


@dataclass(frozen=True, eq=False)
class ExportCase:
    """A volume with its segments.

    Attributes:
        volumes: by the model's channel names, the volume itself first.
        masks: segments on the volume's grid.
        mapping: see `TumorSegLib.export.labelling.labelled`.
        patient: what tells the patient from others, such as the hospital's number; only its keyed
            hash is kept. None: not known.
        reviewed: whether a person has looked through all of it.
        correction: how far a person changed what a model drew, where known.
    """

    volumes: Mapping[str, Volume]
    masks: tuple[NamedMask, ...]
    mapping: Mapping[str, str] = field(default_factory=dict)
    patient: str | None = None
    reviewed: bool = False
    correction: Correction | None = None


@dataclass(frozen=True)
class Appended:
    """What became of a case.

    Attributes:
        case: its id.
        count: cases in the data set, those with one file a segment left out.
        replaced: an earlier export of the same case was replaced.
        warnings: lines for the user.
    """

    case: str
    count: int
    replaced: bool
    warnings: tuple[str, ...]


def append_case(
    folder: Path,
    case: ExportCase,
    specification: ModelSpecification,
    key: ExportKey,
    *,
    replace: bool = False,
    one_file_a_segment: bool = False,
) -> Appended:
    """Append a case to the data set in `folder`, whole or not at all; others wait meanwhile.

    Channels on another grid are resampled onto the volume's, missing ones replaced, both as when
    the model runs. Voxels and label values are kept.

    Args:
        folder: DatasetNNN_Name; made if it is not there.
        case: what to append.
        specification: of the model whose channels and labels the data set has.
        key: makes the ids.
        replace: an earlier export of the same volume.
        one_file_a_segment: write a mask a label instead of a label map, as overlapping segments
            need; nnU-Net does not read those.

    Raises:
        CaseExistsError: the volume is in the data set and shall not be replaced.
        OverlapError: see `labelmap_of`.
        UnknownSegmentsError: see `labelled`.
        InputError: a segment lies on another grid, a channel is missing or shows something else,
            or the folder holds a data set of another kind.
        OutputError: the folder cannot be written to, or the disk is full.
    """
    dataset = Dataset.of(folder, specification, key)
    channels, replaced, warnings = _channels(case.volumes, specification)
    first = next(iter(channels.values()))
    segments = labelled(case.masks, specification, case.mapping)
    names = {label.value: label.name for label in specification.labels}
    warnings += [
        f"no segment {names[value]}: written as absent from the case"
        for value, masks in segments.items()
        if not masks
    ]
    warnings += [line for masks in segments.values() for mask in masks for line in mask.warnings]
    if one_file_a_segment:
        labels = {value: mask_of(segments[value], first.grid) for value in names}
        counts = {value: int(np.count_nonzero(mask)) for value, mask in labels.items()}
    else:
        labelmap = labelmap_of(segments, specification, first.grid)
        labels = {WHOLE: labelmap}
        counts = {value: int(np.count_nonzero(labelmap == value)) for value in names}
    name = key.case(first)
    corrected = _corrected(case, first.grid)
    correction = case.correction
    if corrected and correction is not None and correction.slices == 0:
        correction = None  # of before the segments were changed
    if corrected is False and not case.reviewed:
        warnings.append(
            "it is as the model drew it, neither corrected nor marked as reviewed: retraining"
            " leaves it out"
        )
    with silenced_stderr(), dataset.locked():
        exists = dataset.holds(name)
        if exists and not replace:
            raise CaseExistsError(f"{first.name}: is in {dataset.folder.name} already, as {name}")
        record = CaseRecord(
            case=name,
            **_patient(case, name, dataset),
            labels_of=f"{specification.id} {specification.version}",
            software=f"TumorSeg {__version__}",
            reviewed=case.reviewed,
            labels={names[value]: LabelCount(value, count) for value, count in counts.items()},
            drawn_by=drawn_by(mask.model for mask in case.masks),
            corrected=corrected,
            correction=correction,
            replaced=replaced,
            one_file_a_segment=one_file_a_segment,
        )
        with dataset.staged(name, apart=one_file_a_segment) as new:
            _write(new, record, list(channels.values()), labels)
        return Appended(name, len(dataset.cases()), exists, tuple(warnings))


def _corrected(case: ExportCase, grid: Grid) -> bool | None:
    """Return whether a person changed what a model drew, None where that is not known."""
    changed = [mask.changed(grid) for mask in case.masks]
    if case.correction is not None:  # as of when the panel showed the segments last
        return bool(case.correction.slices) or any(changed)
    if all(known is None for known in changed):
        return None
    return any(known is not False for known in changed)


def _channels(
    volumes: Mapping[str, Volume], specification: ModelSpecification
) -> tuple[dict[str, Volume], dict[str, str], list[str]]:
    """Return a volume for every channel of the model, what stands in for what, and warnings."""
    channels = specification.input.channels
    present = {channel.name: channel for channel in channels if channel.name in volumes}
    if channels[0].name not in present:
        raise InputError(f"channel {channels[0].name}: is missing; it is the volume itself")
    found, warnings = aligned({name: volumes[name] for name in present})
    warnings = [line for volume in volumes.values() for line in volume.warnings] + warnings
    replaced = {}
    for channel in channels:
        if channel.name in present:
            continue
        stand_in = specification.input.stand_in(channel.name, present)
        if stand_in is None:
            raise InputError(f"channel {channel.name} ({channel.title}): is missing")
        found[channel.name] = found[stand_in]
        replaced[channel.name] = stand_in
        warnings.append(f"channel {channel.name}: not given, {stand_in} stands in for it")
    return {channel.name: found[channel.name] for channel in channels}, replaced, warnings


def _patient(case: ExportCase, name: str, dataset: Dataset) -> dict[str, Any]:
    """Return the record's entries on the patient; an earlier export may have known them."""
    if case.patient:
        return {"patient": dataset.key.patient(case.patient), "patient_known": True}
    earlier = read_record(dataset.record(name))
    if earlier is not None and earlier.patient_known:
        return {"patient": earlier.patient, "patient_known": True}
    return {"patient": f"patient_of_{name}", "patient_known": False}


def _write(
    new: Path, record: CaseRecord, channels: list[Volume], labels: Mapping[int, NDArray[np.uint8]]
) -> None:
    """Write a case's files below `new`, at their paths within the data set.

    Args:
        new: folder.
        record: of the case.
        channels: in order.
        labels: the label map under `WHOLE`, or a mask for each label value.
    """
    case, grid = record.case, channels[0].grid
    apart = Path(SEGMENTS, case)
    files: dict[Path, NDArray[Any]] = {}
    for number, volume in enumerate(channels):
        place, aside = Path(IMAGES, f"{case}_{number:04d}"), apart / f"image_{number:04d}"
        files[place if WHOLE in labels else aside] = volume.voxels
    if WHOLE in labels:
        files[Path(LABELS, case)] = labels[WHOLE]
    for name, label in record.labels.items():
        if label.value in labels:
            files[apart / f"{label.value}_{_file_name(name)}"] = labels[label.value]
    for path, voxels in files.items():
        whole_path = new / path.with_name(f"{path.name}{FILE_ENDING}")
        whole_path.parent.mkdir(parents=True, exist_ok=True)
        _write_image(whole_path, voxels, grid)
    (new / CASES).mkdir()
    (new / CASES / f"{case}.json").write_text(record_text(record), encoding="utf-8")


def _write_image(path: Path, voxels: NDArray[Any], grid: Grid) -> None:
    """Write voxels with where they lie, and nothing else of what a header can hold."""
    native = voxels.astype(voxels.dtype.newbyteorder("="), copy=False)
    if not write_image_atomically(to_sitk(native, grid), path):
        raise OutputError(
            f"{path.name}: cannot be written completely, is the disk full?; nothing was exported"
        )


def _file_name(label: str) -> str:
    return re.sub(r"\W+", "_", label).strip("_")
