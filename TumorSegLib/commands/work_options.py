"""The options by which commands share work out among processes, here or on a cluster."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from TumorSegLib.cohort.settings import WorkSharing


def add_work_options(parser: argparse._ActionsContainer) -> None:
    """Add --workers, --threads, --gpu-share and --address."""
    parser.add_argument("--workers", metavar="N", type=count, help="processes that segment")
    parser.add_argument("--threads", metavar="N", type=count, help="cores of each worker")
    parser.add_argument(
        "--gpu-share", metavar="F", type=share, help="part of a GPU of each worker, such as 0.5"
    )
    parser.add_argument(
        "--address", metavar="ADDRESS", help="of a Ray cluster: ray://host:10001, host:6379 or auto"
    )


def work_of(arguments: argparse.Namespace) -> WorkSharing:
    """Return how the work is shared out."""
    from TumorSegLib.cohort.settings import WorkSharing

    return WorkSharing(
        address=arguments.address,
        workers=arguments.workers,
        threads=arguments.threads,
        gpu=arguments.gpu_share,
    )


def shared_work_of(arguments: argparse.Namespace) -> WorkSharing | None:
    """Return how the work is shared out, None where no option says that it is.

    Raises:
        TumorSegError: Ray is not installed.
    """
    from TumorSegLib.cohort.ray_cluster import require_ray
    from TumorSegLib.cohort.settings import WorkSharing

    work = work_of(arguments)
    if work == WorkSharing():
        return None
    require_ray()
    return work


def count(text: str) -> int:
    """Return a number of things, at least one.

    Raises:
        ValueError: it is none.
    """
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def port(text: str) -> int:
    """Return the number of a TCP port, 0 for any that is free.

    Raises:
        ValueError: it is none.
    """
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError
    return number


def share(text: str) -> float:
    """Return a part of one thing, at most all of it.

    Raises:
        ValueError: it is none.
    """
    part = float(text)
    if not 0 < part <= 1:
        raise ValueError
    return part
