"""What the worker process does with a panel's command to segment on a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from TumorSegLib.worker.protocol import Event, Queued, Segment

if TYPE_CHECKING:
    from TumorSegLib.remote.result_receiver import PlaceCallback, StartCallback
    from TumorSegLib.remote.segmenter import RemoteSegmenter


class Hearing(TypedDict, total=False):
    """Arguments of `RemoteSegmenter.segment` that a local model has no use for."""

    on_place: PlaceCallback
    on_start: StartCallback


def remote_segmenter(command: Segment) -> RemoteSegmenter:
    """Return the server's model.

    Raises:
        InputError: the address or the user's token cannot be used.
        ServerError: the server is away, too old, or has not this model.
        ModelError: the model here cannot be used.
    """
    from TumorSegLib.model.bundle import read_bundle
    from TumorSegLib.model.catalogue import catalogue_around
    from TumorSegLib.remote.credentials import place_of
    from TumorSegLib.remote.segmenter import RemoteSegmenter

    model = read_bundle(Path(command.model))
    place = place_of(command.server)
    return RemoteSegmenter(place, model, command.options, catalogue=catalogue_around(model))


def hearing(
    command: Segment, send: Callable[[Event], None], begun: Callable[[str, str], None]
) -> Hearing:
    """Return what tells the panel of its place in the queue, and once that the network begins."""
    told: list[str] = []

    def start(device: str, note: str) -> None:
        if not told:
            begun(device, f"{command.server}: {note}")
        told.append(device)

    return {"on_place": lambda place: send(Queued(command.job, place)), "on_start": start}
