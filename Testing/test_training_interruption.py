"""Ctrl-C and SIGTERM end a training between two batches, wherever in it they come."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from synthetic_data import write_config, write_nnunet

from tumorseg_training.config import read_config
from tumorseg_training.interruption import Interruption
from tumorseg_training.train import LAST, Devices, train

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="a process there cannot signal itself"),
]


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def done_before_the_end(watched: Interruption, *steps: Callable[[], None]) -> int:
    """Return how many steps were done until the run ended."""
    done = 0

    def run() -> None:
        nonlocal done
        with watched.watching():
            for step in steps:
                step()
                done += 1

    with pytest.raises(KeyboardInterrupt):
        run()
    return done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_batch(number: int) -> None:
    before = signal.getsignal(number)
    watched = Interruption()
    asked = partial(send, number)
    batch = watched.on_train_batch_end
    assert done_before_the_end(watched, watched.on_fit_start, batch, asked, batch) == 3
    assert signal.getsignal(number) is before
    watched = Interruption()
    last = watched.on_validation_batch_end
    assert done_before_the_end(watched, watched.on_fit_start, last, asked, last) == 3


def test_a_second_signal_does_not_wait() -> None:
    watched = Interruption()
    asked = partial(send, signal.SIGTERM)
    assert done_before_the_end(watched, watched.on_fit_start, asked, asked) == 2


def test_nothing_waits_while_cases_are_decoded() -> None:
    watched = Interruption()
    assert done_before_the_end(watched, partial(send, signal.SIGTERM)) == 0


def test_a_signal_after_the_last_batch_is_not_lost() -> None:
    watched = Interruption()
    asked = partial(send, signal.SIGTERM)
    assert done_before_the_end(watched, watched.on_fit_start, asked, lambda: None) == 3


def test_another_thread_takes_no_signals() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def watch() -> None:
        with Interruption().watching():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=watch)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_signal_while_the_loader_starts_its_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loader is half made then: it must become whole, to be ended in order."""
    config = write_config(tmp_path, write_nnunet(tmp_path / "data", 4), epochs=3)
    start, started = BaseProcess.start, []

    def start_and_signal(process: BaseProcess) -> None:
        start(process)
        if not started:
            send(signal.SIGTERM)
        started.append(process)

    failed = []
    monkeypatch.setattr(BaseProcess, "start", start_and_signal)
    monkeypatch.setattr(sys, "unraisablehook", failed.append)
    changes = ["optimisation.workers=2", "optimisation.batch_size=4"]
    with pytest.raises(KeyboardInterrupt):
        train(
            read_config(config, changes),
            tmp_path / "run",
            devices=Devices(accelerator="cpu"),
            report=lambda _: None,
            progress=False,
        )
    gc.collect()
    assert len(started) == 2
    assert [str(each.exc_value) for each in failed] == []
    assert multiprocessing.active_children() == []
    assert not (tmp_path / "run" / LAST).exists()
