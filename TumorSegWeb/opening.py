"""Volumes and scenes into the session's scene: files that were named or uploaded, phantoms.

Nothing here knows trame. Files are read by `TumorSegLib.reading`, as the command reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import slicer

from TumorSegLib.errors import InputError, OutputError
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

if TYPE_CHECKING:
    from TumorSegLib.writing.dicom_source import SourceImages

SCENE = ".mrb"
ARCHIVE = ".zip"
DETACHED = (".raw", ".zraw", ".img", ".gz")
"""Endings of files that hold the voxels of a header beside them."""

MOST_FILES = 100_000


@dataclass
class Found:
    """What was in files, before it is in the scene.

    Attributes:
        volumes: one after the other.
        sources: of each, the DICOM images that results can refer to, None if there are none.
        subjects: of each, what its DICOM images say of patient and study, by DICOM's keyword.
        scene: description (`.mrml`) of an unpacked scene, None if there is none.
    """

    volumes: list[Volume] = field(default_factory=list)
    sources: list[SourceImages | None] = field(default_factory=list)
    subjects: list[dict[str, str]] = field(default_factory=list)
    scene: Path | None = None


def phantoms() -> Mapping[str, Callable[[], list[Volume]]]:
    """Return what makes each phantom, by its title."""
    return SAMPLES


def look_into(paths: Iterable[Path], folder: Path) -> Found:
    """Read the volumes in files and folders; this takes a while, and touches no scene.

    Args:
        paths: as they were named, or all files of one upload.
        folder: temporary one, for what has to be unpacked.

    Raises:
        InputError: one cannot be read, or there is nothing to read.
    """
    found = Found()
    others = []
    for number, path in enumerate(paths):
        name = path.name.lower()
        if name.endswith(SCENE):
            found.scene = _checked_scene(path, folder / f"scene {number}")
        elif name.endswith(ARCHIVE):
            content = folder / f"archive {number}"
            with opened_archive(path, MOST_FILES) as archive:
                unpack(archive, content)
            found.volumes += _in_folder(content)
        elif path.is_dir():
            found.volumes += _in_folder(path)
        elif name.endswith(tuple(FORMATS)):
            found.volumes.append(read_volume(path))
        elif not name.endswith(DETACHED):
            others.append(path)
    if others and not found.volumes and found.scene is None:
        found.volumes.append(read_volume(others[0]))
    if not found.volumes and found.scene is None:
        raise InputError(
            "there is no volume in these files; expected NIfTI, NRRD, MetaImage, .mrb, or DICOM as"
            " files, folder or .zip"
        )
    found.sources = [_source_of(volume) for volume in found.volumes]
    found.subjects = [said_by(volume) for volume in found.volumes]
    return found


def _source_of(volume: Volume) -> SourceImages | None:
    """Return the headers of a volume's DICOM images, while the files are there."""
    try:
        return source_images(volume)
    except OutputError:  # not from DICOM, resampled, or no highdicom
        return None


def kept(files: Iterable[Mapping[str, Any]], folder: Path) -> list[Path]:
    """Write uploaded files to a temporary folder, whatever places their names point to.

    Args:
        files: `name` and `content` of each, and the `folder` that it was in if that is known.
        folder: where to; made if it is not there.

    Returns:
        Their paths. Two of one name, as in subfolders of a DICOM export, get different ones. What
        shared a folder with an image stays together, as a header's voxels may lie beside it.
    """
    folder.mkdir(exist_ok=True)
    files, paths = list(files), []
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

    nodes = [add_volume(volume, _name_of(volume)) for volume in found.volumes]
    for node, volume in zip(nodes, found.volumes, strict=True):
        if modality_of(volume) == "CT":
            show_soft_tissue(node)
    for node, said in zip(nodes, found.subjects, strict=False):
        put_under_patient(node, said)
    if found.scene is not None:
        before = set(_volumes())
        scene = slicer.mrmlScene
        scene.SetURL(str(found.scene))
        if not scene.Import(None):
            raise InputError(f"{found.scene.name}: cannot be read as a scene of 3D Slicer")
        scene.SetURL("")
        nodes += [node for node in _volumes() if node not in before and is_usable(node)]
    if not nodes:
        raise InputError("the scene holds no volume; open one that has the image, too")
    return nodes


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


def _in_folder(folder: Path) -> list[Volume]:
    """Return the image files in a folder, or the DICOM series that it is."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    images = [path for path in files if path.name.lower().endswith(tuple(FORMATS))]
    if images:
        return [read_volume(path) for path in images]
    volumes, problem = [], InputError(f"{folder.name}: holds no files")
    for place in sorted({path.parent for path in files}):
        try:
            volumes.append(read_volume(place))
        except InputError as error:  # a folder of reports beside the images, for instance
            problem = error
    if not volumes:
        raise problem
    return volumes


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
