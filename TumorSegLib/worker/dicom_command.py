"""What the worker process does with a panel's command to save DICOM objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np

from TumorSegLib.errors import OutputError
from TumorSegLib.image.grid import Grid, grid_from_affine
from TumorSegLib.image.volume import Volume
from TumorSegLib.slicer_io.fingerprint import voxels_fingerprint
from TumorSegLib.slicer_io.named_mask import NamedMask
from TumorSegLib.slicer_io.segments import AUTOMATIC
from TumorSegLib.slicer_io.terminology import terminology_of
from TumorSegLib.support.extras import pip_install
from TumorSegLib.support.version import __version__
from TumorSegLib.worker.dicom_protocol import DicomMask, DicomSaved, SaveDicom, SavingDicom
from TumorSegLib.worker.shared_mask import ArrayOf, named_mask
from TumorSegLib.writing.dicom_content import Algorithm, DicomContent, DicomSegment
from TumorSegLib.writing.replacing import check_replacing

Tell = Callable[[SavingDicom], None]
Item = TypeVar("Item")


def answer(command: SaveDicom, volume: Volume, array: ArrayOf, tell: Tell) -> DicomSaved:
    """Write segmentation and report, and return what to tell the panel.

    Args:
        command: of the panel.
        volume: that was segmented, where it lies in the scene.
        array: see `ArrayOf`.
        tell: told how far it is; may raise to stop.

    Raises:
        TumorSegError: the segments lie on another grid than the volume or are all empty, the volume
            is not as its images are (cropped, moved, resampled), an image is gone, an output is
            there already or cannot be written, highdicom is not installed.
    """
    if find_spec("highdicom") is None:
        raise OutputError(
            f"DICOM objects need highdicom, which is not installed; run {pip_install('dicom')}"
        )
    from TumorSegLib.writing.dicom_report import write_dicom_report
    from TumorSegLib.writing.dicom_segmentation import write_dicom_segmentation
    from TumorSegLib.writing.dicom_source import read_images, source_among

    outputs = tuple(Path(output) for output in command.outputs)
    check_replacing(outputs, advice="choose another folder")
    segments = tuple(_segment(mask, volume, array) for mask in command.masks)
    if not any(segment.mask.any() for segment in segments):
        raise OutputError(
            "no segment has a voxel, so that there is nothing to save; segment or draw first"
        )
    grid = grid_from_affine(np.reshape(command.affine, (4, 4)), volume.grid.shape, volume.name)
    images = [Path(image) for image in command.images]

    def stage(name: str) -> Callable[[int, int], None]:
        return lambda done, total: tell(SavingDicom(command.job, name, done, total))  # type: ignore[arg-type]

    source = source_among(
        _counted(read_images(images), len(images), stage("images")), grid, volume.name
    )
    content = DicomContent(
        replace(volume, grid=grid), segments, command.description, made_by(segments)
    )
    stage("segmentation")(0, 1)
    segmentation = write_dicom_segmentation(content, source, outputs[0])
    try:
        report = write_dicom_report(
            content, segmentation, source, outputs[1], progress=stage("report")
        )
    except BaseException:
        outputs[0].unlink(missing_ok=True)
        raise
    return DicomSaved(
        command.job,
        (str(segmentation.SOPInstanceUID), str(report.SOPInstanceUID)),
        (str(segmentation.SeriesDescription), str(report.SeriesDescription)),
    )


def made_by(segments: Iterable[DicomSegment]) -> Algorithm:
    """Return what DICOM objects name as their device: the first model that drew here."""
    models = (segment.algorithm for segment in segments)
    ours = (model for model in models if model is not None and model.version)
    return next(ours, Algorithm("TumorSeg", __version__))


def drawn_segment(
    drawn: NamedMask,
    grid: Grid,
    terminology: str,
    colour: tuple[int, int, int],
    said: tuple[str, str] = ("", ""),
) -> DicomSegment:
    """Return a segment of a scene on a volume's grid, as DICOM describes it.

    Args:
        drawn: with the fingerprint of what a model drew, "" if none did.
        grid: of the volume.
        terminology: of the segment, as 3D Slicer keeps it.
        colour: red, green, blue, 0 to 255.
        said: AUTOMATIC or SEMIAUTOMATIC and a name, where a DICOM Segmentation said who drew it;
            it counts where nothing is known of a model here.

    Raises:
        InputError: it lies on another grid or reaches beyond the volume.
    """
    box, mask = drawn.placed(grid)
    model, _, version = drawn.model.rpartition(" ")
    corner = (box[0].start, box[1].start, box[2].start)
    corrected = voxels_fingerprint(mask, corner) != drawn.as_drawn
    algorithm = Algorithm(model, version) if model and drawn.as_drawn else None
    if algorithm is None and said[1]:
        corrected = said[0] != AUTOMATIC
        algorithm = Algorithm(said[1], version if said[1] == model else "")
    return DicomSegment(
        drawn.name,
        terminology_of(terminology),
        colour,
        box,
        mask,
        algorithm,
        corrected=corrected,
    )


def _segment(shared: DicomMask, volume: Volume, array: ArrayOf) -> DicomSegment:
    """Return a segment on the volume's grid; raises what `drawn_segment` does."""
    drawn = replace(named_mask(shared.mask, array), as_drawn=shared.as_drawn)
    return drawn_segment(drawn, volume.grid, shared.terminology, shared.colour, shared.algorithm)


def _counted(
    items: Iterable[Item], total: int, progress: Callable[[int, int], None]
) -> Iterator[Item]:
    for done, item in enumerate(items):
        progress(done, total)
        yield item
