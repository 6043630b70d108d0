"""The network stage beside MONAI's SliceInferer: same U-Net, same weights, one ready tensor.

    python benchmarks/network_stage.py [--slices 24] [--size 256 512] [--width 32] [--rounds 5]

Prints the ratio of the times, measured in turn within this one process, and how far the
probabilities are apart. Ratios carry over to other machines, absolute times do not. Each contender
runs with the allocator setting that it has in practice: glibc's own for MONAI, which changes
nothing of the process, and `keep_large_blocks` for ours.
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import statistics
import sys
import time
from collections.abc import Callable

import torch
from monai.inferers import SliceInferer
from torch import Tensor

from TumorSegLib.inference.engine import Engine
from TumorSegLib.networks import UNet
from TumorSegLib.support.allocator import (
    M_MMAP_THRESHOLD,
    M_TRIM_THRESHOLD,
    keep_large_blocks,
    release_memory,
)
from TumorSegLib.support.device import has_native_bf16

REFERENCE = "MONAI SliceInferer"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=24, help="at 256x256; fewer if larger")
    parser.add_argument("--size", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    network = UNet(3, 1, width=arguments.width).eval()
    for size in arguments.size:
        slices = max(1, arguments.slices * 256**2 // size**2)
        print(f"{slices} slices of {size}x{size}x3, U-Net of width {arguments.width}")
        compare(network, torch.rand(1, 3, slices, size, size), arguments.rounds)


def compare(network: torch.nn.Module, volume: Tensor, rounds: int) -> None:
    """Run all contenders in turn, `rounds` times, and print medians and median ratios."""
    contenders = {REFERENCE: monai_stage(network, volume)}
    cpu = torch.device("cpu")
    types = {"fp32": torch.float32}
    if has_native_bf16(cpu):
        types["bf16"] = torch.bfloat16
    for name, dtype in types.items():
        engine = Engine([copy.deepcopy(network)], torch.sigmoid, device=cpu, dtype=dtype)
        contenders[f"TumorSegLib {name}"] = engine_stage(engine, volume)

    reference = contenders[REFERENCE]()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    apart = {}
    for _ in range(rounds):
        for name, stage in contenders.items():
            usual_allocator() if name == REFERENCE else keep_large_blocks()
            started = time.perf_counter()
            result = stage()
            times[name].append(time.perf_counter() - started)
            apart[name] = (result - reference).abs().max()
    for name, own in times.items():
        ratios = [base / mine for base, mine in zip(times[REFERENCE], own, strict=True)]
        print(
            f"  {name:20s} median {statistics.median(own):6.2f} s"
            f"  {statistics.median(ratios):5.2f} times as fast"
            f"  largest difference {apart[name]:.4f}"
        )


def usual_allocator() -> None:
    """Bring glibc's thresholds to where its own adaptation takes them for large blocks."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(M_TRIM_THRESHOLD, 64 << 20)
        release_memory()  # what our own stages have kept


def monai_stage(network: torch.nn.Module, volume: Tensor) -> Callable[[], Tensor]:
    """Return MONAI's way: every axial slice, one by one."""
    size = volume.shape[-1]
    inferer = SliceInferer(roi_size=(size, size), spatial_dim=0, sw_batch_size=1)

    def stage() -> Tensor:
        with torch.inference_mode():
            return inferer(volume, network).sigmoid()[0, 0]

    return stage


def engine_stage(engine: Engine, volume: Tensor) -> Callable[[], Tensor]:
    """Return our way: batches of slices, folded, channels-last."""

    def stage() -> Tensor:
        slices = volume[0].transpose(0, 1)
        size = engine.batch_size((slices.shape[-2], slices.shape[-1]))
        return torch.cat([engine.probabilities(part)[:, 0] for part in torch.split(slices, size)])

    return stage


if __name__ == "__main__":
    main()
