"""`tumorseg label-fat`: a first annotation of fat on CT, by rule."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from TumorSegLib.commands.common import Told, add_overwrite_option, check_written, read_named
from TumorSegLib.commands.outputs import Outputs
from TumorSegLib.commands.terminal import terminal
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
        help="*.seg.nrrd, *.nii.gz, *.nrrd, *.mrb or, of DICOM, *.dcm (default: NAME-fat.seg.nrrd"
        " in this folder)",
    )
    add_overwrite_option(parser)
    parser.add_argument("--quiet", action="store_true", help="print nothing")


def run(arguments: Namespace) -> int:
    """Label, write, say how much fat there is."""
    import numpy as np

    from TumorSegLib.inference.fat_labelling import check_is_ct, label_fat
    from TumorSegLib.inference.input_checks import input_warnings
    from TumorSegLib.model.labelled_volume import LabelledVolume
    from TumorSegLib.writing.file_name import file_name_of

    specification = default_catalogue().find(FAT_MODEL).specification
    volume = read_named(str(arguments.volume), arguments.series)
    output = arguments.output or Path(f"{file_name_of(volume.name)}-fat.seg.nrrd")
    outputs = Outputs.checked(volume, [output])
    check_written(arguments, [output])
    check_is_ct(volume)
    told = Told(shown=not arguments.quiet)
    told(input_warnings({specification.input.channels[0].name: volume}, (), specification))
    labelmap = label_fat(volume)
    outputs.write(LabelledVolume(volume, specification, labelmap))
    if not arguments.quiet:
        console = terminal()
        for label in specification.labels:
            millilitres = np.count_nonzero(labelmap == label.value) * volume.grid.voxel_ml
            console.print(f"{label.name}: {millilitres:.0f} ml")
        console.print(f"wrote {output}; correct it before you train on it", soft_wrap=True)
    return 0
