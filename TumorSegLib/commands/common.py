"""What several sub-commands share: the volume's arguments, reading, progress."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from TumorSegLib.commands.terminal import terminal, warn
from TumorSegLib.errors import InputError, escaped
from TumorSegLib.image.volume import Volume
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.model.bundle import Bundle
from TumorSegLib.model.catalogue import Catalogue

if TYPE_CHECKING:
    from TumorSegLib.inference.segmenter import Segmenter
    from TumorSegLib.inference.slice_inference import ProgressCallback

Result = TypeVar("Result")

RUN_OPTIONS = {
    "device": "device",
    "precision": "precision",
    "slice_detector": "gate",
    "detector_threshold": "gate_threshold",
}
"""Fields of `RunOptions` and the options of the command that say them."""


def add_volume_arguments(parser: ArgumentParser) -> None:
    """Add VOLUME, --channel, --series, --model, --device, --precision, --json and --quiet."""
    parser.add_argument(
        "volume",
        metavar="VOLUME",
        type=Path,
        help=".nii, .nii.gz, .nrrd, .nhdr, .mha, .mhd, or a folder of DICOM files (one series, or"
        " FOLDER#UID)",
    )
    parser.add_argument(
        "--channel",
        metavar="NAME=PATH",
        action="append",
        default=[],
        help="a further sequence, such as t1=t1.nii.gz, or t1=FOLDER#UID for one of the DICOM"
        " series of a folder; repeat for more",
    )
    parser.add_argument("--series", metavar="UID", help="which DICOM series of a folder")
    parser.add_argument("--model", metavar="ID", help="model id, or a folder with a model bundle")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--precision", default="auto", help="auto (default), fp32 (reproducible) or bf16"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument("--quiet", action="store_true", help="say nothing, unless it fails")


def add_overwrite_option(parser: ArgumentParser) -> None:
    """Add --overwrite."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace results that are there already; inputs never are",
    )


def check_written(arguments: Namespace, outputs: Sequence[Path]) -> None:
    """Refuse outputs that are inputs, or that are there and must stay.

    Raises:
        OutputError: one is.
    """
    from TumorSegLib.reading.source_files import folder_and_series, source_files
    from TumorSegLib.writing.replacing import check_replacing

    named = [str(arguments.volume)]
    named += [entry.partition("=")[2] for entry in getattr(arguments, "channel", [])]
    inputs = [file for name in named if name for file in source_files(folder_and_series(name)[0])]
    check_replacing(outputs, inputs=inputs, overwrite=arguments.overwrite)


def read_named(named: str, series: str | None = None) -> Volume:
    """Read a file, a folder with one DICOM series, or the series that `FOLDER#UID` names.

    Args:
        named: what the user wrote.
        series: SeriesInstanceUID, where the user gave one apart.

    Raises:
        InputError: see `read_volume`.
    """
    from TumorSegLib.reading import read_volume
    from TumorSegLib.reading.source_files import folder_and_series

    path, behind = folder_and_series(named)
    return read_volume(path, series=series or behind)


def read_channels(arguments: Namespace, bundle: Bundle, volume: Volume) -> dict[str, Volume]:
    """Return VOLUME and the further sequences by channel name.

    Raises:
        InputError: a --channel is malformed, unknown to the model, given twice or unreadable.
    """
    names = [channel.name for channel in bundle.specification.input.channels]
    volumes = {names[0]: volume}
    for entry in arguments.channel:
        name, separator, path = entry.partition("=")
        if not separator or not path:
            raise InputError(f"--channel {entry}: expected NAME=PATH, such as t1=t1.nii.gz")
        if name not in names[1:]:
            known = ", ".join(names[1:]) or "none"
            raise InputError(f"--channel {name}: {bundle.id} takes these further channels: {known}")
        if name in volumes:
            raise InputError(f"--channel {name}: given twice")
        volumes[name] = read_named(path)
    return volumes


def choose_bundle(catalogue: Catalogue, name: str | None, volume: Volume, task: str) -> Bundle:
    """Return the named model, or the default one for what the volume certainly is.

    A model that cannot be used is a warning; it keeps no other one from being used.

    Raises:
        InputError: no model is named and none can be chosen; see `model_for`.
        ModelError: there is no such model.
    """
    from TumorSegLib.inference.model_for import model_for

    for line in catalogue.broken:
        warn(line, kind="unusable model")
    if name is not None:
        return catalogue.find(name)
    return model_for(volume, catalogue, task)


def run_options(arguments: Namespace) -> RunOptions:
    """Return what the command's options say; those that a command does not have stay as they are.

    Raises:
        InputError: one cannot be used.
    """
    given = {
        field: getattr(arguments, option)
        for field, option in RUN_OPTIONS.items()
        if getattr(arguments, option, None) is not None
    }
    return RunOptions(**given)


class Told:
    """Prints warnings, each once: those known before a run before it, the others after it."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._lines: set[str] = set()

    def __call__(self, lines: Sequence[str]) -> None:
        """Print those of `lines` that are new."""
        for line in lines:
            if self._shown and line not in self._lines:
                warn(line)
            self._lines.add(line)


def with_model(
    arguments: Namespace,
    bundle: Bundle,
    catalogue: Catalogue,
    action: Callable[[Segmenter, ProgressCallback], Result],
) -> Result:
    """Load the model as the options say; return what `action` makes with it."""
    from TumorSegLib.inference.segmenter import Segmenter
    from TumorSegLib.support.allocator import keep_large_blocks

    keep_large_blocks()
    segmenter = Segmenter(bundle, run_options(arguments), catalogue=catalogue)
    shown = not (arguments.quiet or arguments.json)
    with progress_bar(bundle.specification.title, shown=shown) as progress:
        return action(segmenter, progress)


@contextmanager
def progress_bar(
    description: str, *, shown: bool, counted: str = "slice", rated: bool = False
) -> Iterator[Bar]:
    """Show a bar with slices and the time left on the terminal; yield what moves it.

    Args:
        description: of what is done.
        shown: whether there is a bar at all.
        counted: what is counted.
        rated: show how many are done in an hour, too.
    """
    if not shown:  # Rich before 15 ends a bar that it does not show with an empty line
        yield Bar()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn(counted),
        MofNCompleteColumn(),
        *([_RateColumn()] if rated else []),
        TimeRemainingColumn(),
    )
    period = 600.0 if rated else 30.0
    console = terminal(stderr=True)
    with Progress(*columns, console=console, speed_estimate_period=period) as bar:
        yield Bar(bar, bar.add_task(escaped(description), total=None))


class Bar:
    """Moves a bar on the terminal, if there is one; called with what is done, and of how many."""

    def __init__(self, progress: Progress | None = None, task: TaskID = TaskID(0)) -> None:  # noqa: B008
        self._progress, self._task = progress, task

    def __call__(self, done: int, total: int) -> None:
        """Move it."""
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=total)

    def say(self, description: str) -> None:
        """Say before it what is done now."""
        if self._progress is not None:
            self._progress.update(self._task, description=escaped(description))


class _RateColumn(ProgressColumn):
    """How many are done in an hour, from the last ten minutes."""

    def render(self, task: Task) -> Text:
        """Return the rate; nothing before it is known."""
        return Text("" if task.speed is None else f"{task.speed * 3600:,.0f} an hour")
