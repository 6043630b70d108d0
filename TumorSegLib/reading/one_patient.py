"""Whether DICOM images that share a series are of one patient and one study."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def several(texts: Callable[[str], Iterable[str]]) -> str | None:
    """Return of how many patients or studies some images are, as "2 patients"; none: of one.

    What an image does not say contradicts nothing.

    Args:
        texts: from the keyword of an attribute to what each of the images says, "" for nothing.
    """
    patients = max(
        len({said for text in texts(keyword) if (said := normalised(text))})
        for keyword, normalised in PATIENT.items()
    )
    if patients > 1:
        return f"{patients} patients"
    studies = len({text for text in texts("StudyInstanceUID") if text})
    return f"{studies} studies" if studies > 1 else None


def _name(text: str) -> str:
    """Return a name's letters alone, without further scripts (PS3.5 section 6.2.1)."""
    return " ".join(text.partition("=")[0].replace("^", " ").casefold().split())


def _date(text: str) -> str:
    """Return a date's digits; DICOM had dots between them once."""
    return "".join(filter(str.isdecimal, text))


PATIENT: dict[str, Callable[[str], str]] = {
    "PatientID": str.strip,
    "PatientName": _name,
    "PatientBirthDate": _date,
}
"""By what images tell whose they are, and what of it is compared."""
