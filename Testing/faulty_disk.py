"""A disk that fails at a chosen call, for the process that stands on it.

Every call by which Python or a native writer changes something below a folder is counted; the one
chosen fails as a disk fails, or ends the process as a power cut does. SQLite is tested this way.
Nothing is undone: `stand_on` is for a forked child.
"""

# ruff: noqa: PTH100, PTH110, PTH115, PTH118
from __future__ import annotations

import _io
import builtins
import errno
import io
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NATIVE_BYTES = 300
"""Of a file that a native writer may write before the disk is full."""

CODES = {
    "full once": errno.ENOSPC,
    "full from here": errno.ENOSPC,
    "input/output error": errno.EIO,
    "permission denied": errno.EACCES,
}
KILLED = {"killed before", "killed after"}
FAULTS = (*CODES, *sorted(KILLED))

GROWING = {"create", "write", "mkdir", "link", "symlink", "native", "posix_fallocate", "sendfile"}
"""What a full disk refuses; names can still be moved and removed."""

ROOT = Path(__file__).resolve().parent.parent
OURS = (str(ROOT / "TumorSegLib"), str(ROOT / "training"))

ON_PATHS = {
    **dict.fromkeys(("mkdir", "unlink", "remove", "rmdir", "truncate"), 1),
    **dict.fromkeys(("rename", "replace", "link", "symlink"), 2),
}
ON_DESCRIPTORS = ("fsync", "fdatasync", "ftruncate", "posix_fallocate", "sendfile")


@dataclass
class FaultyDisk:
    """What is counted, and where it fails.

    Attributes:
        folder: below which calls are counted.
        number: of the call that fails, from 0; None: none does.
        fault: one of `FAULTS`.
        calls: what was called so far: "rename out.nrrd".
        sites: from which lines of our own, and what; of other threads' calls only what.
    """

    folder: Path
    number: int | None = None
    fault: str = "full once"
    calls: list[str] = field(default_factory=list)
    sites: list[str] = field(default_factory=list)
    tell: Callable[[str], None] = lambda _: None
    _native: bool = False

    def call(self, name: str, path: object, action: Callable[[], Any], part: Any = None) -> Any:
        """Count and do `action`, or fail; `part` is what comes about of it where the disk fails."""
        if self._native or not self._is_below(path):
            return action()
        here = len(self.calls) == self.number
        self.calls.append(f"{name} {Path(os.fsdecode(path)).name}")  # type: ignore[arg-type]
        self.sites.append(" ".join([name, *_own_lines()]))
        if here:
            self.tell(self.calls[-1])
        after = self.number is not None and len(self.calls) - 1 > self.number
        if here and self.fault in KILLED:
            if self.fault == "killed after":
                action()
            os.kill(os.getpid(), signal.SIGKILL)
        if here or (after and self.fault == "full from here" and name in GROWING):
            if name == "native":
                return self._natively(action)
            if part is not None:
                part()
            code = CODES[self.fault]
            raise OSError(code, os.strerror(code), os.fsdecode(path))  # type: ignore[arg-type]
        if name == "native":
            return self._natively(action, limited=False)
        return action()

    def _natively(self, action: Callable[[], Any], *, limited: bool = True) -> Any:
        """Let a native writer run; a full disk is played by the limit on a file's size."""
        self._native = True
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            if limited:
                resource.setrlimit(resource.RLIMIT_FSIZE, (NATIVE_BYTES, hard))
            return action()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            self._native = False

    def _is_below(self, path: object) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        place = os.path.abspath(os.fsdecode(path))
        return place.startswith(f"{self.folder}{os.sep}")


def _own_lines() -> Iterator[str]:
    """Yield the lines of our own code that the caller is in, innermost first."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith(OURS):
            yield f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]


def stand_on(disk: FaultyDisk) -> None:
    """Have all of this process's writing go by `disk` from now on."""
    for name, count in ON_PATHS.items():
        setattr(os, name, _on_path(disk, name, getattr(os, name), count))
    for name in ON_DESCRIPTORS:
        setattr(os, name, _on_descriptor(disk, name, getattr(os, name)))
    os.open = _opening_descriptor(disk, os.open)  # type: ignore[assignment]
    opening = _opening(disk, io.open)
    builtins.open = io.open = _io.open = opening  # type: ignore[assignment]
    _patch_natives(disk)


