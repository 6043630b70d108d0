"""What a training run is shown: which slices, how cropped, how changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from tumorseg_training.device_training.liver_changes import (
    Crops,
    change_intensities,
    paint_lesions,
    shift_organ,
    transplant_lesions,
)
from tumorseg_training.device_training.liver_geometry import Geometry, crop_centres, sampling_grid
from tumorseg_training.device_training.liver_loss import targets_of
from tumorseg_training.device_training.liver_pack import ORGAN_BIT
from tumorseg_training.device_training.liver_store import SliceStore, skin_depth
from tumorseg_training.device_training.liver_synthesis import TissuePainter
from tumorseg_training.device_training.random_fields import chance
from TumorSegLib.errors import InputError
from TumorSegLib.image.in_plane import PixelSpacing
from TumorSegLib.image.normalisation import Window
from TumorSegLib.model.specification import ModelSpecification

ORGAN, LESION = 1, 2
DEPTH_PIXELS = 40


@dataclass(frozen=True)
class Shares:
    """How often what is shown; the first four are shares of all slices drawn.

    Attributes:
        synthetic: painted from label volumes.
        organ_only: of volumes whose lesions are not annotated.
        negative: of volumes without the organ.
        lesion: of annotated slices, those that show a lesion.
        organ: of annotated slices, those that show the organ, with or without lesions.
        transplanted: get lesions of other slices.
        painted: get painted lesions.
        shifted: get their organ's attenuation changed, by up to `shift_hu`.
        shift_hu: in Hounsfield units.
        steps: of neighbours that lie 0, 1, 2 or 3 slices apart.
        thick: whose slices are means with their neighbours, as thick ones are.
        cut: that lack the neighbour on one side, as the first and the last slice do.
    """

    synthetic: float = 0.2
    organ_only: float = 0.12
    negative: float = 0.015
    lesion: float = 0.44
    organ: float = 0.34
    transplanted: float = 0.25
    painted: float = 0.5
    shifted: float = 1 / 3
    shift_hu: float = 60.0
    steps: tuple[float, ...] = (0.15, 0.6, 0.18, 0.07)
    thick: float = 0.1
    cut: float = 0.06


@dataclass(frozen=True)
class LiverStage:
    """How slices are shown during a part of a run.

    Attributes:
        until: part of the run's time at which it ends.
        crop: rows and columns, a multiple of 16.
        coarse: whether pixels are twice as large.
        batch: slices a step.
    """

    until: float
    crop: int
    coarse: bool
    batch: int

    def __str__(self) -> str:
        return f"crops of {self.crop} on {'twice the' if self.coarse else 'the'} pixel size"


@dataclass(frozen=True)
class Batch:
    """What one step learns from.

    Attributes:
        image: (B, C, h, w) in [0, 1].
        targets: (B, 2, h, w), of the organ with its lesions and of the lesions.
        weights: (B, 2, h, w), 0 where the truth is not known.
    """

    image: Tensor
    targets: Tensor
    weights: Tensor


@dataclass
class Draws:
    """Random slices of those volumes that a run may learn from.

    Attributes:
        store: of the volumes with images.
        labels: of the label volumes; none if there are none.
        model: whose input is drawn.
        learn_from: numbers of the volumes in `store`.
        paint_from: numbers of the volumes in `labels`.
        shares: how often what is shown.
        geometry: of the random changes.
    """

    store: SliceStore
    labels: SliceStore | None
    model: ModelSpecification
    learn_from: Sequence[int]
    paint_from: Sequence[int]
    shares: Shares = field(default_factory=Shares)
    geometry: Geometry = field(default_factory=Geometry)

    def __post_init__(self) -> None:
        spacing, window = self.model.input.in_plane, self.model.input.normalisation
        if not isinstance(spacing, PixelSpacing) or not isinstance(window, Window):
            raise InputError(f"model {self.model.id}: expected CT with pixels of a fixed size")
        self.pixel_mm = spacing.spacing_mm
        device = self.store.masks.device
        self.weights = torch.from_numpy(slice_weights(self.store, self.learn_from, self.shares)).to(
            device
        )
        self.steps = torch.tensor(self.shares.steps, device=device)
        kinds = [volume.kind == "organ_only" for volume in self.store.volumes]
        self.partial = torch.from_numpy(np.array(kinds)[self.store.volume_of]).to(device)
        self.painter: TissuePainter | None = None
        if self.labels is not None and self.paint_from:
            names = self.labels.volumes[0].tissues
            self.painter = TissuePainter(names, window, device)
            self.label_weights = torch.from_numpy(label_weights(self.labels, self.paint_from)).to(
                device
            )
            self.depth = skin_depth(self.labels.masks, DEPTH_PIXELS)

    def batches(self, stage: LiverStage, count: int) -> Iterator[Batch]:
        """Yield several batches that are made together: a thousand small kernels serve them all."""
        whole = self.batch(replace(stage, batch=stage.batch * count))
        for start in range(count):
            part = slice(start, None, count)
            yield Batch(whole.image[part], whole.targets[part], whole.weights[part])

    def batch(self, stage: LiverStage) -> Batch:
        """Return random slices, changed at random."""
        painted = round(stage.batch * self.shares.synthetic) if self.painter is not None else 0
        parts = [self._real(stage.batch - painted, stage)]
        if painted:
            parts.append((self._painted(painted, stage), torch.zeros_like(parts[0][1][:1])))
        crops = _joined([part for part, _ in parts])
        partial = torch.cat([known.expand(len(part.image)) for part, known in parts])
        shift_organ(crops, self.shares.shifted, self.shares.shift_hu)
        transplant_lesions(crops, self.shares.transplanted)
        paint_lesions(crops, self.shares.painted)
        image = change_intensities(crops.image.clamp(0, 1)).nan_to_num(0.0).clamp(0, 1)
        return Batch(image, *targets_of(crops, partial))

    def _real(self, count: int, stage: LiverStage) -> tuple[Crops, Tensor]:
        places = torch.multinomial(self.weights, count, replacement=True)
        seen = self.store.images[self._neighbours(self.store, places)].float() / 255
        seen = _thickened(seen, self.shares.thick)
        mask = self.store.masks[places]
        focus = torch.where((mask == LESION).flatten(1).any(1)[:, None, None], LESION, ORGAN)
        centres = self._centres(mask == focus, self.store.sizes[places], stage)
        planes = torch.cat([seen, (mask >= ORGAN)[:, None], (mask == LESION)[:, None]], dim=1)
        if stage.coarse:
            planes, centres = avg_pool2d(planes, 2), (centres - 0.5) / 2
        grid = sampling_grid(centres, planes.shape[-1], stage.crop, 1.0, self.geometry)
        cropped = grid_sample(planes, grid, align_corners=False)
        organ, lesion = cropped[:, -2] >= 0.5, cropped[:, -1] >= 0.5
        pixel = self.pixel_mm * (2 if stage.coarse else 1)
        image = cropped[:, :-2].contiguous()
        crops = Crops(image, organ | lesion, lesion, torch.zeros_like(lesion), pixel)
        return crops, self.partial[places]

    def _painted(self, count: int, stage: LiverStage) -> Crops:
        assert self.labels is not None
        assert self.painter is not None
        places = torch.multinomial(self.label_weights, count, replacement=True)
        around = self._neighbours(self.labels, places)
        masks = self.labels.masks[around]
        channels = masks.shape[1]
        focus = (masks[:, channels // 2] & ORGAN_BIT) > 0
        centres = self._centres(focus, self.labels.sizes[places], stage)
        planes = torch.cat([masks, self.depth[around]], dim=1).float()
        ratio = 2.0 if stage.coarse else 1.0
        grid = sampling_grid(centres, planes.shape[-1], stage.crop, ratio, self.geometry)
        cropped = grid_sample(planes, grid, mode="nearest", align_corners=False)
        depth = cropped[:, channels:] * self.pixel_mm
        return self.painter.paint(cropped[:, :channels].long(), depth, self.pixel_mm * ratio)

    def _centres(self, focus: Tensor, sizes: Tensor, stage: LiverStage) -> Tensor:
        seen = stage.crop * (2 if stage.coarse else 1)
        return crop_centres(focus, sizes, seen, self.geometry.focus_share)

    def _neighbours(self, store: SliceStore, places: Tensor) -> Tensor:
        """Return the places of slices with their neighbours, (B, C), some further apart."""
        context, device = self.model.input.context, places.device
        steps = torch.multinomial(self.steps, len(places), replacement=True)
        offsets = torch.arange(-context, context + 1, device=device)[None] * steps[:, None]
        cut = chance(len(places), self.shares.cut, device)[:, None]
        below = chance(len(places), 0.5, device)[:, None]
        beyond = torch.where(below, offsets < 0, offsets > 0)
        return store.around(places, offsets.masked_fill(cut & beyond, 0))


def slice_weights(
    store: SliceStore, learn_from: Iterable[int], shares: Shares
) -> NDArray[np.float64]:
    """Return how often each slice is to be drawn; 0 for volumes that are not to be learnt from.

    Among annotated slices each structure has its share; within it every patient counts alike, and
    so do a patient's volumes: five slices with a small tumour count as much as a hundred.
    """
    usable = np.isin(store.volume_of, list(learn_from))
    kinds = np.array([volume.kind for volume in store.volumes])[store.volume_of]
    lesion = store.shows(lambda masks: masks == LESION)
    organ = store.shows(lambda masks: masks >= ORGAN)
    full = usable & np.isin(kinds, ("annotated", "further"))
    rest = 1 - shares.organ_only - shares.negative
    parts = (
        (full & lesion, rest * shares.lesion),
        (full & organ, rest * shares.organ),
        (full & ~organ, rest * (1 - shares.lesion - shares.organ)),
        (usable & (kinds == "organ_only"), shares.organ_only),
        (usable & (kinds == "negative"), shares.negative),
    )
    weights = np.zeros(len(usable))
    for chosen, share in parts:
        weights += share * _by_patient(store, chosen)
    if not weights.any():
        raise InputError("packs: no slices to learn from")
    return weights


def label_weights(labels: SliceStore, paint_from: Iterable[int]) -> NDArray[np.float64]:
    """Return how often each slice of label volumes is to be drawn, mostly where the organ is."""
    usable = np.isin(labels.volume_of, list(paint_from))
    shown = labels.shows(lambda masks: (masks & ORGAN_BIT) > 0)
    body = labels.shows(lambda masks: masks > 0)
    inner = 0.8 * _by_patient(labels, usable & shown)
    return inner + 0.2 * _by_patient(labels, usable & ~shown & body)


def _by_patient(store: SliceStore, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights of the chosen slices that sum to 1, every patient and volume counting alike.

    Where nothing is chosen all are 0.
    """
    patients = [volume.patient for volume in store.volumes]
    counts = np.bincount(store.volume_of[chosen], minlength=len(patients))
    volumes = dict.fromkeys(patients, 0)
    for number in np.flatnonzero(counts):
        volumes[patients[number]] += 1
    shown = sum(1 for count in volumes.values() if count)
    weight = np.zeros(len(patients))
    for number in np.flatnonzero(counts):
        weight[number] = 1 / (shown * volumes[patients[number]] * counts[number])
    return np.asarray(weight[store.volume_of] * chosen)


def _joined(parts: Sequence[Crops]) -> Crops:
    if len(parts) == 1:
        return parts[0]
    image, organ, lesion, painted = (
        torch.cat([getattr(part, name) for part in parts])
        for name in ("image", "organ", "lesion", "painted")
    )
    return Crops(image, organ, lesion, painted, parts[0].pixel_mm)


def _thickened(image: Tensor, share: float) -> Tensor:
    """Return slices (B, C, S, S) of which some are means with their neighbours."""
    if image.shape[1] == 1:
        return image
    padded = torch.cat([image[:, :1], image, image[:, -1:]], dim=1)
    thick = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
    chosen = chance(len(image), share, image.device)
    return torch.where(chosen[:, None, None, None], thick, image)
