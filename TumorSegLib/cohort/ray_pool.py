"""Hands tasks to workers on Ray, each a process with its model loaded.

Ray places the workers, tells when one is gone and why; what is left to do here is who gets which
task. A worker never has more than a few in hand. When its process ends (a crash, no memory), each
of these is tried once more with a process of its own, after all others: a task whose process ends
then, too, is the one to blame. When a whole computer is gone, its tasks are no worse for it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from TumorSegLib.cohort.ray_cluster import connected
from TumorSegLib.cohort.settings import WorkSharing
from TumorSegLib.errors import InputError, TumorSegError
from TumorSegLib.support.version import __version__

MOST_FALSE_STARTS = 3
"""Workers in a row that end before their first case."""
WAIT_SECONDS = 300.0
"""That a worker may take to come up, on a slow disk and beside others."""
WAITED = "Ray has no free place for a worker"

Task = TypeVar("Task", contravariant=True)
Answer = TypeVar("Answer", covariant=True)


class Runner(Protocol[Task, Answer]):
    """What does the tasks in a worker's process."""

    def run(self, task: Task) -> Answer:
        """Do a task; what is wrong with it is part of the answer."""


Make = Callable[[int], Runner[Task, Answer]]
"""Gets a worker ready, with so many threads; travels to its process."""
Failed = Callable[[Task, str], Answer]
"""Returns the answer to a task that a worker could not give, and why."""


@dataclass(frozen=True)
class Share:
    """What each worker gets, and how many there are."""

    workers: int
    threads: int
    gpu: float
    at_once: int


def answers(
    tasks: Iterable[Task],
    make: Make[Task, Answer],
    failed: Failed[Task, Answer],
    work: WorkSharing,
    *,
    at_once: int = 1,
) -> Generator[Answer, None, None]:
    """Yield what becomes of each task as soon as it is known.

    Args:
        tasks: to do; their paths are absolute where a cluster does them.
        make: gets a worker ready.
        failed: answers for a worker that is gone.
        work: how it is shared out.
        at_once: tasks that a worker has in hand, each in a thread, if it has more than one core.

    Raises:
        TumorSegError: Ray is not there, a worker cannot be made ready, or none comes up.
    """
    with connected(work.address, work.workers) as ray:
        pool = _Pool(ray, share_of(ray, work, at_once), make, failed)
        try:
            yield from pool.answers(tasks)
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise TumorSegError(
                f"Ray has ended under way ({_why(error)}); run the same command again"
            ) from error
        finally:
            pool.close()


