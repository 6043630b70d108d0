"""Heads packed small enough to be carried to a GPU: pictures, masks, depths inside the brain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tumorseg_training.device_training.pictures import as_webp, from_webp
from TumorSegLib.errors import InputError

SEQUENCES = ("flair", "t1", "t1c")
COLUMNS = 8
"""Slices beside each other in a picture; the codec's pictures have at most 16,383 lines."""

Head = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True)
class Heads:
    """Heads one after the other, all slices of the same size.

    Attributes:
        names: of the patients.
        starts: first slice of each head, and the number of slices in all.
        images: (slices, sequences, H, W), uint8, 0 is air; a missing sequence is a copy of FLAIR.
        masks: (slices, H, W), uint8, 1 is tumour.
        depth: (slices, h, w), uint8, coarser; see `brain_mask.brain_depth`.
    """

    names: tuple[str, ...]
    starts: tuple[int, ...]
    images: Tensor
    masks: Tensor
    depth: Tensor

    def to(self, device: torch.device) -> Heads:
        """Return the heads on a device."""
        return Heads(
            self.names,
            self.starts,
            self.images.to(device),
            self.masks.to(device),
            self.depth.to(device),
        )

    def slices_of(self, name: str) -> range:
        """Return the slices of a patient."""
        index = self.names.index(name)
        return range(self.starts[index], self.starts[index + 1])


def write_pack(path: Path, heads: Mapping[str, Head]) -> None:
    """Write heads to `path` (.npz): name to images, masks and depths as in `Heads`."""
    content: dict[str, Any] = {}
    for name, (images, masks, depth) in heads.items():
        for index, sequence in enumerate(SEQUENCES):
            if index == 0 or not np.array_equal(images[:, index], images[:, 0]):
                content[f"{name}/{sequence}"] = _encoded(images[:, index])
        content[f"{name}/shape"] = np.array(masks.shape)
        content[f"{name}/mask"] = np.packbits(masks)
        content[f"{name}/depth"] = depth
    np.savez_compressed(path, **content)


def read_packs(folder: Path, pattern: str = "*.npz", threads: int = 16) -> Heads:
    """Read all heads in the packs of a folder, by name.

    Raises:
        InputError: there is none.
    """
    packed: dict[str, dict[str, NDArray[Any]]] = {}
    for path in sorted(folder.glob(pattern)):
        with np.load(path) as content:
            for key in content.files:
                name, _, part = key.rpartition("/")
                packed.setdefault(name, {})[part] = content[key]
    if not packed:
        raise InputError(f"{folder}: no packs {pattern}")
    names = tuple(sorted(packed))
    with ThreadPoolExecutor(threads) as pool:
        heads = list(pool.map(_unpacked, [packed[name] for name in names]))
    counts = [len(masks) for _, masks, _ in heads]
    images, masks, depth = (np.concatenate(parts) for parts in zip(*heads, strict=True))
    return Heads(
        names,
        tuple(np.cumsum([0, *counts]).tolist()),
        torch.from_numpy(images),
        torch.from_numpy(masks),
        torch.from_numpy(depth),
    )


def read_folds(path: Path) -> dict[str, list[str]]:
    """Read a JSON file {fold: [patient, ...]}.

    Raises:
        InputError: it is not such a file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a file of folds: {error}") from None
    return {str(fold): [str(patient) for patient in patients] for fold, patients in content.items()}


def half_size(planes: NDArray[Any]) -> NDArray[np.float32]:
    """Return (slices, H / 2, W / 2), the means of four pixels each."""
    count, rows, columns = planes.shape
    blocks = planes.reshape(count, rows // 2, 2, columns // 2, 2)
    return np.asarray(blocks.mean(axis=(2, 4)), np.float32)


def _encoded(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, rows, columns = planes.shape
    lines = -(-count // COLUMNS)
    padded = np.zeros((lines * COLUMNS, rows, columns), np.uint8)
    padded[:count] = planes
    tiles = padded.reshape(lines, COLUMNS, rows, columns).transpose(0, 2, 1, 3)
    picture = as_webp(tiles.reshape(lines * rows, COLUMNS * columns), effort=4)
    return np.frombuffer(picture, np.uint8)


def _decoded(content: NDArray[np.uint8], shape: Sequence[int]) -> NDArray[np.uint8]:
    count, rows, columns = shape
    tiles = from_webp(content.tobytes()).reshape(-1, rows, COLUMNS, columns).transpose(0, 2, 1, 3)
    return tiles.reshape(-1, rows, columns)[:count]


def _unpacked(parts: Mapping[str, NDArray[Any]]) -> Head:
    shape = tuple(int(size) for size in parts["shape"])
    flair = _decoded(parts["flair"], shape)
    planes = [_decoded(parts[name], shape) if name in parts else flair for name in SEQUENCES]
    masks = np.unpackbits(parts["mask"])[: int(np.prod(shape))].reshape(shape)
    return np.stack(planes, axis=1), masks, parts["depth"]
