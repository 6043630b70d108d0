"""Segmentations and their volumes from scenes of 3D Slicer (`.mrb`), with Slicer's own MRML."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.image.correction import Correction
from TumorSegLib.image.volume import Volume
from TumorSegLib.reading.file_path import readable
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.slicer_io.nodes import (
    correction_of,
    is_case,
    is_reviewed,
    masks_of,
    patient_of,
    volume_of,
    voxels_of,
)
from TumorSegLib.slicer_io.scene_files import named_elsewhere, names_elsewhere
from TumorSegLib.support.archive import ArchiveError, opened_archive, unpack
from TumorSegLib.support.extras import pip_install
from TumorSegLib.support.quiet import quiet_stderr
from TumorSegLib.support.signals import signals_held

PREFIX = "tumorseg-scene-"
"""Begins the names of the folders into which scenes are unpacked."""

MOST_FILES = 20_000


@dataclass(frozen=True)
class SceneCase:
    """A segmentation of a scene.

    Attributes:
        name: of the segmentation.
        volume: that it was drawn on.
        others: the scene's further volumes.
        masks: its segments.
        patient: see `TumorSegLib.export.case.ExportCase`, as the two that follow.
        reviewed: by a person.
        correction: by a person.
    """

    name: str
    volume: Volume
    others: tuple[Volume, ...]
    masks: tuple[NamedMask, ...]
    patient: str | None
    reviewed: bool
    correction: Correction | None


def read_scene(path: Path) -> list[SceneCase]:
    """Read the segmentations in `path` that are cases.

    Raises:
        InputError: the file cannot be read, holds no segmentation with its volume, or slicer-core
            is not installed.
    """
    readable(path)
    if find_spec("slicer_core") is None:
        raise InputError(
            f"{path}: scenes need slicer-core, which is not installed; run {pip_install('slicer')}"
            " or save the segmentation as .seg.nrrd"
        )
    # Slicer changes the working directory while it unpacks
    with chdir(Path.cwd()), quiet_stderr(), signals_held(), _scene(path.absolute()) as scene:
        segmentations = [node for node in _nodes(scene, "vtkMRMLSegmentationNode") if is_case(node)]
        if not segmentations:
            raise InputError(f"{path}: holds no segmentation together with its volume")
        hierarchy = scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode")
        drawn_on = {volume_of(node).GetID() for node in segmentations}
        volumes = {}
        for node in _nodes(scene, "vtkMRMLScalarVolumeNode"):
            if node.GetID() in drawn_on:
                volumes[node.GetID()] = _volume(node)
            elif not node.IsA("vtkMRMLLabelMapVolumeNode"):
                with suppress(InputError):  # whatever else a scene holds is no sequence
                    volumes[node.GetID()] = _volume(node)
        return [_case(node, volumes, hierarchy) for node in segmentations]


def _unpacked(path: Path, folder: Path) -> Path:
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
        raise OutputError(
            f"{path}: cannot be unpacked in {tempfile.gettempdir()}: {error.strerror or error};"
            " free space there, or set TMPDIR to another folder"
        ) from None
    descriptions = sorted(folder.rglob("*.mrml"), key=lambda found: (len(found.parts), found))
    if not descriptions:
        raise InputError(f"{path}: cannot be read as a scene of 3D Slicer; save it again")
    elsewhere = named_elsewhere(descriptions[0].read_bytes())
    images = (file for file in folder.rglob("*") if file.is_file())
    elsewhere = elsewhere or next(filter(None, map(names_elsewhere, images)), None)
    if elsewhere is not None:
        raise InputError(
            f"{path}: names a file outside the scene, {elsewhere}; save it again with all its data"
        )
    return descriptions[0]


def _case(segmentation: Any, volumes: Mapping[str, Volume], hierarchy: Any) -> SceneCase:
    node = volume_of(segmentation)
    volume = volumes[node.GetID()]
    return SceneCase(
        segmentation.GetName(),
        volume,
        tuple(other for other in volumes.values() if other is not volume),
        masks_of(segmentation),
        patient_of(node, hierarchy),
        is_reviewed(segmentation),
        correction_of(segmentation),
    )


def _volume(node: Any) -> Volume:
    return Volume(voxels_of(node).copy(), placement_of(node).grid, name=node.GetName())


def _nodes(scene: Any, kind: str) -> list[Any]:
    return [scene.GetNthNodeByClass(n, kind) for n in range(scene.GetNumberOfNodesByClass(kind))]


@contextmanager
def _scene(path: Path) -> Iterator[Any]:
    """Yield the scene in `path`; what is unpacked meanwhile is removed."""
    import slicer
    from vtk import vtkCommand

    _remove_orphans()
    with _folder_to_unpack() as folder:
        description = _unpacked(path, Path(folder) / "scene")
        scene = slicer.vtkMRMLScene()
        application = slicer.vtkSlicerApplicationLogic()
        application.SetTemporaryPath(folder)
        application.SetMRMLScene(scene)
        cache = slicer.vtkCacheManager()
        cache.SetRemoteCacheDirectory(folder)
        manager = slicer.vtkDataIOManager()
        manager.SetCacheManager(cache)
        scene.SetCacheManager(cache)
        scene.SetDataIOManager(manager)
        kept = SimpleNamespace(application=application, manager=manager, logics=[])
        for kind in (slicer.vtkSlicerVolumesLogic, slicer.vtkSlicerSegmentationsModuleLogic):
            logic = kind()
            logic.SetMRMLApplicationLogic(application)
            logic.SetMRMLScene(scene)
            kept.logics.append(logic)
        messages = slicer.vtkMRMLMessageCollection()
        scene.SetURL(str(description))
        read = scene.Import(messages)
        if not read or messages.GetNumberOfMessagesOfType(vtkCommand.ErrorEvent):
            raise InputError(f"{path}: cannot be read as a scene of 3D Slicer; save it again")
        yield scene
        scene.Clear()


def _folder_to_unpack() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that goes with the block; on Windows, files that VTK keeps open stay."""
    return tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True)


def _remove_orphans() -> None:
    """Remove what a killed process has unpacked, on Linux, where it can be known to be gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = path.name.removeprefix(PREFIX).partition("-")[0]
        if Path("/proc/self").exists() and not Path("/proc", owner).exists():
            shutil.rmtree(path, ignore_errors=True)
