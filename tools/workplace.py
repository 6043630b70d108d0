"""Names that only this computer has: folders, its host, where it gets packages from."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

EVERYBODYS = {"/", "/usr/local", "/usr/src"} | {
    f"/{name}"
    for name in (
        *("Users", "app", "builds", "data", "etc", "github", "home", "media", "mnt", "opt"),
        *("private", "repo", "src", "srv", "tmp", "usr", "var", "workspace"),
    )
}
"""Folders that tell nothing of a computer."""

PUBLIC_HOSTS = {"pypi.org", "files.pythonhosted.org", "download.pytorch.org"}
PIP_SETTINGS = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy")
TELLING = re.compile(r"[\w.-]*[\d.-][\w.-]*")
"""A host's name that is no mere word, as "worker" or "debian" are."""


def workplace_names(root: Path) -> set[str]:
    """Return what no published file may name: paths and hosts.

    Args:
        root: of the checkout.
    """
    folders = {str(folder) for place in (root, Path.home()) for folder in (place, *place.parents)}
    hosts = {socket.gethostname()}
    for value in _pip_settings():
        parts = urlsplit(value)
        if parts.scheme in ("http", "https"):
            hosts.add(parts.hostname or "")
        elif parts.scheme == "file":
            folders.add(unquote(parts.path).rstrip("/"))
        elif value.startswith("/"):
            folders.add(value.rstrip("/"))
        else:
            hosts.add(value)
    hosts = {host for host in hosts if TELLING.fullmatch(host)}
    return (folders - EVERYBODYS) | (hosts - PUBLIC_HOSTS)


def named_in(content: bytes, names: Iterable[str]) -> list[str]:
    """Return which `names` stand in a file's content, as words of their own, in their order."""
    text = content.decode("utf-8", "replace")
    return [
        name
        for name in sorted(names)
        if name in text and re.search(rf"(?<![\w.~-]){re.escape(name)}(?![\w-])", text)
    ]


def _pip_settings() -> Iterator[str]:
    """Yield the values of pip's settings that say where packages come from."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        if key.rpartition(".")[2] in PIP_SETTINGS:
            for text in shlex.split(value):
                yield from text.split()
