"""What client and server say to each other over HTTP.

A client asks `GET /v1/models` for a `Welcome`, and sends an `Order` in the header `TumorSeg-Order`
of `POST /v1/segment`, whose body is the voxels of its channels, one after the other: raw, C order,
little-endian. The answer is frames: a line of JSON with an event and the number of bytes that
follow it, then these bytes. Voxels and grids travel, and nothing else of an image: no header, no
name, no modality.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any, ClassVar, Literal

from TumorSegLib.inference.given_up import GivenUp
from TumorSegLib.support.schema import from_dict, parsed, to_dict

FORMAT = 1
"""Of orders and frames; a server that has another is too old or too new."""

MODELS_PATH, SEGMENT_PATH = "/v1/models", "/v1/segment"
ORDER_HEADER = "tumorseg-order"

Numbers = tuple[float, ...]

DTYPES = (
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float32", "float64"),
)


@dataclass(frozen=True)
class ModelName:
    """A model, and which version of it; see `TumorSegLib.model.checksum`."""

    id: str
    checksum: str


@dataclass(frozen=True)
class SentVolume:
    """Voxels of the body and where they lie; see `TumorSegLib.image.grid.Grid`.

    Attributes:
        dtype: NumPy's name of the voxels' type.
        shape: voxels along (z, y, x).
        spacing: mm along (x, y, z).
        origin: LPS mm.
        direction: row by row.
    """

    dtype: str
    shape: tuple[int, int, int]
    spacing: Numbers
    origin: Numbers
    direction: Numbers

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype: found {self.dtype}, expected one of {', '.join(DTYPES)}")
        if min(self.shape) < 1:
            raise ValueError("shape: expected positive numbers")
        if (len(self.spacing), len(self.origin), len(self.direction)) != (3, 3, 9):
            raise ValueError("expected 3 numbers for spacing and origin, 9 for direction")
        if not all(map(isfinite, (*self.spacing, *self.origin, *self.direction))):
            raise ValueError("expected finite numbers for spacing, origin and direction")

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Length of the voxels in the body."""
        return self.voxels * int("".join(filter(str.isdigit, self.dtype))) // 8


@dataclass(frozen=True)
class Order:
    """What to segment, and how; see `TumorSegLib.inference.run_options.RunOptions`.

    Attributes:
        format: see `FORMAT`.
        model: that segments.
        volumes: by channel name, in the order of their voxels; the first is segmented.
        precision: of the network's arithmetic.
        mirror_tta: average with mirrored slices.
        detector: chooses slices.
        detector_threshold: from which on it does.
        slices: first and last + 1 of the axial slices to segment.
    """

    format: int
    model: ModelName
    volumes: Mapping[str, SentVolume]
    precision: str = "auto"
    mirror_tta: bool | None = None
    detector: ModelName | None = None
    detector_threshold: float = 0.2
    slices: tuple[int, int] | None = None

    @property
    def bytes(self) -> int:
        """Length of the body."""
        return sum(volume.bytes for volume in self.volumes.values())

    @property
    def first(self) -> SentVolume:
        """The volume that is segmented."""
        return next(iter(self.volumes.values()))


@dataclass(frozen=True)
class OfferedModel:
    """A model of the server."""

    id: str
    version: str
    title: str
    modality: str
    task: str
    checksum: str


@dataclass(frozen=True)
class Welcome:
    """What the server is and has.

    Attributes:
        format: see `FORMAT`.
        version: of TumorSeg.
        models: that it has.
        largest_bytes: of a body.
        running: orders under way.
        waiting: orders in the queue.
        longest_queue: orders that may wait.
    """

    format: int
    version: str
    models: tuple[OfferedModel, ...]
    largest_bytes: int
    running: int
    waiting: int
    longest_queue: int


Refusal = Literal["token", "order", "model", "length", "size", "busy", "slow", "ending"]


@dataclass(frozen=True)
class Refused:
    """There is no result, as the answer to a request or as an event; `message` is for the user."""

    kind: ClassVar[str] = "refused"
    reason: Refusal
    message: str


@dataclass(frozen=True)
class Queued:
    """The order waits; `place` is 1 where it is the next."""

    kind: ClassVar[str] = "queued"
    place: int


@dataclass(frozen=True)
class Started:
    """The model is in memory, the first slice is about to be computed; also after a new start."""

    kind: ClassVar[str] = "started"
    device: str
    note: str


@dataclass(frozen=True)
class Slices:
    """Axial slices start..stop, `done` of `total`; their labels follow, compressed by zlib."""

    kind: ClassVar[str] = "slices"
    start: int
    stop: int
    done: int
    total: int


@dataclass(frozen=True)
class Part:
    """Voxels from `start` on of the whole label map or probabilities follow, likewise."""

    kind: ClassVar[str] = "part"
    array: Literal["labelmap", "probabilities"]
    start: int
    count: int


@dataclass(frozen=True)
class Done:
    """The order is done; fields as in `TumorSegLib.inference.result.SegmentationResult`.

    Attributes:
        device: where the network ran.
        precision: of its arithmetic.
        seconds: by stage.
        warnings: of the run; those on the images are the client's own.
        settings: how the model was run.
        slices: index, area in mm2, uncertainty, expected correction in mm2 of each axial slice.
        given_up: what the filter of false positives took out.
    """

    kind: ClassVar[str] = "done"
    device: str
    precision: str
    seconds: Mapping[str, float]
    warnings: tuple[str, ...]
    settings: Mapping[str, str]
    slices: tuple[tuple[int, float, float, float], ...]
    given_up: tuple[GivenUp, ...] = ()


@dataclass(frozen=True)
class Alive:
    """Nothing is new; the connection is looked after."""

    kind: ClassVar[str] = "alive"


@dataclass(frozen=True)
class Failed:
    """The order cannot be carried out; `message` is for the user."""

    kind: ClassVar[str] = "failed"
    message: str


Event = Queued | Started | Slices | Part | Done | Alive | Failed | Refused


@dataclass(frozen=True)
class Frame:
    """An event and the number of bytes that follow its line."""

    event: Event
    bytes: int = field(default=0)


def frame(event: Event, payload: bytes = b"") -> bytes:
    """Return a frame: the line and what follows it."""
    line = json.dumps(to_dict(Frame(event, len(payload))), separators=(",", ":"))
    return line.encode() + b"\n" + payload


def from_line(line: bytes) -> Frame:
    """Return the frame whose line this is.

    Raises:
        ValueError: it is not JSON.
        SchemaError: it is no frame.
    """
    return from_dict(Frame, parsed(line))


def to_text(record: Any) -> str:
    """Return an order, a welcome or a refusal as one line of ASCII, as headers need it."""
    return json.dumps(to_dict(record), separators=(",", ":"))
