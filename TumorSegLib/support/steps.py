"""Work that can be left between two steps, a generator, done without leaving it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

Value = TypeVar("Value")


def finished(steps: Generator[Any, None, Value]) -> Value:
    """Take all steps and return what the generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: Value = end.value
            return value
