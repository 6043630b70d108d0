"""Candidates: components of a label inside an organ, and whether they are what they look like.

A network that sees slices marks a gallbladder that sinks into the liver's outline as a tumour of
the liver. What lies around a whole component, its place in the organ and how sure the network is of
it tell more than a slice does, so that a random forest over a few dozen such features judges each
(as Chlebus et al. 2018, "Automatic liver tumor segmentation in CT with fully convolutional neural
networks and object-based postprocessing", Scientific Reports 8:15497).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from TumorSegLib.image.components import components_of
from TumorSegLib.image.normalisation import IntensityTransform
from TumorSegLib.image.voxel_box import bounding_box, widened
from TumorSegLib.inference.labelmap import labelmap_from_probabilities
from TumorSegLib.model.candidate_features import FEATURES
from TumorSegLib.model.forest import Forest
from TumorSegLib.model.postprocessing import FalsePositiveFilter
from TumorSegLib.model.specification import Label

WORKING_MM = 1.5
"""Features are taken from voxels about so far apart: finer ones cost time and tell nothing."""
NEAR_MM = 3.0
FAR_MM = 10.0
"""Rings around a candidate, within its slices: next to it, and from there outwards."""
APART_MM = 1e4
"""As a distance between slices this keeps distances within them."""
RIM = (4, 4, 4)
"""Voxels along (z, y, x): what surrounds a candidate so far is less likely with it."""
DARK, FAT, BRIGHT = 0.275, 0.2, 0.99
"""Levels of the normalised image: with `CANDIDATES_WINDOW`, which a specification must then have,
15, 0 and 158 HU."""


@dataclass(frozen=True, eq=False)
class SegmentedVolume:
    """A segmented volume in axial order, all arrays (z, y, x).

    Attributes:
        image: the first channel's voxels, in the scanner's units.
        intensity: its normalisation.
        probabilities: uint8, one array a label.
        labelmap: uint8, after post-processing.
        spacing_zyx: mm.
    """

    image: NDArray[Any]
    intensity: IntensityTransform
    probabilities: Sequence[NDArray[np.uint8]]
    labelmap: NDArray[np.uint8]
    spacing_zyx: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Candidates:
    """The components of a label.

    Attributes:
        box: where in the volume they all are, with the rim around them.
        components: int32, of the box, numbered from 1.
        millilitres: float64 (components,), their volumes.
        features: float32 (components, len(FEATURES)).
    """

    box: tuple[slice, ...]
    components: NDArray[np.int32]
    millilitres: NDArray[np.float64]
    features: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Unlikely:
    """A candidate that was given up.

    Attributes:
        label: value of its label.
        likelihood: that it is one, 0 to 1.
        indices: (n, 3) along (z, y, x) of its voxels, in axial order.
    """

    label: int
    likelihood: float
    indices: NDArray[np.int64]


def remove_false_positives(
    segmented: SegmentedVolume,
    labels: Sequence[Label],
    candidate_filter: FalsePositiveFilter,
    forest: Forest,
) -> list[Unlikely]:
    """Take candidates that the forest holds for something else out of a segmentation, in place.

    Their probabilities fall below the label's threshold, the further the less likely they are:
    what is given up comes back, the likeliest first, where a user asks for more sensitivity.

    Returns:
        What was given up, the likeliest first.
    """
    candidates = find_candidates(segmented, labels, candidate_filter)
    if candidates is None:
        return []
    likelihoods = forest.probabilities(candidates.features)
    unlikely = (likelihoods < candidate_filter.threshold) & (
        candidates.millilitres <= candidate_filter.up_to_ml
    )
    for number in np.flatnonzero(unlikely) + 1:
        _give_up(
            segmented,
            labels,
            candidate_filter,
            candidates,
            int(number),
            float(likelihoods[number - 1]),
        )
    places = ndimage.find_objects(candidates.components)
    given_up = []
    for number in np.flatnonzero(unlikely) + 1:
        place = places[number - 1]
        corner = [
            outer.start + part.start for outer, part in zip(place, candidates.box, strict=True)
        ]
        indices = np.argwhere(candidates.components[place] == number) + corner
        given_up.append(Unlikely(candidate_filter.label, float(likelihoods[number - 1]), indices))
    return sorted(given_up, key=lambda item: -item.likelihood)


def _give_up(
    segmented: SegmentedVolume,
    labels: Sequence[Label],
    candidate_filter: FalsePositiveFilter,
    candidates: Candidates,
    number: int,
    likelihood: float,
) -> None:
    place = bounding_box(candidates.components == number)
    assert place is not None
    around = widened(place, RIM)
    components = candidates.components[around]
    nearest = ndimage.distance_transform_edt(
        components == 0, segmented.spacing_zyx, return_distances=False, return_indices=True
    )
    its_own = components[tuple(nearest)] == number
    index = [label.value for label in labels].index(candidate_filter.label)
    factor = labels[index].threshold * likelihood / candidate_filter.threshold
    parts = [part[candidates.box][around] for part in segmented.probabilities]
    parts[index][its_own] = (parts[index][its_own] * factor).astype(np.uint8)
    mask = components == number
    thresholds = [label.threshold for label in labels]
    segmented.labelmap[candidates.box][around][mask] = labelmap_from_probabilities(
        [part[mask] for part in parts], labels, thresholds
    )


def find_candidates(
    segmented: SegmentedVolume, labels: Sequence[Label], candidate_filter: FalsePositiveFilter
) -> Candidates | None:
    """Return the components of a label with their features; nothing if there are none."""
    mask = segmented.labelmap == candidate_filter.label
    box = bounding_box(mask)
    if box is None:
        return None
    box = widened(box, RIM)
    components, sizes = components_of(mask[box])
    coarse = _Coarse(segmented, labels, candidate_filter, box, components)
    millilitres = sizes[1:] * np.prod(segmented.spacing_zyx) / 1000
    features = np.array(list(coarse.features(millilitres)), np.float32)
    return Candidates(box, components, millilitres, features)


class _Coarse:
    """A segmented volume of which every so many voxels are looked at."""

    def __init__(
        self,
        segmented: SegmentedVolume,
        labels: Sequence[Label],
        candidate_filter: FalsePositiveFilter,
        box: tuple[slice, ...],
        components: NDArray[np.int32],
    ) -> None:
        steps = [max(1, int(WORKING_MM / mm + 0.01)) for mm in segmented.spacing_zyx]
        strided = tuple(slice(None, None, step) for step in steps)
        values = [label.value for label in labels]
        self.image, self.intensity = segmented.image[strided], segmented.intensity
        self.p = segmented.probabilities[values.index(candidate_filter.label)][strided]
        self.organ_p = segmented.probabilities[values.index(candidate_filter.organ)][strided]
        labelmap = segmented.labelmap[strided]
        self.organ = np.isin(labelmap, labels[values.index(candidate_filter.organ)].whole)
        self.marked = labelmap == candidate_filter.label
        self.components = np.zeros(labelmap.shape, np.int32)
        first = [-(-part.start // step) for part, step in zip(box, steps, strict=True)]
        part = components[
            tuple(
                slice(start * step - side.start, None, step)
                for start, step, side in zip(first, steps, box, strict=True)
            )
        ]
        self.components[
            tuple(slice(start, start + size) for start, size in zip(first, part.shape, strict=True))
        ] = part
        self.spacing = [mm * step for mm, step in zip(segmented.spacing_zyx, steps, strict=True)]

    def features(self, millilitres: NDArray[np.float64]) -> Iterator[list[float]]:
        """Yield the features of the components, whose volumes are given."""
        nothing = [0.0] * len(FEATURES)
        box = bounding_box(self.organ)
        places = ndimage.find_objects(self.components, len(millilitres))
        if box is None or not any(places):  # all lies between the voxels looked at
            yield from (nothing for _ in millilitres)
            return
        organ = self.organ[box]
        plain = organ & ~self.marked[box]
        organ_voxels = self._normalised(box)[plain if plain.any() else organ]
        median, deviation = float(np.median(organ_voxels)), float(organ_voxels.std())
        volume = float(organ.sum() * np.prod(self.spacing) / 1000)
        of_organ = [median, deviation, log(volume)]
        for number, place in enumerate(places, 1):
            if place is None:
                yield nothing
                continue
            ml = float(millilitres[number - 1])
            size = [log(ml), log((place[0].stop - place[0].start) * self.spacing[0])]
            share = ml / float(millilitres.sum())
            shape, rest = self._shape(number, place), self._surroundings(number, place, median)
            middle = self._middle(number, place, box)
            yield [*size, share, *shape, *rest, *of_organ, *middle]

    def _shape(self, number: int, place: tuple[slice, ...]) -> list[float]:
        """Return a component's area on its largest slice, its depth, elongation, compactness."""
        mask = np.pad(self.components[place] == number, ((0, 0), (1, 1), (1, 1)))
        in_plane = self.spacing[1:]
        depth = ndimage.distance_transform_edt(mask, sampling=(APART_MM, *in_plane))
        areas = mask.sum(axis=(1, 2)) * in_plane[0] * in_plane[1]
        edge = mask & (depth <= 1.01 * max(in_plane))
        return [
            log(float(areas.max())),
            log(float(depth.max())),
            _elongation(mask[int(areas.argmax())], in_plane),
            float(edge.sum() / mask.sum()),
        ]

    def _surroundings(self, number: int, place: tuple[slice, ...], median: float) -> list[float]:
        """Return what the network and the image say of a component and of the rings around it."""
        margin = (0, *(ceil(FAR_MM / mm) for mm in self.spacing[1:]))
        box = widened(place, margin)
        mask = self.components[box] == number
        image, organ, free = self._normalised(box), self.organ[box], ~self.marked[box]
        p, organ_p = self.p[box] / 255.0, self.organ_p[box] / 255.0
        away = ndimage.distance_transform_edt(~mask, sampling=(APART_MM, *self.spacing[1:]))
        near, far = ~mask & (away <= NEAR_MM), (away > NEAR_MM) & (away <= FAR_MM)
        inside, outside = image[near & free & organ], image[near & free & ~organ]
        far_outside = image[far & ~organ]
        voxels = image[mask]
        mean = float(voxels.mean())
        return [
            float(p[mask].mean()),
            float(p[mask].max()),
            float(np.quantile(p[mask], 0.9)),
            _mean(p[near]),
            _mean(p[far]),
            float(organ_p[mask].mean()),
            float(np.quantile(organ_p[mask], 0.1)),
            _mean(organ[near & free]),
            _mean(organ[far & free]),
            mean - median,
            float(np.median(voxels)),
            float(voxels.std()),
            float(np.quantile(voxels, 0.1)) - median,
            float(np.quantile(voxels, 0.9)) - median,
            float((voxels < DARK).mean()),
            float((voxels < FAT / 2).mean()),
            float((voxels > BRIGHT).mean()),
            float(inside.mean()) - mean if inside.size else 0.0,
            float(inside.std()) if inside.size else 0.0,
            float(outside.mean()) - mean if outside.size else 0.0,
            _mean(outside < FAT),
            _mean(outside > BRIGHT),
            _mean(far_outside < FAT),
            float(far_outside.mean()) - median if far_outside.size else 0.0,
        ]

    def _middle(
        self, number: int, place: tuple[slice, ...], organ: tuple[slice, ...]
    ) -> list[float]:
        """Return a component's centre (z, y, x) from 0 to 1 in the organ's bounding box."""
        centre = ndimage.center_of_mass(self.components[place] == number)
        return [
            float((at + part.start - box.start) / max(1, box.stop - 1 - box.start))
            for at, part, box in zip(centre, place, organ, strict=True)
        ]

    def _normalised(self, box: tuple[slice, ...]) -> NDArray[np.float32]:
        return self.intensity.apply(self.image[box])


def _elongation(section: NDArray[np.bool_], spacing: Sequence[float]) -> float:
    """Return the length over the width of a section (h, w)."""
    places = np.argwhere(section) * spacing
    if len(places) < 3:
        return 1.0
    axes = np.linalg.eigvalsh(np.cov(places.T))
    shorter, longer = np.sqrt(np.maximum(axes, 0.3))
    return float(longer / shorter)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else 0.0
