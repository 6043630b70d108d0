"""What is registered when Slicer starts: sample data and terminology. Nothing is downloaded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from TumorSegLib.image.volume import Volume
from TumorSegLib.support.places import resources

ICONS = Path(__file__).resolve().parents[2] / "Resources" / "Icons"
TERMINOLOGY = resources() / "Terminology" / "TumorSeg.term.json"
CATEGORY = "TumorSeg"


def register() -> None:
    """Register everything; what cannot be registered is logged in a line, the rest is there."""
    for name, step in (
        ("sample data", register_sample_data),
        ("terminology", register_terminology),
    ):
        try:
            step()
        except Exception as error:  # of Slicer's own code, whose versions differ
            logging.error(f"TumorSeg: {name} could not be registered: {error!r}")


def register_terminology() -> None:
    """Offer the models' terms in the Segment Editor's list of terminologies.

    Raises:
        RuntimeError: Slicer cannot read them.
    """
    logic = slicer.modules.terminologies.logic()
    if not logic.LoadTerminologyFromFile(str(TERMINOLOGY)):
        raise RuntimeError(f"{TERMINOLOGY}: cannot be read")


def register_sample_data() -> None:
    """Offer digital phantoms in the module Sample Data; they are made on the spot."""
    import SampleData

    for icon, name, load in (
        ("brain", _("Brain phantom (FLAIR, T1, T1c)"), load_brain_phantom),
        ("abdomen", _("Abdomen phantom (CT)"), load_abdomen_phantom),
    ):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris=[],
            fileNames=[],
            nodeNames=[],
            customDownloader=load,
            thumbnailFileName=str(ICONS / f"{icon}.png"),
        )


def load_brain_phantom(_source: Any = None) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Add the sequences of a head with a glioma to the scene and return their nodes."""
    from TumorSegLib.phantom import brain_phantom

    volumes, _labels = brain_phantom()
    return [add_volume(volume, f"Phantom {name.upper()}") for name, volume in volumes.items()]


def load_abdomen_phantom(_source: Any = None) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Add the CT of an abdomen with liver tumours to the scene and return its node in a list."""
    from TumorSegLib.phantom import abdomen_phantom

    volume, _labels = abdomen_phantom()
    return [add_volume(volume, "Phantom CT")]


def add_volume(volume: Volume, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a `TumorSegLib.image.volume.Volume` to the scene and return the node."""
    from TumorSegLib.image.grid import LPS_FROM_RAS

    node = slicer.util.addVolumeFromArray(
        volume.voxels, ijkToRAS=LPS_FROM_RAS @ volume.grid.affine, name=name
    )
    if volume.modality:
        node.SetAttribute("DICOM.Modality", volume.modality)
    return node
