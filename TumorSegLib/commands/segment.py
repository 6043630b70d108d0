"""`tumorseg segment`: from a volume to a segmentation on disk."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from TumorSegLib.commands.common import (
    add_overwrite_option,
    add_volume_arguments,
    check_written,
    choose_bundle,
    read_channels,
    read_named,
    with_guess,
    with_model,
)
from TumorSegLib.commands.terminal import terminal, warn
from TumorSegLib.inference.result import SegmentationResult
from TumorSegLib.measurement.segment import SegmentMeasurement, measure
from TumorSegLib.model.catalogue import default_catalogue

if TYPE_CHECKING:
    from TumorSegLib.inference.run import ProgressCallback
    from TumorSegLib.inference.segmenter import Segmenter


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg segment`."""
    add_volume_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        type=Path,
        help="*.seg.nrrd, *.nii.gz, *.nrrd or *.mrb (default: NAME.seg.nrrd in this folder)",
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
        default=0.2,
        help="the detector's probability from which on a slice is segmented (default: 0.2)",
    )
    parser.add_argument("--report", metavar="DIR", type=Path, help="write pictures to this folder")


def run(arguments: Namespace) -> int:
    """Segment, write, report."""
    from TumorSegLib.report import REPORT_FILE, check_report_place, write_report
    from TumorSegLib.writing import check_output, write_segmentation
    from TumorSegLib.writing.file_name import file_name_of

    volume = with_guess(read_named(str(arguments.volume), arguments.series), arguments.model)
    output = arguments.output or Path(f"{file_name_of(volume.name)}.seg.nrrd")
    check_output(output)
    report = [] if arguments.report is None else [arguments.report / REPORT_FILE]
    check_written(arguments, [output, *report])
    for path in report:
        check_report_place(path.parent)
    catalogue = default_catalogue()
    bundle = choose_bundle(catalogue, arguments.model, volume, "segmentation")
    gate = catalogue.find(arguments.gate) if arguments.gate else None
    volumes = read_channels(arguments, bundle, volume)

    def action(segmenter: Segmenter, progress: ProgressCallback) -> SegmentationResult:
        return segmenter.segment(volumes, progress=progress)

    choice = {"gate": gate, "gate_threshold": arguments.gate_threshold}
    result = with_model(arguments, bundle, catalogue, action, **choice)
    write_segmentation(result, output, overwrite=True)
    pictures = write_report(result, arguments.report) if arguments.report else []
    measurements = measure(result)
    if arguments.json:
        print(json.dumps(summary(result, measurements, output, pictures), indent=2))  # noqa: T201
    elif not arguments.quiet:
        show(result, measurements, [output, *pictures])
    return 0


def summary(
    result: SegmentationResult,
    measurements: list[SegmentMeasurement],
    output: Path,
    pictures: list[Path],
) -> dict[str, Any]:
    """Return what --json prints."""
    return {
        "volume": result.volume.name,
        "model": result.specification.id,
        "model_version": result.specification.version,
        "device": result.device,
        "precision": result.precision,
        "seconds": {stage: round(seconds, 3) for stage, seconds in result.seconds.items()},
        "segments": [asdict(measurement) for measurement in measurements],
        "slices": [asdict(figure) for figure in result.slices],
        "warnings": list(result.warnings),
        "output": str(output),
        "report": [str(picture) for picture in pictures],
    }


def show(
    result: SegmentationResult, measurements: list[SegmentMeasurement], written: list[Path]
) -> None:
    """Print warnings, a table of segments and what was written to the terminal."""
    console = terminal(stderr=True)
    for warning in result.warnings:
        warn(warning)
    table = Table("Segment", "Volume", "Components", "Longest axial diameter", box=None)
    for row in measurements:
        table.add_row(
            row.name,
            f"{row.volume_ml:.1f} ml",
            str(row.components),
            f"{row.longest_axial_diameter_mm:.0f} mm",
        )
    console.print(table)
    seconds = sum(result.seconds.values())
    console.print(f"{seconds:.1f} s on {result.device}, {result.precision}")
    for path in written:
        console.print(f"wrote {path}", soft_wrap=True)
