"""What `cases/<case>.json` says of a case: where it comes from, and nothing of who it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from TumorSegLib.errors import InputError
from TumorSegLib.image.correction import Correction
from TumorSegLib.support.schema import SchemaError, from_dict, parsed, to_dict

FORMAT = 1

MODEL = re.compile(r"(?!.*[0-9]{5})[a-z][a-z0-9._-]{0,63} [0-9]{1,4}(\.[0-9]{1,4}){0,3}")
"""Id and version of a model; numbers that could be a patient's or a date are in neither."""
ANOTHER_PROGRAM = "another program"
"""Drew what is said to be drawn by something else than such a model: a free text."""


@dataclass(frozen=True)
class LabelCount:
    """Voxels of a label in the case; 0: it is annotated as absent."""

    value: int
    voxels: int


@dataclass(frozen=True)
class CaseRecord:
    """A case's side file.

    Attributes:
        case: id, a keyed hash of the volume's voxels.
        patient: keyed hash; the same for all cases of a patient, where the patient is known.
        patient_known: whether `patient` was made from a patient's number; if not, the case counts
            as a patient of its own.
        labels_of: id and version of the model whose labels the case has.
        drawn_by: ids and versions of the models that drew the segments first, or
            `ANOTHER_PROGRAM`; see `drawn_by`.
        software: that wrote the case.
        reviewed: whether a person has looked through all of it.
        corrected: whether a person changed what a model drew; none: not known.
        correction: by how much, where that is known.
        labels: by name.
        replaced: channels that were missing, and which one stands in for each.
        one_file_a_segment: the segments overlap and lie in `segments/<case>`.
    """

    case: str
    patient: str
    patient_known: bool
    labels_of: str
    software: str
    reviewed: bool
    labels: Mapping[str, LabelCount]
    drawn_by: tuple[str, ...] = ()
    corrected: bool | None = None
    correction: Correction | None = None
    replaced: Mapping[str, str] = field(default_factory=dict)
    one_file_a_segment: bool = False
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format > FORMAT:
            raise ValueError(f"format {self.format} is newer than {FORMAT}; update TumorSeg")


def drawn_by(texts: Iterable[str]) -> tuple[str, ...]:
    """Return what may be kept of who drew segments: files of other programs say it in free text."""
    kept = (text if MODEL.fullmatch(text) else ANOTHER_PROGRAM for text in texts if text)
    return tuple(sorted(set(kept)))


def record_text(record: CaseRecord) -> str:
    """Return a record as the text of its file."""
    return json.dumps(to_dict(record), indent=2, ensure_ascii=False) + "\n"


def read_record(path: Path) -> CaseRecord | None:
    """Return the record in `path`; none if there is no such file.

    Raises:
        InputError: the file is no record of a case.
    """
    try:
        return from_dict(CaseRecord, parsed(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, SchemaError) as error:
        raise InputError(f"{path}: not the side file of a case: {error}") from None
