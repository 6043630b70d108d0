"""Files of received images: each on the disk before it is acknowledged, for the node's user alone.

Folders and files are called by hashes of UIDs, so that no name of a sender's is ever a path.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from TumorSegLib.support import leftovers
from TumorSegLib.support.system import is_windows

PARTIAL = ".partial"
IMAGES = "images"


class ImageStore:
    """The images of all series that are under way."""

    def __init__(self, place: Path, reserve_bytes: float) -> None:
        """Make the folder.

        Args:
            place: folder of the node.
            reserve_bytes: of the disk that stay free.

        Raises:
            OSError: it cannot be made.
        """
        self._root = place / IMAGES
        self._reserve = reserve_bytes
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def folder(self, series: str) -> Path:
        """Return the folder of a series."""
        return self._root / _hashed(series)

    def is_full(self) -> bool:
        """Tell whether the disk has no more room than what stays free."""
        return shutil.disk_usage(self._root).free < self._reserve

    def write(self, series: str, uid: str, content: bytes) -> None:
        """Have an image on the disk, so that a power cut does not take it.

        Raises:
            OSError: there is no room, or the disk fails.
        """
        if self.is_full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        folder = self.folder(series)
        is_new = not folder.is_dir()
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"{_hashed(uid)}.dcm"
        partial = path.with_suffix(PARTIAL)
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except OSError:
            leftovers.remove(partial)
            raise
        flush_folder(folder)
        if is_new:
            flush_folder(self._root)

    def remove(self, series: str) -> None:
        """Remove all images of a series."""
        leftovers.remove(self.folder(series))

    def keep_only(self, held: Mapping[str, Iterable[str]]) -> None:
        """Remove what no row of the queue stands for, as after a kill.

        Args:
            held: images that are to be here, by their series.
        """
        names = {
            _hashed(series): {f"{_hashed(uid)}.dcm" for uid in images}
            for series, images in held.items()
        }
        for folder in self._root.iterdir():
            if folder.name not in names:
                leftovers.remove(folder)
                continue
            for path in folder.iterdir():
                if path.name not in names[folder.name]:
                    leftovers.remove(path)


def flush_folder(folder: Path) -> None:
    """Have the names in a folder on the disk; on Windows they are there anyway."""
    if is_windows():
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _hashed(uid: str) -> str:
    return hashlib.sha256(uid.encode("utf-8", "surrogateescape")).hexdigest()[:40]
