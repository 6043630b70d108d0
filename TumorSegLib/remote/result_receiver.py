"""Takes what a server answers: labels of slices as they come, whole arrays at the end."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError
from TumorSegLib.image.grid import AxialView
from TumorSegLib.remote.protocol import (
    Done,
    Event,
    Failed,
    Part,
    Queued,
    Refused,
    Slices,
    Started,
)

if TYPE_CHECKING:
    from TumorSegLib.inference.segmenter import SlicesCallback
    from TumorSegLib.inference.slice_inference import ProgressCallback

PlaceCallback = Callable[[int], None]
"""Called with the place in the server's queue, 1 where the order is the next."""

StartCallback = Callable[[str, str], None]
"""Called with the server's device, and why it is that, when the network begins."""


NOT_FITTING = "sent what does not fit the volume"


class UnusableAnswerError(Exception):
    """The server has given up, or sent what does not fit; the message is for the user."""


@dataclass(frozen=True)
class Callbacks:
    """What is called meanwhile; see `RemoteSegmenter.segment`."""

    progress: ProgressCallback | None = None
    on_slices: SlicesCallback | None = None
    on_place: PlaceCallback | None = None
    on_start: StartCallback | None = None


class ResultReceiver:
    """Writes what the server sends to arrays.

    Where only some slices are segmented, the whole arrays that come at the end are kept apart
    until they are whole, since other slices keep what they hold.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[np.uint8]],
        view: AxialView,
        slices: range | None,
        callbacks: Callbacks,
    ) -> None:
        """Write to `arrays`, and call `callbacks` meanwhile.

        Args:
            arrays: "labelmap" (z, y, x) and "probabilities" (labels, z, y, x).
            view: how axial slices lie in them.
            slices: that are segmented, if not all are.
            callbacks: see `RemoteSegmenter.segment`.
        """
        self._arrays, self._view, self._slices, self._callbacks = arrays, view, slices, callbacks
        self._labels = view.apply(arrays["labelmap"])
        self._whole = arrays
        if slices is not None or not all(one.flags.c_contiguous for one in arrays.values()):
            self._whole = {name: np.zeros(one.shape, np.uint8) for name, one in arrays.items()}
        self._taken = dict.fromkeys(arrays, 0)

    def take_all(self, events: Iterable[tuple[Event, bytes]]) -> Done:
        """Take what comes up to the end, and return what that says.

        Raises:
            UnusableAnswerError: there is no result.
            InputError: the volumes cannot be used with the model.
        """
        for event, payload in events:
            match event:
                case Slices():
                    self._take_slices(event, payload)
                case Part():
                    self._take_part(event, payload)
                case Done():
                    self._finish()
                    return event
                case Failed():
                    raise InputError(event.message)
                case Refused():
                    raise UnusableAnswerError(event.message)
                case Queued() if self._callbacks.on_place is not None:
                    self._callbacks.on_place(event.place)
                case Started() if self._callbacks.on_start is not None:
                    self._callbacks.on_start(event.device, event.note)
        raise UnusableAnswerError("ended before the result was whole")

    def _take_slices(self, event: Slices, payload: bytes) -> None:
        inside = 0 <= event.start < event.stop <= len(self._labels)
        if not inside or not 0 < event.done <= event.total:
            raise UnusableAnswerError(NOT_FITTING)
        target = self._labels[event.start : event.stop]
        target[:] = _inflated(payload, target.size).reshape(target.shape)
        if self._callbacks.on_slices is not None:
            self._callbacks.on_slices(event.start, event.stop)
        if self._callbacks.progress is not None:
            self._callbacks.progress(event.done, event.total)

    def _take_part(self, event: Part, payload: bytes) -> None:
        flat = self._whole[event.array].reshape(-1)
        start = self._taken[event.array]
        if event.start != start or not 0 < event.count <= len(flat) - start:
            raise UnusableAnswerError(NOT_FITTING)
        flat[start : start + event.count] = _inflated(payload, event.count)
        self._taken[event.array] += event.count

    def _finish(self) -> None:
        """Write what was kept apart."""
        if any(self._taken[name] != array.size for name, array in self._arrays.items()):
            raise UnusableAnswerError("ended before the result was whole")
        if self._whole is self._arrays:
            return
        part = slice(None)
        if self._slices is not None:
            part = slice(self._slices.start, self._slices.stop)
        for name, array in self._arrays.items():
            volumes = [(array, self._whole[name])]
            if array.ndim > 3:
                volumes = list(zip(array, self._whole[name], strict=True))
            for target, source in volumes:
                self._view.apply(target)[part] = self._view.apply(source)[part]


def _inflated(payload: bytes, count: int) -> NDArray[np.uint8]:
    """Return the `count` bytes that were compressed.

    Raises:
        UnusableAnswerError: they are fewer or more.
    """
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(payload, count)
    except zlib.error:
        raise UnusableAnswerError(NOT_FITTING) from None
    if len(content) != count or inflater.unconsumed_tail:
        raise UnusableAnswerError(NOT_FITTING)
    return np.frombuffer(content, np.uint8)
