"""Segmentations and their volumes from scenes of 3D Slicer (`.mrb`).

The archive is unpacked and looked through here. 3D Slicer's own MRML reads it in a process of its
own, as damaged scenes can end the process that reads them.
"""

from __future__ import annotations

import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.reading.file_path import readable
from TumorSegLib.slicer_io.scene_case import SceneCase, read_answer, read_cases
from TumorSegLib.slicer_io.scene_files import named_elsewhere, names_elsewhere
from TumorSegLib.support import leftovers
from TumorSegLib.support.archive import ArchiveError, opened_archive, unpack
from TumorSegLib.support.child_process import ended_by, environment, module_command
from TumorSegLib.support.extras import pip_install

PREFIX = "tumorseg-scene-"
"""Begins the names of the folders into which scenes are unpacked."""

MOST_FILES = 20_000


def read_scene(path: Path) -> list[SceneCase]:
    """Read the segmentations in `path` that are cases.

    Raises:
        InputError: the file cannot be read, holds no segmentation with its volume, or slicer-core
            is not installed.
        OutputError: there is no room to unpack it.
    """
    readable(path)
    if find_spec("slicer_core") is None:
        raise InputError(
            f"{path}: scenes need slicer-core, which is not installed; run {pip_install('slicer')}"
            " or save the segmentation as .seg.nrrd"
        )
    try:
        leftovers.remove_left_over(Path(tempfile.gettempdir()), PREFIX)
        unpacking = _folder_to_unpack()
    except OSError as error:
        raise _no_room(path, error.strerror or str(error)) from None
    with unpacking as place:
        folder = Path(place)
        description = unpacked(path, folder / "scene")
        try:
            ended = run_reader(description, folder)
            answer = read_answer(folder)
            if "cases" in answer:
                return read_cases(answer["cases"], folder)
        except OSError as error:
            raise _no_room(path, error.strerror or str(error)) from None
    if "full" in answer:
        raise _no_room(path, answer["full"])
    if "fault" in answer:
        raise RuntimeError(answer["fault"])
    raise InputError(f"{path}: {answer.get('refused') or _ended(ended)}")


def run_reader(description: Path, folder: Path) -> int:
    """Read an unpacked scene in another process, which leaves its answer in `folder`.

    Returns:
        How that process ended; below 0: by this signal.
    """
    return subprocess.run(
        module_command("TumorSegLib.slicer_io.scene_process", str(description), str(folder)),
        check=False,
        cwd=folder,  # Slicer changes the working directory while it reads
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ).returncode


def _ended(status: int) -> str:
    """Return what to say of a scene that ended the process that read it."""
    how = ended_by(status)
    return f"cannot be read as a scene of 3D Slicer, whose reader ended ({how}); save it again"


def _no_room(path: Path, reason: str) -> OutputError:
    return OutputError(
        f"{path}: cannot be unpacked in {tempfile.tempdir or 'a temporary folder'}: {reason};"
        " free space there, or set TMPDIR to another folder"
    )


def unpacked(path: Path, folder: Path) -> Path:
    """Unpack a scene into `folder`; return its `.mrml` file.

    Raises:
        InputError: it is no whole archive, or one that would write or read elsewhere.
        OutputError: there is no room to unpack it.
    """
    try:
        with opened_archive(path, MOST_FILES) as archive:
            unpack(archive, folder)
    except ArchiveError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise InputError(
            f"{path}: not a scene of 3D Slicer, or damaged; save it again ({reason})"
        ) from None
    except OSError as error:
        raise _no_room(path, error.strerror or str(error)) from None
    descriptions = sorted(folder.rglob("*.mrml"), key=lambda found: (len(found.parts), found))
    if not descriptions:
        raise InputError(f"{path}: cannot be read as a scene of 3D Slicer; save it again")
    try:
        elsewhere = named_elsewhere(descriptions[0].read_bytes())
    except ValueError as error:
        raise InputError(
            f"{path}: cannot be read as a scene of 3D Slicer, no XML ({error}); save it again"
        ) from None
    images = (file for file in folder.rglob("*") if file.is_file())
    elsewhere = elsewhere or next(filter(None, map(names_elsewhere, images)), None)
    if elsewhere is not None:
        raise InputError(
            f"{path}: names a file outside the scene, {elsewhere}; save it again with all its data"
        )
    return descriptions[0]


def _folder_to_unpack() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that goes with the block; on Windows, files that VTK keeps open stay."""
    prefix = f"{PREFIX}{leftovers.owner()}-"
    return tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
