"""`tumorseg export`: from corrected segmentations to a data set to train on."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from TumorSegLib.commands.common import progress_bar, read_named
from TumorSegLib.commands.terminal import terminal, warn
from TumorSegLib.errors import InputError
from TumorSegLib.image.modality import modality_of
from TumorSegLib.image.sequence_names import suggested_sequences
from TumorSegLib.model.catalogue import default_catalogue
from TumorSegLib.model.specification import ModelSpecification
from TumorSegLib.support.version import JSON_FORMAT

if TYPE_CHECKING:
    from TumorSegLib.export.case import Appended, ExportCase
    from TumorSegLib.image.volume import Volume
    from TumorSegLib.slicer_io.named_mask import NamedMask
    from TumorSegLib.slicer_io.scene_case import SceneCase

SCENE_ENDING = ".mrb"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg export`."""
    parser.add_argument(
        "cases",
        metavar="FILE",
        type=Path,
        nargs="+",
        help="scenes of 3D Slicer (.mrb), all segmentations of which are exported; or one"
        " .seg.nrrd, label map with the model's values (.nii.gz), DICOM segmentation or RT"
        " structure set, with --channel for its images",
    )
    parser.add_argument(
        "--dataset",
        metavar="FOLDER",
        type=Path,
        required=True,
        help="DatasetNNN_Name; made if it is not there, and the folders above it, too",
    )
    parser.add_argument(
        "--model",
        metavar="ID",
        help="whose channels and labels the data set has: model id, or a folder with a bundle"
        " (default: the default for the images)",
    )
    parser.add_argument(
        "--channel",
        metavar="NAME=IMAGE",
        action="append",
        default=[],
        help="a channel's image: a file (flair=flair.nii.gz), a folder with one DICOM series, a"
        " series of a folder (flair=FOLDER#UID), or the name of a volume in the scenes; repeat for"
        " more",
    )
    parser.add_argument(
        "--map",
        dest="mapping",
        metavar="SEGMENT=LABEL",
        action="append",
        default=[],
        help="which label a segment of another name is; 'SEGMENT=' leaves it out",
    )
    parser.add_argument(
        "--patient",
        metavar="NUMBER",
        help="keeps the cases of one patient together; only a keyed hash is stored (default: the"
        " scene's DICOM patient)",
    )
    parser.add_argument(
        "--reviewed", action="store_true", help="a person has looked through every slice"
    )
    parser.add_argument(
        "--replace", action="store_true", help="cases that are in the data set already"
    )
    parser.add_argument(
        "--one-file-a-segment",
        action="store_true",
        help="for segments that overlap: a mask a label, in the folder segments",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: Namespace) -> int:
    """Read, append, report; a case that cannot be exported does not keep the others out."""
    from TumorSegLib.support.silence import silenced_stderr

    export = Export(arguments)
    files: list[Path] = arguments.cases
    if len(files) > 1 and any(not _is_scene(path) for path in files):
        raise InputError(
            "several files: expected scenes (.mrb) only; export each other file with its images by"
            " itself"
        )
    shown = not (arguments.quiet or arguments.json)
    with progress_bar("Export", shown=shown, counted="file") as progress:
        for done, path in enumerate(files):
            progress(done, len(files))
            with silenced_stderr():
                export.take(path)
        progress(len(files), len(files))
    if arguments.json:
        print(json.dumps(export.summary(), indent=2))  # noqa: T201
    elif not arguments.quiet:
        export.show()
    if export.failures:
        raise InputError(_together(export.failures, len(export.appended)))
    return 0


