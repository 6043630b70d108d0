"""The options by which commands share work out among processes, here or on a cluster."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from TumorSegLib.cohort.settings import Work


def add_work_options(parser: argparse._ActionsContainer) -> None:
    """Add --workers, --threads, --gpu-share and --address."""
    parser.add_argument("--workers", metavar="N", type=_count, help="processes that segment")
    parser.add_argument("--threads", metavar="N", type=_count, help="cores of each worker")
    parser.add_argument(
        "--gpu-share", metavar="F", type=_share, help="part of a GPU of each worker, such as 0.5"
    )
    parser.add_argument(
        "--address", metavar="ADDRESS", help="of a Ray cluster: ray://host:10001, host:6379 or auto"
    )


def work_of(arguments: argparse.Namespace) -> Work:
    """Return how the work is shared out."""
    from TumorSegLib.cohort.settings import Work

    return Work(
        address=arguments.address,
        workers=arguments.workers,
        threads=arguments.threads,
        gpu=arguments.gpu_share,
    )


def shared_work_of(arguments: argparse.Namespace) -> Work | None:
    """Return how the work is shared out, None where no option says that it is.

    Raises:
        TumorSegError: Ray is not installed.
    """
    from TumorSegLib.cohort.ray_cluster import require_ray
    from TumorSegLib.cohort.settings import Work

    work = work_of(arguments)
    if work == Work():
        return None
    require_ray()
    return work


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise ValueError
    return share
