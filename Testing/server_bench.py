"""A server within the process of a test, whose processes that segment are threads."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from bright_models import write_ct_model
from synthetic_data import ball_case

from TumorSegLib.image.grid import Grid
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.remote.credentials import Place
from TumorSegLib.remote.segmenter import RemoteSegmenter
from TumorSegLib.server.address import Address
from TumorSegLib.server.limits import Limits
from TumorSegLib.server.replica import Replica
from TumorSegLib.server.replicas import Lost
from TumorSegLib.server.serving import http_server
from TumorSegLib.server.tokens import TokenFile

MODEL = "tiny-ct"
SHAPE = (6, 48, 48)
GRID = Grid(SHAPE, (4.0, 4.0, 6.0), (-10.0, 20.0, 5.0))


class ThreadHandle:
    """A `Replica` in a thread."""

    def __init__(self, replicas: ThreadReplicas) -> None:
        self.replicas, self.replica = replicas, Replica("cpu", None)

    async def load(self, order):
        return await asyncio.to_thread(self.replica.load, order)

    async def run(self, order, names):
        replicas = self.replicas
        replicas.runs.append(order)
        done = await asyncio.to_thread(self._run, order, names)
        if replicas.losses:
            replicas.losses -= 1
            raise Lost("killed")
        return done

    def _run(self, order, names):
        self.replicas.free.wait()
        return self.replica.run(order, names)


class ThreadReplicas:
    """As `RayReplicas`, in threads.

    Attributes:
        free: runs wait until it is set.
        losses: runs that are going to lose their process.
        runs: orders that came to be run.
        dropped: handles that are gone.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.free = threading.Event()
        self.free.set()
        self.losses = 0
        self.runs: list[object] = []
        self.idle: list[ThreadHandle] = []
        self.dropped: list[ThreadHandle] = []

    async def take(self):
        return self.idle.pop() if self.idle else ThreadHandle(self)

    def give_back(self, handle):
        self.idle.append(handle)

    def drop(self, handle):
        self.dropped.append(handle)


class Bench:
    """A server and what a test needs of it.

    Attributes:
        place: of the server, with a token that it knows.
        replicas: that segment.
        queue: of orders.
        tokens: that the server knows.
    """

    def __init__(self, folder: Path, limits: Limits, most: int, address: Address) -> None:
        from TumorSegLib.server.app import Service

        self.tokens = TokenFile(folder / "tokens.json")
        secret = self.tokens.add("ward", 1)
        self.replicas = ThreadReplicas(most)
        self.service = Service(self.tokens, limits, self.replicas)
        self.queue = self.service.queue
        self.server = http_server(self.service, limits, address)
        self.socket = socket.create_server(("127.0.0.1", 0))
        port = self.socket.getsockname()[1]
        encrypted = address.certificate is not None
        self.place = Place("localhost" if encrypted else "127.0.0.1", port, encrypted, secret)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})
        self.thread.start()

    def close(self) -> None:
        self.replicas.free.set()
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()

    def segmenter(self, **options) -> RemoteSegmenter:
        catalogue = options.pop("catalogue", None) or default_catalogue()
        place = options.pop("place", self.place)
        bundle = catalogue.find(options.pop("model", MODEL))
        return RemoteSegmenter(place, bundle, RunOptions(**options), catalogue=catalogue)

    def with_token(self, secret: str) -> Place:
        return replace(self.place, token=secret)


@contextlib.contextmanager
def serving(
    folder: Path, monkeypatch, limits: Limits | None = None, most: int = 1, **address
) -> Iterator[Bench]:
    """Yield a server with a model of its own."""
    monkeypatch.setenv("TUMORSEG_MODELS", str(folder / "models"))
    monkeypatch.setattr("TumorSegLib.model.catalogue.SHIPPED", folder / "none")
    if not (folder / "models").is_dir():
        write_ct_model(folder / "models", MODEL, window=(-100, 250), default=True)
    bench = Bench(folder, limits or Limits(), most, Address(**address))
    try:
        yield bench
    finally:
        bench.close()


def volume(seed: int = 0, name: str = "Quendelbaum", grid: Grid = GRID) -> Volume:
    """Return a made-up CT, under a name that must not get about."""
    voxels, _ = ball_case(seed, SHAPE)
    return Volume(np.ascontiguousarray(voxels), grid, "CT", name)
