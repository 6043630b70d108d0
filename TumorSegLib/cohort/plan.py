"""What is left to do: cases whose input, model or settings are not those of the result there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from TumorSegLib.cohort.case import Case, Refused
from TumorSegLib.cohort.case_folder import Results, sha256_of
from TumorSegLib.cohort.models import Models
from TumorSegLib.cohort.settings import Settings
from TumorSegLib.errors import TumorSegError, escaped
from TumorSegLib.model.checksum import digest

CORRECTED = (
    "its segmentation was changed since it was written, and would be replaced, as its input, model"
    " or settings have changed, too; move its folder away to have it done again"
)


@dataclass(frozen=True)
class Task:
    """A case and the hash of all that its result depends on."""

    case: Case
    fingerprint: str


@dataclass(frozen=True)
class Plan:
    """What a run does.

    Attributes:
        tasks: to be done.
        done: names of cases that are there and have not changed.
        failed: names of cases that failed before with the same input, model and settings.
        refused: what cannot be segmented at all, or was corrected and would be replaced.
    """

    tasks: tuple[Task, ...]
    done: tuple[str, ...]
    failed: tuple[str, ...]
    refused: tuple[Refused, ...]

    @property
    def names(self) -> list[str]:
        """Of all cases."""
        tasks = [task.case.name for task in self.tasks]
        return sorted([*tasks, *self.done, *self.failed, *(one.name for one in self.refused)])


def plan_cases(
    found: Iterable[Case | Refused],
    results: Results,
    models: Models,
    settings: Settings,
    *,
    by_content: bool = False,
    retry_failed: bool = False,
) -> Plan:
    """Return what is to be done.

    Args:
        found: all cases.
        results: of earlier runs.
        models: of this run.
        settings: of this run.
        by_content: tell by their bytes whether files have changed, not by size and time.
        retry_failed: do what failed again though nothing has changed.
    """
    tasks, done, failed, refused = [], [], [], []
    for case in found:
        if isinstance(case, Refused):
            refused.append(case)
            continue
        try:
            fingerprint = fingerprint_of(case, models, settings, by_content=by_content)
        except (OSError, TumorSegError) as error:
            refused.append(Refused(case.name, escaped(str(error))))
            continue
        if results.fingerprint(case.name) == fingerprint:
            done.append(case.name)
        elif results.failed_with(case.name) == fingerprint and not retry_failed:
            failed.append(case.name)
        elif results.is_corrected(case.name):
            refused.append(Refused(case.name, CORRECTED))
        else:
            tasks.append(Task(case, fingerprint))
    return Plan(tuple(tasks), tuple(done), tuple(failed), tuple(refused))


def fingerprint_of(
    case: Case, models: Models, settings: Settings, *, by_content: bool = False
) -> str:
    """Return the SHA-256 of what the result of a case depends on.

    Of each file it has the name, the size and the time of its last change, or the SHA-256 of its
    bytes; not the folder, so that data may move as long as they keep their times.

    Raises:
        OSError: a file is not there any more.
        ModelError: there is no such model.
    """
    look = _content if by_content else _status
    return digest(
        {
            "images": [
                [channel, source.series, [[file.name, *look(file)] for file in source.files]]
                for channel, source in case.sources.items()
            ],
            "model": models.checksum(case.model, case.modality),
            "settings": settings.plain,
        }
    )


def _status(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _content(path: Path) -> list[str]:
    return [sha256_of(path)]
