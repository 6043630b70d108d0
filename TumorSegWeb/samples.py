"""Made-up patients, made in a thread while the welcome is read: each takes some seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from TumorSegLib.image.volume import Volume


class Sample:
    """One patient, made once."""

    def __init__(self, make: Callable[[], list[Volume]]) -> None:
        """Make it with `make`, but not yet."""
        self._make = make
        self._making = threading.Lock()
        self._volumes: list[Volume] | None = None

    def __call__(self) -> list[Volume]:
        """Return its volumes, which nobody may change; while a thread makes them, wait."""
        with self._making:
            if self._volumes is None:
                self._volumes = self._make()
            return self._volumes


def _brain() -> list[Volume]:
    from TumorSegLib.phantom import brain_phantom

    return list(brain_phantom()[0].values())


def _abdomen() -> list[Volume]:
    from TumorSegLib.phantom import abdomen_phantom

    return [abdomen_phantom()[0]]


SAMPLES = {"Brain phantom (MRI)": Sample(_brain), "Abdomen phantom (CT)": Sample(_abdomen)}
"""All of them, by title."""


def prepare() -> None:
    """Begin to make all; a process that ends meanwhile does not wait."""
    threading.Thread(target=_make_all, name="samples", daemon=True).start()


def _make_all() -> None:
    for sample in SAMPLES.values():
        with suppress(Exception):  # who asks for it is told
            sample()
