"""Images that a model is not made for, noticed by simple rules and, for sequences, by a classifier.

The rules' numbers were chosen on the training data; how often they hit is in docs/models.md. They
warn, they refuse nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.grid import AxialView
from TumorSegLib.image.modality import AIR_HU as AIR_IN_CT
from TumorSegLib.image.modality import looks_like_labelmap, modality_known_by, modality_of
from TumorSegLib.image.normalisation import strided_sample
from TumorSegLib.image.sequence_names import sequence_of
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.body_region import turned_over, wrong_region
from TumorSegLib.inference.ct_noise import noise_warning
from TumorSegLib.inference.image_kind import seen_instead_of_flair
from TumorSegLib.inference.missing_slices import missing_slices
from TumorSegLib.model.specification import ModelSpecification

TILT_DEGREES = 30.0

SMALLEST_MM = 10.0
"""No part of a body that is imaged is smaller than this, not even a mouse's head."""
FINEST_MM = 0.01
"""Small animals' scanners have no finer voxels than this."""

FAT_HU = -200.0
"""Hounsfield units without anything below this have been cut off, shifted or scaled."""
SOFT_HU = (-150.0, 300.0)
SOFT_SHARE = 0.03
"""Soft tissue fills more of any CT, even of a child in a wide field of view."""
AIR_HU = (-1150.0, -850.0)
AIR_SHARE = 0.005
"""Where values below air, which pad round fields of view, are there, so is air itself."""
NOT_AIR_HU, DENSE_HU = -500.0, 850.0
DENSE_SHARE = 0.2
"""Compact bone is less of any body: a head's CT has 0.06, six of trunks 0.005 at most, and 0.38 to
0.8 where soft tissue was shifted up and padding came to lie where air is."""

TITLES = {"flair": "FLAIR", "t1": "T1", "t1c": "T1 after contrast", "t2": "T2"}
LOOKS = {"t1": "T1", "t2": "T2", "ct": "CT"}


def input_warnings(
    volumes: Mapping[str, Volume], resampled: Sequence[str], specification: ModelSpecification
) -> list[str]:
    """Return all lines that can be told of volumes before a model runs on them.

    Args:
        volumes: by channel name as they were given, the volume to segment first.
        resampled: lines on those that were put on another grid.
        specification: of the model.
    """
    lines = [line for volume in volumes.values() for line in volume.warnings] + list(resampled)
    lines += missing_slices(volumes)
    names = [channel.name for channel in specification.input.channels]
    sources = {name: specification.input.stand_in(name, volumes) for name in names}
    lines += [
        f"channel {name}: not given, replaced by {source}"
        for name, source in sources.items()
        if source != name
    ]
    return lines + scope_warnings(volumes, specification)


def scope_warnings(volumes: Mapping[str, Volume], specification: ModelSpecification) -> list[str]:
    """Return a line for everything by which `volumes` are not what the model is made for.

    Args:
        volumes: by channel name, the volume to segment first.
        specification: of the model.
    """
    volume = next(iter(volumes.values()))
    lines = [
        f"{line}; do not rely on the result" for line in contradictions(volumes, specification)
    ]
    if (tilt := AxialView.of(volume.grid).tilt_degrees) > TILT_DEGREES:
        lines.append(
            f"{volume.name}: its slices are tilted by {tilt:.0f} degrees from axial; models are"
            " trained on axial slices"
        )
    if specification.modality == modality_of(volume) == "CT":
        found = (noise_warning(volume), turned_over(volume, specification.anatomy))
        lines += [line for line in found if line is not None]
    return lines


