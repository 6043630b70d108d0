"""From segments, in whatever order and by whatever name, to the label values of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.export.errors import OverlapError, UnknownSegmentsError
from TumorSegLib.image.grid import Grid
from TumorSegLib.model.specification import Label, ModelSpecification
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.slicer_io.segments import segment_id

LEAVE_OUT = ""
"""In a mapping, instead of a label: the segment is not exported."""

Labelled = dict[int, list[NamedMask]]


def is_known(mask_id: str, name: str, specification: ModelSpecification) -> bool:
    """Tell whether a segment is one of the model's labels, by its name; see `_own_label`."""
    return _own_label(mask_id, name, specification) is not None


def labelled(
    masks: Sequence[NamedMask], specification: ModelSpecification, mapping: Mapping[str, str]
) -> Labelled:
    """Return the segments of each label value; all of the model's values are there.

    Args:
        masks: the segments.
        specification: of the model whose labels count.
        mapping: from names or ids of segments to names of labels, or to `LEAVE_OUT`; it comes
            before what a segment's own name says.

    Raises:
        UnknownSegmentsError: segments are no labels of the model and not in the mapping.
        InputError: the mapping names labels that the model does not have.
    """
    by_name = {label.name.casefold(): label for label in specification.labels}
    for target in mapping.values():
        if target != LEAVE_OUT and target.casefold() not in by_name:
            raise InputError(
                f"label {target}: {specification.id} has the labels {_names(specification)}"
            )
    found: Labelled = {label.value: [] for label in specification.labels}
    unknown: list[str] = []
    for mask in masks:
        chosen = next((mapping[key] for key in (mask.name, mask.id) if key in mapping), None)
        own = _own_label(mask.id, mask.name, specification)
        label = own if chosen is None else by_name.get(chosen.casefold())
        if label is not None:
            found[label.value].append(mask)
        elif chosen != LEAVE_OUT:
            unknown.append(mask.name)
    if unknown:
        raise UnknownSegmentsError(
            f"segments {', '.join(unknown)} are no labels of {specification.id}"
            f" ({_names(specification)}); say which label each of them is, or leave it out",
            tuple(unknown),
        )
    return found


def labelmap_of(
    segments: Labelled, specification: ModelSpecification, grid: Grid
) -> NDArray[np.uint8]:
    """Return the label map (z, y, x) on `grid`: where a structure and its part meet, the part.

    Raises:
        OverlapError: two segments meet of which neither includes the other.
        InputError: a segment lies on another grid.
    """
    labelmap = np.zeros(grid.shape, np.uint8)
    labels = {label.value: label for label in specification.labels}
    wholes = {part: _wholes(part, specification) for part in labels}
    for value in TopologicalSorter(wholes).static_order():  # structures before their parts
        for mask in segments[value]:
            box, inside = mask.placed(grid)
            there = labelmap[box][inside]
            for other in labels.keys() - {value} - wholes[value]:
                if shared := np.count_nonzero(there == other):
                    raise OverlapError(
                        f"segments {labels[other].name} and {labels[value].name} overlap in"
                        f" {shared} voxels, which a label map cannot hold; take the overlap out of"
                        " one of them, or write one file a segment"
                    )
            labelmap[box][inside] = value
    return labelmap


def mask_of(segments: Sequence[NamedMask], grid: Grid) -> NDArray[np.uint8]:
    """Return 1 (z, y, x) where one of `segments` is on `grid`, else 0.

    Raises:
        InputError: a segment lies on another grid.
    """
    mask = np.zeros(grid.shape, np.uint8)
    for segment in segments:
        box, inside = segment.placed(grid)
        mask[box][inside] = 1
    return mask


def _wholes(part: int, specification: ModelSpecification) -> set[int]:
    return {label.value for label in specification.labels if part in label.includes}


def _own_label(mask_id: str, name: str, specification: ModelSpecification) -> Label | None:
    """Return the label that a segment is, by the name that people see; none if it is none.

    A segment that was renamed keeps its id, and is what its new name says. Only one that has no
    name is known by its id.
    """
    shown = " ".join(name.split()).casefold()
    for label in specification.labels:
        if shown == label.name.casefold():
            return label
        if shown in ("", mask_id.casefold()) and mask_id == segment_id(specification, label):
            return label
    return None


def _names(specification: ModelSpecification) -> str:
    return ", ".join(label.name for label in specification.labels)