class Export:
    """Appends cases, as the command's arguments say.

    Attributes:
        appended: what was exported.
        failures: one line for each case or file that was not.
    """

    def __init__(self, arguments: Namespace) -> None:
        self._arguments = arguments
        self._channels = _pairs("--channel", arguments.channel)
        self._mapping = _pairs("--map", arguments.mapping)
        self._catalogue = default_catalogue()
        self._specification: ModelSpecification | None = None
        self.appended: list[Appended] = []
        self.failures: list[str] = []

    def take(self, path: Path) -> None:
        """Append the cases in a file."""
        try:
            cases = self._read(path)
        except InputError as error:
            self.failures.append(str(error))
            return
        for name, case in cases:
            try:
                self.appended.append(self._append(case))
            except InputError as error:
                self.failures.append(f"{name}: {error}{_what_to_do(error)}")

    def summary(self) -> dict[str, object]:
        """Return what --json prints."""
        return {
            "format": JSON_FORMAT,
            "dataset": str(self._arguments.dataset),
            "model": self._specification.id if self._specification else None,
            "cases": [asdict(case) for case in self.appended],
            "failures": self.failures,
        }

    def show(self) -> None:
        """Print warnings and what was exported to the terminal."""
        console = terminal(stderr=True)
        for case in self.appended:
            for warning in case.warnings:
                warn(f"{case.case}: {warning}")
            done = "replaced" if case.replaced else "added"
            console.print(f"{done} {case.case}")
        if self.appended:
            folder, count = self._arguments.dataset, self.appended[-1].count
            console.print(f"cases in {folder}: {count}", soft_wrap=True)

    def _append(self, case: ExportCase) -> Appended:
        from TumorSegLib.export.case import append_case
        from TumorSegLib.export.identity import export_key

        assert self._specification is not None
        return append_case(
            self._arguments.dataset,
            case,
            self._specification,
            export_key(),
            replace=self._arguments.replace,
            one_file_a_segment=self._arguments.one_file_a_segment,
        )

    def _read(self, path: Path) -> list[tuple[str, ExportCase]]:
        """Return the cases in a file, by name for messages."""
        from TumorSegLib.export.case import ExportCase

        if not _is_scene(path):
            masks, volumes = self._segmentation(path)
            self._check_mapping(masks)
            case = ExportCase(
                volumes,
                masks,
                self._mapping,
                patient=self._arguments.patient,
                reviewed=self._arguments.reviewed,
            )
            return [(path.name, case)]
        from TumorSegLib.slicer_io.scene_reading import read_scene

        found = read_scene(path)
        if len(self._arguments.cases) == 1:
            self._check_mapping([mask for case in found for mask in case.masks])
        return [
            (
                f"{path.name}, {case.name}",
                ExportCase(
                    self._sequences(case),
                    case.masks,
                    self._mapping,
                    patient=self._arguments.patient or case.patient,
                    reviewed=self._arguments.reviewed or case.reviewed,
                    correction=case.correction,
                ),
            )
            for case in found
        ]

    def _segmentation(self, path: Path) -> tuple[tuple[NamedMask, ...], dict[str, Volume]]:
        """Return the segments in a file and the images that --channel names."""
        from TumorSegLib.export.dicom_masks import read_dicom_segments
        from TumorSegLib.export.labelmap_file import is_labelmap, read_labelmap
        from TumorSegLib.reading.source_files import is_dicom_file
        from TumorSegLib.slicer_io.segmentation_file import read_segments

        of_dicom, of_labelmap = is_dicom_file(path), is_labelmap(path)
        masks = () if of_dicom or of_labelmap else read_segments(path)
        if not self._channels:
            raise InputError(
                f"{path}: needs its image; add --channel NAME=IMAGE, such as flair=flair.nii.gz"
            )
        volumes = {name: read_named(file) for name, file in self._channels.items()}
        specification = self._model(next(iter(volumes.values())))
        names = [channel.name for channel in specification.input.channels]
        ordered = {name: volumes[name] for name in names if name in volumes}
        if of_dicom:
            masks = read_dicom_segments(path, next(iter(ordered.values())))
        elif of_labelmap:
            masks = read_labelmap(path, specification)
        return masks, ordered

    def _sequences(self, case: SceneCase) -> dict[str, Volume]:
        """Return a scene's volumes by channel: the chosen ones, else those whose names tell."""
        specification = self._model(case.volume)
        modality = modality_of(case.volume)
        if self._arguments.model is None and modality != specification.modality:
            raise InputError(
                f"{case.volume.name}: looks like {modality}, the data set is {specification.id}'s,"
                f" for {specification.modality}; name the model with --model"
            )
        first, *further = specification.input.channels
        candidates = [(other.name, other.grid, other) for other in case.others]
        names = [channel.name for channel in further]
        volumes = suggested_sequences(names, case.volume.grid, candidates)
        for channel, name in self._channels.items():
            named = [other for other in (case.volume, *case.others) if other.name == name]
            if len(named) != 1:
                found = ", ".join(other.name for other in case.others) or "none"
                raise InputError(
                    f"--channel {channel}={name}: {len(named)} volumes of that name in the scene;"
                    f" further volumes there are: {found}"
                )
            volumes[channel] = named[0]
        return {first.name: case.volume, **volumes}

    def _model(self, volume: Volume) -> ModelSpecification:
        """Return the model whose data set this is, the same for all cases."""
        if self._specification is None:
            named = self._arguments.model
            bundle = (
                self._catalogue.default_for(modality_of(volume))
                if named is None
                else self._catalogue.find(named)
            )
            self._specification = bundle.specification
            known = {channel.name for channel in bundle.specification.input.channels}
            if unknown := sorted(set(self._channels) - known):
                raise InputError(
                    f"--channel {unknown[0]}: {bundle.id} takes {', '.join(sorted(known))}"
                )
        return self._specification

    def _check_mapping(self, masks: Sequence[NamedMask]) -> None:
        names = {mask.name for mask in masks} | {mask.id for mask in masks}
        if unknown := sorted(set(self._mapping) - names):
            found = ", ".join(mask.name for mask in masks)
            raise InputError(f"--map {unknown[0]}: no such segment; the segments are {found}")


def _what_to_do(error: InputError) -> str:
    from TumorSegLib.export.errors import CaseExistsError, OverlapError, UnknownSegmentsError

    if isinstance(error, CaseExistsError):
        return "; add --replace"
    if isinstance(error, OverlapError):
        return ": add --one-file-a-segment"
    if isinstance(error, UnknownSegmentsError):
        return f": add --map '{error.names[0]}=LABEL'"
    return ""


def _together(failures: list[str], done: int) -> str:
    if len(failures) == 1 and not done:
        return failures[0]
    return f"{len(failures)} not exported, {done} exported: {'; '.join(failures)}"


def _pairs(option: str, entries: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:
        name, separator, value = entry.partition("=")
        if not separator or not name:
            raise InputError(f"{option} {entry}: expected a name, =, and what it stands for")
        if name in found:
            raise InputError(f"{option} {name}: given twice")
        found[name] = value
    return found


def _is_scene(path: Path) -> bool:
    return path.name.lower().endswith(SCENE_ENDING)
