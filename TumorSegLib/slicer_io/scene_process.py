"""Reads an unpacked scene with 3D Slicer's own MRML, in a process that may come to grief by it.

`python -m TumorSegLib.slicer_io.scene_process DESCRIPTION FOLDER` reads the `.mrml` file
DESCRIPTION and leaves its cases in FOLDER. VTK and ITK end the process on some damaged scenes.
"""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from TumorSegLib.errors import InputError
from TumorSegLib.image.volume import Volume
from TumorSegLib.slicer_io.geometry import placement_of
from TumorSegLib.slicer_io.nodes import (
    correction_of,
    is_case,
    is_reviewed,
    masks_of,
    patient_of,
    volume_of,
    voxels_of,
)
from TumorSegLib.slicer_io.scene_case import SceneCase, write_answer, write_cases

NO_SCENE = "cannot be read as a scene of 3D Slicer; save it again"


def main(description: str, folder: str) -> None:
    """Read a scene; leave its cases, or why there are none, in `folder`."""
    place = Path(folder)
    try:
        with _scene(Path(description), place) as scene:
            write_cases(_cases(scene), place)
    except InputError as error:
        write_answer({"refused": str(error)}, place)
    except OSError as error:
        write_answer({"full": error.strerror or str(error)}, place)
    except MemoryError:
        write_answer({"refused": "needs more memory than is free"}, place)
    except Exception:
        write_answer({"fault": traceback.format_exc()}, place)


def _cases(scene: Any) -> list[SceneCase]:
    """Return the segmentations that are cases.

    Raises:
        InputError: there is none, or one cannot be used.
    """
    segmentations = [node for node in _nodes(scene, "vtkMRMLSegmentationNode") if is_case(node)]
    if not segmentations:
        raise InputError("holds no segmentation together with its volume")
    for node in segmentations:
        if volume_of(node) is None:
            raise InputError(
                f"the volume of the segmentation {node.GetName()} is not in the scene; choose it"
                " as its source geometry, or remove the segmentation, and save the scene again"
            )
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
def _scene(description: Path, folder: Path) -> Iterator[Any]:
    """Yield the scene of a description; its cache is in `folder`.

    Raises:
        InputError: 3D Slicer cannot read it, or not all that it names.
    """
    import slicer
    from vtk import vtkCommand

    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetTemporaryPath(str(folder))
    application.SetMRMLScene(scene)
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(str(folder))
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
        raise InputError(NO_SCENE)
    yield scene
    scene.Clear()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    main(*sys.argv[1:])
