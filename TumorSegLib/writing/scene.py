"""Scenes of 3D Slicer (`.mrb`): the volume and its segmentation, three views that show them.

A scene is a zip file of images and a description of the nodes in XML. It is written here without
Slicer's own library, which takes 0.8 GB. Attributes that are left out have Slicer's defaults.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from numpy.typing import NDArray

from TumorSegLib.image.display_window import display_window
from TumorSegLib.image.grid import LPS_FROM_RAS, Grid
from TumorSegLib.image.itk import to_sitk
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.labelled_volume import LabelledVolume
from TumorSegLib.slicer_io.segments import SOURCE, segmentation_header
from TumorSegLib.writing.file_name import file_name_of
from TumorSegLib.writing.image_writing import write_image_atomically

OLDEST_SLICER = "Slicer 5.10.0 0"
"""Slicer warns of scenes that another application or a newer Slicer has saved."""

VIEWS = (
    ("Red", "Axial", 2, "0.953 0.29 0.2"),
    ("Yellow", "Sagittal", 0, "0.929 0.835 0.298"),
    ("Green", "Coronal", 1, "0.431 0.69 0.294"),
)
"""Slicer's views: name, what they show, the RAS axis across them, the colour of their bars."""

ORIENTATIONS = {
    "Axial": ((-1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "Sagittal": ((0, 0, -1), (-1, 0, 0), (0, 1, 0)),
    "Coronal": ((-1, 0, 0), (0, 0, 1), (0, 1, 0)),
}
"""What a view's right, up and towards the reader are, as columns, in RAS."""

VIEW_PIXELS = 400
FILL_OPACITY = 0.15
"""Slicer's 0.5 hides the border between tumour and organ."""

VOLUME = "vtkMRMLScalarVolumeNode1"
SEGMENTATION = "vtkMRMLSegmentationNode1"


def write_scene(labelled: LabelledVolume, path: Path) -> bool:
    """Write a scene to `path`; tell whether all of it was written.

    Its images are left beside `path`, nothing is written elsewhere.
    """
    volume, grid = labelled.volume, labelled.volume.grid
    # Slicer unpacks other than ASCII names as the process's locale has it.
    name = file_name_of(volume.name.encode("ascii", "replace").decode())
    images = {
        path.with_name("volume.nrrd"): f"{name}.nrrd",
        path.with_name("segmentation.seg.nrrd"): f"{name} segmentation.seg.nrrd",
    }
    segments = to_sitk(labelled.labelmap, grid)
    for key, value in segmentation_header(labelled).items():
        segments.SetMetaData(key, value)
    voxels = to_sitk(volume.voxels.astype(_slicer_type(volume.voxels), copy=False), grid)
    for image, written in zip((voxels, segments), images, strict=True):
        if not write_image_atomically(image, written):
            return False
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("scene/scene.mrml", _description(labelled, *images.values()))
        for written, inside in images.items():
            bundle.write(written, f"scene/Data/{inside}")
    return True


def _description(labelled: LabelledVolume, volume_file: str, segmentation_file: str) -> bytes:
    """Return the scene's nodes as XML, UTF-8.

    Args:
        labelled: what is shown.
        volume_file: name of the volume's file.
        segmentation_file: name of the segmentation's file.
    """
    volume = labelled.volume
    scene = Element("MRML", version=OLDEST_SLICER)
    _add_volume(scene, volume, volume_file)
    references = {
        "display": "vtkMRMLSegmentationDisplayNode1",
        "referenceImageGeometryRef": VOLUME,
        "storage": "vtkMRMLSegmentationStorageNode1",
    }
    _add(
        scene,
        "Segmentation",
        SEGMENTATION,
        f"{volume.name} segmentation",
        references=_references(references),
        SourceRepresentationName=SOURCE,
    )
    _add(
        scene,
        "SegmentationDisplay",
        references["display"],
        "SegmentationDisplay",
        Opacity2DFill=FILL_OPACITY,
    )
    _add_storage(scene, "Segmentation", references["storage"], segmentation_file)
    position = LPS_FROM_RAS[:3, :3] @ _shown(labelled)
    for view in VIEWS:
        _add_view(scene, view, volume.grid, position)
    content: bytes = tostring(scene, encoding="UTF-8", xml_declaration=True)
    return content


def _add_volume(scene: Element, volume: Volume, file: str) -> None:
    matrix = LPS_FROM_RAS @ volume.grid.affine
    references = {
        "display": "vtkMRMLScalarVolumeDisplayNode1",
        "storage": "vtkMRMLVolumeArchetypeStorageNode1",
    }
    _add(
        scene,
        "Volume",
        VOLUME,
        volume.name,
        references=_references(references),
        spacing=_numbers(volume.grid.spacing),
        origin=_numbers(matrix[:3, 3]),
        ijkToRASDirections=_numbers((matrix[:3, :3] / volume.grid.spacing).ravel()),
    )
    low, high = display_window(volume)
    _add(
        scene,
        "VolumeDisplay",
        references["display"],
        "VolumeDisplay",
        colorNodeID="vtkMRMLColorTableNodeGrey",
        window=high - low,
        level=(low + high) / 2,
        autoWindowLevel=0,
    )
    _add_storage(scene, "VolumeArchetype", references["storage"], file)


def _add_view(
    scene: Element, view: tuple[str, str, int, str], grid: Grid, position: NDArray[np.float64]
) -> None:
    """Add a view that shows the whole volume in the plane through a RAS position in mm."""
    name, orientation, across, colour = view
    corners = np.array(np.meshgrid(*([-0.5, count - 0.5] for count in grid.shape), indexing="ij"))
    ras = grid.positions(corners.reshape(3, -1).T) @ LPS_FROM_RAS[:3, :3]
    sizes = np.ptp(ras, axis=0)
    width = max(size for axis, size in enumerate(sizes) if axis != across)
    middle = (ras.min(axis=0) + ras.max(axis=0)) / 2
    middle[across] = position[across]
    to_ras = np.eye(4)
    to_ras[:3, :3] = np.transpose(ORIENTATIONS[orientation])
    to_ras[:3, 3] = middle
    steps = np.abs((LPS_FROM_RAS @ grid.affine)[across, :3])
    presets = {
        f"orientationMatrix{preset}": _numbers(np.transpose(columns).ravel())
        for preset, columns in ORIENTATIONS.items()
    }
    _add(
        scene,
        "Slice",
        f"vtkMRMLSliceNode{name}",
        name,
        singletonTag=name,
        layoutLabel=name[0],
        layoutName=name,
        layoutColor=colour,
        fieldOfView=_numbers((width, width, steps.max())),
        dimensions=f"{VIEW_PIXELS} {VIEW_PIXELS} 1",
        sliceToRAS=_numbers(to_ras.ravel()),
        orientation=orientation,
        orientationReference=orientation,
        **presets,
    )
    _add(
        scene,
        "SliceComposite",
        f"vtkMRMLSliceCompositeNode{name}",
        f"SliceComposite{name}",
        singletonTag=name,
        layoutName=name,
        references=_references({"backgroundVolume": VOLUME}),
    )


def _add_storage(scene: Element, kind: str, identity: str, file: str) -> None:
    name = re.sub("[% ']", lambda found: f"%{ord(found[0]):02X}", file)  # as Slicer decodes it
    _add(scene, f"{kind}Storage", identity, f"{kind}Storage", fileName=f"Data/{name}")


def _add(scene: Element, tag: str, identity: str, name: str, **attributes: object) -> None:
    words = {key: str(value) for key, value in attributes.items()}
    SubElement(scene, tag, {"id": identity, "name": _printable(name), **words})


def _printable(name: str) -> str:
    """Return a name without what XML and UTF-8 cannot hold: control characters, stray bytes."""
    return re.sub("[^\\t\\n\\r -\\ufffd\\U00010000-\\U0010ffff]|[\\ud800-\\udfff]", "_", name)


def _references(nodes: dict[str, str]) -> str:
    return "".join(f"{role}:{node};" for role, node in nodes.items())


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value + 0.0:.17g}" for value in values)


def _shown(labelled: LabelledVolume) -> NDArray[np.float64]:
    """Return the LPS position in mm where most is labelled, else the volume's middle."""
    grid = labelled.volume.grid
    centre = [(count - 1) / 2 for count in grid.shape]
    if labelled.labelmap.any():
        fullest = int(np.argmax([np.count_nonzero(plane) for plane in labelled.labelmap]))
        rows, columns = np.nonzero(labelled.labelmap[fullest])
        centre = [fullest, float(np.median(rows)), float(np.median(columns))]
    position: NDArray[np.float64] = grid.positions(np.array([centre]))[0]
    return position


def _slicer_type(voxels: NDArray[Any]) -> np.dtype[Any]:
    """Return the number type in which Slicer can keep these voxels, in the machine's byte order."""
    if voxels.dtype == np.float16:
        return np.dtype(np.float32)
    if voxels.dtype.kind in "iu" and voxels.dtype.itemsize == 8:
        smallest = np.result_type(
            np.min_scalar_type(voxels.min()), np.min_scalar_type(voxels.max())
        )
        return smallest if smallest.itemsize < 8 else np.dtype(np.float64)
    return voxels.dtype.newbyteorder("=")
