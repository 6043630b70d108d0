"""Training: drawing changed slices, and a step of the network, beside MONAI and plain PyTorch.

Both sides change slices by the same transforms of MONAI, with the ranges of the brain models. Ours
draws them from slices that are mapped from disk, by one source of random numbers and without
tracked geometry; the peer is MONAI's own `Dataset` of `Compose` over the same slices in memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rows.machine import timed
from rows.network import declare_torchvision_operators, peer
from rows.pairs import Contender, Group, LeftOut, Sample
from TumorSegLib.networks import UNet

TRAINING = Path(__file__).resolve().parents[2] / "training"
CONFIG = TRAINING / "configs" / "brain-lgg-unet.toml"
sys.path.insert(0, str(TRAINING))

CROP, BATCH, DRAWN, STEPS = 160, 8, 64, 3
SLICES, ROWS, CHANNELS = 32, 192, 9


def groups() -> Iterator[Group]:
    """Yield the groups of this family."""
    declare_torchvision_operators()
    try:
        peer("lightning")
        monai = peer("monai")
    except LeftOut as reason:
        pair = ("TumorSegLib", None)
        yield Group("Training", [], [pair], {"TumorSegLib": str(reason)})
        return
    yield _drawing(monai)
    yield _steps()


def _drawing(monai: Any) -> Group:
    """Return the pair that draws changed slices of 192x192, in one process."""
    from tumorseg_training.augmentation import augmentation
    from tumorseg_training.config.reading import read_config
    from tumorseg_training.sampling import Draw
    from tumorseg_training.slice_cache import CachedCase
    from tumorseg_training.slices import Slices

    config = read_config(CONFIG)
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (SLICES, CHANNELS // 3, ROWS, ROWS), np.uint8)
    masks = (images[:, 0] > 200).astype(np.uint8)
    case = CachedCase("one", "one", images, masks, (3.0, 1.0, 1.0), np.ones(SLICES, bool))
    transform = augmentation(config.augmentation, config.model, ROWS)
    slices = Slices([case], config.model, transform=transform)

    steps = augmentation(config.augmentation, config.model, ROWS).steps
    plain = Slices([case], config.model)
    pairs = [plain.slice(place) for place in range(SLICES)]
    items = [{"image": image, "mask": mask} for image, mask in pairs]
    usual = monai.data.Dataset(items, monai.transforms.Compose(steps))

    tracked = monai.data.set_track_meta

    def ours() -> Sample:
        tracked(False)
        return timed(lambda: [slices[Draw(n % SLICES, n)] for n in range(DRAWN)])

    def theirs() -> Sample:
        tracked(True)  # as MONAI has it
        return timed(lambda: [usual[n % SLICES] for n in range(DRAWN)])

    both = [Contender("TumorSegLib", ours), Contender("MONAI Dataset", theirs)]
    return Group(
        f"{DRAWN} changed slices of {ROWS}x{ROWS}x{CHANNELS}, one process",
        both,
        [("TumorSegLib", "MONAI Dataset")],
    )


def _steps() -> Group:
    """Return the pair that takes steps of the U-Net on ready batches."""
    from tumorseg_training.config.reading import read_config
    from tumorseg_training.module import SegmentationModule

    module = SegmentationModule(read_config(CONFIG))
    network = UNet(CHANNELS, 1, width=32)
    loss = peer("monai.losses").DiceCELoss(sigmoid=True)
    images = torch.rand(BATCH, CHANNELS, CROP, CROP)
    targets = (images[:, :1] > 0.8).float()

    def ours(batch: torch.Tensor) -> torch.Tensor:
        logits = module(batch.contiguous(memory_format=torch.channels_last))
        found: torch.Tensor = module.loss(logits.float(), targets)
        return found

    def theirs(batch: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = loss(network(batch), targets)
        return found

    both = [
        Contender("TumorSegLib", _stepping(module.network, ours, images)),
        Contender("plain PyTorch, MONAI's loss", _stepping(network, theirs, images)),
    ]
    what = f"{STEPS} steps of U-Net of width 32, batches of {BATCH}, {CROP}x{CROP}x{CHANNELS}"
    return Group(what, both, [(both[0].name, both[1].name)])


def _stepping(
    network: torch.nn.Module,
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    images: torch.Tensor,
) -> Callable[[], Sample]:
    """Return what takes a few steps, after one has been taken."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss_of(images).backward()
        optimiser.step()

    step()
    return lambda: timed(lambda: [step() for _ in range(STEPS)])
