"""A watch over other Python processes: their sockets, and copies of the files that they remove."""

from __future__ import annotations

import os
from pathlib import Path

HOOK = """
import os, shutil, sys

_place = os.environ["TUMORSEG_WATCH"]
_count = [0]


def _asks_for_ipv6():  # urllib3 does, when it is imported, by binding to the loopback address
    ours = os.path.join("urllib3", "util", "connection.py")
    codes = (sys._getframe(2).f_code, sys._getframe(3).f_code)
    return any(code.co_name == "_has_ipv6" and code.co_filename.endswith(ours) for code in codes)


def _watch(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        if _asks_for_ipv6():
            return
        with_family = arguments[1:] if event == "socket.__new__" else arguments
        line = f"{event} {[str(part) for part in with_family]}\\n".encode()
        flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
        descriptor = os.open(os.path.join(_place, "sockets"), flags)
        os.write(descriptor, line)
        os.close(descriptor)
    elif event == "os.remove":
        path, folder = arguments[0], arguments[1]
        path = os.fsdecode(path)
        if folder not in (None, -1):
            path = os.path.join(f"/proc/self/fd/{folder}", path)
        try:
            _count[0] += 1
            name = f"{os.getpid()}-{_count[0]}-{os.path.basename(path)}"
            with open(path, "rb") as old, open(os.path.join(_place, "removed", name), "xb") as new:
                shutil.copyfileobj(old, new)
        except OSError:
            pass


sys.addaudithook(_watch)
"""


def watching(place: Path) -> dict[str, str]:
    """Return the environment of a process that is watched, and what it starts with it."""
    (place / "removed").mkdir(parents=True)
    (place / "hook").mkdir()
    (place / "hook" / "sitecustomize.py").write_text(HOOK)
    paths = [str(place / "hook"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "TUMORSEG_WATCH": str(place), "PYTHONPATH": os.pathsep.join(paths)}


def sockets(place: Path) -> list[str]:
    """Return what watched processes did with sockets, a line each."""
    path = place / "sockets"
    return path.read_text().splitlines() if path.exists() else []


def removed(place: Path) -> Path:
    """Return the folder with copies of what watched processes removed."""
    return place / "removed"
