"""Ray, on this computer alone or on a cluster that is there already.

A cluster of our own listens to this computer only, asks for a token that is made anew each time,
has no dashboard and sends no statistics of use. What it writes for itself lies in a temporary
folder and goes with it.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.support import leftovers
from TumorSegLib.support.extras import pip_install
from TumorSegLib.support.places import PACKAGE
from TumorSegLib.support.signals import ended_as_by_ctrl_c

PREFIX = "tumorseg-ray-"
LONGEST_FOLDER = 45
"""Letters of the temporary folder's path, below which Ray makes sockets, whose paths are short."""
OBJECT_STORE_BYTES = 100 << 20
"""Ray's own shared memory: images go through files, so that little is needed."""

LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Has Ray listen to this computer only, as it does by itself on Windows and Mac."""
QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


def require_ray() -> None:
    """Refuse to go on without Ray.

    Raises:
        TumorSegError: it is not installed.
    """
    if find_spec("ray") is None:
        raise TumorSegError(
            f"sharing work out needs Ray, which is not installed; run {pip_install('cohort')}"
        )


@contextmanager
def connected(address: str | None, workers: int | None = None) -> Iterator[ModuleType]:
    """Yield Ray, connected to the cluster at `address`, or to one of this computer alone.

    Args:
        address: such as "ray://host:10001", "host:6379" or "auto"; None: this computer alone.
        workers: that are asked for, which may be more than there are cores.

    Raises:
        TumorSegError: Ray is not installed or does not start.
        InputError: there is no cluster at the address.
    """
    require_ray()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with _alone(workers) if address is None else _joined(address) as ray:
        _hush()
        with ended_as_by_ctrl_c():  # Ray takes SIGTERM for itself when it starts
            yield ray


@contextmanager
def _joined(address: str) -> Iterator[ModuleType]:
    import ray

    try:
        with warnings.catch_warnings(action="ignore"):
            ray.init(address=address, logging_level=logging.CRITICAL, log_to_driver=False)
    except Exception as error:  # Ray raises what its parts raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"--address {address}: no Ray cluster answers there ({reason}); where it asks for a"
            " token, set RAY_AUTH_MODE=token"
        ) from None
    try:
        yield ray
    finally:
        with suppress(Exception):
            ray.shutdown()


@contextmanager
def _alone(workers: int | None) -> Iterator[ModuleType]:
    variables = LOOPBACK | _token() | {"PYTHONPATH": _python_path()}
    kept = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    folder = _folder()
    try:
        import ray

        cores = os.cpu_count() or 1
        try:
            ray.init(
                address="local",
                num_cpus=max(cores, workers or 1),
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                logging_level=logging.CRITICAL,
                log_to_driver=False,
                _temp_dir=str(folder),
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise TumorSegError(f"Ray does not start here: {reason}") from error
        try:
            yield ray
        finally:
            with suppress(Exception):
                ray.shutdown()
    finally:
        leftovers.remove(folder)
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@cache
def _token() -> dict[str, str]:
    """Return what has Ray ask for a token, which it learns when it is imported, and once only."""
    if "ray" in sys.modules:
        return {}
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _python_path() -> str:
    """Return where workers look for modules first: this very library, then as the user says."""
    places = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.pathsep.join(places)


def _folder() -> Path:
    """Return a new folder for Ray's own files, whose path is short enough for its sockets."""
    top, short = Path(tempfile.gettempdir()), Path("/tmp")  # noqa: S108
    if len(str(top)) + len(PREFIX) + 24 > LONGEST_FOLDER and os.access(short, os.W_OK):
        top = short
    leftovers.remove_left_over(top, PREFIX)
    folder = top / f"{PREFIX}{leftovers.owner()}-0"
    folder.mkdir(mode=0o700)
    return folder


def _hush() -> None:
    """Keep Ray's account of a dead worker off the terminal: the case's row says it in a line."""
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None
