"""Which data a run learns from: `[data]`, `[[further]]` and `[synthesis]` of a config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from TumorSegLib.image.grid import Vector


@dataclass(frozen=True)
class Data:
    """Where the cases are and which of them are kept for validation.

    Attributes:
        folder: of the data set.
        layout: one of `tumorseg_training.readers.READERS`.
        labels: from the data set's structures (name, pattern or number) to the model's values;
            empty: they are the same.
        spacing: mm along (x, y, z), for layouts that do not say.
        window: intensities that black and white stand for, for pictures of CT slices.
        mask_suffix: what the name of a picture's mask has after the picture's.
        patients: JSON file {case: patient}, for layouts that do not say whom a case shows.
        folds: how many folds of patients to draw, or a JSON file of folds.
        validate: name of the fold to validate on, or several joined by "+"; none: train on
            everybody.
        foreground_share: share of drawn slices that show a structure; none: as they come.
        balanced: draw slices that show a structure such that no structure and no case crowds out
            the others.
        cache: folder for decoded slices.
        licence: of the data, for the model card.
    """

    folder: str
    layout: str
    labels: Mapping[str, int] = field(default_factory=dict)
    spacing: Vector | None = None
    window: tuple[float, float] | None = None
    mask_suffix: str = "_mask"
    patients: str | None = None
    folds: str | int | None = None
    validate: str | None = None
    foreground_share: float | None = None
    balanced: bool = False
    cache: str = "~/.cache/tumorseg"
    licence: str = ""

    def __post_init__(self) -> None:
        if self.spacing is not None and min(self.spacing) <= 0:
            raise ValueError(f"spacing {self.spacing} is not three positive numbers")
        if self.window is not None and self.window[0] >= self.window[1]:
            raise ValueError(f"window {self.window} does not rise")
        if self.foreground_share is not None and not 0 <= self.foreground_share <= 1:
            raise ValueError(f"foreground_share {self.foreground_share:g} is not within 0 and 1")
        if self.validate is not None and self.folds is None:
            raise ValueError("validate names a fold, but there are no folds")


@dataclass(frozen=True)
class ExtraDataset:
    """A further data set, trained on besides the main one and never validated on.

    Attributes:
        folder: where it is.
        layout: one of `tumorseg_training.readers.READERS`.
        labels: from its structures to the model's values, as in `Data`.
        annotated: the model's values that were looked for in it; none: all. Of the others nothing
            is learnt in an annotated structure that includes them; without one, nowhere.
    """

    folder: str
    layout: str
    labels: Mapping[str, int] = field(default_factory=dict)
    annotated: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Synthesis:
    """Images made from label volumes; see `tumorseg_training.synthesis`.

    Attributes:
        folder: of the label volumes (`.npz`).
        labels: from structures (name or pattern) to the model's values; later ones lie on top.
        share: of the slices drawn, those that are synthetic.
        variants: images a label volume.
        patients: of label volumes that show a patient of the data set: {volume: patient}; they are
            left out while that patient is kept for validation.
    """

    folder: str
    labels: Mapping[str, int]
    share: float = 0.3
    variants: int = 3
    patients: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share {self.share:g} is not between 0 and 1")
        if not 1 <= self.variants <= 100:
            raise ValueError(f"variants {self.variants} is not within 1 and 100")
