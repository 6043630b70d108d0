"""Decoded slices on disk, exactly as the network sees them, quantised to 8 bits.

Decoding and resampling a data set takes minutes; mapping the cached arrays into memory takes none.
A case is a folder with `images.npy` (slices, channels, H, W) and `masks.npy` (slices, H, W), both
uint8; [0, 1] becomes 0..255, finer than any scanner's noise after normalisation.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from training.case import Case
from TumorSegLib.in_plane import resize
from TumorSegLib.preparation import PreparedVolume
from TumorSegLib.records import plain
from TumorSegLib.specification import Input


@dataclass(frozen=True)
class CachedCase:
    """A case's slices, memory-mapped."""

    name: str
    patient: str
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """Which slices hold any structure."""
        return np.asarray(self.masks.any(axis=(1, 2)))


def cached_cases(cases: Iterable[Case], specification: Input, folder: Path) -> list[CachedCase]:
    """Return every case from the cache, decoding those that are not in it yet."""
    cases = list(cases)
    missing = [case for case in cases if not _location(case, specification, folder).is_dir()]
    for case in track(missing, description="Decoding cases", disable=not missing):
        _store(case, specification, _location(case, specification, folder))
    return [_open(case, _location(case, specification, folder)) for case in cases]


def _location(case: Case, specification: Input, folder: Path) -> Path:
    """Return a folder whose name changes with the files and with the preparation."""
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in case.files]
    content = json.dumps([plain(specification), files], sort_keys=True)
    return folder / f"{case.name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def _store(case: Case, specification: Input, location: Path) -> None:
    annotated = case.decode()
    prepared = PreparedVolume(annotated.volumes, specification)
    labelmap = prepared.view.apply(annotated.labelmap)
    images = prepared.channels(0, prepared.count).mul_(255).round_().to(torch.uint8).numpy()
    masks = resize_labels(labelmap, prepared.network_shape)
    partial = location.with_name(f"{location.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        np.save(partial / "images.npy", images)
        np.save(partial / "masks.npy", masks)
        partial.rename(location)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _open(case: Case, location: Path) -> CachedCase:
    images = np.load(location / "images.npy", mmap_mode="r")
    masks = np.load(location / "masks.npy", mmap_mode="r")
    return CachedCase(case.name, case.patient, images, masks)


def resize_labels(labelmap: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Resample label values (n, h, w) to (n, H, W); half a pixel decides."""
    if labelmap.shape[1:] == shape:
        return np.ascontiguousarray(labelmap)
    resized = np.zeros((len(labelmap), *shape), np.uint8)
    for value in _values(labelmap):
        share = resize(torch.from_numpy((labelmap == value).astype(np.float32)), shape)
        resized[share.numpy() >= 0.5] = value
    return resized


def _values(labelmap: NDArray[np.uint8]) -> Sequence[int]:
    return [int(value) for value in np.unique(labelmap) if value]
