"""The part of the protocol that is about DICOM objects; see `protocol`. Loads no NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from TumorSegLib.worker.shared_voxels import Numbers, SharedMask, SharedVolume


@dataclass(frozen=True)
class DicomMask:
    """A segment for DICOM.

    Attributes:
        mask: its voxels and name.
        terminology: value of its tag `TerminologyEntry`.
        colour: red, green, blue, 0 to 255.
        as_drawn: fingerprint of the voxels as the model left them; empty if none drew them.
        algorithm: AUTOMATIC or SEMIAUTOMATIC and a name, where a DICOM Segmentation said who drew
            it; empty otherwise.
    """

    mask: SharedMask
    terminology: str
    colour: tuple[int, int, int]
    as_drawn: str = ""
    algorithm: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class SaveDicom:
    """Write segments as DICOM Segmentation and structured report.

    Attributes:
        job: number that the answers carry.
        volume: that was segmented, where it lies in the scene.
        affine: 4x4 from its voxel indices (x, y, z) to LPS mm, row by row, as it was read: without
            the transform that it lies under.
        masks: segments, in the scene as well.
        images: files that it was read from.
        outputs: files to write, segmentation and report, which are not there yet.
        description: of the series.
    """

    kind: ClassVar[str] = "save dicom"
    job: int
    volume: SharedVolume
    affine: Numbers
    masks: tuple[DicomMask, ...]
    images: tuple[str, ...]
    outputs: tuple[str, str]
    description: str


@dataclass(frozen=True)
class SavingDicom:
    """How far DICOM objects are: `done` of `total` images, or of segments that are measured."""

    kind: ClassVar[str] = "saving dicom"
    job: int
    stage: Literal["images", "segmentation", "report"]
    done: int
    total: int


@dataclass(frozen=True)
class DicomSaved:
    """The DICOM objects are written.

    Attributes:
        job: of the command.
        instances: SOPInstanceUIDs of segmentation and report.
        descriptions: of their series.
    """

    kind: ClassVar[str] = "dicom saved"
    job: int
    instances: tuple[str, str]
    descriptions: tuple[str, str]
