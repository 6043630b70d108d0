"""Ids and versions of models that are retrained."""

from __future__ import annotations

import re
from collections.abc import Container

from TumorSegLib.specification import ModelSpecification


def next_version(base: ModelSpecification, taken: Container[str]) -> tuple[str, str]:
    """Return id and version of the next retrained model: the first minor version that is free.

    The version is part of the id ("brain-lgg-linknet-1.1.0"), so that the models lie side by side.

    Args:
        base: the model to start from, which may have been retrained itself.
        taken: ids that are in use.
    """
    family = base.id.removesuffix(f"-{base.version}")
    numbers = [int(part) for part in re.findall(r"\d+", base.version)[:2]]
    major, minor = (*numbers, 0, 0)[:2]
    while True:
        minor += 1
        version = f"{major}.{minor}.0"
        if f"{family}-{version}" not in taken:
            return f"{family}-{version}", version
