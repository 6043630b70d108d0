"""Volumes and scenes into the session's scene: files that were named or uploaded, phantoms.

Nothing here knows trame. Files are read by `TumorSegLib.reading`, as the command reads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import slicer

from TumorSegLib.errors import InputError, OutputError, TumorSegError
from TumorSegLib.image.display_window import SOFT_TISSUE
from TumorSegLib.image.modality import modality_of
from TumorSegLib.image.volume import Volume
from TumorSegLib.reading import read_volume
from TumorSegLib.reading.image_file import FORMATS
from TumorSegLib.report.identification import said_by
from TumorSegLib.slicer_io.scene_reading import run_reader, unpacked
from TumorSegLib.support.archive import opened_archive, unpack
from TumorSegLib.writing.dicom_output import source_images
from TumorSegWeb.samples import SAMPLES
from TumorSegWeb.series import Series, series_in, series_of_files
from TumorSegWeb.temporary import full_disks_told

if TYPE_CHECKING:
    from TumorSegLib.writing.dicom_source import SourceImages

SCENE = ".mrb"
ARCHIVE = ".zip"
DETACHED = (".raw", ".zraw", ".img", ".gz")
"""Endings of files that hold the voxels of a header beside them."""

MOST_FILES = 100_000
UPLOADED = "uploaded"
"""The temporary folder of an upload."""

NOT_DICOM = "The volume was not opened as DICOM"
NOTHING = (
    "there is no volume in these files; expected NIfTI, NRRD, MetaImage, .mrb, or DICOM as files,"
    " folder or .zip"
)


@dataclass
class Found:
    """What was in files, before it is in the scene.

    Attributes:
        volumes: one after the other.
        names: of each, what to call it in the scene; by default it is made from its own.
        sources: of each, the DICOM images that results can refer to, or why there are none.
        subjects: of each, what its DICOM images say of patient and study, by DICOM's keyword.
        scenes: descriptions (`.mrml`) of unpacked scenes.
        problems: of what could not be read, one after the other.
        notes: lines on that, and on what readers had to assume.
    """

    volumes: list[Volume] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    sources: list[SourceImages | str] = field(default_factory=list)
    subjects: list[dict[str, str]] = field(default_factory=list)
    scenes: list[Path] = field(default_factory=list)
    problems: list[TumorSegError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Keep what cannot be read within the block, and go on with what else there is."""
        try:
            yield
        except TumorSegError as problem:
            self.problems.append(problem)

    def add(self, volume: Volume, series: Series | None = None) -> None:
        """Add a volume, of a DICOM series or not."""
        name = _name_of(volume) if series is None else series.title
        source = _source_of(volume)
        if series is not None and isinstance(source, str):
            source = series.titled(source)
        self.volumes.append(volume)
        self.names.append(name)
        self.sources.append(source)
        self.subjects.append(said_by(volume))
        self.notes += volume.warnings


def phantoms() -> Mapping[str, Callable[[], list[Volume]]]:
    """Return what makes each phantom, by its title."""
    return SAMPLES


def look_into(paths: Iterable[Path], folder: Path, within: Path | None = None) -> Found:
    """Read the volumes in files and folders; this takes a while, and touches no scene.

    What cannot be read is noted where there is something else.

    Args:
        paths: as they were named, or all files of one upload.
        folder: temporary one, for what has to be unpacked.
        within: the folder of an upload, whose headers may not lead out of it.

    Raises:
        InputError: one cannot be read, or there is nothing to read.
        OutputError: there is no room to unpack it.
    """
    found = Found()
    others = []
    for number, path in enumerate(paths):
        name = path.name.lower()
        with found.going_on():
            if name.endswith(SCENE):
                found.scenes.append(_checked_scene(path, folder / f"scene {number}"))
            elif name.endswith(ARCHIVE):
                content = folder / str(number) / path.name
                with full_disks_told(), opened_archive(path, MOST_FILES) as archive:
                    unpack(archive, content)
                _look_into_folder(content, found, within=content)
            elif path.is_dir():
                _look_into_folder(path, found)
            elif name.endswith(tuple(FORMATS)):
                found.add(read_volume(path, within=within))
            elif not name.endswith(DETACHED):
                others.append(path)
    with found.going_on():
        _read(series_of_files(others), found)
    if not found.volumes and not found.scenes:
        if others and not found.problems:
            with found.going_on():
                read_volume(others[0])
        raise _plain(next(iter(found.problems), InputError(NOTHING)), folder)
    lines = [_without(folder, line) for line in (*map(str, found.problems), *found.notes)]
    found.notes = list(dict.fromkeys(lines))
    found.sources = [
        _without(folder, source) if isinstance(source, str) else source for source in found.sources
    ]
    return found


def look_into_upload(files: Iterable[Mapping[str, Any]], folder: Path) -> Found:
    """Read the volumes in uploaded files; see `kept` and `look_into`."""
    place = folder / UPLOADED
    return look_into(kept(files, place), folder, within=place)


def _plain(problem: TumorSegError, folder: Path) -> TumorSegError:
    """Return a problem that names files as the user does."""
    return type(problem)(_without(folder, str(problem)))


