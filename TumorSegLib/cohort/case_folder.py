"""The results of a cohort on disk: a folder a case, whole or absent; a line for what failed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from TumorSegLib.errors import OutputError, escaped
from TumorSegLib.support import leftovers
from TumorSegLib.support.atomic_write import PREFIX, ensure_makeable, write_whole
from TumorSegLib.support.whole_folder import finish_replacing, replacing_folder

RECORD = "record.json"
"""What the tables are made of, and the fingerprint of what the case was made of."""
SEGMENTATION, RESULT, THUMBNAIL = "segmentation", "result.json", "thumbnail.png"
DICOM, STRUCTURED_REPORT, REPORT = "segmentation.dcm", "measurements.dcm", "report"

FORMAT = 1
"""Of records; those of another are done again."""

Record = dict[str, Any]


class Results:
    """What lies in the folder of results.

    Attributes:
        folder: of all results.
        cases: the folder with one for each case.
        failures: the folder with a file for each case that failed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases, self.failures = folder / "cases", folder / "failed"

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Make the folders, and keep other runs out; what killed ones left is removed.

        Raises:
            OutputError: they cannot be made or written to, or another run works there.
        """
        ensure_makeable(self.cases)
        try:
            for folder in (self.cases, self.failures):
                folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            lock.acquire(timeout=0)
        except Timeout:
            raise OutputError(
                f"{self.folder}: another run is at work there; wait for it or name another folder"
            ) from None
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be made: {error.strerror}") from None
        try:
            self.clean()
            yield
        finally:
            self.clean()
            lock.release()

    def clean(self) -> None:
        """Clear up after processes that are gone: what was half done goes, what was whole stays."""
        finish_replacing(self.cases)

    def of(self, name: str) -> Path:
        """Return the folder of a case."""
        return self.cases / name

    def record(self, name: str) -> Record | None:
        """Return what is known of a case that is done; None: it is not."""
        return _read(self.of(name) / RECORD)

    def fingerprint(self, name: str) -> str | None:
        """Return that of a case that is done, None of one that is not."""
        record = self.record(name)
        return None if record is None else str(record.get("fingerprint"))

    def is_corrected(self, name: str) -> bool:
        """Tell whether the segmentation of a case is not the one that the run wrote."""
        written = (self.record(name) or {}).get("segmentation")
        if not isinstance(written, dict):
            return False
        path = self.of(name) / Path(str(written.get("file"))).name
        return path.is_file() and sha256_of(path) != written.get("sha256")

    def failure(self, name: str) -> Record | None:
        """Return why a case failed when it was last tried; None: it did not."""
        return _read(self.failures / f"{name}.json")

    def failed_with(self, name: str) -> str | None:
        """Return the fingerprint with which a case failed, None if it did not."""
        failure = self.failure(name)
        return None if failure is None else str(failure.get("fingerprint"))

    def note_failure(self, name: str, fingerprint: str, reason: str) -> None:
        """Keep why a case failed; what an earlier run made of another input stays, unlisted.

        Raises:
            OutputError: it cannot be written.
        """
        content = {"format": FORMAT, "case": name, "fingerprint": fingerprint}
        content |= {"reason": escaped(reason)}
        write_whole(self.failures / f"{name}.json", json.dumps(content, ensure_ascii=False))

    def note_done(self, name: str) -> None:
        """Forget that a case failed before."""
        leftovers.remove(self.failures / f"{name}.json")

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a folder to write a case to; when the block ends well, it is the case's.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            with replacing_folder(self.of(name)) as new:
                new.mkdir()
                yield new
                for temporary in new.rglob(f"{PREFIX}*"):  # a failing disk let none remove it
                    leftovers.remove(temporary)
        except OSError as error:
            reason = error.strerror or str(error)
            raise OutputError(f"{self.of(name)}: cannot be written: {reason}") from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> Record | None:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    is_ours = isinstance(content, dict) and content.get("format") == FORMAT
    return content if is_ours else None
