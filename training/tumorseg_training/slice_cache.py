"""Decoded slices on disk, exactly as the network sees them, quantised to 8 bits.

Decoding and resampling a data set takes minutes; mapping the cached arrays into memory takes none.
A case is a folder with `images.npy` (slices, channels, H, W) and `masks.npy` (slices, H, W), both
uint8; [0, 1] becomes 0..255, finer than any scanner's noise after normalisation. `case.json` holds
the spacing and which slices show a structure.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from tumorseg_training.case import Case, CaseList, SkippedCase
from tumorseg_training.code_version import decoding_version
from tumorseg_training.labelling import LabelError
from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.image.grid import Vector
from TumorSegLib.image.in_plane import resize
from TumorSegLib.inference.preparation import PreparedVolume, field_of_view
from TumorSegLib.model.specification import Input
from TumorSegLib.support import leftovers
from TumorSegLib.support.arrays import array_from_tensor, tensor_from_array
from TumorSegLib.support.atomic_write import flush
from TumorSegLib.support.schema import parsed, to_dict

IMAGES, MASKS, CASE = "images.npy", "masks.npy", "case.json"

ENTRY = re.compile(r".*-[0-9a-f]{16}(\.[\w-]+\.partial)?")

PARTIAL = ".partial"


@dataclass(frozen=True)
class CachedCase:
    """A case's slices, memory-mapped.

    Attributes:
        name: of the case.
        patient: whom it shows.
        images: (slices, channels, H, W), 0 to 255 for 0 to 1.
        masks: (slices, H, W), the model's label values.
        spacing_zyx: mm between slices, rows and columns.
        foreground: which slices show any structure.
        annotated: the model's values that were looked for; none: all.
    """

    name: str
    patient: str
    images: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    spacing_zyx: Vector
    foreground: NDArray[np.bool_]
    annotated: tuple[int, ...] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields, files instead of what is mapped from them.

        Windows and macOS hand a loader's process its cases as bytes, which would be all of them.
        """
        return {name: _file_of(value) or value for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            mapped = np.load(value, mmap_mode="r") if isinstance(value, Path) else value
            object.__setattr__(self, name, mapped)


def _file_of(value: Any) -> Path | None:
    """Return the file that an array maps as a whole, if it does."""
    if isinstance(value, np.memmap) and isinstance(value.base, mmap) and value.filename:
        return Path(value.filename)
    return None


def fill_cache(cases: Iterable[Case], specification: Input, folder: Path) -> CaseList:
    """Decode the cases that are not in the cache yet; return those that are in it now.

    A case that cannot be decoded is listed as unusable, and the others go on.

    Raises:
        LabelError: a case has label values that the config does not account for.
        OutputError: the cache cannot be written; finished cases stay.
    """
    cases = list(cases)
    missing = [case for case in cases if not _is_whole(_location(case, specification, folder))]
    unusable: dict[str, SkippedCase] = {}
    if missing:
        _remove_abandoned(folder)
    for case in track(missing, description="Decoding cases", disable=not missing):
        try:
            _store(case, specification, _location(case, specification, folder))
        except (LabelError, OutputError):
            raise
        except (InputError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            unusable[case.name] = SkippedCase(case.name, reason.removeprefix(f"{case.name}: "))
    usable = tuple(case for case in cases if case.name not in unusable)
    return CaseList(usable, tuple(unusable.values()))


def open_cache(cases: Iterable[Case], specification: Input, folder: Path) -> list[CachedCase]:
    """Return the cases that are in the cache."""
    locations = ((case, _location(case, specification, folder)) for case in cases)
    return [_open(case, location) for case, location in locations if _is_whole(location)]


def _location(case: Case, specification: Input, folder: Path) -> Path:
    """Return a folder whose name changes with the files, the preparation and its code."""
    files = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in case.files]
    content = json.dumps(
        [to_dict(specification), files, case.recipe, decoding_version()], sort_keys=True
    )
    name = re.sub(r"[^\w-]+", "_", case.name)[:80]  # a data set's word, which may name any place
    return folder / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def _store(case: Case, specification: Input, location: Path) -> None:
    annotated = case.decode()
    prepared = PreparedVolume(annotated.volumes, specification)
    labelmap = prepared.view.apply(annotated.labelmap)
    seen = field_of_view(prepared).index
    images = prepared.channels(np.arange(prepared.count))[seen]
    images = images.mul_(255).round_().to(torch.uint8)
    masks = resize_labels(labelmap, prepared.network_shape)[seen]
    millimetres = prepared.view.spacing_zyx
    scales = np.divide(prepared.shape, prepared.network_shape)
    spacing = (millimetres[0], millimetres[1] * scales[0], millimetres[2] * scales[1])
    content = {"spacing_zyx": spacing, "foreground": masks.any(axis=(1, 2)).tolist()}
    partial = location.with_name(f"{location.name}.{leftovers.owned_name()}{PARTIAL}")
    try:
        location.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.mkdir(mode=0o700)
        np.save(partial / IMAGES, array_from_tensor(images))
        np.save(partial / MASKS, masks)
        (partial / CASE).write_text(json.dumps(content), encoding="utf-8")
        for name in (IMAGES, MASKS, CASE):
            flush(partial / name)
        if location.is_dir() and not _is_whole(location):
            shutil.rmtree(location)
        partial.rename(location)
    except OSError as error:
        if not _is_whole(location):  # another process of the same run may have been quicker
            raise OutputError(
                f"{location.parent}: {error.strerror or 'the disk is full'} while caching"
                f" {case.name}; what is cached is kept: free space, or choose another folder by"
                " data.cache, and start again"
            ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def clear_cache(folder: Path) -> tuple[int, int]:
    """Remove all decoded cases in `folder`, and nothing else; return how many, and their bytes.

    Raises:
        OutputError: one cannot be removed.
    """
    count = size = 0
    try:
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.is_symlink() or not path.is_dir() or not ENTRY.fullmatch(path.name):
                continue
            files = list(path.iterdir())
            if {file.name for file in files} <= {IMAGES, MASKS, CASE}:
                size += sum(file.stat().st_size for file in files)
                shutil.rmtree(path)
                count += 1
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}; not all is removed") from None
    return count, size


def _is_whole(location: Path) -> bool:
    """Tell whether a case is there as it was written, not cut short by a kill or a power cut."""
    try:
        content = parsed((location / CASE).read_text(encoding="utf-8"))
        images = np.load(location / IMAGES, mmap_mode="r")
        masks = np.load(location / MASKS, mmap_mode="r")
        count = len(content["foreground"])
        spacing = [float(mm) > 0 for mm in content["spacing_zyx"]]
    except (OSError, ValueError, EOFError, KeyError, TypeError):
        return False
    return (
        images.dtype == masks.dtype == np.uint8
        and images.ndim == 4
        and masks.shape == (count, *images.shape[2:])
        and len(images) == count
        and spacing == [True] * 3
    )


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed runs were about to decode."""
    for path in folder.glob(f"*{PARTIAL}"):
        if leftovers.is_left_over(path, path.stem.rpartition(".")[2]):
            leftovers.remove(path)


def _open(case: Case, location: Path) -> CachedCase:
    content = parsed((location / CASE).read_text(encoding="utf-8"))
    return CachedCase(
        case.name,
        case.patient,
        np.load(location / IMAGES, mmap_mode="r"),
        np.load(location / MASKS, mmap_mode="r"),
        tuple(content["spacing_zyx"]),
        np.array(content["foreground"], np.bool_),
        case.annotated,
    )


def resize_labels(labelmap: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Resample label values (n, h, w) to (n, H, W).

    A pixel of which labels cover half has that which covers most of it.
    """
    if labelmap.shape[1:] == shape:
        return np.ascontiguousarray(labelmap)
    resized = np.zeros((len(labelmap), *shape), np.uint8)
    covered, most = np.zeros((2, *resized.shape), np.float32)
    for value in _values(labelmap):
        mask = tensor_from_array((labelmap == value).astype(np.float32))
        share = array_from_tensor(resize(mask, shape))
        covered += share
        resized[share >= most] = value
        np.maximum(most, share, out=most)
    resized[covered < 0.5] = 0
    return resized


def _values(labelmap: NDArray[np.uint8]) -> Sequence[int]:
    return [int(value) for value in np.flatnonzero(np.bincount(labelmap.ravel())) if value]
