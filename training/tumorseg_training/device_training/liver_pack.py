"""Packs: volumes on the network's grid in one file, small enough to carry to a machine.

A pack is a zip file. `index.json` describes the volumes in order; of each there are
`<name>.images`, its slices as WebP one after the other, and `<name>.masks`, its label values as
deflated bytes. Volumes without images (label volumes to paint images of) have masks alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from tumorseg_training.device_training.pictures import QUALITY, as_webp, from_webp
from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.specification import ModelSpecification

INDEX = "index.json"
ORGAN_BIT, LESION_BIT = 128, 64
KINDS = ("annotated", "organ_only", "negative", "further", "labels")


@dataclass(frozen=True)
class PackedVolume:
    """A volume's axial slices on the network's grid, from inferior to superior.

    Attributes:
        name: unique within all packs.
        patient: whom it shows.
        kind: "annotated": with folds, measured; "further": annotated, too, in no fold;
            "organ_only": label 1 stands for the organ with its tumours, and slices are single
            ones; "negative": shows no organ; "labels": masks are numbers of `tissues`, plus
            `ORGAN_BIT` in the organ and its lesions and `LESION_BIT` in its lesions, as vessels
            within belong to it.
        fold: that the patient belongs to; empty outside the annotated volumes.
        spacing_zyx: mm.
        images: uint8 (n, H, W), 0 to 255 for 0 to 1 after normalisation; empty for "labels".
        masks: uint8 (n, H, W), label values.
        tissues: names of structures by value, for "labels"; 0 is outside the body.
    """

    name: str
    patient: str
    kind: str
    fold: str
    spacing_zyx: tuple[float, float, float]
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    tissues: tuple[str, ...] = field(default=())

    def volume(self, model: ModelSpecification) -> Volume:
        """Return the images in the scanner's units, as far as the normalisation can be undone."""
        intensity = model.input.normalisation.fit(self.images)
        voxels = (self.images / np.float32(255) - np.float32(intensity.offset)) / np.float32(
            intensity.gain
        )
        z, y, x = self.spacing_zyx
        rows, columns = self.images.shape[1:]
        grid = Grid((len(self.images), rows, columns), (x, y, z))
        return Volume(voxels.astype(np.float32), grid, model.modality, self.name)


def write_pack(path: Path, volumes: Iterable[PackedVolume], *, quality: int = QUALITY) -> None:
    """Write `volumes` to `path`; images lose a little, masks nothing."""
    entries = []
    with ZipFile(path, "w") as pack:
        for volume in volumes:
            pictures = [as_webp(image, quality=quality) for image in volume.images]
            pack.writestr(f"{volume.name}.images", b"".join(pictures), ZIP_STORED)
            pack.writestr(f"{volume.name}.masks", volume.masks.tobytes(), ZIP_DEFLATED, 9)
            entries.append(
                {
                    "name": volume.name,
                    "patient": volume.patient,
                    "kind": volume.kind,
                    "fold": volume.fold,
                    "spacing_zyx": volume.spacing_zyx,
                    "shape": volume.masks.shape,
                    "tissues": volume.tissues,
                    "bytes": [len(picture) for picture in pictures],
                }
            )
        pack.writestr(INDEX, json.dumps(entries), ZIP_DEFLATED)


def read_packs(paths: Sequence[Path], *, limit: int | None = None) -> list[PackedVolume]:
    """Return the volumes of all packs, decoded by as many threads as there are cores.

    Args:
        paths: of the packs.
        limit: of the slices a volume, the middle ones, for a quick look.

    Raises:
        InputError: a file is not a pack, or holds a kind of volume that is not known.
    """
    volumes: list[PackedVolume] = []
    with ThreadPoolExecutor() as threads:
        for path in paths:
            try:
                with ZipFile(path) as pack:
                    index = json.loads(pack.read(INDEX))
                    volumes += [_read(pack, entry, threads, limit) for entry in index]
            except (OSError, KeyError, ValueError, BadZipFile) as error:
                raise InputError(f"{path}: not a pack of volumes: {error}") from None
    return volumes


def _read(
    pack: ZipFile, entry: Mapping[str, Any], threads: ThreadPoolExecutor, limit: int | None
) -> PackedVolume:
    name, kind = str(entry["name"]), str(entry["kind"])
    if kind not in KINDS:
        raise ValueError(f"{name} is of kind {kind!r}, expected one of {', '.join(KINDS)}")
    masks = np.frombuffer(pack.read(f"{name}.masks"), np.uint8).reshape(entry["shape"])
    content = pack.read(f"{name}.images")
    ends = accumulate(entry["bytes"])
    parts = [content[end - size : end] for end, size in zip(ends, entry["bytes"], strict=True)]
    if limit is not None and len(masks) > limit:
        start = (len(masks) - limit) // 2
        masks, parts = masks[start : start + limit], parts[start : start + limit]
    images = np.zeros((0, *masks.shape[1:]), np.uint8)
    if parts:
        images = np.stack(list(threads.map(from_webp, parts)))
    z, y, x = (float(mm) for mm in entry["spacing_zyx"])
    tissues = tuple(str(tissue) for tissue in entry["tissues"])
    return PackedVolume(
        name, str(entry["patient"]), kind, str(entry["fold"]), (z, y, x), images, masks, tissues
    )