def share_of(ray: ModuleType, work: WorkSharing, at_once: int = 1) -> Share:
    """Return how many workers there are and what each gets.

    Raises:
        InputError: the cluster has less than what one worker is to have.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
    gpus = sum(node.get("GPU", 0) for node in nodes)
    if not cores:
        raise InputError("--address: the cluster has no computer with a core for workers")
    gpu = work.gpu if work.gpu is not None else (1.0 if gpus else 0.0)
    workers = work.workers or (max(1, int(gpus / gpu)) if gpu else len(cores))
    threads = work.threads
    if threads is None:
        here = min(os.cpu_count() or 1, *cores) if work.address is None else min(cores)
        threads = max(1, here // -(-workers // len(cores)))
    if threads > max(cores):
        raise InputError(
            f"--threads {threads}: the largest computer has {max(cores)} cores; ask for fewer"
        )
    if gpu > gpus:
        raise InputError(f"--gpu-share {gpu:g}: found {gpus:g} GPUs; ask for less")
    single = threads == 1 and not gpu
    return Share(workers, threads, gpu, 1 if single else at_once)


@dataclass
class _Worker:
    """A worker process, as far as it is known here.

    Attributes:
        handle: Ray's.
        ready: Ray's reference to its first answer, which has the computer that it runs on.
        node: that computer's id; empty until it has answered.
        tasks: that it has in hand, by Ray's reference to what becomes of them.
        alone: whether it has one that may be to blame for the end of another worker.
    """

    handle: Any
    ready: Any
    node: str = ""
    tasks: dict[Any, Any] = field(default_factory=dict)
    alone: bool = False


class _Pool(Generic[Task, Answer]):
    """The workers, and who has what."""

    def __init__(
        self,
        ray: ModuleType,
        share: Share,
        make: Make[Task, Answer],
        failed: Failed[Task, Answer],
    ) -> None:
        self._ray, self._share, self._failed = ray, share, failed
        self._make = ray.put(make)
        remote = ray.remote(_Actor)
        self._actor = remote.options(
            num_cpus=share.threads,
            num_gpus=share.gpu,
            max_concurrency=share.at_once + 1,
            max_restarts=0,
        )
        self._waiting: deque[Any] = deque()
        self._suspects: deque[Any] = deque()
        self._false_starts = 0
        self._workers: list[_Worker] = []

    def answers(self, tasks: Iterable[Task]) -> Iterator[Answer]:
        """Yield what becomes of each task.

        Raises:
            TumorSegError: the model cannot be used, or no worker comes up.
        """
        self._waiting.extend(tasks)
        wanted = min(self._share.workers, len(self._waiting))
        self._workers = [self._new() for _ in range(wanted)]
        while self._waiting or self._suspects or any(one.tasks for one in self._workers):
            self._hand_out()
            yield from self._next()

    def close(self) -> None:
        """End all workers, whatever they are at, if Ray is still there."""
        with suppress(Exception):
            for worker in self._workers:
                self._ray.kill(worker.handle)

    def _new(self) -> _Worker:
        handle = self._actor.remote(self._make, self._share.threads)
        return _Worker(handle, handle.begin.remote(__version__))

    def _hand_out(self) -> None:
        for worker in self._workers:
            if not worker.node or worker.alone:
                continue
            while self._waiting and len(worker.tasks) < self._share.at_once:
                self._give(worker, self._waiting.popleft())
            if self._suspects and not worker.tasks:
                worker.alone = True
                self._give(worker, self._suspects.popleft())

    def _give(self, worker: _Worker, task: Task) -> None:
        worker.tasks[worker.handle.run.remote(task)] = task

    def _next(self) -> Iterator[Answer]:
        """Wait until something happens, and yield an answer if it is that."""
        owners = {reference: one for one in self._workers for reference in one.tasks}
        owners |= {one.ready: one for one in self._workers if not one.node}
        done, _ = self._ray.wait(list(owners), num_returns=1, timeout=WAIT_SECONDS)
        if not done and not any(one.node for one in self._workers):
            raise TumorSegError(
                f"{WAITED} within {WAIT_SECONDS:.0f} s; ask for fewer --threads or a smaller"
                " --gpu-share, or wait until others are done"
            )
        for reference in done:
            worker = owners[reference]
            try:
                answer = self._ray.get(reference)
            except self._ray.exceptions.RayTaskError as error:
                if reference == worker.ready:
                    raise _cause(error) from None
                task = worker.tasks.pop(reference)
                yield self._failed(task, f"unexpected fault, please report it: {_cause(error)}")
            except self._ray.exceptions.RayError as error:
                yield from self._lost(worker, error)
                continue
            else:
                if reference == worker.ready:
                    worker.node = answer
                else:
                    self._false_starts = 0
                    worker.tasks.pop(reference)
                    yield answer
            worker.alone = worker.alone and bool(worker.tasks)

    def _lost(self, worker: _Worker, error: Exception) -> Iterator[Answer]:
        """Put another worker in the place of one that is gone."""
        tasks = list(worker.tasks.values())
        if not self._is_there(worker.node):
            self._waiting.extend(tasks)
        elif worker.alone:
            reason = "the process that segmented it ended twice, without a word: "
            yield from (self._failed(task, reason + _why(error)) for task in tasks)
        else:
            self._suspects.extend(tasks)
        self._false_starts += not tasks
        if self._false_starts >= MOST_FALSE_STARTS:
            raise TumorSegError(f"workers end before their first case: {_why(error)}")
        self._ray.kill(worker.handle)
        self._workers[self._workers.index(worker)] = self._new()

    def _is_there(self, node: str) -> bool:
        """Tell whether a computer is still part of the cluster."""
        return any(one["NodeID"] == node and one["Alive"] for one in self._ray.nodes())


class _Actor:
    """A worker: what runs in its process."""

    def __init__(self, make: Make[Any, Any], threads: int) -> None:
        self._make, self._threads = make, threads

    def begin(self, version: str) -> str:
        """Load the model; return the id of the computer that this process runs on.

        Args:
            version: of TumorSeg where the command runs.

        Raises:
            TumorSegError: the model cannot be used here, or another TumorSeg is installed here.
        """
        import ray

        if version != __version__:
            raise TumorSegError(
                f"a computer of the cluster has TumorSeg {__version__}, this one {version}; install"
                " the same on all"
            )
        self._runner = self._make(self._threads)
        node: str = ray.get_runtime_context().get_node_id()
        return node

    def run(self, task: Any) -> Any:
        """Do a task."""
        return self._runner.run(task)


def _cause(error: Any) -> Exception:
    """Return what was raised in a worker."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, TumorSegError) else TumorSegError(_why(error))


def _why(error: Exception) -> str:
    """Return in a few words why a worker is gone."""
    text = str(error).strip()
    for sign, words in REASONS.items():
        if sign in text:
            return words
    return " ".join(text.splitlines()[-1].split()) if text else type(error).__name__


REASONS = {
    "OutOfMemory": "there was not enough memory",
    "memory pressure": "there was not enough memory",
    "SIGKILL": "it was killed, perhaps for want of memory",
    "connection error code 2": "it crashed, or was killed for want of memory",
    "node has died": "its computer is gone",
}
"""What Ray's accounts of a dead worker say, and what that means."""
