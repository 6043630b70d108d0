"""Checkpoints that are whole or absent, and the averaged weights in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from torch import Tensor

from TumorSegLib.errors import InputError, OutputError
from TumorSegLib.support.atomic_write import atomic_write
from TumorSegLib.support.signals import signals_held

PREFIX = "network."

NEEDED = ("state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", "epoch")
"""Parts of a checkpoint without which a run cannot go on."""


KEPT = "the checkpoint before is kept: free space and go on with --resume"


class WholeCheckpoints(TorchCheckpointIO):
    """Writes beside the old checkpoint and renames, so that a full disk or a kill costs nothing."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            OutputError: it cannot be written; the one before is untouched.
        """
        target = Path(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with signals_held(), atomic_write(target) as new:
                torch.save(checkpoint, new)
        except OutputError as error:
            raise OutputError(f"{error}; {KEPT}") from None
        except (OSError, RuntimeError) as error:  # torch's writer reports a full disk as the latter
            reason = getattr(error, "strerror", None) or "the disk is full or not writable"
            raise OutputError(f"{target}: {reason}; {KEPT}") from None

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint to go on from; whatever is asked for, code in it is not run.

        Raises:
            InputError: it cannot be read, or is that of no run.
        """
        del map_location, weights_only
        content = dict(read_checkpoint(Path(path)))
        if missing := [key for key in NEEDED if key not in content]:
            raise InputError(f"{path}: not a checkpoint of a run: {missing[0]} is missing")
        return content


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Read a checkpoint of a training run, without running code that it may hold.

    Raises:
        InputError: it cannot be read.
    """
    try:
        content: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except Exception:
        content = {}
    if not isinstance(content, Mapping) or not content:
        raise InputError(
            f"{path}: not a checkpoint, or damaged; bring back an undamaged copy, or begin anew in"
            " another folder"
        )
    return content


def network_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the network's weights in a checkpoint; averaged ones where the run kept an average."""
    weights = checkpoint.get("state_dict", {})
    return {
        name.removeprefix(PREFIX): tensor
        for name, tensor in weights.items()
        if name.startswith(PREFIX)
    }
