"""Ids and versions of models that are retrained."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.model.specification import ModelSpecification

GUARD = ".lock"
"""Held while locks of versions are made and removed."""


def next_version(base: ModelSpecification, taken: Container[str]) -> tuple[str, str]:
    """Return id and version of the next retrained model: the first minor version that is free.

    The version is part of the id ("brain-lgg-linknet-1.1.0"), so that the models lie side by side.

    Args:
        base: the model to start from, which may have been retrained itself.
        taken: ids that are in use.
    """
    family = base.id.removesuffix(f"-{base.version}")
    numbers = [int(part) for part in re.findall(r"\d+", base.version)[:2]]
    major, minor = (*numbers, 0, 0)[:2]
    while True:
        minor += 1
        version = f"{major}.{minor}.0"
        if f"{family}-{version}" not in taken:
            return f"{family}-{version}", version


@contextmanager
def reserved_version(
    base: ModelSpecification,
    models: Path,
    in_use: Callable[[], set[str]],
    first: tuple[str, str] | None = None,
) -> Iterator[tuple[str, str]]:
    """Yield id and version of the next retrained model, which no other run takes meanwhile.

    Args:
        base: the model to start from.
        models: folder in which the model will be.
        in_use: returns the ids of the models that are there.
        first: id and version to take if they are still free.

    Raises:
        OutputError: `models` cannot be written to.
    """
    try:
        models.mkdir(parents=True, exist_ok=True)
        with FileLock(models / GUARD):
            _remove_unheld(models)
            version, lock = _reserve(base, models, in_use, first)
    except OSError as error:
        raise OutputError(f"{models}: {error.strerror or error}") from None
    try:
        yield version
    finally:
        try:
            with suppress(OSError), FileLock(models / GUARD):
                _give_up(lock)
        finally:
            lock.release()


def _reserve(
    base: ModelSpecification,
    models: Path,
    in_use: Callable[[], set[str]],
    first: tuple[str, str] | None,
) -> tuple[tuple[str, str], BaseFileLock]:
    """Return a version that no other run has reserved, and the lock that reserves it."""
    reserved: set[str] = set()
    while True:
        taken = in_use() | reserved
        version = first if first and first[0] not in taken else next_version(base, taken)
        lock = FileLock(models / f".{version[0]}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            reserved.add(version[0])
            continue
        if version[0] not in in_use():
            return version, lock
        _give_up(lock)


def _remove_unheld(models: Path) -> None:
    """Remove the locks of runs that were killed."""
    for path in models.glob(".?*.lock"):
        lock = FileLock(path, timeout=0)
        with suppress(Timeout):
            lock.acquire()
            _give_up(lock)


def _give_up(lock: BaseFileLock) -> None:
    """Remove a lock that is held; only under the guard, lest another run has just opened it."""
    with suppress(OSError):  # Windows removes it when it is released
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other runs out of a run's folder.

    Raises:
        InputError: one is at work there.
        OutputError: the folder cannot be made.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(f"{folder}: another run is at work there; choose another by -o") from None
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()
