"""One pass of a model over a volume, batch by batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from TumorSegLib.errors import Cancelled, InputError
from TumorSegLib.image.alignment import aligned
from TumorSegLib.image.grid import SliceIndices
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.engine import Engine
from TumorSegLib.inference.input_checks import input_warnings
from TumorSegLib.inference.liver_checks import liver_warnings
from TumorSegLib.inference.preparation import PreparedVolume, body_box, field_of_view
from TumorSegLib.inference.slice_plan import SlicePlan
from TumorSegLib.model.specification import ModelSpecification

ProgressCallback = Callable[[int, int], None]
"""Called with the slices done and of how many."""

CancelCallback = Callable[[], bool]
"""Asked between batches whether to stop."""


class SliceInference:
    """A volume on its way through an engine.

    Attributes:
        volume: what is segmented.
        model: id of the model.
        aligned: the volume and its further sequences on one grid.
        detector: the same volumes on their way through a detector, which chooses slices.
        detector_threshold: the detector's probability from which on a slice is segmented.
        prepared: its axial slices as the network sees them.
        seconds: time spent, by stage.
        warnings: lines for the user.
    """

    def __init__(
        self,
        engine: Engine,
        specification: ModelSpecification,
        volumes: Mapping[str, Volume],
        *,
        slices: range | None = None,
        crop: bool = False,
    ) -> None:
        """Check and prepare; nothing large is computed yet.

        Args:
            engine: runs the networks.
            specification: of the model.
            volumes: by channel name; sequences on another grid are resampled.
            slices: consecutive axial slices to run on; all if not given.
            crop: run on the body's bounding box only.

        Raises:
            InputError: the volumes cannot be used with this model.
        """
        first = specification.input.channels[0].name
        if first not in volumes:
            raise InputError(f"channel {first}: missing, it is the volume to segment")
        self.volume = volumes[first]
        self.model = specification.id
        self.seconds: dict[str, float] = {}
        self._engine = engine
        self.detector: SliceInference | None = None
        self.detector_threshold = 0.0
        self._skipped = 0
        self._specification = specification
        ordered = {first: self.volume, **volumes}
        self.names = {channel: volume.name for channel, volume in ordered.items()}
        with self.timed("preparation"):
            self.aligned, resampled = aligned(ordered)
            self.prepared = PreparedVolume(self.aligned, specification.input)
            self._box = body_box(self.prepared) if crop else field_of_view(self.prepared)
        self.slices = self._checked(slices)
        self.warnings = input_warnings(ordered, resampled, specification)

    def batches(
        self,
        plan: SlicePlan,
        progress: ProgressCallback | None,
        cancelled: CancelCallback | None,
    ) -> Iterator[tuple[SliceIndices, Tensor]]:
        """Yield slices and their probabilities (n, K, ...).

        On a CPU, where a batch takes seconds, the first is of one slice: there is soon something to
        see.

        Args:
            plan: which slices.
            progress: called after each batch.
            cancelled: asked before each batch.

        Raises:
            Cancelled: the caller asked to stop.
        """
        size = self._engine.batch_size(self.prepared.network_shape)
        first = 1 if self._engine.device.type == "cpu" else size
        done = told = 0
        for part in plan:
            for slices in np.split(part, range(first, len(part), size)):
                if cancelled is not None and cancelled():
                    raise Cancelled
                selected = torch.ones(len(slices), dtype=torch.bool)
                if self.detector is not None:
                    with self.timed("detector"):
                        likelihoods = self.detector.detected(slices).cpu()
                        selected = likelihoods >= self.detector_threshold
                    self._skipped += int(selected.logical_not().sum())
                yield slices, self._computed(slices, selected)
                done += len(slices)
                told = plan.total
                if progress is not None:
                    progress(done, told)
            first = size
        if progress is not None and told != plan.total:
            progress(done, plan.total)

    def detected(self, slices: SliceIndices) -> Tensor:
        """Return a detector's highest probability on each of `slices`, (n,)."""
        return self._computed(slices, torch.ones(len(slices), dtype=torch.bool)).amax(dim=1)

    def afterwards(self, labelmap: NDArray[np.uint8]) -> list[str]:
        """Return what is to be told once all batches were computed, with a label map of them."""
        lines = []
        if self.detector is not None:
            lines.append(
                f"{self._skipped} of {len(self.slices)} slices were not segmented, as"
                f" {self.detector.model} found nothing there"
            )
        return lines + liver_warnings(self.volume, labelmap, self._specification)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time spent within to `seconds[stage]`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def _computed(self, slices: SliceIndices, selected: Tensor) -> Tensor:
        """Return probabilities (n, K, ...) of `slices`, 0 for those not `selected` (n,).

        Where the GPU fails beside the network, the slices are prepared on the CPU; the engine finds
        out for itself whether it can go on.
        """
        with self.timed("preparation"):
            slab = self._slab(slices)
        if slab.device.type != "cpu":
            with self.timed("network"), suppress(RuntimeError):
                return self._probabilities(slab, selected)
            with self.timed("preparation"):
                slab = self.prepared.slab(slices)
        with self.timed("network"):
            return self._probabilities(slab, selected)

    def _probabilities(self, slab: Tensor, selected: Tensor) -> Tensor:
        """Run the network on the slices that are `selected` (n,) and show anything; else 0."""
        cut = slab[self._box.index]
        occupied = cut.flatten(1).any(dim=1) & selected.to(slab.device)
        size = () if self._engine.whole_slice else slab.shape[-2:]
        result = torch.zeros(len(slab), len(self._specification.labels), *size, device=slab.device)
        if occupied.any():
            target = result if self._engine.whole_slice else result[self._box.index]
            target[occupied] = self._engine.probabilities(cut[occupied]).to(slab.device)
        return result

    def _slab(self, slices: SliceIndices) -> Tensor:
        """Return the network's input, made on a CUDA device where the network runs on one.

        A GPU that fails at it is left to the engine, which has means to go on.
        """
        if self._engine.device.type == "cuda":
            with suppress(RuntimeError):
                return self.prepared.slab(slices, self._engine.device)
        return self.prepared.slab(slices)

    def _checked(self, slices: range | None) -> range:
        count = self.prepared.count
        if slices is None:
            return range(count)
        if slices.step != 1 or not 0 <= slices.start < slices.stop <= count:
            raise InputError(
                f"slices {slices.start} to {slices.stop}: {self.volume.name} has axial slices 0 to"
                f" {count}"
            )
        return slices
