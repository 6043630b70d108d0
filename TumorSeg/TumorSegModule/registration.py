"""What is registered when Slicer starts: sample data and terminology. Nothing is downloaded."""

from pathlib import Path

import slicer
from slicer.i18n import tr as _

import TumorSegLib

ICONS = Path(__file__).resolve().parent.parent / "Resources" / "Icons"
TERMINOLOGY = Path(TumorSegLib.__file__).parent.parent / "Resources/Terminology/TumorSeg.term.json"
CATEGORY = "TumorSeg"


def register_terminology():
    """Offer the models' terms in the Segment Editor's list of terminologies."""
    slicer.modules.terminologies.logic().LoadTerminologyFromFile(str(TERMINOLOGY))


def register_sample_data():
    """Offer digital phantoms in the module Sample Data; they are made on the spot."""
    import SampleData

    for name, icon, title, load in (
        ("TumorSegBrain", "brain", _("Brain phantom (FLAIR, T1, T1c)"), load_brain_phantom),
        ("TumorSegAbdomen", "abdomen", _("Abdomen phantom (CT)"), load_abdomen_phantom),
    ):
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            thumbnailFileName=str(ICONS / f"{icon}.png"),
            uris=[],
            fileNames=[],
            nodeNames=[],
            customDownloader=lambda source, load=load: load(),
            checksums=None,
            sampleDescription=title,
        )


def load_brain_phantom():
    """Add the sequences of a head with a glioma to the scene and return their nodes."""
    from TumorSegLib.phantom import brain_phantom

    volumes, _labels = brain_phantom()
    return [add_volume(volume, f"Phantom {name.upper()}") for name, volume in volumes.items()]


def load_abdomen_phantom():
    """Add the CT of an abdomen with liver tumours to the scene and return its node."""
    from TumorSegLib.phantom import abdomen_phantom

    volume, _labels = abdomen_phantom()
    return [add_volume(volume, "Phantom CT")]


def add_volume(volume, name):
    """Add a `TumorSegLib.volume.Volume` to the scene and return the node."""
    from TumorSegLib.grid import LPS_FROM_RAS

    node = slicer.util.addVolumeFromArray(
        volume.voxels, ijkToRAS=LPS_FROM_RAS @ volume.grid.affine, name=name
    )
    if volume.modality:
        node.SetAttribute("DICOM.Modality", volume.modality)
    return node
