"""The worker process: keeps models warm and segments volumes in shared memory.

`python -m TumorSegLib.worker.process` reads commands of `TumorSegLib.worker.protocol` from its
standard input and ends, with everything it started, when that is closed. Whatever libraries print
goes to the standard error, so that standard output carries events only.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from TumorSegLib.errors import Cancelled, ServerError, TumorSegError
from TumorSegLib.support.threads import wait_asleep
from TumorSegLib.worker.dicom_protocol import SaveDicom, SavingDicom
from TumorSegLib.worker.inbox import Blocks, Garbled, Inbox, Waiting
from TumorSegLib.worker.measure_protocol import Measure
from TumorSegLib.worker.protocol import (
    Done,
    Event,
    Export,
    Failed,
    Forget,
    Progress,
    Segment,
    Started,
    Stopped,
    Threshold,
    Thresholded,
    to_line,
)
from TumorSegLib.worker.report_protocol import WriteReport
from TumorSegLib.worker.server_command import hearing, remote_segmenter
from TumorSegLib.worker.shared_voxels import SharedVolume
from TumorSegLib.worker.standard_input import take_standard_input

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from TumorSegLib.image.grid import Grid
    from TumorSegLib.image.volume import Volume
    from TumorSegLib.inference.segmenter import Segmenter
    from TumorSegLib.model.specification import ModelSpecification


WORDS: dict[type, str] = {
    Export: "export",
    Measure: "measurement",
    SaveDicom: "saving of DICOM objects",
    WriteReport: "report",
}
"""What failed, by command; a segmentation otherwise."""


class Worker:
    """Answers commands one after the other."""

    def __init__(self, inbox: Inbox, outbox: BinaryIO) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._segmenters: dict[tuple[Any, ...], Segmenter] = {}
        self._volumes: dict[SharedVolume, Volume] = {}
        self._last: tuple[Segment, ModelSpecification, Grid] | None = None

    def serve(self) -> None:
        """Answer commands until the process ends."""
        while True:
            command = self._inbox.next()
            try:
                self._answer(command)
            except Cancelled:
                self._send(Stopped(command.job))  # type: ignore[union-attr, arg-type]
            except ServerError as error:
                self._fail(command, str(error), here=True)
            except TumorSegError as error:
                self._fail(command, str(error))
            except MemoryError:
                self._fail(command, "not enough memory for this volume and model; close other data")
            except Exception as error:
                what = WORDS.get(type(command), "segmentation")
                line = f"the {what} failed: {type(error).__name__}: {error}".splitlines()[0]
                self._fail(command, line, traceback.format_exc())

    def _answer(self, command: Waiting) -> None:
        match command:
            case Segment():
                self._segment(command)
            case Threshold():
                self._threshold(command)
            case Export():
                self._export(command)
            case Measure():
                self._measure(command)
            case SaveDicom():
                self._save_dicom(command)
            case WriteReport():
                self._write_report(command)
            case Forget():
                self._forget(command.block)
            case Garbled():
                raise TumorSegError(command.message)

    def _segment(self, command: Segment) -> None:
        received = time.perf_counter()
        self._last = None
        local = None if command.server else self._segmenter(command)
        segmenter = local or remote_segmenter(command)
        volumes = {name: self._volume(shared) for name, shared in command.volumes.items()}
        first = next(iter(volumes.values()))
        labelmap, probabilities = self._outputs(command, segmenter.specification)
        written = (0, 0)

        def note(start: int, stop: int) -> None:
            nonlocal written
            written = (start, stop)

        def progress(done: int, total: int) -> None:
            self._send(Progress(command.job, done, total, *written))

        def cancelled() -> bool:
            return self._inbox.is_cancelled(command.job)

        def begun(device: str, note: str) -> None:
            self._send(Started(command.job, device, note, time.perf_counter() - received))

        given: dict[str, Any] = {
            "slices": command.options.axial_slices,
            "labelmap": labelmap,
            "probabilities": probabilities,
            "progress": progress,
            "cancelled": cancelled,
            "on_slices": note,
        }
        if cancelled():
            raise Cancelled
        if local is not None:
            local.restart()
            begun(local.device, local.device_note)
        else:
            given.update(hearing(command, self._send, begun))
        result = segmenter.segment(volumes, **given)
        self._last = (command, segmenter.specification, first.grid)
        box = _box(labelmap)
        self._send(
            Done(
                command.job,
                box=box,
                device=result.device,
                precision=result.precision,
                seconds=result.seconds,
                warnings=result.warnings,
                slices=tuple(
                    (
                        figure.index,
                        figure.area_mm2,
                        figure.uncertainty,
                        figure.correction_mm2,
                    )
                    for figure in result.slices
                ),
                given_up=result.given_up,
                names=result.names,
                fingerprints=_fingerprints(labelmap, box, segmenter.specification),
                settings=result.settings,
            )
        )
        from TumorSegLib.support.allocator import release_memory

        release_memory()

    def _threshold(self, command: Threshold) -> None:
        from TumorSegLib.inference.sensitivity import apply_sensitivity

        if self._last is None or self._last[0].job != command.job:
            raise TumorSegError("the probabilities of this result are gone; segment again")
        segment, specification, grid = self._last
        labelmap, probabilities = self._outputs(segment, specification)
        apply_sensitivity(
            probabilities,
            labelmap,
            specification,
            grid,
            sensitivity=command.sensitivity,
            axial_slices=segment.options.axial_slices,
        )
        box = _box(labelmap)
        fingerprints = _fingerprints(labelmap, box, specification)
        self._send(Thresholded(command.job, command.sensitivity, box, fingerprints))

    def _export(self, command: Export) -> None:
        from TumorSegLib.worker.export_command import answer

        volumes = {name: self._volume(shared) for name, shared in command.volumes.items()}
        self._send(answer(command, volumes, self._inbox.blocks.array))

    def _measure(self, command: Measure) -> None:
        from TumorSegLib.worker.measure_command import answer

        if self._inbox.is_cancelled(command.job):
            raise Cancelled
        self._send(answer(command, self._inbox.blocks.array))

    def _save_dicom(self, command: SaveDicom) -> None:
        from TumorSegLib.worker.dicom_command import answer

        def tell(event: SavingDicom) -> None:
            if self._inbox.is_cancelled(command.job):
                raise Cancelled
            self._send(event)

        volume = self._volume(command.volume)
        self._send(answer(command, volume, self._inbox.blocks.array, tell))

    def _write_report(self, command: WriteReport) -> None:
        from TumorSegLib.worker.report_command import answer

        volume = self._volume(command.volume)
        self._send(answer(command, volume, self._inbox.blocks.array))

    def _segmenter(self, command: Segment) -> Segmenter:
        """Return the model, loaded anew only if it is not the one in memory."""
        from TumorSegLib.inference.segmenter import Segmenter
        from TumorSegLib.model.bundle import read_bundle
        from TumorSegLib.model.catalogue import catalogue_around
        from TumorSegLib.support.allocator import keep_large_blocks

        model = read_bundle(Path(command.model))
        catalogue = catalogue_around(model)
        bundles = [model, *catalogue.members(model)]
        if command.options.slice_detector is not None:
            detector = catalogue.find(command.options.slice_detector)
            bundles += [detector, *catalogue.members(detector)]
        stamps = [bundle.stamp for bundle in bundles]
        options = command.options.for_loading
        key = (command.model, *stamps, options)
        if key not in self._segmenters:
            keep_large_blocks()
            self._segmenters.clear()
            self._segmenters[key] = Segmenter(model, options, catalogue=catalogue)
        segmenter = self._segmenters[key]
        if not command.options.keep_model:
            self._segmenters.clear()
        return segmenter

    def _volume(self, shared: SharedVolume) -> Volume:
        """Return a volume on its shared block; it is checked once, as that takes a while."""
        from TumorSegLib.image.volume import Volume
        from TumorSegLib.worker.shared_mask import grid_of

        if shared not in self._volumes:
            self._volumes[shared] = Volume(
                self._inbox.blocks.array(shared.block, shared.shape, shared.dtype),
                grid_of(shared),
                name=shared.name,
            )
        return self._volumes[shared]

    def _forget(self, name: str) -> None:
        self._volumes = {s: volume for s, volume in self._volumes.items() if s.block != name}
        if self._last is not None and self._last[0].labelmap == name:
            self._last = None
        self._inbox.blocks.forget(name)

    def _outputs(
        self, command: Segment, specification: ModelSpecification
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        shape = next(iter(command.volumes.values())).shape
        labels = len(specification.labels)
        blocks = self._inbox.blocks
        return (
            blocks.array(command.labelmap, shape, "uint8"),
            blocks.array(command.probabilities, (labels, *shape), "uint8"),
        )

    def _fail(
        self, command: Waiting, message: str, details: str = "", *, here: bool = False
    ) -> None:
        if isinstance(command, Forget) or command.job is None:
            print(message, file=sys.stderr, flush=True)  # noqa: T201
        else:
            self._send(Failed(command.job, message, details, here))

    def _send(self, event: Event) -> None:
        self._outbox.write(to_line(event))
        self._outbox.flush()


def _box(labelmap: NDArray[np.uint8]) -> tuple[int, ...]:
    from TumorSegLib.image.voxel_box import bounding_box

    box = bounding_box(labelmap)
    return () if box is None else tuple(edge for part in box for edge in (part.start, part.stop))


def _fingerprints(
    labelmap: NDArray[np.uint8], box: tuple[int, ...], specification: ModelSpecification
) -> tuple[str, ...]:
    """Return those of the labels' voxels, which the panel would take a while for."""
    from TumorSegLib.slicer_io.fingerprint import voxels_fingerprint

    z, y, x = (slice(*box[axis : axis + 2]) if box else slice(0, 0) for axis in (0, 2, 4))
    part, corner = labelmap[z, y, x], (z.start, y.start, x.start)
    return tuple(voxels_fingerprint(part, corner, label.value) for label in specification.labels)


def main() -> None:
    """Serve the panel on standard input and output, which nobody else here may use."""
    wait_asleep()
    outbox = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    inbox = Inbox(take_standard_input(), Blocks())
    Worker(inbox, outbox).serve()


if __name__ == "__main__":
    main()
