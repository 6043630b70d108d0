"""`tumorseg segment`: from a volume to a segmentation on disk."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from TumorSegLib.commands.common import (
    Told,
    add_overwrite_option,
    add_volume_arguments,
    check_written,
    choose_bundle,
    read_channels,
    read_named,
    run_options,
    with_model,
)
from TumorSegLib.commands.outputs import Outputs
from TumorSegLib.commands.remote import check_server_options, segmented_by_server
from TumorSegLib.commands.terminal import terminal, warn
from TumorSegLib.errors import InputError
from TumorSegLib.inference.result import SegmentationResult
from TumorSegLib.inference.summary import sequences_given, summary
from TumorSegLib.measurement.derived import DerivedValue, derive
from TumorSegLib.measurement.lesions import with_lesions
from TumorSegLib.measurement.quantities import shown, shown_mean
from TumorSegLib.measurement.segment import Measurement
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue, default_catalogue

if TYPE_CHECKING:
    from TumorSegLib.image.volume import Volume
    from TumorSegLib.inference.segmenter import Segmenter
    from TumorSegLib.inference.slice_inference import ProgressCallback

MOST_LESIONS = 20
"""Lines of lesions in the terminal; `--json` has them all."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg segment`."""
    add_volume_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        action="append",
        help="*.seg.nrrd, *.nii.gz, *.nrrd, *.mrb or, of DICOM, *.dcm (default: NAME.seg.nrrd in"
        " this folder); may be given several times",
    )
    parser.add_argument(
        "--sr",
        metavar="OUT.dcm",
        type=Path,
        help="beside a segmentation *.dcm, write its measurements as a DICOM structured report",
    )
    add_overwrite_option(parser)
    parser.add_argument(
        "--gate",
        metavar="ID",
        help="a detector: slices on which it finds nothing are left empty, which saves their time",
    )
    parser.add_argument(
        "--gate-threshold",
        metavar="P",
        type=float,
        help="with --gate: the probability from which on a slice is segmented (default: 0.2)",
    )
    parser.add_argument(
        "--report",
        metavar="PLACE",
        type=Path,
        help="write a report: a folder for page, PDF and picture, or one file *.html or *.pdf",
    )
    parser.add_argument(
        "--identify",
        metavar="ITEMS",
        default="",
        help="what the report says of patient and image, some of name,id,birth,sex,date,study,"
        "series,accession,volume (default: nothing)",
    )
    parser.add_argument(
        "--server",
        metavar="URL",
        help="have a server segment, such as https://gpu.hospital.org:8443; it is sent voxels and"
        " where they lie, and nothing else",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        type=Path,
        help="with --server: your token (default: $TUMORSEG_TOKEN, or what the panel keeps)",
    )


def run(arguments: Namespace) -> int:
    """Segment, write, report."""
    from TumorSegLib.writing.file_name import file_name_of

    if arguments.gate_threshold is not None and arguments.gate is None:
        raise InputError("--gate-threshold: has no effect without --gate; add --gate ID")
    check_server_options(arguments)
    volume = read_named(str(arguments.volume), arguments.series)
    paths = arguments.output or [Path(f"{file_name_of(volume.name)}.seg.nrrd")]
    outputs = Outputs.checked(volume, paths, arguments.sr)
    identify, report = _report_asked_for(arguments)
    structured = [] if arguments.sr is None else [arguments.sr]
    check_written(arguments, [*paths, *structured, *report])
    if report:
        _check_report(arguments.report)
    catalogue = default_catalogue()
    bundle = choose_bundle(catalogue, arguments.model, volume, "segmentation")
    volumes = read_channels(arguments, bundle, volume)

    told = Told(shown=not (arguments.json or arguments.quiet))

    result = _segmented(arguments, bundle, catalogue, volumes, told)
    outputs.write(result)
    written = []
    if report:
        from TumorSegLib.report import write_report

        written = write_report(
            result,
            arguments.report,
            options=run_options(arguments),
            identify=identify,
            sequences=sequences_given(bundle.specification, volumes),
        )
    told(result.warnings)
    measurements = result.measurements
    if arguments.json:
        print(json.dumps(summary(result, measurements, paths, written, arguments.sr), indent=2))  # noqa: T201
    elif not arguments.quiet:
        show(result, measurements, [*paths, *structured, *written])
    return 0


