"""The DICOM images that a volume node was read from, in Slicer's DICOM database. MRML, no Qt."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from TumorSegLib.errors import InputError

INSTANCES = "DICOM.instanceUIDs"
"""Attribute of a volume node that Slicer's DICOM module sets: SOPInstanceUIDs."""


def has_database() -> bool:
    """Tell whether Slicer's DICOM database is open; without its module there is none."""
    return hasattr(slicer, "dicomDatabase") and bool(slicer.dicomDatabase.isOpen)


def why_not_written() -> str:
    """Return why nothing can be added to the database, "" if it can."""
    if not has_database():
        return _(
            "Slicer's DICOM database is not open; open it in the module DICOM, or save files to a"
            " folder."
        )
    folder = slicer.dicomDatabase.databaseDirectory
    if not os.access(folder, os.W_OK):
        return _(
            "Slicer's DICOM database in {folder} is read-only; choose another one in the module"
            " DICOM, or save files to a folder."
        ).format(folder=folder)
    return ""


def images_of(
    volume: slicer.vtkMRMLScalarVolumeNode,
) -> Generator[None, None, tuple[str, ...]]:
    """Return the files that a volume node was read from, as a generator that looks one by one.

    Raises:
        InputError: it was not read from DICOM, an image is no longer there, or the node lies under
            a transform that stands for a tilted gantry or uneven slices.
    """
    name = volume.GetName()
    transform = volume.GetParentTransformNode()
    if transform is not None and not transform.IsTransformToWorldLinear():
        raise InputError(
            _(
                "{name}: its slices are tilted, uneven or warped (transform {transform}), so no"
                " DICOM segmentation can refer to their images; save it as .seg.nrrd"
            ).format(name=name, transform=transform.GetName())
        )
    instances = (volume.GetAttribute(INSTANCES) or "").split()
    if not instances:
        raise InputError(
            _(
                "{name}: was not loaded from Slicer's DICOM database, so there are no images that a"
                " DICOM segmentation could refer to; import the series with Add DICOM Data"
            ).format(name=name)
        )
    if not has_database():
        raise InputError(
            _("Slicer's DICOM database is not open, which knows the images of {name}").format(
                name=name
            )
        )
    files = []
    for instance in instances:
        file = slicer.dicomDatabase.fileForInstance(instance)
        if not file:
            raise InputError(
                _(
                    "{name}: its images are not in Slicer's DICOM database any more; import the"
                    " series again"
                ).format(name=name)
            )
        if not Path(file).is_file():
            raise InputError(
                _(
                    "{name}: the image {file} is not there any more; put it back or import the"
                    " series again"
                ).format(name=name, file=file)
            )
        files.append(file)
        yield
    return tuple(files)
