"""What segments orders: one process with its models loaded, one order at a time."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from TumorSegLib.errors import Cancelled, TumorSegError
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.remote.protocol import Done, Failed, Order, Started
from TumorSegLib.server.order_memory import CANCELLED, TOTAL, WRITTEN, Names, OrderMemory
from TumorSegLib.server.shelf import Shelf

if TYPE_CHECKING:
    from TumorSegLib.inference.segmenter import Segmenter

MOST_MODELS = 2


class Replica:
    """Segments; errors are answers, since a traceback would go to a log."""

    def __init__(self, device: str, threads: int | None) -> None:
        """Compute on `device`, with so many threads, PyTorch's choice if not given."""
        self._device = device
        self._shelf = Shelf()
        self._loaded: OrderedDict[tuple[Any, ...], Segmenter] = OrderedDict()
        from TumorSegLib.support.allocator import keep_large_blocks
        from TumorSegLib.support.threads import wait_asleep

        wait_asleep()
        keep_large_blocks()
        if threads is not None:
            import torch

            torch.set_num_threads(threads)

    def load(self, order: Order) -> Started | Failed:
        """Have the model in memory."""
        try:
            segmenter = self._segmenter(order)
            segmenter.restart()
        except Exception as error:
            return Failed(_line(error))
        return Started(segmenter.device, segmenter.device_note)

    def run(self, order: Order, names: Names) -> Done | Failed:
        """Segment what lies in shared memory; the results go there, too."""
        try:
            return self._run(order, OrderMemory.attach(order, names))
        except Cancelled:
            return Failed("cancelled")
        except Exception as error:
            return Failed(_line(error))
        finally:
            from TumorSegLib.support.allocator import release_memory

            release_memory()

    def process(self) -> int:
        """Return the id of the process, which also says that it is there."""
        import os

        return os.getpid()

    def _run(self, order: Order, memory: OrderMemory) -> Done:
        early: list[str] = []
        state = memory.state

        def written(start: int, stop: int) -> None:
            state[WRITTEN + start : WRITTEN + stop] = 1

        def progress(_done: int, total: int) -> None:
            state[TOTAL] = total

        result = self._segmenter(order).segment(
            memory.volumes(),
            slices=None if order.slices is None else range(*order.slices),
            labelmap=memory.labelmap,
            probabilities=memory.probabilities,
            progress=progress,
            cancelled=lambda: bool(state[CANCELLED]),
            on_slices=written,
            on_warnings=early.extend,
        )
        return Done(
            device=result.device,
            precision=result.precision,
            seconds=result.seconds,
            warnings=result.warnings[len(early) :],
            settings=result.settings,
            slices=tuple(
                (one.index, one.area_mm2, one.uncertainty, one.correction_mm2)
                for one in result.slices
            ),
            given_up=result.given_up,
        )

    def _segmenter(self, order: Order) -> Segmenter:
        """Return the model, from memory if it is there.

        Raises:
            ModelError: there is none, or it is another one by now.
        """
        from TumorSegLib.inference.segmenter import Segmenter

        bundle = self._shelf.find(order.model)
        options = RunOptions(
            device=self._device,
            precision=order.precision,
            mirror_tta=order.mirror_tta,
            detector_threshold=order.detector_threshold,
        )
        if order.detector is not None:
            detector = self._shelf.find(order.detector)
            options = replace(options, slice_detector=detector.id)
        key = (order.model, order.detector, options)
        segmenter = self._loaded.pop(key, None)
        if segmenter is None:
            while len(self._loaded) >= MOST_MODELS:
                self._loaded.popitem(last=False)
            segmenter = Segmenter(bundle, options, catalogue=self._shelf.catalogue)
        self._loaded[key] = segmenter
        return segmenter


def _line(error: Exception) -> str:
    if isinstance(error, TumorSegError):
        return str(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory on the server"
    return f"unexpected fault on the server, please report it: {type(error).__name__}"
