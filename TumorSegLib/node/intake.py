"""What becomes of an image that somebody sends: kept for good, known already, or not for us."""

from __future__ import annotations

import io
import itertools
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import pydicom

from TumorSegLib.node.image_store import ImageStore
from TumorSegLib.node.queue import Named, Queue
from TumorSegLib.node.queue_tables import SeriesRow
from TumorSegLib.node.rules import Rules, Said
from TumorSegLib.reading.dicom_folder import SEGMENTATION_CLASSES, SLICE_CLASSES
from TumorSegLib.reading.dicom_header import DicomHeader, header_in
from TumorSegLib.reading.dicom_structure import DamagedError, Within

Kind = Literal["accepted", "there already", "passed over"]

MOST_REFUSED = 100_000
"""Images that are kept in mind."""

_numbers = itertools.count(1)


class UnusableError(Exception):
    """What was sent is damaged, or not what the sender says that it is."""


@dataclass(eq=False)
class Connection:
    """On which images come.

    Attributes:
        number: later ones have higher ones.
        series: numbers of those of which images came on it.
        last: the one of which the last image came, 0 where that was of none.
        is_mixed: whether images of one came after those of another.
        counts: of what became of the images.
    """

    number: int = field(default_factory=lambda: next(_numbers))
    series: set[int] = field(default_factory=set)
    last: int = 0
    is_mixed: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def note(self, series: int | None) -> None:
        """Keep that an image came, and of which series; None: of none that is received."""
        self.is_mixed |= series in self.series and series != self.last
        self.last = series or 0
        if series is not None:
            self.series.add(series)

    @property
    def unfinished(self) -> set[int]:
        """Series that were not through where it broke: of those that came one by one, the last."""
        return self.series if self.is_mixed else self.series & {self.last}

    def told(self) -> str:
        """Return what came in a few words."""
        words = [f"{count} {kind}" for kind, count in self.counts.items() if count]
        return ", ".join(words) or "no image"


class Intake:
    """Takes images from all connections."""

    def __init__(self, queue: Queue, store: ImageStore, rules: Rules) -> None:
        self._queue, self._store, self._rules = queue, store, rules
        self._lock = threading.Lock()
        self._open: set[Connection] = set()
        self._broke: dict[int, int] = {}
        self._refused: set[tuple[str, str]] = set()
        self._ended: list[tuple[list[int], bool]] = []

    def opened(self) -> Connection:
        """Return a connection that begins."""
        connection = Connection()
        with self._lock:
            self._open.add(connection)
        return connection

    def closed(self, connection: Connection, *, broken: bool) -> None:
        """Take note that nothing more comes on a connection.

        Args:
            connection: that it is.
            broken: whether it ended before its sender was through.
        """
        with self._lock:
            self._open.discard(connection)
            unfinished = connection.unfinished if broken else set()
            self._broke.update(dict.fromkeys(unfinished, next(_numbers)))
            elsewhere = {number for other in self._open for number in other.series}
            self._ended.append((sorted(unfinished), True))
            self._ended.append((sorted(connection.series - unfinished - elsewhere), False))
        self.settle()

    def settle(self) -> None:
        """Keep how connections ended, and of which series images were refused.

        Done again by the node's turns where the disk was full.

        Raises:
            sqlite3.Error: it still is.
        """
        with self._lock:
            if self._refused:
                self._queue.note_refused({series for series, _ in self._refused})
            while self._ended:
                numbers, broken = self._ended[0]
                self._queue.note_connection(numbers, broken=broken)
                del self._ended[0]

    def accept(self, content: bytes, uid: str, connection: Connection) -> Kind:
        """Take an image; when this returns, it is on the disk or not needed.

        Args:
            content: of its file, with preamble and meta information.
            uid: SOPInstanceUID that the sender says.
            connection: on which it came.

        Raises:
            UnusableError: it is no DICOM, or damaged, or another one.
            OSError, sqlite3.Error: there is no room for it.
        """
        try:
            header = _header(content)
        except UnusableError:
            self.refuse(_series_of_damaged(content), uid)
            raise
        try:
            if header.text("SOPInstanceUID") != uid or not uid:
                raise UnusableError("says another SOPInstanceUID than its sender")
            kind = self._take(content, header, uid, connection)
        except Exception:
            if header.pixels is not None:  # without them it is no slice that its series lacks
                self.refuse(header.text("SeriesInstanceUID"), uid)
            raise
        if kind == "passed over":
            connection.note(None)
        connection.counts[kind] += 1
        return kind

    def refuse(self, series: str, uid: str) -> None:
        """Keep that an image of a series is lacking, until it comes in another form."""
        with self._lock:
            if len(self._refused) >= MOST_REFUSED:  # what the queue knows of them stays
                self._refused.clear()
            self._refused.add((series, uid))

    def _take(self, content: bytes, header: DicomHeader, uid: str, connection: Connection) -> Kind:
        said = Said(
            header.text("Modality"),
            header.text("BodyPartExamined"),
            header.text("SeriesDescription"),
        )
        classes = {header.file_class, header.text("SOPClassUID")}
        assignment = self._rules.assignment_for(said)
        is_wanted = assignment.bundle is not None or said.modality in self._rules.of_several
        if classes & SEGMENTATION_CLASSES or not is_wanted:
            return "passed over"
        if header.pixels is None:
            if classes & SLICE_CLASSES:
                raise UnusableError("is an image without pixels")
            return "passed over"
        series = header.text("SeriesInstanceUID")
        if not series:
            raise UnusableError("has no SeriesInstanceUID")
        image = Named(uid, series, header.text("StudyInstanceUID"), said.modality, assignment.key)
        with self._lock:
            return self._keep(image, content, connection)

    def _keep(self, image: Named, content: bytes, connection: Connection) -> Kind:
        found = self._queue.tables.series("uid = ?", image.series)
        broke = self._broke.get(found[0].id, 0) if found else 0
        mends = connection.number > broke
        if self._queue.is_elsewhere(image):
            raise UnusableError("has the SOPInstanceUID of an image of another series")
        is_known = self._queue.is_known(image)
        if is_known:
            connection.note(self._queue.touch(image.series, mends=mends))
        else:
            self._store.write(image.series, image.uid, content)
            connection.note(self._queue.note_image(image, mends=mends))
        self._refused.discard((image.series, image.uid))
        return "there already" if is_known else "accepted"

    def remove(self, finished: Iterable[SeriesRow]) -> list[SeriesRow]:
        """Remove images of series that are through; return those of which some were removed."""
        removed = []
        for series in finished:
            with self._lock:
                if self._queue.note_removed(series):
                    self._store.remove(series.uid)
                    self._broke.pop(series.id, None)
                    self._refused = {one for one in self._refused if one[0] != series.uid}
                    removed.append(series)
        return removed


def _series_of_damaged(content: bytes) -> str:
    """Return the SeriesInstanceUID of an image that is damaged, "" if nothing can be read."""
    within: Any = Within(io.BytesIO(content))
    keyword = "SeriesInstanceUID"
    try:
        found = pydicom.dcmread(within, stop_before_pixels=True, specific_tags=[keyword])
        return str(found.get(keyword, ""))
    except Exception:  # pydicom raises whatever its parts raise
        return ""


def _header(content: bytes) -> DicomHeader:
    try:
        header = header_in(io.BytesIO(content))
    except DamagedError:
        raise UnusableError("is damaged") from None
    if header is None:
        raise UnusableError("is no DICOM")
    return header
