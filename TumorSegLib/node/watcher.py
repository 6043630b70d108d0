"""Series of a DICOMweb service: looked for by QIDO-RS, fetched by WADO-RS image by image."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any

from TumorSegLib.node.intake import Intake, UnusableError
from TumorSegLib.node.journal import Journal
from TumorSegLib.node.queue import Queue
from TumorSegLib.node.queue_tables import FAILED, FINAL, SeriesRow
from TumorSegLib.node.rules import Rules, Said
from TumorSegLib.node.settings import Watch
from TumorSegLib.node.web_client import web_client

MODALITY, BODY_PART, DESCRIPTION = "00080060", "00180015", "0008103E"
SERIES, STUDY, IMAGE, COUNT = "0020000E", "0020000D", "00080018", "00201209"
"""Tags of what is asked for."""
WATCH = "watch"


@dataclass(frozen=True)
class Offer:
    """A series that the service has.

    Attributes:
        study: StudyInstanceUID.
        series: SeriesInstanceUID.
        said: what rules look at.
        count: of its images.
    """

    study: str
    series: str
    said: Said
    count: int


class Watcher:
    """Looks for series now and again."""

    def __init__(
        self,
        settings: Watch,
        intake: Intake,
        queue: Queue,
        rules: Rules,
        journal: Journal,
        *,
        is_ended: Callable[[], bool],
    ) -> None:
        self._settings, self._intake, self._queue = settings, intake, queue
        self._rules, self._journal, self._is_ended = rules, journal, is_ended
        self._counts: dict[str, int] = {}
        self._fetched: dict[str, tuple[int, str]] = {}
        self._firsts: dict[str, Mapping[str, Any]] = {}

    def look(self) -> None:
        """Fetch what is new and did not grow since the last look.

        Raises:
            OSError, sqlite3.Error: there is no room for it.
        """
        import requests

        try:
            client = web_client(self._settings)
            offers = list(self._offers(client))
            for offer in offers:
                if self._counts.get(offer.series) == offer.count and self._is_wanted(offer):
                    self._fetch(client, offer)
            self._counts = {offer.series: offer.count for offer in offers}
            self._fetched = {
                uid: done for uid, done in self._fetched.items() if uid in self._counts
            }
            self._firsts = {uid: said for uid, said in self._firsts.items() if uid in self._counts}
        except (requests.RequestException, ValueError) as error:
            kind = type(error).__name__
            self._journal.say_once(WATCH, f"{self._settings.url} does not answer ({kind})")
        else:
            self._journal.is_over(WATCH, f"{self._settings.url} answers again")

    def _offers(self, client: Any) -> Iterator[Offer]:
        """Yield the series of the last days that a rule may take."""
        since = date.today() - timedelta(days=self._settings.days - 1)
        days = f"{since:%Y%m%d}-{date.today():%Y%m%d}"
        for modality in sorted(self._rules.modalities):
            asked = {"Modality": modality, "StudyDate": days}
            fields = [BODY_PART, DESCRIPTION, COUNT]
            search = partial(client.search_for_series, search_filters=asked, fields=fields)
            for found in _all(search, SERIES):
                study, series = _text(found, STUDY), _text(found, SERIES)
                if not study or not series or self._is_ended():
                    continue
                if BODY_PART not in found or DESCRIPTION not in found:
                    found = {**self._first(client, study, series), **found}
                said = Said(modality, _text(found, BODY_PART), _text(found, DESCRIPTION))
                count = _text(found, COUNT)
                if not count.isdecimal():
                    search = partial(client.search_for_instances, study, series)
                    count = str(len(_all(search, IMAGE)))
                yield Offer(study, series, said, int(count))

    def _first(self, client: Any, study: str, series: str) -> Mapping[str, Any]:
        """Return the header of an image of a series, where the list does not say enough."""
        if series in self._firsts:
            return self._firsts[series]
        images = client.search_for_instances(study, series, limit=1)
        if not images:
            return {}
        found: Mapping[str, Any] = client.retrieve_instance_metadata(
            study, series, _text(images[0], IMAGE)
        )
        said = {tag: value for tag, value in found.items() if tag in (BODY_PART, DESCRIPTION)}
        self._firsts[series] = said
        return said

    def _is_wanted(self, offer: Offer) -> bool:
        """Tell whether a series is to be fetched: all of it, or what is missing of it."""
        assignment = self._rules.assignment_for(offer.said)
        if assignment.bundle is None and offer.said.modality not in self._rules.of_several:
            return False
        if self._fetched.get(offer.series) == (offer.count, assignment.key):
            return False  # what is not known of it was refused or passed over
        row = self._row(offer)
        if row is None:
            return True
        _, known = self._queue.missing(row.id)
        if known < offer.count:
            return True
        return row.state in FINAL and row.state != FAILED and row.key != assignment.key

    def _row(self, offer: Offer) -> SeriesRow | None:
        return next(iter(self._queue.tables.series("uid = ?", offer.series)), None)

    def _fetch(self, client: Any, offer: Offer) -> None:
        row = self._row(offer)
        here = set(self._queue.images(row.id)) if row is not None else set()
        connection = self._intake.opened()
        broken, how = True, "; the connection broke"
        try:
            search = partial(client.search_for_instances, offer.study, offer.series)
            listed = _all(search, IMAGE)
            for found in listed:
                uid = _text(found, IMAGE)
                if self._is_ended():
                    return
                if uid in here:
                    continue
                try:
                    self._intake.accept(_content(client, offer, uid), uid, connection)
                except UnusableError as error:
                    connection.counts["refused"] += 1
                    self._intake.refuse(offer.series, uid)
                    line = f"an image of {self._settings.url} {error}; refused"
                    self._journal.say_once(line, line)
            broken = len(listed) < offer.count
            is_whole = not broken and not connection.counts["refused"]
            how = "" if is_whole else f"; not all of its {offer.count} images can be used"
            self._fetched[offer.series] = (offer.count, self._rules.assignment_for(offer.said).key)
        finally:
            self._journal.say(f"from {self._settings.url}: {connection.told()}{how}")
            try:
                self._intake.closed(connection, broken=broken)
            except sqlite3.Error as error:
                self._journal.say_once("disk", f"the queue cannot be written: {error}")


def _all(search: Callable[..., list[dict[str, Any]]], tag: str) -> list[dict[str, Any]]:
    """Return all that a search finds: a service may answer with a part (PS3.18, 8.3.4.4).

    Args:
        search: takes the number of results to pass over.
        tag: of the UID by which results are told apart.
    """
    found: dict[str, dict[str, Any]] = {}
    passed = 0
    while page := search(offset=passed or None):
        passed += len(page)
        before = len(found)
        found |= {_text(one, tag): one for one in page}
        if len(found) == before:
            break  # a service that begins anew each time
    return list(found.values())


def _content(client: Any, offer: Offer, uid: str) -> bytes:
    """Return an image as a file.

    Raises:
        UnusableError: what the service gives is none.
        OSError: the service does not answer.
    """
    try:
        return _encoded(client.retrieve_instance(offer.study, offer.series, uid))
    except OSError:
        raise
    except Exception:  # pydicom raises whatever its parts raise
        raise UnusableError("cannot be read") from None


def _encoded(dataset: Any) -> bytes:
    """Return an image as a file."""
    import pydicom

    file = io.BytesIO()
    if pydicom.__version__.startswith("2."):
        pydicom.dcmwrite(file, dataset, write_like_original=False)
    else:
        pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def _text(found: Mapping[str, Any], tag: str) -> str:
    """Return the first value of a tag in DICOM's JSON, "" if there is none."""
    values = found.get(tag, {}).get("Value") or [""]
    return " ".join(str(values[0]).split())
