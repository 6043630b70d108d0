"""Inputs in child processes, with limits on time and memory."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import hashlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fuzz.changes import Files
from fuzz.outcome import (
    HANG,
    LEFT,
    MEMORY,
    OTHERS,
    READ,
    REFUSED,
    SIGNAL,
    TRACEBACK,
    UNCLEAR,
    OthersVoxels,
    Outcome,
)
from fuzz.target import Target
from TumorSegLib.errors import TumorSegError
from TumorSegLib.support.leftovers import remove

ADDRESS_SPACE = 4 << 30
"""Bytes that a child may map beyond what it has from its parent."""

LONGEST_MESSAGE = 2000
M_PERTURB = -6
POISONS = (0x5A, 0xA5)
"""glibc fills memory that is taken with one of these, so that what is not written shows."""

NO_MEMORY = ("more memory than is free", "memory, which are not free", "not enough memory")


class Sandbox:
    """Folders in which inputs are read: the input's own, temporary files, and a home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.input, self.temporary, self.home = (
            folder / "in/here",
            folder / "tmp",
            folder / "home",
        )
        for place in (self.input, self.temporary, self.home):
            place.mkdir(parents=True, exist_ok=True)

    def fill(self, files: Files) -> None:
        """Make the folder hold this input and nothing else."""
        shutil.rmtree(self.input, ignore_errors=True)
        self.input.mkdir(parents=True)
        for name, content in files.items():
            path = self.input / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def left(self) -> list[Path]:
        """Return what lies where nothing should."""
        found = list(self.temporary.iterdir())
        found += [path for path in self.folder.iterdir() if path.name not in ("in", "tmp", "home")]
        found += [path for path in self.input.parent.iterdir() if path != self.input]
        found += [path for path in (Path("/tmp/tumorseg-fuzz-escaped"),) if path.exists()]
        return found

    def tidy(self) -> None:
        for path in self.left():
            remove(path)


def outcomes(
    target: Target, inputs: Sequence[tuple[int, Files]], sandbox: Sandbox
) -> Iterator[Outcome]:
    """Yield what becomes of each input; one that ends its child is tried again by itself."""
    waiting = list(inputs)
    while waiting:
        found, ended = _batch(target, waiting, sandbox)
        yield from found
        done = len(found)
        if ended is None:
            return
        culprit = waiting[done]
        again, alone = _batch(target, [culprit], sandbox)
        if alone is None:  # only after those before it
            note = f"after inputs {waiting[0][0]} to {culprit[0] - 1} in one process; "
            yield Outcome(culprit[0], ended.kind, note + ended.detail)
        else:
            yield Outcome(culprit[0], alone.kind, alone.detail)
        del again
        waiting = waiting[done + 1 :]


def _batch(
    target: Target, inputs: Sequence[tuple[int, Files]], sandbox: Sandbox
) -> tuple[list[Outcome], Outcome | None]:
    """Return the outcomes of a child's inputs, and how the child ended, if not by itself."""
    sys.stdout.flush()
    receiving, sending = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(receiving)
            with os.fdopen(sending, "wb", 0) as answers:
                _serve(target, inputs, sandbox, answers)
        finally:
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as answers:
        lines = answers.read().splitlines()
    _, status = os.waitpid(process, 0)
    sandbox.tidy()
    found = [Outcome(**json.loads(line)) for line in lines if line.endswith(b"}")]
    if len(found) == len(inputs):
        return found, None
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGALRM:
            return found, Outcome(-1, HANG, f"more than {target.seconds:g} s")
        return found, Outcome(-1, SIGNAL, signal.Signals(number).name)
    return found, Outcome(-1, SIGNAL, f"the process ended with status {os.WEXITSTATUS(status)}")


def _serve(
    target: Target, inputs: Sequence[tuple[int, Files]], sandbox: Sandbox, answers: BinaryIO
) -> None:
    """Read inputs in this process, a child, and answer a line for each."""
    faulthandler.disable()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ADDRESS_SPACE,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.update(HOME=str(sandbox.home), TMPDIR=str(sandbox.temporary))
    tempfile.tempdir = None
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number, files in inputs:
        sandbox.fill(files)
        signal.setitimer(signal.ITIMER_REAL, target.seconds)
        kind, detail, checked = _one(target, sandbox)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if (left := sandbox.left()) and kind in (READ, REFUSED):
            kind, detail = LEFT, ", ".join(map(str, left))
            sandbox.tidy()
        answer = {"number": number, "kind": kind, "detail": detail, "checked": checked}
        answers.write(json.dumps(answer).encode() + b"\n")


def _one(target: Target, sandbox: Sandbox) -> tuple[str, str, bool]:
    """Read an input, twice if it can be; return the kind of outcome, its detail, whether twice."""
    digests = []
    before, highest = memory_now(), memory_peak()
    for poison in POISONS:
        _poison(poison)
        try:
            digests.append(digest(target.read(sandbox.input)))
        except TumorSegError as error:
            if digests:
                return OTHERS, f"refused when read again: {error}", True
            kind, detail = _judged(str(error))
            break
        except OthersVoxels as error:
            return OTHERS, str(error), True
        except MemoryError:
            return MEMORY, traceback.format_exc(), False
        except BaseException:
            return TRACEBACK, traceback.format_exc(), False
    else:
        kind, detail = READ, ""
        if digests[0] != digests[1]:
            kind, detail = OTHERS, "two readings differ: memory that was not written"
    taken = (memory_peak() - before) >> 10
    if memory_peak() > highest and taken > target.megabytes and kind in (READ, REFUSED):
        return MEMORY, f"{taken} MiB for {_size(sandbox.input)} bytes: {detail}", False
    return kind, detail, kind == READ


def _judged(message: str) -> tuple[str, str]:
    """Return whether a message is one line that a person can read."""
    if any(part in message for part in NO_MEMORY):
        return MEMORY, message
    if not message.isprintable() or not message.strip() or len(message) > LONGEST_MESSAGE:
        return UNCLEAR, ascii(message[:LONGEST_MESSAGE])
    return REFUSED, message


def digest(found: Sequence[Any]) -> str:
    """Return a number that tells what was read from anything else."""
    hashed = hashlib.sha256()
    for value in found:
        if isinstance(value, np.ndarray):
            hashed.update(f"{value.dtype} {value.shape}".encode())
            hashed.update(np.ascontiguousarray(value).tobytes())
        else:
            hashed.update(repr(value).encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()


def _poison(value: int) -> None:
    gc.collect(0)
    with suppress(OSError, AttributeError):
        _libc().mallopt(M_PERTURB, value)


def _libc(loaded: list[Any] = []) -> Any:  # noqa: B006
    if not loaded:
        loaded.append(ctypes.CDLL(None))
    return loaded[0]


def memory_now() -> int:
    """Return the memory that this process uses, KiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 10


def memory_peak() -> int:
    """Return the most memory that this process has used since it was forked, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
