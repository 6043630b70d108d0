"""A model on a server, used as one on this computer; see `TumorSegLib.inference.segmenter`.

What the server is not told stays here: names, modality and all else that headers say, and with
them the warnings that come of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.errors import InputError, ModelError, ServerError
from TumorSegLib.image.alignment import aligned
from TumorSegLib.image.grid import AxialView
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.input_checks import input_warnings
from TumorSegLib.inference.result import SegmentationResult, SliceMetrics
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue
from TumorSegLib.model.checksum import model_checksum
from TumorSegLib.remote.connection import PIECE_BYTES, ordered, welcome
from TumorSegLib.remote.credentials import Place
from TumorSegLib.remote.protocol import FORMAT, Done, ModelName, Order, SentVolume
from TumorSegLib.remote.result_receiver import (
    Callbacks,
    PlaceCallback,
    ResultReceiver,
    StartCallback,
    UnusableAnswerError,
)
from TumorSegLib.support.version import __version__

if TYPE_CHECKING:
    from TumorSegLib.inference.segmenter import SlicesCallback, WarningsCallback
    from TumorSegLib.inference.slice_inference import CancelCallback, ProgressCallback


class RemoteSegmenter:
    """A server's model, ready for one volume after the other.

    Attributes:
        options: how it runs; the device is the server's choice.
        specification: of the model.
    """

    def __init__(
        self, place: Place, bundle: Bundle, options: RunOptions, *, catalogue: Catalogue
    ) -> None:
        """Ask the server for the very same model as the one here.

        Args:
            place: of the server.
            bundle: of the model here, which tells what the labels are.
            options: how to run it.
            catalogue: where members and detectors are found by id.

        Raises:
            ServerError: the server is away, too old, or has not this model.
            ModelError: the model here cannot be used.
        """
        if bundle.specification.task != "segmentation":
            raise ModelError(f"model {bundle.id}: detects, it does not segment")
        self.options, self.specification = options, bundle.specification
        self._place = place
        self._welcome = welcome(place)
        self._model = self._offered(bundle, catalogue)
        self._detector = None
        if options.slice_detector is not None:
            self._detector = self._offered(catalogue.find(options.slice_detector), catalogue)

    def segment(
        self,
        volumes: Mapping[str, Volume],
        *,
        slices: range | None = None,
        labelmap: NDArray[np.uint8] | None = None,
        probabilities: NDArray[np.uint8] | None = None,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
        on_slices: SlicesCallback | None = None,
        on_warnings: WarningsCallback | None = None,
        on_place: PlaceCallback | None = None,
        on_start: StartCallback | None = None,
    ) -> SegmentationResult:
        """Have the first of `volumes` segmented; arguments are those of `Segmenter.segment`.

        Args:
            volumes: by channel name.
            slices: consecutive axial slices; others keep what they hold.
            labelmap: array to write to.
            probabilities: array to write to.
            progress: called with slices done and slices in all.
            cancelled: asked at least twice a second.
            on_slices: called as slices appear in the label map.
            on_warnings: called once, before anything is sent.
            on_place: called when the place in the queue changes.
            on_start: called when the network begins, once more where it has to begin anew.

        Raises:
            InputError: the volumes cannot be used with this model.
            ServerError: the server is away, refuses the order, or has not finished it.
            Cancelled: the caller asked to stop.
        """
        began = time.perf_counter()
        slices = self.options.axial_slices if slices is None else slices
        given = self._ordered(volumes)
        sent, resampled = aligned(given)
        warnings = [
            *self._welcome_warnings(),
            *input_warnings(given, resampled, self.specification),
        ]
        if on_warnings is not None:
            on_warnings(warnings)
        order = self._order(sent, slices)
        shape = order.first.shape
        labels = len(self.specification.labels)
        arrays = {
            "labelmap": _output(labelmap, shape),
            "probabilities": _output(probabilities, (labels, *shape)),
        }
        callbacks = Callbacks(progress, on_slices, on_place, on_start)
        view = AxialView.of(next(iter(given.values())).grid)
        receiver = ResultReceiver(arrays, view, slices, callbacks)
        try:
            with ordered(self._place, order, _pieces(sent), cancelled or _never) as events:
                done = receiver.take_all(events)
        except UnusableAnswerError as error:
            raise ServerError(f"server {self._place.url}: {error}") from None
        return self._result(done, given, arrays, warnings, time.perf_counter() - began)

    def _offered(self, bundle: Bundle, catalogue: Catalogue) -> ModelName:
        name = ModelName(bundle.id, model_checksum(bundle, catalogue))
        offers = {model.id: model.checksum for model in self._welcome.models}
        if bundle.id not in offers:
            has = ", ".join(sorted(offers)) or "none"
            raise ServerError(f"server {self._place.url}: has no model {bundle.id}, but {has}")
        if offers[bundle.id] != name.checksum:
            raise ServerError(
                f"server {self._place.url}: its model {bundle.id} is another one than here"
                f" (checksum {offers[bundle.id][:12]}..., here {name.checksum[:12]}...)"
            )
        return name

    def _ordered(self, volumes: Mapping[str, Volume]) -> dict[str, Volume]:
        """Return the volumes, the one to segment first.

        Raises:
            InputError: it is missing, a channel is unknown, or one is missing that must be there.
        """
        channels = self.specification.input.channels
        names = [channel.name for channel in channels]
        if unknown := sorted(set(volumes) - set(names)):
            raise InputError(f"channel {unknown[0]}: the model takes {', '.join(names)}")
        if names[0] not in volumes:
            raise InputError(f"channel {names[0]}: missing, it is the volume to segment")
        for name in names:
            if self.specification.input.stand_in(name, volumes) is None:
                raise InputError(f"channel {name}: missing, and the model needs it")
        return {names[0]: volumes[names[0]], **volumes}

    def _order(self, volumes: Mapping[str, Volume], slices: range | None) -> Order:
        options = self.options
        order = Order(
            FORMAT,
            self._model,
            {name: _sent(volume) for name, volume in volumes.items()},
            precision=options.precision,
            mirror_tta=options.mirror_tta,
            detector=self._detector,
            detector_threshold=options.detector_threshold,
            slices=None if slices is None else (slices.start, slices.stop),
        )
        if order.bytes > self._welcome.largest_bytes:
            raise ServerError(
                f"server {self._place.url}: takes {self._welcome.largest_bytes >> 20} MiB at most,"
                f" these volumes have {order.bytes >> 20}"
            )
        return order

    def _welcome_warnings(self) -> list[str]:
        if self._welcome.version == __version__:
            return []
        return [
            f"the server has TumorSeg {self._welcome.version}, this computer {__version__}; results"
            " may differ in details"
        ]

    def _result(
        self,
        done: Done,
        given: Mapping[str, Volume],
        arrays: Mapping[str, NDArray[np.uint8]],
        warnings: list[str],
        spent: float,
    ) -> SegmentationResult:
        seconds = dict(done.seconds)
        seconds["server and network"] = max(0.0, spent - sum(seconds.values()))
        return SegmentationResult(
            volume=next(iter(given.values())),
            specification=self.specification,
            labelmap=arrays["labelmap"],
            probabilities=arrays["probabilities"],
            slices=tuple(SliceMetrics(*figures) for figures in done.slices),
            device=done.device,
            precision=done.precision,
            seconds=seconds,
            warnings=(*warnings, *done.warnings),
            settings={**done.settings, "server": self._place.host},
            given_up=done.given_up,
            names={name: volume.name for name, volume in given.items()},
        )


def _sent(volume: Volume) -> SentVolume:
    grid = volume.grid
    return SentVolume(volume.voxels.dtype.name, grid.shape, grid.spacing, grid.origin, grid.cosines)


def _pieces(volumes: Mapping[str, Volume]) -> Iterator[Any]:
    """Yield the voxels, slab by slab along the first axis."""
    for volume in volumes.values():
        voxels = volume.voxels
        rows = max(1, PIECE_BYTES * len(voxels) // max(1, voxels.nbytes))
        for start in range(0, len(voxels), rows):
            slab = voxels[start : start + rows]
            ordered_slab = np.ascontiguousarray(slab, slab.dtype.newbyteorder("<"))
            yield ordered_slab.reshape(-1).view(np.uint8).data


def _never() -> bool:
    return False


def _output(array: NDArray[np.uint8] | None, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    if array is None:
        return np.zeros(shape, np.uint8)
    if array.shape != shape or array.dtype != np.uint8:
        raise ValueError(f"found {array.dtype} {array.shape}, expected uint8 {shape}")
    return array
