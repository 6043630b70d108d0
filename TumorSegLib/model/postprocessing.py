"""What `model.json` says of the steps after the network: on a label map, and on its candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from TumorSegLib.image.normalisation import Window


@dataclass(frozen=True)
class KeepLargest:
    """Keep only the largest 3-D component of a label.

    Attributes:
        label: its value.
        search_mm: the label includes all others, and its component is at least so tall: slices so
            far apart are segmented first, those between them where the component may reach; 0: all.
    """

    kind: ClassVar[str] = "keep_largest"
    label: int
    search_mm: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.search_mm <= 100:
            raise ValueError(f"search_mm {self.search_mm:g} is not within 0 and 100")


@dataclass(frozen=True)
class RemoveSmall:
    """Remove 3-D components of a label that are small: in volume, or beside its largest one."""

    kind: ClassVar[str] = "remove_small"
    label: int
    millilitres: float = 0.0
    share_of_largest: float = 0.0

    def __post_init__(self) -> None:
        if self.millilitres < 0 or not 0 <= self.share_of_largest <= 1:
            raise ValueError(
                f"remove_small: {self.millilitres:g} ml and {self.share_of_largest:g} of the"
                " largest are not a volume and a part"
            )


@dataclass(frozen=True)
class FillHoles:
    """Give background that a label encloses within an axial slice to the label."""

    kind: ClassVar[str] = "fill_holes"
    label: int


CANDIDATES_WINDOW = Window(-40.0, 160.0)
"""HU; what a candidate's features call dark, fat and bright holds with this normalisation only."""


@dataclass(frozen=True)
class FalsePositiveFilter:
    """A random forest that judges a label's components; see `TumorSegLib.inference.candidates`.

    Attributes:
        label: whose components are judged.
        organ: the label that includes it.
        threshold: likelihood below which a component is given up.
        up_to_ml: volume above which a component stays, however unlikely: a false one is a click to
            remove, a large tumour that nobody shows is a disaster.
        features: what the forest looks at; a bundle says.
        sha256: of the forest's file; a bundle says.
    """

    label: int
    organ: int
    threshold: float = 0.3
    up_to_ml: float = 50.0
    features: tuple[str, ...] = ()
    sha256: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold {self.threshold:g} is not between 0 and 1")
