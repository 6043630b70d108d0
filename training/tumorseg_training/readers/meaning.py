"""Whether what the values of a data set mean, and what a model means by them, can be the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tumorseg_training.case import ReaderOptions
from tumorseg_training.labelling import LabelError
from TumorSegLib.model.specification import Label

ALTERED = "49755003"
WHOLE = frozenset(("123037004", "85756007"))
"""SNOMED CT: morphologically altered structure; anatomical structure, tissue."""


@dataclass(frozen=True)
class Meaning:
    """What a published data set shows.

    Attributes:
        modality: "MR" or "CT".
        body: words of which a model's anatomy has one, where it says any; none: labels tell.
        organs: by value, names of organs, as they stand in a label's name or type.
        lesions: by value, what no label of an organ or a tissue can be.
    """

    modality: str
    body: tuple[str, ...]
    organs: Mapping[int, str]
    lesions: Mapping[int, str]

    def check(self, layout: str, reading: ReaderOptions) -> None:
        """Refuse a model that means something else by these values, as far as it says.

        What `reading.labels` maps is what somebody has said.

        Raises:
            LabelError: the model is for other images, or a label is something else.
        """
        if reading.labels:
            return
        found = ""
        if reading.modality not in (None, self.modality):
            found = f"the model is for {reading.modality}"
        elif self.body and reading.anatomy and not self._is_there(reading.anatomy):
            found = f"the model is for the {reading.anatomy}"
        for label in reading.known:
            if not found and not self._fits(label):
                found = f"value {label.value} is {label.name} to the model"
        if found:
            held = ", ".join(
                f"{value} {name}" for value, name in sorted({**self.organs, **self.lesions}.items())
            )
            raise LabelError(
                f"layout {layout}: {found}, the data set is {self.modality} with {held}; choose"
                " another model, or say what is what by --label STRUCTURE=VALUE (data.labels in a"
                " config)"
            )

    def _is_there(self, anatomy: str) -> bool:
        return any(word in anatomy.lower() for word in self.body)

    def _fits(self, label: Label) -> bool:
        """Tell whether a label may be what its value is here; others do not occur."""
        if label.value in self.organs:
            told = f"{label.name} {label.type.meaning}".lower()
            return self.organs[label.value] in told and label.category.value != ALTERED
        return label.value not in self.lesions or label.category.value not in WHOLE


LIVER = Meaning("CT", (), {1: "liver"}, {2: "liver tumour"})
GLIOMA = Meaning("MR", ("brain", "head", "cereb", "cranial"), {}, {1: "tumour"})
