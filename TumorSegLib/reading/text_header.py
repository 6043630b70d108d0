"""What the text header of an NRRD or MetaImage file says; ITK fills gaps without a word."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from TumorSegLib.errors import InputError
from TumorSegLib.grid import Grid
from TumorSegLib.itk import unoriented
from TumorSegLib.volume import check_spacing

MAXIMUM_BYTES = 1 << 20
"""Where a header ends at the latest."""

CHUNK = 1 << 16

ZLIB_OR_GZIP = 47
"""zlib's code for finding out by itself which of its two formats a stream has."""

KNOWN_SPACES = frozenset(
    {
        *("left-posterior-superior", "right-anterior-superior", "left-anterior-superior"),
        *("lps", "ras", "las"),
    }
)
"""NRRD spaces that ITK turns into LPS."""


@dataclass(frozen=True)
class TextHeader:
    """What is needed to judge how ITK reads an NRRD or MetaImage file.

    Attributes:
        path: of the file.
        fields: text by name, in lower case.
        length: bytes; voxels follow, unless they lie in a file of their own.
    """

    path: Path
    fields: Mapping[str, str]
    length: int

    @classmethod
    def read(cls, path: Path) -> TextHeader:
        """Read the header of `path`: up to an empty line (NRRD) or `ElementDataFile` (MetaImage).

        A file of another kind has no fields.
        """
        fields: dict[str, str] = {}
        length = 0
        with path.open("rb") as file:
            while line := file.readline(MAXIMUM_BYTES - length):
                length += len(line)
                text = line.decode("utf-8", "replace").strip()
                if found := re.match(r"([^#:=]+?)\s*(?::=|:|=)\s*(.*)", text):
                    fields[found[1].lower()] = found[2].lower()
                if not text or text.startswith("ElementDataFile"):
                    break
        return cls(path, fields, length)

    def check(self) -> None:
        """Refuse what ITK would read as something else than it is.

        Raises:
            InputError: impossible spacing, or damaged compressed voxels.
        """
        vectors = re.findall(r"\(([^)]*)\)", self.fields.get("space directions", ""))
        lengths = [float(np.linalg.norm(_numbers(vector.split(",")))) for vector in vectors]
        for words in ("spacings", "elementspacing"):
            lengths += _numbers(self.fields.get(words, "").split())
        check_spacing(lengths, str(self.path))
        if self._compressed_here():
            self._inflate()

    def warnings(self, grid: Grid, name: str) -> list[str]:
        """Return what ITK assumed when it placed the voxels on `grid`, one line each."""
        found = []
        if not self.fields.keys() & {"space directions", "spacings", "elementspacing"}:
            spacing = ", ".join(f"{mm:g}" for mm in grid.spacing)
            found.append(f"{name}: the header gives no spacing; ({spacing}) mm was assumed")
        if self.fields.get("space") not in KNOWN_SPACES and not (
            self.fields.keys() & {"transformmatrix", "rotation", "orientation"}
        ):
            found.append(unoriented(name))
        return found

    def _inflate(self) -> None:
        """Decompress the voxels, which compares their checksum.

        Raises:
            InputError: they are damaged or end too early.
        """
        stream = zlib.decompressobj(ZLIB_OR_GZIP)
        try:
            with self.path.open("rb") as file:
                file.seek(self.length)
                while not stream.eof and (chunk := file.read(CHUNK)):
                    stream.decompress(chunk)
            whole = stream.eof
        except zlib.error:
            whole = False
        if not whole:
            raise InputError(
                f"{self.path}: its voxels are damaged or truncated; copy or export it again"
            )

    def _compressed_here(self) -> bool:
        return (
            self.fields.get("encoding") in ("gzip", "gz")
            and not self.fields.keys() & {"data file", "datafile", "line skip", "lineskip"}
        ) or (
            self.fields.get("compresseddata") == "true"
            and self.fields.get("elementdatafile") == "local"
        )


def _numbers(words: list[str]) -> list[float]:
    """Return words as numbers, NaN for those that are none."""
    numbers = []
    for word in words:
        try:
            numbers.append(float(word))
        except ValueError:
            numbers.append(float("nan"))
    return numbers
