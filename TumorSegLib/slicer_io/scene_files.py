"""Which files a scene and its images name: they must be the scene's own."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import unquote
from xml.parsers import expat

NAMES = ("fileName", "fileListMember", "uri", "uriListMember")
"""Begin the attributes of storage nodes that name files, or places on a network."""

STORAGE = re.compile(r".*Storage(Node)?")

HEADERS = (".nrrd", ".nhdr", ".mha", ".mhd")
HEADER_BYTES = 1 << 20
HEADER_ENDS = re.compile(rb"\n\r?\n|elementdatafile", re.I)
DETACHED = re.compile(rb"(?:^|[\r\n])data ?file:|elementdatafile\s*[=:]", re.I)
"""What names files of voxels, for the readers that 3D Slicer has: they pass over blanks before a
field, and take line ends of all systems."""


def named_elsewhere(description: bytes) -> str | None:
    """Return a name in a scene's description that leads out of the scene's folder, if there is one.

    Raises:
        ValueError: it is no XML.
    """
    found: list[str] = []

    def look(element: str, attributes: dict[str, str]) -> None:
        if STORAGE.fullmatch(element):
            found.extend(
                value
                for key, value in attributes.items()
                if key.startswith(NAMES) and _leads_out(unquote(value))
            )

    parser = expat.ParserCreate()
    parser.StartElementHandler = look
    try:
        parser.Parse(description, True)
    except (expat.ExpatError, LookupError) as error:  # of a coding that Python does not know
        raise ValueError(str(error)) from None
    return found[0] if found else None


def names_elsewhere(image: Path) -> str | None:
    """Return a name by which an image file's header leads out of its folder, if there is one.

    Args:
        image: NRRD or MetaImage; other files hold their voxels themselves.
    """
    if image.suffix.lower() not in HEADERS:
        return None
    with image.open("rb") as file:
        header = file.read(HEADER_BYTES)
    if len(header) == HEADER_BYTES and not HEADER_ENDS.search(header):
        return f"somewhere behind the first {HEADER_BYTES} bytes of {image.name}"
    for found in DETACHED.finditer(header):
        named = header[found.end() :].decode(errors="replace").strip()
        first, *further = named.splitlines() or [""]
        for name in further if first.startswith("LIST") else [first]:
            if _leads_out(name.strip()):
                return name
    return None


def _leads_out(name: str) -> bool:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", name):  # a place on a network
        return True
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        return True
    return ".." in PureWindowsPath(name).parts