def _on_path(disk: FaultyDisk, name: str, call: Callable[..., Any], count: int) -> Any:
    def wrapped(*paths: Any, **options: Any) -> Any:
        named = options.get("dst_dir_fd" if count == 2 else "dir_fd")
        target = _absolute(paths[count - 1], named)
        return disk.call(name, target, lambda: call(*paths, **options))

    return wrapped


def _on_descriptor(disk: FaultyDisk, name: str, call: Callable[..., Any]) -> Any:
    def wrapped(descriptor: Any, *rest: Any, **options: Any) -> Any:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        return disk.call(name, _of_descriptor(number), lambda: call(descriptor, *rest, **options))

    return wrapped


def _opening_descriptor(disk: FaultyDisk, call: Callable[..., int]) -> Any:
    def wrapped(path: Any, flags: int, *rest: Any, **options: Any) -> int:
        def action() -> int:
            return call(path, flags, *rest, **options)

        if not flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR | os.O_TRUNC):
            return action()
        target = _absolute(path, options.get("dir_fd"))
        return int(disk.call(_opening_of(target), target, action))

    return wrapped


def _opening_of(path: Any) -> str:
    """Return what opening a file for writing is: a full disk still opens one that is there."""
    return "open" if os.path.exists(path) else "create"


class _FaultyFile(io.FileIO):
    """A file each write to which, and whose closing, may fail."""

    def __init__(self, disk: FaultyDisk, place: str, *arguments: Any) -> None:
        self._disk, self._place = disk, place
        super().__init__(*arguments)

    def write(self, data: Any) -> int:
        half = bytes(data)[: len(data) // 2]
        return int(
            self._disk.call(
                "write",
                self._place,
                lambda: super(_FaultyFile, self).write(data),
                lambda: super(_FaultyFile, self).write(half),
            )
        )

    def truncate(self, size: int | None = None) -> int:
        return int(
            self._disk.call(
                "truncate", self._place, lambda: super(_FaultyFile, self).truncate(size)
            )
        )

    def close(self) -> None:
        if self.closed:
            return
        self._disk.call("close", self._place, super().close, super().close)


def _opening(disk: FaultyDisk, call: Callable[..., Any]) -> Any:
    def wrapped(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        place = _of_descriptor(file) if isinstance(file, int) else _absolute(file, None)
        if not set(mode) & set("wax+") or not disk._is_below(place):
            return call(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw_mode = mode.replace("b", "").replace("t", "")

        def opened() -> _FaultyFile:
            return _FaultyFile(disk, place, file, raw_mode, closefd, opener)

        raw = opened() if isinstance(file, int) else disk.call(_opening_of(place), place, opened)
        if buffering == 0:
            return raw
        size = io.DEFAULT_BUFFER_SIZE
        buffered: Any = (
            io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
        )
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)
        text.mode = mode
        return text

    return wrapped


def _patch_natives(disk: FaultyDisk) -> None:
    """Count writers that are not Python's as one call each, and have NumPy write by Python's."""
    if sitk := sys.modules.get("SimpleITK"):
        write = sitk.WriteImage

        def write_image(image: Any, path: Any, *rest: Any, **options: Any) -> Any:
            return disk.call("native", path, lambda: write(image, path, *rest, **options))

        sitk.WriteImage = write_image
    if torch := sys.modules.get("torch"):
        save = torch.save

        def save_object(content: Any, path: Any, *rest: Any, **options: Any) -> Any:
            return disk.call("native", path, lambda: save(content, path, *rest, **options))

        torch.save = save_object
    for name in ("numpy.lib.format", "numpy.lib._format_impl"):
        if module := sys.modules.get(name):
            module.isfileobj = lambda _: False  # type: ignore[attr-defined]


def _absolute(path: Any, folder: int | None) -> Any:
    if not isinstance(path, str | bytes | os.PathLike):
        return path
    if folder is None:
        return os.path.abspath(os.fsdecode(path))
    return os.path.join(_of_descriptor(folder) or "", os.fsdecode(path))


def _of_descriptor(number: int) -> str | None:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return None
