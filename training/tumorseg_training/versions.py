"""Ids and versions of models that are retrained."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.model.specification import ModelSpecification


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
    reserved: set[str] = set()
    while True:
        taken = in_use() | reserved
        chosen = first if first and first[0] not in taken else next_version(base, taken)
        path = models / f".{chosen[0]}.lock"
        lock = FileLock(path, timeout=0)
        try:
            models.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            reserved.add(chosen[0])
            continue
        except OSError as error:
            raise OutputError(f"{models}: {error.strerror or error}") from None
        with lock:
            if chosen[0] not in in_use():
                break
        lock.release()
    try:
        yield chosen
    finally:
        if chosen[0] in in_use():  # nobody will ask for this id again
            with suppress(OSError):
                path.unlink(missing_ok=True)
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
