"""What a report may say of patient and image: nothing but what somebody asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from TumorSegLib.errors import InputError
from TumorSegLib.image.volume import Volume
from TumorSegLib.reading.dicom_header import quiet_pydicom

ITEMS = {
    "name": ("Patient's name", "PatientName"),
    "id": ("Patient's number", "PatientID"),
    "birth": ("Date of birth", "PatientBirthDate"),
    "sex": ("Sex", "PatientSex"),
    "date": ("Date of the study", "StudyDate"),
    "study": ("Study", "StudyDescription"),
    "series": ("Series", "SeriesDescription"),
    "accession": ("Accession number", "AccessionNumber"),
    "volume": ("Volume", ""),
}
"""What can be asked for: its title and DICOM's keyword; the volume has its own name."""

NOT_KNOWN = "not known"


def chosen_items(text: str) -> tuple[str, ...]:
    """Return the items that a list such as "name,id" names, in the order of `ITEMS`.

    Raises:
        InputError: one is unknown.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in ITEMS:
            raise InputError(f"--identify {name}: expected some of {', '.join(ITEMS)}")
    return tuple(name for name in ITEMS if name in names)


def facts_of(
    items: Sequence[str], said: Mapping[str, str], volume: str
) -> tuple[tuple[str, str], ...]:
    """Return the items' titles and what is known of them.

    Args:
        items: keys of `ITEMS`.
        said: what an image says, by DICOM's keyword.
        volume: name of the volume.
    """
    facts = []
    for item in items:
        title, keyword = ITEMS[item]
        value = readable(keyword, said.get(keyword, "")) if keyword else volume
        facts.append((title, value or NOT_KNOWN))
    return tuple(facts)


def stated(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the titles of items and what is known of them.

    Args:
        values: by key of `ITEMS`, as DICOM has them.
    """
    return tuple(
        (title, readable(keyword, values[item]))
        for item, (title, keyword) in ITEMS.items()
        if item in values
    )


def said_by(volume: Volume) -> dict[str, str]:
    """Return what the DICOM images of a volume say of patient and study, by DICOM's keyword."""
    if volume.origin is None:
        return {}
    place: Path = volume.origin.place
    keywords = [keyword for _, keyword in ITEMS.values() if keyword]
    for path in sorted(place.iterdir()) if place.is_dir() else [place]:
        image = _header(path, keywords)
        if image is not None and image.get("SeriesInstanceUID") == volume.origin.series:
            return {keyword: _text(image.get(keyword)) for keyword in keywords}
    return {}


def _text(value: Any) -> str:
    """Return an element's text, several values as DICOM has them."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    return "\\".join(map(str, value)) if several else str(value or "")


def _header(path: Path, keywords: Sequence[str]) -> Any:
    """Return what a DICOM file says; None of other files that lie among them."""
    import pydicom

    tags: list[Any] = ["SpecificCharacterSet", "SeriesInstanceUID", *keywords]
    try:
        with quiet_pydicom():
            return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
    except Exception:  # pydicom raises whatever its parts raise
        return None


def readable(keyword: str, value: str) -> str:
    """Return a value of DICOM as people write it: dates with hyphens, names without carets."""
    value = value.strip()
    if keyword.endswith("Date") and len(value) == 8 and value.isdigit():
        return f"{value[:4]}-{value[4:6]}-{value[6:]}"
    if keyword == "PatientName":
        groups = [group.split("^") for group in value.split("=")]
        spelt = [
            ", ".join(filter(None, [parts[0], " ".join(filter(None, parts[1:3]))]))
            for parts in groups
        ]
        return " / ".join(filter(None, spelt))
    return value


def names_to_hide(
    names: Mapping[str, str], volume: str, facts: Sequence[tuple[str, str]]
) -> dict[str, str]:
    """Return the names that a report does not tell, which may be the patient's, and other words.

    Args:
        names: of the run's volumes by channel, as they were then; the segmented one is first.
        volume: name of the segmented one now.
        facts: what the report says of patient and image.
    """
    (first, *others) = names.items() or [("", volume)]
    hidden = {name: f"channel {channel}" for channel, name in others}
    if ITEMS["volume"][0] not in dict(facts):
        hidden |= dict.fromkeys((first[1], volume), "the volume")
    return hidden


def without_names(line: str, hidden: Mapping[str, str]) -> str:
    """Return a warning's line, which begins with a volume's name, with other words for it.

    Elsewhere in a line a name such as CT or FLAIR is one of its words.
    """
    for name, words in hidden.items():
        if (rest := line.removeprefix(f"{name}: ")) != line:
            return f"{words}: {rest}"
    return line
