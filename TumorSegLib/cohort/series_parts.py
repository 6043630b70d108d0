"""One series that lies in several folders: copies of its images, or parts that are one stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from TumorSegLib.cohort.series_choice import Series
from TumorSegLib.reading.dicom_files import DicomFile
from TumorSegLib.reading.dicom_series import SAME_POSITION_MM, WITHOUT_UID

Stack = tuple[tuple[int, int], tuple[float, ...]]
"""Rows and columns, and orientation: what slices of one volume have in common."""
Places = dict[Stack, set[tuple[int, ...]]]


def gathered(found: Iterable[Series]) -> Iterator[Series]:
    """Yield the series of a study, each once, whatever folders its images lie in.

    Of a copy, or a part beside the whole, the fuller folder is taken. Folders each of which has
    slices of one stack that the other lacks become one series with the files of all. What lies at
    the same places but are other images, such as phases, stay series of their own.

    Args:
        found: of one study; one for each folder.
    """
    by_uid: dict[str, list[Series]] = {}
    for series in found:
        by_uid.setdefault(series.uid, []).append(series)
    for uid, parts in by_uid.items():
        yield from parts if uid == WITHOUT_UID else _joined(_without_copies(parts))


def _without_copies(parts: Iterable[Series]) -> list[Series]:
    """Return what is no copy of another's images, those that were found first before the others."""
    folders: dict[Path, Series] = {}
    for part in parts:
        folders.setdefault(part.folder.resolve(), part)
    kept: list[tuple[Series, set[str]]] = []
    for part in sorted(folders.values(), key=lambda one: -len(one.files)):
        images = {_identity(file) for file in part.files}
        for index, (fuller, others) in enumerate(kept):
            if images <= others:
                kept[index] = (replace(fuller, copies=fuller.copies + 1), others)
                break
        else:
            kept.append((part, images))
    return [part for part, _ in kept]


def _joined(parts: Sequence[Series]) -> list[Series]:
    places = [_places(part.files) for part in parts]
    if not any(_complete(one, other) for one in places for other in places):
        return list(parts)
    files = {_identity(file): file for part in reversed(parts) for file in part.files}
    images = tuple(sorted(files.values(), key=lambda file: file.path))
    return [replace(parts[0], files=images, copies=sum(part.copies for part in parts))]


def _complete(one: Places, other: Places) -> bool:
    """Tell whether each has slices of one stack that the other lacks."""
    return any(
        one[stack] - other[stack] and other[stack] - one[stack]
        for stack in one.keys() & other.keys()
    )


def _places(files: Iterable[DicomFile]) -> Places:
    places: Places = {}
    for file in files:
        if file.orientation is not None and file.position is not None:
            stack = file.shape, tuple(round(cosine, 2) + 0.0 for cosine in file.orientation)
            place = tuple(round(mm / SAME_POSITION_MM) for mm in file.position)
            places.setdefault(stack, set()).add(place)
    return places


def _identity(file: DicomFile) -> str:
    return file.header.text("SOPInstanceUID") or str(file.path)
