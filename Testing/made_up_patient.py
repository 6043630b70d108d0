"""A patient who never lived, on DICOM slices, and a search for every word that tells of him."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dicom_writing import write_slices

NUMBER = "KWH7391842"
ROOT_UID = "1.2.826.0.1.3680043.9.7391.4455"

ATTRIBUTES = {
    "PatientName": "Quendelbaum^Ottokarius",
    "PatientID": NUMBER,
    "OtherPatientIDs": "ALT5528171",
    "IssuerOfPatientID": "Ausgabestelle Fliederau",
    "PatientBirthDate": "19370211",
    "PatientSex": "O",
    "PatientAddress": "Schneckengasse 14 in Obermurx",
    "PatientTelephoneNumbers": "0555/4417733",
    "PatientMotherBirthName": "Mirabellenkern",
    "PatientComments": "hat eine Papageienallergie",
    "AdditionalPatientHistory": "nach Sturz von der Windmuehlentreppe",
    "AccessionNumber": "ACC55501917",
    "InstitutionName": "Krankenhaus Wolkenheim",
    "InstitutionalDepartmentName": "Nebelabteilung",
    "StationName": "ROEHRE77",
    "DeviceSerialNumber": "SN-90817263",
    "ReferringPhysicianName": "Drachenzahn^Ilsebill",
    "RequestingPhysician": "Kuckucksuhr^Balduin",
    "PerformingPhysicianName": "Siebenschlaefer^Walpurga",
    "OperatorsName": "Regenschirm^Zacharias",
    "StudyID": "STUDIE8812",
    "StudyDescription": "Verlaufskontrolle Zwetschgenkuchen",
    "SeriesDescription": "Kontrastphase Lavendelfeld",
    "ProtocolName": "Protokoll Haselnussrauch",
    "ImageComments": "Anmerkung Pusteblumenwind",
    "StudyDate": "20190823",
    "ContentDate": "20190824",
    "StudyTime": "071359",
    "StudyInstanceUID": f"{ROOT_UID}.1",
    "FrameOfReferenceUID": f"{ROOT_UID}.3",
}

WORDS = (
    *sorted(
        {part for text in ATTRIBUTES.values() for part in re.split(r"[\^ ]", text) if len(part) > 5}
    ),
    ROOT_UID,
    *(hashlib.new(kind, NUMBER.encode()).hexdigest() for kind in ("md5", "sha1", "sha256")),
)
"""What must be found nowhere: words of all attributes, the root of all UIDs, and plain hashes of
the patient's number, which trying all numbers would undo."""


def write_patient(folder: Path, seed: int = 0) -> Path:
    """Write a CT of the patient, a ball in a body, as DICOM slices."""
    from synthetic_data import ball_case

    image, _ = ball_case(seed)
    positions = [(0.0, 0.0, 3.0 * index) for index in range(len(image))]
    series = f"{ROOT_UID}.2.{seed + 1}"
    write_slices(folder, list(image), positions, series=series, spacing=(1.5, 1.5), **ATTRIBUTES)
    return folder


def told(content: bytes, words: tuple[str, ...] = WORDS) -> list[str]:
    """Return the words in some bytes, whatever they are packed in, whatever case they have."""
    return sorted({word for part in unpacked(content) for word in _in(part, words)})


def _in(part: bytes, words: tuple[str, ...]) -> Iterator[str]:
    lowered = part.lower()
    for word in words:
        for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
            text = re.escape(word.lower().encode(encoding))
            if word.isdigit():  # which a longer number may have among its digits by chance
                text = rb"(?<![\d.])" + text + rb"(?!\d)"
            if re.search(text, lowered):
                yield word


def unpacked(content: bytes) -> Iterator[bytes]:
    """Yield some bytes, and what zip, gzip, NRRD and PNG files among them hold packed."""
    yield content
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield archive.comment
            for entry in archive.infolist():
                yield entry.filename.encode() + entry.extra + entry.comment
                yield from unpacked(archive.read(entry))
    elif content.startswith(b"\x1f\x8b\x08"):
        yield from unpacked(_inflated(content))
    elif content.startswith(b"NRRD"):
        yield from unpacked(content.partition(b"\n\n")[2])
    elif content.startswith(b"\x89PNG"):
        yield from _chunks(content)
    elif content.startswith(b"ObjectType") and b"CompressedData = True" in content[:2000]:
        data = content.partition(b"ElementDataFile = LOCAL\n")[2]
        yield _inflated(data)


def _inflated(content: bytes) -> bytes:
    """Return what is packed, as far as it goes: a file may be half written, or none of the kind."""
    inflater = zlib.decompressobj(wbits=47)
    try:
        return inflater.decompress(content)
    except zlib.error:
        return b""


def _chunks(picture: bytes) -> Iterator[bytes]:
    """Yield the packed texts of a PNG."""
    place = 8
    while place < len(picture):
        size = int.from_bytes(picture[place : place + 4], "big")
        kind, data = picture[place + 4 : place + 8], picture[place + 8 : place + 8 + size]
        if kind == b"zTXt":
            yield zlib.decompress(data.partition(b"\0")[2][1:])
        elif kind == b"iTXt" and data.partition(b"\0")[2][:1] == b"\1":
            yield zlib.decompress(data.split(b"\0", 4)[-1])
        place += 12 + size


def betrayed(folder: Path, *, without: Path | None = None) -> dict[str, list[str]]:
    """Return, by path, the words in names and contents of all files below `folder`."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        if without is not None and (path == without or without in path.parents):
            continue
        name = path.relative_to(folder).as_posix()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if words := told(name.encode() + b"\0") + told(content):
            found[name] = words
    return found
