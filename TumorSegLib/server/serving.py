"""Starts everything that a server is made of, and ends it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from TumorSegLib.cohort.ray_cluster import connected
from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.remote.credentials import is_loopback
from TumorSegLib.server.address import Address, listening, tls_context, url
from TumorSegLib.server.limits import Limits
from TumorSegLib.server.tokens import TokenFile
from TumorSegLib.support.extras import pip_install
from TumorSegLib.support.words import is_or_are
from TumorSegLib.worker.shared_memory import remove_orphans

if TYPE_CHECKING:
    import uvicorn

    from TumorSegLib.server.app import Service

NEEDED = ("ray", "fastapi", "uvicorn")
END_SECONDS = 10


@dataclass(frozen=True)
class ReplicaOptions:
    """How orders are worked on.

    Attributes:
        replicas: processes that segment, at most; None: one a GPU, or one.
        threads: of each; None: the cores shared equally.
        gpu: part of a GPU of each; None: a whole one where there are any.
    """

    replicas: int | None = None
    threads: int | None = None
    gpu: float | None = None


@dataclass(frozen=True)
class Serving:
    """All that a server is told."""

    tokens: TokenFile
    address: Address = field(default_factory=Address)
    limits: Limits = field(default_factory=Limits)
    work: ReplicaOptions = field(default_factory=ReplicaOptions)


def serve(serving: Serving, ready: Callable[[str], None]) -> None:
    """Answer until the process is told to end (SIGTERM, Ctrl-C); `ready` hears the address.

    Raises:
        TumorSegError: a package is missing, or Ray does not start.
        InputError: the address, the certificate or the tokens cannot be used.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise TumorSegError(
            f"a server needs {', '.join(missing)}, which {is_or_are(missing)} not installed;"
            f" run {pip_install('server')}"
        )
    check(serving.address)
    serving.tokens.tokens()
    bound = listening(serving.address)
    remove_orphans()
    with bound, connected(None) as ray:
        from TumorSegLib.server.app import Service
        from TumorSegLib.server.replicas import RayReplicas

        gpus = ray.cluster_resources().get("GPU", 0.0)
        most, threads, gpu = shares(serving.work, gpus)
        replicas = RayReplicas(ray, most, threads=threads, gpu=gpu)
        service = Service(serving.tokens, serving.limits, replicas)
        server = http_server(service, serving.limits, serving.address)
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        ready(url(serving.address, bound))
        with suppress(KeyboardInterrupt):  # uvicorn raises it again at its end
            server.run(sockets=[bound])


def shares(work: ReplicaOptions, gpus: float) -> tuple[int, int, float]:
    """Return how many processes there are at most, and the threads and part of a GPU of each.

    Args:
        work: as asked for.
        gpus: of this computer.

    Raises:
        InputError: there are fewer GPUs.
    """
    gpu = work.gpu if work.gpu is not None else (1.0 if gpus else 0.0)
    most = work.replicas or (max(1, int(gpus / gpu)) if gpu else 1)
    if most * gpu > gpus:
        raise InputError(
            f"{most} processes of {gpu:g} GPUs each: found {gpus:g} GPUs; ask for fewer --replicas"
            " or a smaller --gpu-share"
        )
    return most, work.threads or max(1, (os.cpu_count() or 1) // most), gpu


def http_server(service: Service, limits: Limits, address: Address) -> uvicorn.Server:
    """Return what speaks HTTP for a service, with its patience."""
    import uvicorn

    from TumorSegLib.server.app import app
    from TumorSegLib.server.streaming import impatient

    config = uvicorn.Config(
        app(service),
        http=impatient(limits.head_seconds),
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=1,
        timeout_graceful_shutdown=END_SECONDS,
    )
    config.load()
    config.ssl = tls_context(address)
    return uvicorn.Server(config)


def check(address: Address) -> None:
    """Refuse to listen to others in the clear, and certificates that cannot be used.

    Raises:
        InputError: it is so.
    """
    context = tls_context(address)
    if context is None and not is_loopback(address.host) and not address.in_the_clear:
        raise InputError(
            f"--host {address.host}: voxels and tokens would travel in the clear; give"
            " --certificate and --key, or, behind a proxy that has them, --in-the-clear"
        )
