"""`tumorseg demo`: the main job on a made-up head, for a first look without any download."""

from __future__ import annotations

import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from rich.console import Console

from TumorSegLib import cli
from TumorSegLib.commands.common import add_overwrite_option
from TumorSegLib.commands.terminal import terminal
from TumorSegLib.errors import OutputError


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `tumorseg demo`."""
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=Path("demo"), help="default: demo"
    )
    add_overwrite_option(parser)


def run(arguments: Namespace) -> int:
    """Make a volume, segment it with the command that users type, say where everything is."""
    console = terminal(stderr=True)
    folder: Path = arguments.output
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {error.strerror or error}") from None
    volume, channels, tumour_ml = _phantom(folder, console)
    segmentation, scene = folder / "segmentation.seg.nrrd", folder / "scene.mrb"
    words = ["segment", str(volume), *channels, "-o", str(segmentation), "-o", str(scene)]
    words += ["--report", str(folder / "report")]
    words += ["--overwrite"] if arguments.overwrite else []
    console.print("tumorseg " + " ".join(words), style="bold", soft_wrap=True)
    status = cli.main(words)
    if status == 0:
        lines = (
            f"the made-up tumour has {tumour_ml:.1f} ml",
            f"in a browser: {(folder / 'report' / 'report.html').absolute().as_uri()}",
            f"in 3D Slicer: {scene}, or {segmentation} with {volume}",
            f"next: {_command()} segment VOLUME -o result.seg.nrrd",
        )
        for line in lines:
            console.print(line, soft_wrap=True)
    return status


def _command() -> str:
    """Return what to type for this command: its path, unless the shell finds it."""
    found = shutil.which("tumorseg")
    called = Path(sys.argv[0])
    if called.stem != "tumorseg" or (found is not None and Path(found).samefile(called)):
        return "tumorseg"
    return str(called)


def _phantom(folder: Path, console: Console) -> tuple[Path, list[str], float]:
    """Write the brain phantom's sequences as NIfTI files, those that are not there yet.

    Returns:
        The FLAIR volume's file, options for the other sequences, and the tumour's ml.

    Raises:
        OutputError: one cannot be written completely.
    """
    import numpy as np

    from TumorSegLib.image.itk import to_sitk
    from TumorSegLib.phantom import brain_phantom
    from TumorSegLib.support.atomic_write import atomic_write
    from TumorSegLib.writing.image_writing import write_image_atomically

    console.print("making a head to segment ...")
    volumes, tumour = brain_phantom()
    paths = {name: folder / f"phantom-{name}.nii.gz" for name in volumes}
    for name, path in paths.items():
        if not path.exists():
            with atomic_write(path, ending=".nii.gz") as new:
                if not write_image_atomically(
                    to_sitk(volumes[name].voxels, volumes[name].grid), new
                ):
                    raise OutputError(f"{path}: cannot be written completely; is the disk full?")
    console.print(
        f"phantom: a made-up head with a made-up tumour, in {folder}; no patient's image",
        soft_wrap=True,
    )
    further = [f"--channel={name}={path}" for name, path in paths.items() if name != "flair"]
    tumour_ml = int(np.count_nonzero(tumour)) * volumes["flair"].grid.voxel_ml
    return paths["flair"], further, tumour_ml