def _without(folder: Path, line: str) -> str:
    """Return a line without the places in a temporary folder to which files were copied."""
    place = rf"{re.escape(str(folder))}[/\\]"
    line = re.sub(rf"{place}(?:{UPLOADED}[/\\](?:\d+[/\\])?|\d+[/\\])", "", line)
    return re.sub(rf"{place}{UPLOADED}\b", "the files", line)


def _source_of(volume: Volume) -> SourceImages | str:
    """Return the headers of a volume's DICOM images, while the files are there, or why not."""
    if volume.origin is None:
        return NOT_DICOM
    try:
        return source_images(volume)
    except OutputError as error:  # resampled, lacks what results repeat, or no highdicom
        return str(error)


def kept(files: Iterable[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write uploaded files to a temporary folder, whatever places their names point to.

    Args:
        files: `name` and `content` of each, and the `folder` that it was in if that is known.
        folder: where to; made if it is not there.

    Returns:
        Their paths. Two of one name, as in subfolders of a DICOM export, get different ones. What
        shared a folder with an image stays together, as a header's voxels may lie beside it.

    Raises:
        OutputError: there is no room for them.
    """
    with full_disks_told():
        return _kept(list(files), folder)


def _kept(files: list[Mapping[str, Any]], folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    with_images = [
        file.get("folder") for file in files if _name(file).lower().endswith(tuple(FORMATS))
    ]
    for number, file in enumerate(files):
        name, home = _name(file), folder
        if file.get("folder") and file["folder"] in with_images:
            home = folder / str(with_images.index(file["folder"]))
            home.mkdir(exist_ok=True)
        path = home / name
        if path.exists():
            path = home / f"{number:06d}-{name}"
        content = file["content"]
        path.write_bytes(b"".join(content) if isinstance(content, list) else content)
        paths.append(path)
    return paths


def _name(file: Mapping[str, Any]) -> str:
    name = PurePosixPath(str(file["name"]).replace("\\", "/")).name
    return "unnamed" if name in ("", ".", "..") else name


def add_to_scene(found: Found) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Add what was found to the scene and return the volume nodes.

    Raises:
        InputError: the scene that was found cannot be read, or holds no volume.
    """
    from TumorSegModule.logic.registration import add_volume
    from TumorSegModule.logic.subject import put_under_patient
    from TumorSegModule.logic.volumes import is_usable

    names = found.names or list(map(_name_of, found.volumes))
    nodes = []
    for volume, name in zip(found.volumes, names, strict=True):
        node = add_volume(volume, _unused(name))
        nodes.append(node)
        if modality_of(volume) == "CT":
            show_soft_tissue(node)
    for node, said in zip(nodes, found.subjects, strict=False):
        put_under_patient(node, said)
    for description in found.scenes:
        before = set(_volumes())
        scene = slicer.mrmlScene
        scene.SetURL(str(description))
        if not scene.Import(None):
            raise InputError(f"{description.name}: cannot be read as a scene of 3D Slicer")
        scene.SetURL("")
        nodes += [node for node in _volumes() if node not in before and is_usable(node)]
    if not nodes:
        raise InputError("the scene holds no volume; open one that has the image, too")
    return nodes


def _unused(name: str) -> str:
    """Return a name that no volume in the scene has, with a number where one has it."""
    taken = {node.GetName() for node in _volumes()}
    numbered = (f"{name} ({number})" for number in count(2))
    return name if name not in taken else next(one for one in numbered if one not in taken)


def show_soft_tissue(node: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Show a CT in the window for soft tissue; from air to bone, organs are one grey."""
    display = node.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*SOFT_TISSUE)


def _name_of(volume: Volume) -> str:
    """Return a name for a volume's node: of a file without the ending that says its format."""
    name = Path(volume.name).name
    ending = next((e for e in FORMATS if name.lower().endswith(e)), "")
    return name[: len(name) - len(ending)] or "volume"


def _look_into_folder(folder: Path, found: Found, within: Path | None = None) -> None:
    """Add the image files in a folder and below it, and the DICOM series.

    Raises:
        InputError: there are none.
    """
    known = len(found.volumes) + len(found.problems)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        if path.name.lower().endswith(tuple(FORMATS)):
            with found.going_on():
                found.add(read_volume(path, within=within))
    for place in sorted({path.parent for path in files}):
        with found.going_on():
            _read(series_in(place), found)
    if len(found.volumes) + len(found.problems) == known:
        raise InputError(f"{folder.name}: {NOTHING}")


def _read(series: Iterable[Series], found: Found) -> None:
    for one in series:
        with found.going_on():
            found.add(one.read(), one)


def _checked_scene(path: Path, folder: Path) -> Path:
    """Unpack a scene that 3D Slicer's reader survives, which is tried in another process.

    Raises:
        InputError: it is damaged, or names files elsewhere.
    """
    description = unpacked(path, folder)
    trial = folder / "trial"
    trial.mkdir()
    if run_reader(description, trial) != 0:
        raise InputError(f"{path.name}: cannot be read as a scene of 3D Slicer; save it again")
    return description


def _volumes() -> list[slicer.vtkMRMLScalarVolumeNode]:
    nodes: list[slicer.vtkMRMLScalarVolumeNode] = slicer.util.getNodesByClass(
        "vtkMRMLScalarVolumeNode"
    )
    return nodes
