"""What becomes of a series, step by step: received, waiting, under way, made, sent, forgotten.

Every step is one commit, so that a node that was killed goes on where it stood. Files follow: an
image's is on the disk before its row, and goes after its row says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from TumorSegLib.node.outbox import TO_SEND, Outbox
from TumorSegLib.node.queue_tables import (
    BROKEN,
    DONE,
    ENDED,
    FAILED,
    FINAL,
    MADE,
    OPEN,
    PASSED,
    RECEIVING,
    REFUSED,
    UNDER_WAY,
    WAITING,
    WORKING,
    SeriesRow,
    Tables,
)


@dataclass(frozen=True)
class Named:
    """Which image it is.

    Attributes:
        uid: SOPInstanceUID.
        series: SeriesInstanceUID.
        study: StudyInstanceUID.
        modality: as in DICOM.
        key: hash of what would be done with its series now.
    """

    uid: str
    series: str
    study: str
    modality: str
    key: str


class Queue:
    """The steps of all series, kept in `Tables`."""

    def __init__(self, path: Path) -> None:
        """Open the queue; what was under way when the node ended is given back.

        Raises:
            OutputError: it cannot be opened.
        """
        self.tables = Tables(path)
        self.outbox = Outbox(self.tables)
        with self.tables.changing() as database:
            database.execute("UPDATE series SET state = ? WHERE state = ?", (WAITING, WORKING))
            database.execute(
                "UPDATE series SET connection = ? WHERE connection = ?", (BROKEN, OPEN)
            )

    # Receiving

    def is_elsewhere(self, image: Named) -> bool:
        """Tell whether an image of another series is called so, which none ever is (PS3.5, 9)."""
        found = self.tables.rows(
            "SELECT series.uid FROM image JOIN series ON series.id = image.series"
            " WHERE image.uid = ?",
            image.uid,
        )
        return any(uid != image.series for (uid,) in found)

    def is_known(self, image: Named) -> bool:
        """Tell whether an image is there already, or its series was done as it would be now.

        It is not where its series failed, though it may be there for a while.
        """
        found = self.tables.rows(
            "SELECT image.held, series.state, series.key FROM image JOIN series"
            " ON series.id = image.series WHERE image.uid = ?",
            image.uid,
        )
        return any(
            key == image.key if state in (DONE, PASSED) else held and state != FAILED
            for held, state, key in found
        )

    def note_image(self, image: Named, *, mends: bool) -> int:
        """Keep that an image's file is on the disk; return the number of its series.

        A series that was done, and now has an image more, is received anew.

        Args:
            image: that came.
            mends: whether it came on a connection that began after one of its series broke.
        """
        now = time.time()
        with self.tables.changing() as database:
            row = database.execute(
                "SELECT id, state, connection FROM series WHERE uid = ?", (image.series,)
            ).fetchone()
            if row is None:
                number = database.execute(
                    "INSERT INTO series (uid, study, modality, state, connection, arrived, changed)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (image.series, image.study, image.modality, RECEIVING, OPEN, now, now),
                ).lastrowid
                assert number is not None
            else:
                number, state, connection = row
                begun = state in (WORKING, MADE)
                stays_broken = connection == BROKEN and not mends and state not in FINAL
                database.execute(
                    "UPDATE series SET state = ?, connection = ?, arrived = ?, changed = ?,"
                    " more = ?, reason = '' WHERE id = ?",
                    (
                        state if begun else RECEIVING,
                        BROKEN if stays_broken else OPEN,
                        now,
                        now,
                        int(begun),
                        number,
                    ),
                )
            database.execute(
                "INSERT INTO image (uid, series, held) VALUES (?, ?, 1)"
                " ON CONFLICT (uid) DO UPDATE SET series = excluded.series, held = 1",
                (image.uid, number),
            )
        return int(number)

    def touch(self, series: str, *, mends: bool) -> int | None:
        """Keep that a series comes again, image by image that is there already; return its number.

        None where its state does not depend on it.
        """
        with self.tables.changing() as database:
            row = database.execute(
                "SELECT id, connection FROM series WHERE uid = ? AND state = ?",
                (series, RECEIVING),
            ).fetchone()
            if row is None:
                return None
            number, connection = row
            stays_broken = connection == BROKEN and not mends
            database.execute(
                "UPDATE series SET connection = ?, arrived = ? WHERE id = ?",
                (BROKEN if stays_broken else OPEN, time.time(), number),
            )
        return int(number)

    def note_connection(self, numbers: Iterable[int], *, broken: bool) -> None:
        """Keep how a connection ended, for the series of which images came on it."""
        with self.tables.changing() as database:
            database.executemany(
                "UPDATE series SET connection = ? WHERE id = ? AND connection NOT IN (?, ?)",
                [
                    (BROKEN if broken else ENDED, number, BROKEN, BROKEN if broken else REFUSED)
                    for number in numbers
                ],
            )

    def note_refused(self, uids: Iterable[str]) -> None:
        """Keep that images of series are lacking, as they were refused; the rest is waited for."""
        with self.tables.changing() as database:
            database.executemany(
                "UPDATE series SET connection = ?"
                " WHERE uid = ? AND state = ? AND connection NOT IN (?, ?)",
                [(REFUSED, uid, RECEIVING, BROKEN, REFUSED) for uid in uids],
            )

    # Completeness

    def quiet(self, seconds: float) -> list[SeriesRow]:
        """Return series that came to an end: no connection, and nothing for so long."""
        return self.tables.series(
            "state = ? AND connection != ? AND arrived <= ?",
            RECEIVING,
            OPEN,
            time.time() - seconds,
        )

    def missing(self, number: int) -> tuple[int, int]:
        """Return how many images of a series are gone from here, and how many it has."""
        gone, count = self.tables.rows(
            "SELECT COALESCE(SUM(held = 0), 0), COUNT(*) FROM image WHERE series = ?", number
        )[0]
        return int(str(gone)), int(str(count))

    def study(self, uid: str) -> list[SeriesRow]:
        """Return the series of a study."""
        return self.tables.series("study = ?", uid)

    def note_complete(self, series: SeriesRow, *, key: str, model: str) -> None:
        """Have a series wait for its model, unless an image came since it was looked at."""
        self._move(series, (RECEIVING,), WAITING, unchanged=True, key=key, model=model)

    def note_passed(self, series: SeriesRow, reason: str, *, key: str) -> None:
        """Keep that a series is not segmented, unless an image came since it was looked at."""
        self._move(series, (RECEIVING,), PASSED, unchanged=True, key=key, model="", reason=reason)

    # Segmenting

    def waiting(self) -> list[SeriesRow]:
        """Return the series that wait for their model, the oldest first.

        One that is under way is given to nobody else: the full disk kept its end from being noted.
        """
        return self.tables.series("state IN (?, ?)", WAITING, WORKING)

    def images(self, number: int) -> list[str]:
        """Return the SOPInstanceUIDs of the images of a series that are here, sorted."""
        found = self.tables.rows(
            "SELECT uid FROM image WHERE series = ? AND held = 1 ORDER BY uid", number
        )
        return [str(uid) for (uid,) in found]

    def held(self) -> dict[str, set[str]]:
        """Return the images that are here, by the SeriesInstanceUIDs of their series."""
        found: dict[str, set[str]] = {}
        for series, image in self.tables.rows(
            "SELECT series.uid, image.uid FROM image JOIN series ON series.id = image.series"
            " WHERE image.held = 1"
        ):
            found.setdefault(str(series), set()).add(str(image))
        return found

    def begin(self, series: SeriesRow) -> bool:
        """Take a series; False: it is not waiting any more."""
        return self._move(series, (WAITING, WORKING), WORKING, more=0)

    def give_back(self, series: SeriesRow) -> None:
        """Have a series wait again."""
        self._move(series, (WORKING,), WAITING)

    def note_made(self, series: SeriesRow, files: Sequence[str]) -> bool:
        """Keep the results to send; False: images came meanwhile, and it is to be done again."""
        now = time.time()
        with self.tables.changing() as database:
            more = database.execute(
                "SELECT more FROM series WHERE id = ?", (series.id,)
            ).fetchone()[0]
            state = RECEIVING if more else MADE
            database.execute(
                "UPDATE series SET state = ?, changed = ?, more = 0, reason = '' WHERE id = ?",
                (state, now, series.id),
            )
            if not more:
                database.execute("DELETE FROM result WHERE series = ?", (series.id,))
                database.executemany(
                    "INSERT INTO result (series, file, made, state) VALUES (?, ?, ?, ?)",
                    [(series.id, file, now, TO_SEND) for file in files],
                )
        return not more

    def note_failed(self, series: SeriesRow, reason: str) -> None:
        """Keep why a series has no result; it is received anew when it is sent again."""
        with self.tables.changing() as database:
            database.execute(
                "UPDATE series SET state = CASE WHEN more THEN ? ELSE ? END, changed = ?,"
                " more = 0, reason = ? WHERE id = ?",
                (RECEIVING, FAILED, time.time(), reason, series.id),
            )

    # Forgetting

    def finished(self, of_several: set[str], study_quiet: float) -> list[SeriesRow]:
        """Return series that are through and whose images are still here.

        Args:
            of_several: modalities whose studies stay whole until nothing of them is under way, as
                another of their series may be needed for it.
            study_quiet: seconds after which nothing more of a study is expected.
        """
        through = self.tables.series("id IN (SELECT series FROM image WHERE held = 1) AND is_final")
        return [
            one
            for one in through
            if one.modality not in of_several or self._is_over(one.study, study_quiet)
        ]

    def _is_over(self, study: str, quiet: float) -> bool:
        series = self.study(study)
        recent = max(one.arrived for one in series) > time.time() - quiet
        return not recent and not any(one.state in UNDER_WAY for one in series)

    def note_removed(self, series: SeriesRow) -> bool:
        """Keep that the images of a series are to go from the disk; False: it began anew."""
        with self.tables.changing() as database:
            done = database.execute(
                "UPDATE image SET held = 0 WHERE series ="
                " (SELECT id FROM series WHERE id = ? AND is_final)",
                (series.id,),
            )
            return done.rowcount > 0

    def forget(self, days: float) -> None:
        """Forget what was through so long ago."""
        with self.tables.changing() as database:
            database.execute(
                "DELETE FROM series WHERE is_final AND changed < ?",
                (time.time() - days * 86400,),
            )

    def summary(self) -> str:
        """Return in a few words how much is under way."""
        (count,) = self.tables.rows("SELECT COUNT(*) FROM series WHERE NOT is_final")[0]
        return f"{count} series under way"

    def _move(
        self,
        series: SeriesRow,
        before: Sequence[str],
        after: str,
        *,
        unchanged: bool = False,
        **values: object,
    ) -> bool:
        changed = {"state": after, "changed": time.time(), **values}
        names = ", ".join(f"{name} = ?" for name in changed)
        marks = ", ".join("?" * len(before))
        as_it_was = " AND arrived = ?" if unchanged else ""
        with self.tables.changing() as database:
            done = database.execute(
                f"UPDATE series SET {names} WHERE id = ? AND state IN ({marks}){as_it_was}",  # noqa: S608 - ours
                (*changed.values(), series.id, *before, *([series.arrived] if unchanged else [])),
            )
            return done.rowcount == 1
