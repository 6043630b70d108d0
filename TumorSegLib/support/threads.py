"""How threads of a computation wait for each other."""

from __future__ import annotations

import os

WAIT_POLICY = "OMP_WAIT_POLICY"
"""OpenMP's variable; PyTorch's threads read it when they are made."""


def wait_asleep() -> None:
    """Let OpenMP's threads sleep while they wait, unless the user says otherwise.

    Usually they spin, for each layer anew. Where other programs want the cores, too, a thread then
    spins until the one that it waits for gets its turn, and a network takes more than twice as
    long. This must be called before PyTorch is imported and holds for the whole process: it is for
    processes of our own.
    """
    os.environ.setdefault(WAIT_POLICY, "passive")
