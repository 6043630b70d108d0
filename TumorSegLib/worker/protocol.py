"""What the panel and the worker process say to each other: one JSON object a line.

The panel writes commands to the worker's standard input, the worker answers on its standard
output. Voxels never travel here, they lie in blocks of shared memory. Importing this loads neither
torch nor NumPy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from TumorSegLib.image.correction import Correction
from TumorSegLib.inference.given_up import GivenUp
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.support.schema import from_dict, parsed, to_dict
from TumorSegLib.worker.dicom_protocol import DicomSaved, SaveDicom, SavingDicom
from TumorSegLib.worker.measure_protocol import Measure, Measured
from TumorSegLib.worker.report_protocol import ReportWritten, WriteReport
from TumorSegLib.worker.shared_voxels import SharedMask, SharedVolume


@dataclass(frozen=True)
class Share:
    """Attach to a block of shared memory and remove its name."""

    kind: ClassVar[str] = "share"
    block: str
    size: int


@dataclass(frozen=True)
class Forget:
    """Let go of a block."""

    kind: ClassVar[str] = "forget"
    block: str


@dataclass(frozen=True)
class Segment:
    """Segment a volume.

    Attributes:
        job: number that the answers carry.
        model: folder of the bundle.
        volumes: by channel name, the volume itself first.
        labelmap: block to write label values to, uint8 in the volume's shape.
        probabilities: block to write to, uint8 (labels, *shape).
        options: how; the slice detector is named by its folder.
        server: address of the one to run on; "": here.
    """

    kind: ClassVar[str] = "segment"
    job: int
    model: str
    volumes: Mapping[str, SharedVolume]
    labelmap: str
    probabilities: str
    options: RunOptions = field(default_factory=RunOptions)
    server: str = ""


@dataclass(frozen=True)
class Export:
    """Append a case to a data set; see `TumorSegLib.export.case`.

    Attributes:
        job: number that the answer carries.
        dataset: folder.
        model: folder of the bundle whose labels count.
        volumes: by channel name, the volume itself first.
        masks: segments.
        mapping: from names of segments to names of labels.
        patient: what tells the patient from others.
        reviewed: by a person.
        correction: by a person.
        replace: an earlier export of the same volume.
        one_file_a_segment: instead of a label map.
    """

    kind: ClassVar[str] = "export"
    job: int
    dataset: str
    model: str
    volumes: Mapping[str, SharedVolume]
    masks: tuple[SharedMask, ...]
    mapping: Mapping[str, str]
    patient: str | None = None
    reviewed: bool = False
    correction: Correction | None = None
    replace: bool = False
    one_file_a_segment: bool = False


@dataclass(frozen=True)
class Threshold:
    """Label the probabilities of the last job anew, with more or less `sensitivity` (-1 to 1)."""

    kind: ClassVar[str] = "threshold"
    job: int
    sensitivity: float


@dataclass(frozen=True)
class Cancel:
    """Stop a job, running or waiting."""

    kind: ClassVar[str] = "cancel"
    job: int


Command = Share | Forget | Segment | Export | Measure | SaveDicom | WriteReport | Threshold | Cancel


@dataclass(frozen=True)
class Queued:
    """The job waits for a server; `place` is 1 where it is the next."""

    kind: ClassVar[str] = "queued"
    job: int
    place: int


@dataclass(frozen=True)
class Started:
    """The model is in memory and the first slice is about to be computed.

    Attributes:
        job: of the command.
        device: where the network runs.
        note: why there.
        seconds: since the command was read.
    """

    kind: ClassVar[str] = "started"
    job: int
    device: str
    note: str
    seconds: float


@dataclass(frozen=True)
class Progress:
    """Axial slices start..stop are in the label map; `done` of `total` slices are."""

    kind: ClassVar[str] = "progress"
    job: int
    done: int
    total: int
    start: int
    stop: int


@dataclass(frozen=True)
class Done:
    """The job is done.

    Attributes:
        job: of the command.
        box: start and stop along (z, y, x) of the array that hold every label; empty if there is
            none.
        device: where the network ran.
        precision: of its arithmetic.
        seconds: by stage.
        warnings: lines for the user.
        slices: index, area in mm2, uncertainty and expected correction in mm2 of each axial slice;
            see `TumorSegLib.inference.result.SliceMetrics`.
        given_up: what the filter of false positives took out, the likeliest first.
        names: of the volumes by channel, which the warnings tell; the segmented one is first.
        fingerprints: of each label's voxels, see `TumorSegLib.slicer_io.fingerprint`.
        settings: how the model was run, see `TumorSegLib.inference.result.SegmentationResult`.
    """

    kind: ClassVar[str] = "done"
    job: int
    box: tuple[int, ...]
    device: str
    precision: str
    seconds: Mapping[str, float]
    warnings: tuple[str, ...]
    slices: tuple[tuple[int, float, float, float], ...]
    given_up: tuple[GivenUp, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    fingerprints: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Thresholded:
    """The label map has been written anew; `box` and `fingerprints` as in `Done`."""

    kind: ClassVar[str] = "thresholded"
    job: int
    sensitivity: float
    box: tuple[int, ...]
    fingerprints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exported:
    """A case is in the data set; see `TumorSegLib.export.case.Appended`."""

    kind: ClassVar[str] = "exported"
    job: int
    case: str
    count: int
    replaced: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Refused:
    """A case is not in the data set, but may be: replaced, or with one file a segment."""

    kind: ClassVar[str] = "refused"
    job: int
    reason: Literal["exists", "overlap"]
    message: str


@dataclass(frozen=True)
class Stopped:
    """The job was cancelled."""

    kind: ClassVar[str] = "stopped"
    job: int


@dataclass(frozen=True)
class Failed:
    """The job failed; `message` is for the user, `details` for the log, `here` if it can run here.

    The last is so where a server is away or refuses.
    """

    kind: ClassVar[str] = "failed"
    job: int
    message: str
    details: str = ""
    here: bool = False


_Answer = Queued | Started | Progress | Done | Thresholded | Exported | Refused | Measured
Event = _Answer | SavingDicom | DicomSaved | ReportWritten | Stopped | Failed


@dataclass(frozen=True)
class _Line:
    message: Command | Event


def to_line(message: Command | Event) -> bytes:
    """Return `message` as a line of JSON."""
    return json.dumps(to_dict(message), separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes | str) -> Any:
    """Return the command or event on a line.

    Raises:
        ValueError: the line is not JSON.
        SchemaError: it is no command or event.
    """
    return from_dict(_Line, {"message": parsed(line)}).message
