"""The raw layout of nnU-Net v2 (`nnunet`), to which most public segmentation sets convert.

`imagesTr/<case>_<channel, four digits><ending>`, `labelsTr/<case><ending>` and `dataset.json` with
`channel_names`, `labels` and `file_ending`. Exports of TumorSeg have `cases/<case>.json` besides,
which says whose case it is; without it, every case counts as a patient. Where `dataset.json` lists
the cases, those count and no others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any

from tumorseg_training.case import Case, CaseList, ReaderOptions, SkippedCase
from tumorseg_training.labelling import value_of, values_by_name
from tumorseg_training.readers.channels import channels_of
from tumorseg_training.readers.images import decode_files, why_apart
from TumorSegLib.errors import InputError
from TumorSegLib.export.case_metadata import read_record
from TumorSegLib.export.dataset import CASES, SEGMENTS
from TumorSegLib.support.schema import parsed


def read_nnunet(folder: Path, reading: ReaderOptions) -> CaseList:
    """List the cases of the data set in `folder`.

    Raises:
        LabelError: `dataset.json` has some of the model's names, and others.
        InputError: the folder is not in this layout.
    """
    description = folder / "dataset.json"
    content = _dataset(description)
    ending = content["file_ending"]
    structures = _structures(content["labels"], folder)
    if not reading.labels:
        reading = replace(reading, labels=values_by_name(structures, reading.known, folder))
    names = _names(content["channel_names"], description)
    channels, notes = channels_of(names, reading, description)
    pattern = re.compile(rf"(.+)_(\d{{4}}){re.escape(ending)}")
    images: dict[str, dict[int, Path]] = {}
    for path in sorted((folder / "imagesTr").iterdir()):
        if match := pattern.fullmatch(path.name):
            images.setdefault(match[1], {})[int(match[2])] = path
    labels = {
        path.name.removesuffix(ending): path
        for path in (folder / "labelsTr").iterdir()
        if path.name.endswith(ending)
    }
    listed = _listed(content, folder)
    for name, (numbered, label) in (listed or {}).items():
        images[name], labels[name] = numbered, label
    notes += _emptied(structures, reading.labels)
    cases: list[Case] = []
    unusable: list[SkippedCase] = []
    for name in sorted(images.keys() | labels.keys()):
        reason = _why_not(images.get(name, {}), labels.get(name), channels)
        if listed is not None and name not in listed:
            reason = "dataset.json does not list it"
        if reason is not None:
            unusable.append(SkippedCase(name, reason))
            continue
        volumes = {channel: images[name][number] for number, channel in channels.items()}
        files = (*volumes.values(), labels[name])
        decode = partial(decode_files, name, volumes, labels[name], reading, structures)
        recipe = f"by place {channels} {dict(reading.labels)} {structures}"
        record = read_record(folder / CASES / f"{name}.json")
        patient = name if record is None else record.patient
        cases.append(Case(name, patient, files, decode, recipe, notes))
    unusable += [
        SkippedCase(path.name, "its segments overlap, it has no label map")
        for path in sorted((folder / SEGMENTS).glob("*"))
    ]
    return CaseList(tuple(cases), tuple(unusable))


def structures_of(folder: Path) -> dict[int, str]:
    """Return the names of a data set's label values.

    Raises:
        InputError: the folder is not in this layout.
    """
    return _structures(_dataset(folder / "dataset.json")["labels"], folder)


def _dataset(path: Path) -> dict[str, Any]:
    try:
        content = parsed(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; the nnU-Net layout needs it") from None
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from None
    if isinstance(content, dict) and not isinstance(content.get("file_ending", ""), str):
        raise InputError(f"{path}: file_ending is no text; expected .nii.gz, for example")
    missing = [
        key
        for key in ("channel_names", "labels", "file_ending")
        if not isinstance(content, dict) or key not in content
    ]
    if missing:
        raise InputError(f"{path}: {missing[0]} is missing; expected nnU-Net's version 2 format")
    for needed in ("imagesTr", "labelsTr"):
        if not (path.parent / needed).is_dir():
            raise InputError(f"{path.parent}: folder {needed} is missing")
    return dict(content)


def _listed(
    content: Mapping[str, Any], folder: Path
) -> dict[str, tuple[dict[int, Path], Path]] | None:
    """Return images by channel, and the label map, of each case that is listed; none: no list."""
    if "dataset" not in content:
        return None
    try:
        listed = {
            name: (
                {number: folder / path for number, path in enumerate(entry["images"])},
                folder / entry["label"],
            )
            for name, entry in content["dataset"].items()
        }
        named = [entry["label"] for entry in content["dataset"].values()]
        named += [path for entry in content["dataset"].values() for path in entry["images"]]
        for name in (*listed, *named):
            inside = PureWindowsPath(name)
            if inside.anchor or ".." in inside.parts or (name in listed and inside.name != name):
                raise InputError(
                    f"{folder / 'dataset.json'}: dataset names {name}, outside the folder; expected"
                    " names of cases and paths within it"
                )
        return listed
    except (AttributeError, KeyError, TypeError):
        raise InputError(
            f"{folder / 'dataset.json'}: dataset does not list images and a label for each case"
        ) from None


def _structures(labels: Mapping[str, Any], folder: Path) -> dict[int, str]:
    """Return names by label value; regions, which are lists of values, name their union only."""
    try:
        return {int(value): name for name, value in labels.items() if not isinstance(value, list)}
    except (AttributeError, TypeError, ValueError):
        raise InputError(f"{folder / 'dataset.json'}: labels are not names with values") from None


def _emptied(structures: Mapping[int, str], labels: Mapping[str, int]) -> tuple[str, ...]:
    """Return a note if a mapping leaves none of the structures."""
    named = {value: name for value, name in structures.items() if value}
    kept = [value_of(name, labels, value) for value, name in named.items()]
    if not labels or not named or any(value != 0 for value in kept):
        return ()
    return (
        f"the mapping of labels makes every structure background ({', '.join(named.values())})",
    )


def _names(names: Mapping[str, str], path: Path) -> dict[int, str]:
    """Return the names of the data set's channels by number."""
    try:
        found = {int(number): name for number, name in names.items()}
    except (AttributeError, TypeError, ValueError):
        found = {}
    if not found or not all(isinstance(name, str) for name in found.values()):
        raise InputError(f"{path}: channel_names are not numbers with names of channels")
    return found


def _why_not(
    images: Mapping[int, Path], label: Path | None, channels: Mapping[int, str]
) -> str | None:
    if label is None:
        return "no label map in labelsTr"
    if missing := sorted(set(channels) - set(images)):
        return f"no image of channel {missing[0]:04d} in imagesTr"
    return why_apart([images[number] for number in channels], label)[0]