def _segmented(
    arguments: Namespace,
    bundle: Bundle,
    catalogue: Catalogue,
    volumes: Mapping[str, Volume],
    told: Told,
) -> SegmentationResult:
    """Segment here, or have it done by a server."""
    if arguments.server is not None:
        return segmented_by_server(arguments, bundle, catalogue, volumes, told)

    def action(segmenter: Segmenter, progress: ProgressCallback) -> SegmentationResult:
        return segmenter.segment(volumes, progress=progress, on_warnings=told)

    return with_model(arguments, bundle, catalogue, action)


def _report_asked_for(arguments: Namespace) -> tuple[tuple[str, ...], list[Path]]:
    """Return what a report is to say of patient and image, and its files, if one is asked for.

    Reports need much that is not loaded otherwise.

    Raises:
        InputError: an item is unknown, or there is no report that would say it.
    """
    identify: tuple[str, ...] = ()
    if arguments.identify:
        from TumorSegLib.report.identification import chosen_items

        identify = chosen_items(arguments.identify)
    if arguments.report is None:
        if identify:
            raise InputError(
                f"--identify {arguments.identify}: is what a report says of the patient; add"
                " --report"
            )
        return identify, []
    from TumorSegLib.report import report_files

    return identify, report_files(arguments.report)


def _check_report(place: Path) -> None:
    from TumorSegLib.report import check_report_place, has_pdf, why_no_pdf

    check_report_place(place)
    if not has_pdf():
        warn(f"no PDF of the report: {why_no_pdf()}")


def show(
    result: SegmentationResult, measurements: Sequence[Measurement], written: list[Path]
) -> None:
    """Print a table of segments and what was written to the terminal."""
    console = terminal(stderr=True)
    table = Table("Segment", "Volume", "Components", "Longest axial diameter", box=None)
    for row in measurements:
        table.add_row(
            row.name,
            f"{shown(row.volume_ml)} ml",
            str(row.components),
            f"{row.longest_axial_diameter_mm:.1f} mm",
        )
    console.print(table)
    show_lesions(console, with_lesions(result.specification, measurements))
    show_derived(console, derive(result.specification.derived, measurements))
    seconds = sum(result.seconds.values())
    console.print(f"{seconds:.1f} s on {result.device}, {result.precision}")
    for path in written:
        console.print(f"wrote {path}", soft_wrap=True)


def show_lesions(console: Console, measurements: Sequence[Measurement]) -> None:
    """Print a table of lesions, the largest first; of many only these."""
    parts = [(one.name, part) for one in measurements for part in one.parts]
    if not parts:
        return
    table = Table("Lesion", "Volume", "Diameters", "Slice", "Mean", "Certainty", box=None)
    for name, part in parts[:MOST_LESIONS]:
        long, short = part.longest_axial_diameter_mm, part.perpendicular_diameter_mm
        table.add_row(
            f"{name} {part.number}",
            f"{shown(part.volume_ml)} ml",
            f"{long:.1f} x {short:.1f} mm",
            str(part.slice_index + 1),
            "" if part.mean is None else shown_mean(part.mean, part.standard_deviation),
            "" if part.certainty is None else f"{part.certainty:.2f}",
        )
    console.print(table)
    if (more := len(parts) - MOST_LESIONS) > 0:
        console.print(f"and {more} more")


def show_derived(console: Console, values: Sequence[DerivedValue]) -> None:
    """Print a table of derived values."""
    table = Table("Figure", "Value", box=None)
    for value in values:
        table.add_row(value.name, value.text)
    if values:
        console.print(table)
