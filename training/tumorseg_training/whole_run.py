"""A run from its first step to its bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tumorseg_training.config import TrainingConfig
from tumorseg_training.publishing import Published, publish
from tumorseg_training.started_from import patients_before
from tumorseg_training.train import Devices, train
from TumorSegLib.model.bundle_folder import check_place_of_bundle
from TumorSegLib.model.evaluation import Evaluation
from TumorSegLib.model.forest import Forest


@dataclass(frozen=True)
class Running:
    """How runs are carried out, whatever they learn.

    Attributes:
        devices: to train on.
        report: takes lines for the user.
        resume: go on with what a run before has left.
        progress: show a bar.
    """

    devices: Devices
    report: Callable[[str], None]
    resume: bool = False
    progress: bool = False


def train_and_publish(
    config: TrainingConfig,
    folder: Path,
    running: Running,
    *,
    measured: Evaluation | None = None,
    forest: Forest | None = None,
) -> Published | None:
    """Train as `config` says and publish, see `publish`; none in processes that only help.

    Raises:
        InputError: see `train`.
        OutputError: what stands where the bundle is to be is none, or it cannot be written.
    """
    check_place_of_bundle(folder / config.model.id)
    earlier = patients_before(config.optimisation.start_from)
    trained = train(
        config,
        folder,
        resume=running.resume,
        devices=running.devices,
        report=running.report,
        progress=running.progress,
    )
    if not trained.main:
        return None
    return publish(
        config,
        trained,
        folder,
        running.report,
        measured=measured,
        forest=forest,
        earlier=earlier,
    )
