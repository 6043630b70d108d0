"""Results as DICOM objects for a PACS: a segmentation, and a report with its measurements."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from TumorSegLib.errors import OutputError
from TumorSegLib.image.volume import Volume
from TumorSegLib.model.labelled_volume import LabelledVolume
from TumorSegLib.support.extras import pip_install

if TYPE_CHECKING:
    from TumorSegLib.writing.dicom_source import SourceImages


def source_images(volume: Volume) -> SourceImages:
    """Return the images that DICOM results of a volume refer to; call it before long work.

    Raises:
        OutputError: the volume was not read from DICOM or was resampled while it was read, its
            images say what no segmentation can repeat, or highdicom is not installed.
    """
    if volume.origin is None:
        raise OutputError(
            f"{volume.name}: was not read from DICOM, whose images a DICOM segmentation refers to;"
            " give the folder of the series, or write another format, such as .seg.nrrd"
        )
    if find_spec("highdicom") is None:
        raise OutputError(
            "DICOM segmentations need highdicom, which is not installed; run"
            f" {pip_install('dicom')} or choose .seg.nrrd"
        )
    from TumorSegLib.writing.dicom_content import content_of_one_voxel
    from TumorSegLib.writing.dicom_segmentation import segmentation_dataset
    from TumorSegLib.writing.dicom_source import find_source

    source = find_source(volume.origin.place, volume.grid, series=volume.origin.series)
    segmentation_dataset(content_of_one_voxel(volume), source)  # what it refuses, it refuses now
    return source


def write_dicom(
    labelled: LabelledVolume,
    source: SourceImages,
    path: str | os.PathLike[str],
    report: str | os.PathLike[str] | None = None,
) -> None:
    """Write a DICOM Segmentation and, if asked for, a structured report; each whole or absent.

    Args:
        labelled: volume, label map and the model's labels.
        source: what `source_images` found for the volume.
        path: of the segmentation.
        report: of the structured report that refers to it.

    Raises:
        OutputError: the images lack what a segmentation must repeat, or a file cannot be written.
    """
    from TumorSegLib.writing.dicom_content import content_of
    from TumorSegLib.writing.dicom_report import write_dicom_report
    from TumorSegLib.writing.dicom_segmentation import write_dicom_segmentation

    content = content_of(labelled)
    segmentation = write_dicom_segmentation(content, source, Path(path))
    if report is not None:
        write_dicom_report(content, segmentation, source, Path(report))
