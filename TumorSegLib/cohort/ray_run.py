"""Has the cases of a cohort segmented by workers on Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace

from TumorSegLib.cohort.case_folder import Results
from TumorSegLib.cohort.case_run import CaseRunner, Outcome
from TumorSegLib.cohort.models import Models
from TumorSegLib.cohort.plan import Task
from TumorSegLib.cohort.ray_pool import answers
from TumorSegLib.cohort.settings import Settings, WorkSharing

AT_ONCE = 3
"""One in the network, one that has been read, one that is being read or written."""

Deliver = Callable[[Outcome], None]


@dataclass(frozen=True)
class _Given:
    """What a worker is told of the run."""

    results: Results
    models: Models
    settings: Settings

    def __call__(self, threads: int) -> CaseRunner:
        """Get a worker ready."""
        return CaseRunner(self.results, self.models, self.settings, threads=threads)


def run_tasks(
    tasks: Iterable[Task],
    results: Results,
    models: Models,
    settings: Settings,
    work: WorkSharing,
    deliver: Deliver,
) -> None:
    """Segment all tasks, and deliver what becomes of each as soon as it is known.

    Args:
        tasks: to do.
        results: where they go, a folder that all computers of the cluster see at the same path.
        models: of the run.
        settings: of the run.
        work: how it is shared out.
        deliver: called in this thread, once a task.

    Raises:
        TumorSegError: Ray is not there, the model cannot be used, or no worker comes up.
    """
    given = _Given(Results(results.folder.absolute()), models.absolute(), settings)
    tasks = [replace(task, case=task.case.absolute()) for task in tasks]
    with closing(answers(tasks, given, _failed, work, at_once=AT_ONCE)) as outcomes:
        for outcome in outcomes:
            deliver(outcome)


def _failed(task: Task, reason: str) -> Outcome:
    return Outcome(task.case.name, task.fingerprint, reason)
