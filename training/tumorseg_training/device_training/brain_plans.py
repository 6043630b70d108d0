"""What each brain network is trained with, and which runs there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from tumorseg_training.device_training.average import exponential
from tumorseg_training.device_training.loop import Fitting
from TumorSegLib.networks import build_network

EVERYBODY = "all"
CONTEXT = 1


@dataclass(frozen=True)
class BrainStage:
    """A part of a run.

    Attributes:
        until: share of the run's time at which it ends.
        size: of the grid on which slices are seen.
        crop: of what is cut out of them.
        batch: slices a step.
    """

    until: float
    size: int
    crop: int
    batch: int

    def __str__(self) -> str:
        return f"crops of {self.crop} on {self.size}"


@dataclass(frozen=True)
class Plan:
    """How one network is trained.

    Attributes:
        id: of its model.
        network: its name in `TumorSegLib.networks`.
        width: of its first stage.
        share: of the time of all networks.
        size: of the grid on which it is measured and ships.
        stages: of each run.
        learning_rate: at its peak.
        weight_decay: of AdamW.
    """

    id: str
    network: str
    width: int
    share: float
    size: int
    stages: tuple[BrainStage, ...]
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2

    def build(self) -> nn.Module:
        """Return the network with random weights.

        Raises:
            ValueError: a crop is not a multiple of the network's stride: what is padded to one
                takes no part in the loss, and the network would answer anything there.
        """
        for stage in self.stages:
            if stage.crop % self.stride:
                raise ValueError(
                    f"{self.id}: found a crop of {stage.crop}, expected a multiple of {self.stride}"
                )
        inputs = 3 * (2 * CONTEXT + 1)
        arguments = {"in_channels": inputs, "out_channels": 1, "width": self.width}
        return build_network(self.network, arguments)

    @property
    def fitting(self) -> Fitting:
        """How its weights are fitted."""
        return Fitting(
            self.learning_rate,
            self.weight_decay,
            clip=5.0,
            warm_up=0.1,
            final_rate=0.002,
            average=exponential(0.998),
        )

    @property
    def stride(self) -> int:
        """By how much the network's deepest features are coarser than a slice."""
        return 32 if self.network == "LinkNet" else 16


FINE = (
    BrainStage(0.45, 128, 112, 48),
    BrainStage(0.85, 192, 160, 32),
    BrainStage(1.0, 192, 192, 32),
)
PLANS = (
    Plan("brain-lgg-munet", "mU-Net", 24, 0.45, 192, FINE),
    Plan("brain-lgg-unet", "U-Net", 32, 0.35, 192, FINE),
    Plan(
        "brain-lgg-linknet",
        "LinkNet",
        64,
        0.2,
        256,
        (
            BrainStage(0.4, 128, 128, 64),
            BrainStage(0.85, 256, 192, 48),
            BrainStage(1.0, 256, 256, 32),
        ),
    ),
)


@dataclass(frozen=True)
class PlannedRun:
    """One run: a plan, and the fold that it leaves out, or `EVERYBODY`."""

    plan: Plan
    fold: str

    @property
    def name(self) -> str:
        """What its files are called after."""
        return f"{self.plan.id}-{self.fold}"


def planned_runs(
    plans: Sequence[Plan], folds: Sequence[str], worker: int, workers: int
) -> list[PlannedRun]:
    """Return the runs of one of several workers; each network's runs are dealt out in turn."""
    return [PlannedRun(plan, fold) for plan in plans for fold in folds[worker::workers]]


def tiny(plan: Plan) -> Plan:
    """Return a plan that a CPU finishes in seconds, with all stages."""
    stages = tuple(
        replace(
            stage,
            size=stage.size // 4,
            crop=stage.crop // 4 // plan.stride * plan.stride,
            batch=10,
        )
        for stage in plan.stages
    )
    return replace(plan, width=8, size=plan.size // 4, stages=stages)
