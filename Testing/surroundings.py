"""A user's surroundings for the tests, in folders of their own, and what the tests leave behind."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from TumorSegLib.support.byte_code import is_cut_short

ROOT = Path(__file__).resolve().parent.parent
UNWATCHED = {".git", ".venv", ".pytest_cache", ".ruff_cache", ".mypy_cache", "__pycache__"}
"""Names in the checkout that git and tools write to; byte code is looked at by itself."""

DEVELOPERS = (
    *("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "LOCALAPPDATA"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TUMORSEG_MODELS", "MPLCONFIGDIR"),
)
"""Variables that a user does not have, or that lead out of the folders of the tests."""

OF_OTHERS = {".cache", ".config", ".local"}
"""Folders of a home in which libraries keep what they like; ours are looked for by name."""

TEMPORARY_OF_OTHERS = ("stand-in-", "pymp-", "torch", "matplotlib-", "lightning")
"""Beginnings of names of temporary folders that are removed when their process ends."""


LIBRARIES = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")}


def enter(folder: Path, process: str) -> None:
    """Make this process, and those that it starts, work in `folder` as a user would elsewhere."""
    for name in DEVELOPERS:
        os.environ.pop(name, None)
    sys.dont_write_bytecode = False
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # results are kept there
    for name, place in (("HOME", "home"), ("USERPROFILE", "home"), ("TMPDIR", process)):
        (folder / place).mkdir(exist_ok=True)
        os.environ[name] = str(folder / place)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "home" / ".cache" / "hypothesis")
    tempfile.tempdir = None


def leave(folder: Path, variables: Mapping[str, str]) -> None:
    """Remove the tests' folder and set the environment's variables to what they were before."""
    os.environ.clear()
    os.environ.update(variables)
    tempfile.tempdir = None
    shutil.rmtree(folder, ignore_errors=True)


class Watch:
    """Compares what is there at the end with what was there at the beginning."""

    def __init__(self, root: Path, folder: Path, libraries: Iterable[Path] = LIBRARIES) -> None:
        """Watch the checkout `root`, the tests' own `folder` and byte code of `libraries`."""
        self._root, self._folder, self._libraries = root, folder, libraries
        self._began = time.time()
        self._before = dict(_files(root))

    def faults(self) -> list[str]:
        """Return a line for everything that the tests should not have left."""
        after = dict(_files(self._root))
        lines = [f"{path}: left in the checkout" for path in sorted(after.keys() - self._before)]
        lines += [f"{path}: gone from the checkout" for path in sorted(self._before - after.keys())]
        lines += [
            f"{path}: changed while the tests ran"
            for path in sorted(after.keys() & self._before)
            if after[path] != self._before[path]
        ]
        lines += [f"{path}: byte code, cut short" for path in self._cut_short()]
        return lines + [f"{path}: left by a test" for path in self._left()]

    def _cut_short(self) -> Iterator[Path]:
        new = (
            path
            for folder in self._libraries
            for path in folder.rglob("__pycache__/*.pyc")
            if _changed(path) >= self._began
        )
        ours = _walk(self._root, UNWATCHED - {"__pycache__"})
        for path in itertools.chain(ours, new):
            if path.suffix == ".pyc" and is_cut_short(path):
                yield path

    def _left(self) -> Iterator[Path]:
        for place in sorted(self._folder.iterdir()):
            if place.name == "home":
                for path in place.rglob("*"):
                    name = path.name.lower()
                    if "tumorseg" in name or (path.parent == place and name not in OF_OTHERS):
                        yield path
            else:
                for path in place.iterdir():
                    if not path.name.startswith(TEMPORARY_OF_OTHERS):
                        yield path


def _walk(root: Path, without: set[str]) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in without]
        yield from (Path(folder, name) for name in names if name not in without)


def _files(root: Path) -> Iterator[tuple[Path, tuple[int, int]]]:
    """Yield the watched files below `root`, with their size and time of change."""
    for path in _walk(root, UNWATCHED):
        with contextlib.suppress(FileNotFoundError):  # a tool's own, gone again
            status = path.lstat()
            yield path, (status.st_size, status.st_mtime_ns)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # replaced by another process
        return 0.0
