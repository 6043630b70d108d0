"""The machine: what it is, how fast it convolves, what memory a process has held."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rows.pairs import Sample
from TumorSegLib.support.device import has_native_bf16

CHANNELS, SIZE, BATCH = 64, 256, 2
SECONDS = 0.3
CPU = torch.device("cpu")


def precisions() -> dict[str, torch.dtype]:
    """Return the types in which the processor computes natively, by name."""
    types = {"fp32": torch.float32}
    if has_native_bf16(CPU):
        types["bf16"] = torch.bfloat16
    return types


def convolution_rates() -> dict[str, float]:
    """Return the rate of 3x3 convolutions, 64 to 64 channels of 256x256, in GFLOP/s by precision.

    It is the mean over about 0.3 s, as everything beside which it stands is a mean, too.
    """
    return {name: _rate(dtype) for name, dtype in precisions().items()}


def _rate(dtype: torch.dtype) -> float:
    layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False).to(dtype)
    layer = layer.to(memory_format=torch.channels_last)
    images = torch.rand(BATCH, CHANNELS, SIZE, SIZE).to(dtype)
    images = images.contiguous(memory_format=torch.channels_last)
    done, began = 0, 0.0
    with torch.inference_mode():
        layer(images)
        began = time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            layer(images)
            done += 1
    seconds = time.perf_counter() - began
    return done * 2 * 9 * CHANNELS**2 * images[:, 0].numel() / seconds / 1e9


def gflop_of(network: nn.Module, slices: Tensor) -> float:
    """Return the arithmetic of a network on slices, in 10^9 operations, two a multiplication."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(slices)
    return float(counter.get_total_flops() / 1e9)


def timed(action: Callable[[], object]) -> Sample:
    """Do something in this process; its peak memory is what came on top of what was there."""
    before = _reset_peak()
    started, worked = time.perf_counter(), time.process_time()
    action()
    seconds, processor = time.perf_counter() - started, time.process_time() - worked
    peak = _memory("VmHWM")
    known = before is not None and peak is not None
    return Sample(seconds, processor, max(0, peak - before) if known else None)


def _reset_peak() -> int | None:
    """Let the system forget this process's peak memory; return what it holds now, in bytes."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _memory("VmRSS")


def _memory(field: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    kibibytes = (line.split()[1] for line in lines if line.startswith(f"{field}:"))
    return next((int(value) * 1024 for value in kibibytes), None)


def description() -> dict[str, Any]:
    """Return what the figures hold for."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "vector_units": torch.backends.cpu.get_cpu_capability(),
        "native_bf16": has_native_bf16(CPU),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "convolution_gflop_per_second": {k: round(v) for k, v in convolution_rates().items()},
        "load_average": None if not hasattr(os, "getloadavg") else round(os.getloadavg()[0], 1),
    }
