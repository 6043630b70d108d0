"""A worker within this process that goes on only when it is polled, one event at a time.

The commands, the events and what answers them are the real ones; only the process is not, so that
a test decides what happens between two events.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Generator
from typing import Any

from TumorSegLib.worker.inbox import Blocks
from TumorSegLib.worker.process import Worker
from TumorSegLib.worker.protocol import Cancel, Forget, Share, from_line
from TumorSegLib.worker.shared_memory import SharedBlock


class Killed(BaseException):
    """Ends the worker's thread wherever it is."""


class SteppedWorker:
    """The real `Worker` on a thread that runs only within `step`; its own inbox and outbox."""

    def __init__(self) -> None:
        self.blocks = Blocks()
        self.events: list[Any] = []
        self._waiting: queue.Queue[Any] = queue.Queue()
        self._cancelled: set[int] = set()
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._killed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def step(self) -> None:
        """Go on to the next event, or to where a command is waited for."""
        if self._thread.is_alive():
            self._go.release()
            self._back.acquire()

    def kill(self) -> None:
        self._killed = True
        self.step()
        self._thread.join()

    def take(self, command: Any) -> None:
        """Do what `TumorSegLib.worker.inbox.Inbox` does with a command."""
        match command:
            case Share():
                self.blocks.attach(command)
            case Cancel():
                self._cancelled.add(command.job)
            case _:
                self._waiting.put(command)

    def next(self) -> Any:
        while self._waiting.empty():
            self._hand_over()
        return self._waiting.get()

    def is_cancelled(self, job: int) -> bool:
        return job in self._cancelled

    def write(self, line: bytes) -> None:
        self.events.append(from_line(line))

    def flush(self) -> None:
        self._hand_over()

    def _serve(self) -> None:
        self._go.acquire()
        try:
            if not self._killed:
                Worker(self, self).serve()
        except Killed:
            pass
        finally:
            self._back.release()

    def _hand_over(self) -> None:
        self._back.release()
        self._go.acquire()
        if self._killed:
            raise Killed


class SteppedClient:
    """What `TumorSegModule.logic.worker_client.WorkerClient` is to the panel.

    Attributes:
        log: the last lines that were logged.
        workers: how many were started.
    """

    def __init__(self) -> None:
        self.log: deque[str] = deque(maxlen=200)
        self.workers = 0
        self._worker: SteppedWorker | None = None
        self._dead = False
        self._shared: dict[str, SharedBlock] = {}

    @property
    def pid(self) -> int | None:
        return self.workers if self._worker is not None else None

    def start(self) -> None:
        if self._dead:
            self.stop()
        if self._worker is None:
            self._worker = SteppedWorker()
            self.workers += 1

    def new_block(self, size: int) -> Generator[None, None, SharedBlock]:
        block = yield from SharedBlock.creating(size)
        self._shared[block.name] = block
        self.send(Share(block.name, len(block.memory)))
        return block

    def has(self, block: SharedBlock) -> bool:
        return self._worker is not None and block.name in self._shared

    def forget(self, block: SharedBlock) -> None:
        if self.has(block):
            del self._shared[block.name]
            self.send(Forget(block.name))
            block.unlink()

    def send(self, command: Any) -> None:
        if self._worker is not None and not self._dead:
            self._worker.take(command)

    def poll(self) -> list[Any]:
        """Let the worker go on by one event and return what it said and was not read yet."""
        if self._worker is None:
            return []
        if not self._dead:
            self._worker.step()
        events, self._worker.events = self._worker.events, []
        if self._dead:
            from TumorSegModule.logic.worker_client import WorkerEnded  # importable with the host

            self.stop()
            events.append(WorkerEnded(-9, ""))
        return events

    def stop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
        for block in self._shared.values():
            block.unlink()
        self._worker, self._dead, self._shared = None, False, {}

    def run_ahead(self, steps: int) -> None:
        """Let the worker say several things before it is read again."""
        for _ in range(steps):
            if self._worker is not None and not self._dead:
                self._worker.step()

    def kill(self) -> None:
        """Kill the worker as the system does for want of memory; what it said can be read."""
        if self._worker is not None and not self._dead:
            self._worker.kill()
            self._dead = True