def contradictions(volumes: Mapping[str, Volume], specification: ModelSpecification) -> list[str]:
    """Return a line for everything that `volumes` are and the model is not for.

    Args:
        volumes: by channel name, the volume to segment first.
        specification: of the model.
    """
    volume = next(iter(volumes.values()))
    lines = _wrong_size(volume)
    if looks_like_labelmap(volume):
        lines.append(f"{volume.name}: seems to be a label map, not an image")
    wrong = _wrong_modality(volume, specification)
    if wrong is None and specification.modality == "CT":
        wrong = _wrong_units(volume)
    if wrong is None:
        wrong = wrong_region(volume, specification.modality, specification.anatomy)
    found = [wrong] if wrong is not None else _wrong_sequences(volumes, specification)
    return lines + found


def doubts(volume: Volume, specification: ModelSpecification) -> list[str]:
    """Return a line for everything that keeps a model from being chosen for a volume unasked.

    Args:
        volume: to segment, as the model's first channel.
        specification: of the model that would be chosen.
    """
    if modality_known_by(volume) == "guess":
        return [
            f"{volume.name}: says neither CT nor MRI; nothing lies below {AIR_IN_CT} as air does in"
            " CT, so it is MRI, or CT that is not in Hounsfield units"
        ]
    return contradictions({specification.input.channels[0].name: volume}, specification)


def _wrong_size(volume: Volume) -> list[str]:
    """Notice spacing that no body fits into, as where metres are given for millimetres."""
    spacing = volume.grid.spacing
    sides = [count * mm for count, mm in zip(volume.grid.shape[::-1], spacing, strict=True)]
    if max(sides) >= SMALLEST_MM and min(spacing) >= FINEST_MM:
        return []
    whole, voxel = (" x ".join(f"{mm:.2g}" for mm in part) for part in (sides, spacing))
    return [
        f"{volume.name}: measures {whole} mm, its voxels {voxel} mm; correct the spacing in its"
        " header, which may be in metres"
    ]


def _wrong_modality(volume: Volume, specification: ModelSpecification) -> str | None:
    modality = modality_of(volume)
    if modality == specification.modality:
        return None
    if volume.modality is None and modality == "MR":
        modality = "MR, or CT without Hounsfield units"
    return (
        f"{volume.name}: seems to be {modality}, {specification.id} is a model for"
        f" {specification.modality}"
    )


def _wrong_units(volume: Volume) -> str | None:
    sample = strided_sample(volume.voxels)
    smallest, padded = sample.min(), sample.min() < AIR_HU[0]
    soft, air = (np.mean((sample >= low) & (sample <= high)) for low, high in (SOFT_HU, AIR_HU))
    if (
        smallest <= FAT_HU
        and soft >= SOFT_SHARE
        and (air >= AIR_SHARE or not padded)
        and _dense_share(sample) < DENSE_SHARE
    ):
        return None
    return (
        f"{volume.name}: its values, {smallest:g} to {sample.max():g}, are not those of a body"
        " in Hounsfield units"
    )


def _dense_share(sample: NDArray[np.float32]) -> float:
    """Return how much of what is no air is as dense as compact bone; the largest value may pad."""
    body = sample[(sample > NOT_AIR_HU) & (sample < sample.max())]
    return float(np.mean(body > DENSE_HU)) if body.size else 0.0


def _wrong_sequences(volumes: Mapping[str, Volume], specification: ModelSpecification) -> list[str]:
    """Notice sequences in the wrong place, by header or name, else the first by its looks."""
    lines = []
    titles = {channel.name: channel.title for channel in specification.input.channels}
    for index, (channel, volume) in enumerate(volumes.items()):
        if channel not in TITLES:
            continue
        named = volume.sequence or sequence_of(volume.name)
        if named == channel or {named, channel} == {"t1", "t1c"}:
            continue
        if named is not None:
            said_by = "header" if volume.sequence else "name"
            lines.append(
                f"{volume.name}: its {said_by} says {TITLES[named]}, expected {titles[channel]}"
            )
        elif index == 0 and channel == "flair" and (looks := seen_instead_of_flair(volume)):
            lines.append(
                f"{volume.name}: looks like {LOOKS[looks]}, {specification.id} expects"
                f" {titles[channel]}"
            )
    return lines
