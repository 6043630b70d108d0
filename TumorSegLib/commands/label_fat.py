"""`tumorseg label-fat`: a first annotation of fat on CT, by rule."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from TumorSegLib.commands.common import add_overwrite_option, check_written, read_named
from TumorSegLib.commands.terminal import terminal, warn
from TumorSegLib.model.catalogue import default_catalogue

FAT_MODEL = "fat-ct-fcn8s"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg label-fat`."""
    parser.add_argument(
        "volume", metavar="CT", type=Path, help="an image file, or a folder of DICOM files"
    )
    parser.add_argument("--series", metavar="UID", help="which DICOM series of a folder")
    parser.add_argument(
        "-o",
        "--output",
        metavar="LABELS",
        type=Path,
        help="*.seg.nrrd, *.nii.gz, *.nrrd or *.mrb (default: NAME-fat.seg.nrrd in this folder)",
    )
    add_overwrite_option(parser)
    parser.add_argument("--quiet", action="store_true", help="print nothing")


def run(arguments: Namespace) -> int:
    """Label, write, say how much fat there is."""
    import numpy as np

    from TumorSegLib.inference.fat_labelling import label_fat
    from TumorSegLib.model.labelled_volume import LabelledVolume
    from TumorSegLib.writing import check_output, write_segmentation
    from TumorSegLib.writing.file_name import file_name_of

    specification = default_catalogue().find(FAT_MODEL).specification
    volume = read_named(str(arguments.volume), arguments.series)
    output = arguments.output or Path(f"{file_name_of(volume.name)}-fat.seg.nrrd")
    check_output(output)
    check_written(arguments, [output])
    labelmap = label_fat(volume)
    write_segmentation(LabelledVolume(volume, specification, labelmap), output, overwrite=True)
    if not arguments.quiet:
        for warning in volume.warnings:
            warn(warning)
        console = terminal()
        for label in specification.labels:
            millilitres = np.count_nonzero(labelmap == label.value) * volume.grid.voxel_ml
            console.print(f"{label.name}: {millilitres:.0f} ml")
        console.print(f"wrote {output}; correct it before you train on it", soft_wrap=True)
    return 0
