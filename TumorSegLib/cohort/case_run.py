"""What a worker does with a case: read, segment with a model that stays loaded, write.

A worker has several cases in hand, each in a thread. The network belongs to one of them at a time,
and so does the disk, so that one case is read or written while another is in the network.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from TumorSegLib.cohort.case import FIRST, Case, discreet
from TumorSegLib.cohort.case_folder import (
    DICOM,
    RECORD,
    REPORT,
    RESULT,
    SEGMENTATION,
    STRUCTURED_REPORT,
    THUMBNAIL,
    Results,
)
from TumorSegLib.cohort.models import Models
from TumorSegLib.cohort.plan import Task
from TumorSegLib.cohort.settings import Settings
from TumorSegLib.errors import InputError, OutputError, TumorSegError
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.support.disk import fault_of_disk
from TumorSegLib.support.threads import wait_asleep

if TYPE_CHECKING:
    from pathlib import Path

    from TumorSegLib.inference.result import SegmentationResult
    from TumorSegLib.inference.segmenter import Segmenter

MOST_MODELS = 2
"""That stay loaded: one for CT and one for MRI."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        name: of the case.
        fingerprint: of what it was, or was to be, made of.
        reason: why it failed, in a line; None: its folder is there.
        ends_run: why no result at all can be written, where the case failed for that; "" where it
            is the case's own fault.
    """

    name: str
    fingerprint: str
    reason: str | None = None
    ends_run: str = ""


class CaseRunner:
    """Segments case after case."""

    def __init__(
        self, results: Results, models: Models, settings: Settings, *, threads: int | None
    ) -> None:
        """Get ready; the named model is loaded.

        Args:
            results: where they go.
            models: of the run.
            settings: of the run.
            threads: that the network computes with; None: PyTorch's choice.

        Raises:
            TumorSegError: the named model cannot be used as the settings say.
        """
        wait_asleep()
        from TumorSegLib.support.allocator import keep_large_blocks

        keep_large_blocks()
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        self._results, self._models, self._settings = results, models, settings
        self._loaded: dict[Path, Segmenter] = {}
        self._network, self._disk = threading.Lock(), threading.Lock()
        if models.named is not None:
            self._segmenter(models.named)

    def run(self, task: Task) -> Outcome:
        """Segment a case; what is wrong with it becomes the reason, whatever it is."""
        case = task.case
        try:
            self._run(case, task.fingerprint)
        except TumorSegError as error:
            reason = discreet(_line(error), case).removeprefix(f"{case.name}: ")
            return Outcome(case.name, task.fingerprint, reason, self._ends_run(error))
        except MemoryError:
            reason = "there is not enough memory; run it on a computer with more, or with fewer"
            return Outcome(case.name, task.fingerprint, f"{reason} workers")
        except Exception as error:  # a fault of ours, which must not stop the others
            from TumorSegLib.support.device import is_out_of_memory

            kind = type(error).__name__
            if is_out_of_memory(error):
                kind = "out of memory"
            reason = f"unexpected fault, please report it: {kind}: {_line(error)}"
            reason = discreet(reason, case)
            return Outcome(case.name, task.fingerprint, reason, self._ends_run(error))
        return Outcome(case.name, task.fingerprint)

    def _ends_run(self, error: Exception) -> str:
        gone = "" if self._results.cases.is_dir() else f"{self._results.cases} is gone"
        return fault_of_disk(error) or gone

    def _run(self, case: Case, fingerprint: str) -> None:
        with self._disk:
            volumes = [_read(source_name, case) for source_name in case.sources]
            bundle = self._bundle(case, volumes[0])
            by_channel = _by_channel(case, volumes, bundle)
        with self._network:
            segmenter = self._segmenter(bundle)
            result = segmenter.segment(by_channel)
        with self._disk:
            self._write(case, fingerprint, result, by_channel)

    def _bundle(self, case: Case, volume: Volume) -> Bundle:
        """Return the model that was named for the case or all cases, else the default.

        Raises:
            ModelError: there is no such model.
            InputError: none is named, and what the image is would be a guess.
        """
        from TumorSegLib.inference.model_for import model_for

        if case.model is not None:
            return self._models.catalogue.find(case.model)
        return self._models.named or model_for(volume, self._models.catalogue)

    def _segmenter(self, bundle: Bundle) -> Segmenter:
        from TumorSegLib.inference.segmenter import Segmenter

        segmenter = self._loaded.pop(bundle.folder, None)
        if segmenter is None:
            for folder in list(self._loaded)[: len(self._loaded) + 1 - MOST_MODELS]:
                del self._loaded[folder]
            options, catalogue = self._settings.options, self._models.catalogue
            segmenter = Segmenter(bundle, options, catalogue=catalogue)
        self._loaded[bundle.folder] = segmenter
        return segmenter

    def _write(
        self,
        case: Case,
        fingerprint: str,
        result: SegmentationResult,
        by_channel: dict[str, Volume],
    ) -> None:
        from TumorSegLib.cohort.case_record import record_of
        from TumorSegLib.cohort.thumbnail import thumbnail
        from TumorSegLib.inference.summary import summary
        from TumorSegLib.writing import write_segmentation

        measurements = result.measurements
        warnings = [discreet(line, case) for line in result.warnings]
        with self._results.writing(case.name) as folder:
            segmentation = folder / f"{SEGMENTATION}{self._settings.ending}"
            write_segmentation(result, segmentation)
            structured, more = self._write_dicom(case, result, folder)
            report = self._write_report(result, folder, by_channel)
            warnings += more
            told = replace(result, warnings=tuple(warnings))
            told_paths = [path.relative_to(folder) for path in report]
            content = summary(
                told, measurements, [segmentation.relative_to(folder)], told_paths, structured
            )
            record = record_of(case, fingerprint, result, measurements, warnings, segmentation)
            thumbnail(result).save(folder / THUMBNAIL)
            for name, values in ((RESULT, content), (RECORD, record)):
                text = json.dumps(values, indent=1, ensure_ascii=False)
                (folder / name).write_text(text + "\n", "utf-8")

    def _write_dicom(
        self, case: Case, result: SegmentationResult, folder: Path
    ) -> tuple[Path | None, list[str]]:
        """Write DICOM objects; where none can refer to the images, return a line on it."""
        from pathlib import Path

        if not self._settings.as_dicom:
            return None, []
        from TumorSegLib.writing.dicom_output import source_images, write_dicom

        report = folder / STRUCTURED_REPORT if self._settings.structured_report else None
        try:
            write_dicom(result, source_images(result.volume), folder / DICOM, report)
        except OutputError as error:
            if fault_of_disk(error):
                raise
            return None, [f"no DICOM segmentation: {discreet(_line(error), case)}"]
        return (None if report is None else Path(STRUCTURED_REPORT)), []

    def _write_report(
        self, result: SegmentationResult, folder: Path, by_channel: dict[str, Volume]
    ) -> Sequence[Path]:
        if not self._settings.report:
            return []
        from TumorSegLib.inference.summary import sequences_given
        from TumorSegLib.report import write_report

        return write_report(
            result,
            folder / REPORT,
            options=self._settings.options,
            identify=self._settings.identify,
            sequences=sequences_given(result.specification, by_channel),
        )


def _read(channel: str, case: Case) -> Volume:
    """Return an image of a case under the case's name where its own may tell of the patient."""
    from TumorSegLib.reading import read_volume

    source = case.sources[channel]
    volume = read_volume(source.path, series=source.series)
    if not case.is_private:
        return volume
    warnings = tuple(discreet(line, case) for line in volume.warnings)
    return replace(volume, name=case.name, warnings=warnings)


def _by_channel(case: Case, volumes: Sequence[Volume], bundle: Bundle) -> dict[str, Volume]:
    """Return the images by the model's channels.

    Raises:
        InputError: the model takes fewer or others.
    """
    known = [channel.name for channel in bundle.specification.input.channels]
    named = {
        known[0] if channel == FIRST else channel: volume
        for channel, volume in zip(case.sources, volumes, strict=True)
    }
    unknown = sorted(set(named) - set(known))
    if unknown or known[0] not in named:
        raise InputError(
            f"{case.name}: has {', '.join(named)}, {bundle.id} takes {', '.join(known)}; name"
            " another model (--model)"
        )
    return {name: named[name] for name in known if name in named}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
