"""A CUDA device: the network stage by precision and batch, and a CT through the warm worker.

    python benchmarks/gpu_path.py [--rounds 7] [--slices 200] [--json OUT]

Beside every time stands what share of the card's own convolution rate it reaches, measured in the
same run. The whole path is timed from the request to the label map in shared memory, as the panel
sees it, with the shipped liver model on a phantom abdomen of 512x512. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from TumorSegLib.inference.engine import Engine
from TumorSegLib.inference.run_options import RunOptions
from TumorSegLib.networks import LinkNet, UNet
from TumorSegLib.phantom import abdomen_phantom

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "TumorSeg"))
from rows.worker import request_of

from TumorSegModule.logic.runner import Runner
from TumorSegModule.logic.worker_client import WorkerClient

GFLOP = {"U-Net 32": 24.1, "LinkNet-18": 5.4}
"""Of one slice of 256x256 and three channels."""

TYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    report = {"device": name_of(device), "torch": torch.__version__}
    print(f"{report['device']}, torch {torch.__version__}")
    report["peak"] = peaks(device, arguments.rounds)
    report["worker"] = worker_rows(
        arguments.device, arguments.slices, arguments.size, arguments.rounds
    )
    report["network"] = network_rows(device, arguments.batches, report["peak"], arguments.rounds)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=1))


def peaks(device: torch.device, rounds: int) -> dict[str, float]:
    """Return the best rate of one large convolution in TFLOP/s, by precision."""
    rates = {}
    for name, dtype in TYPES.items():
        allow_tf32(name)
        layer = nn.Conv2d(256, 256, 3, padding=1, bias=False).to(device, dtype)
        layer = layer.to(memory_format=torch.channels_last)
        batch = 16 if device.type == "cuda" else 1
        images = torch.rand(batch, 256, 128, 128, device=device, dtype=dtype)
        images = images.contiguous(memory_format=torch.channels_last)
        seconds = median(partial(layer, images), device, rounds)
        rates[name] = 2 * 9 * 256**2 * images[:, 0].numel() / seconds / 1e12
        print(f"  convolution {name}: {rates[name]:.1f} TFLOP/s")
    return rates


def network_rows(
    device: torch.device, batches: list[int], peak: dict[str, float], rounds: int
) -> list[dict[str, object]]:
    """Time networks on ready slices by precision and batch, and with a CUDA graph."""
    rows = []
    torch.manual_seed(0)
    networks: dict[str, nn.Module] = {"U-Net 32": UNet(3, 1, width=32), "LinkNet-18": LinkNet(3, 1)}
    for title, network in networks.items():
        for name, dtype in TYPES.items():
            allow_tf32(name)
            twin = copy.deepcopy(network).eval()
            engine = Engine([twin], torch.sigmoid, device=device, dtype=dtype)
            for batch in batches:
                slices = torch.rand(batch, 3, 256, 256, device=device)
                graphs = [False, True] if device.type == "cuda" else [False]
                for graph in graphs:
                    step = partial(engine.probabilities, slices)
                    if graph:
                        try:
                            step = graphed(step)
                        except RuntimeError as error:
                            print(f"  {title} {name}: no CUDA graph, {str(error).splitlines()[0]}")
                            continue
                    seconds = median(step, device, rounds) / batch
                    share = GFLOP[title] / seconds / 1e3 / peak[name]
                    rows.append(
                        {
                            "network": title,
                            "precision": name,
                            "batch": batch,
                            "graph": graph,
                            "ms_a_slice": seconds * 1e3,
                            "share_of_peak": share,
                        }
                    )
                    print(
                        f"  {title} {name} batch {batch:3d}{' graph' if graph else '      '}"
                        f" {seconds * 1e3:7.3f} ms a slice, {share:4.0%} of the convolution rate"
                    )
    return rows


def graphed(step: Callable[[], object]) -> Callable[[], object]:
    """Return a step on fixed input as one CUDA graph."""
    with torch.inference_mode():
        for _ in range(3):
            step()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
    return graph.replay


class Waiting:
    """What the runner tells of a job, kept."""

    def __init__(self) -> None:
        self.done: object = None
        self.failure = ""

    def job_done(self, job: object, event: object) -> None:
        """Keep the event."""
        self.done = event

    def job_failed(self, job: object, *why: object) -> None:
        """Keep the reason."""
        self.failure = "\n".join(map(str, why))

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Take everything else that a listener is told."""
        return lambda *_told: None


def worker_rows(device: str, slices: int, size: int, rounds: int) -> list[dict[str, object]]:
    """Time clicks on a phantom CT: request to label map, the voxels shared before or with it."""
    spacing = (384 / size, 384 / size, 200 / slices)
    phantom, _ = abdomen_phantom(shape=(slices, size, size), spacing=spacing)
    rows = []
    client, waiting = WorkerClient([sys.executable]), Waiting()
    runner = Runner(client, waiting)
    try:
        for precision in ("fp32", "auto"):
            for click in range(rounds + 1):
                for kind, key in (("new volume", ("a", click, precision)), ("same volume",) * 2):
                    if kind == "same volume":
                        key = ("a", click, precision)
                    waiting.done = None
                    options = RunOptions(device=device, precision=precision)
                    request = request_of(phantom, key, options)
                    started = time.perf_counter()
                    runner.submit(request)
                    while waiting.done is None and not waiting.failure:
                        runner.poll()
                    if waiting.failure:
                        sys.exit(waiting.failure)
                    row = {
                        "kind": kind if click else f"cold, {kind}",
                        "precision": waiting.done.precision,
                        "seconds": time.perf_counter() - started,
                        "stages": dict(waiting.done.seconds),
                    }
                    rows.append(row)
    finally:
        runner.stop()
    for precision in {row["precision"] for row in rows}:
        for kind in ("new volume", "same volume"):
            chosen = [r for r in rows if r["precision"] == precision and r["kind"] == kind]
            stages = {
                stage: statistics.median(row["stages"].get(stage, 0.0) for row in chosen)
                for stage in chosen[0]["stages"]
            }
            words = ", ".join(f"{stage} {spent:.3f}" for stage, spent in stages.items())
            seconds = statistics.median(row["seconds"] for row in chosen)
            print(f"  worker {precision}, {kind}: median {seconds:.3f} s ({words})")
    return rows


def median(step: Callable[[], object], device: torch.device, rounds: int) -> float:
    """Return the median seconds of a step, after two that do not count."""
    times = []
    with torch.inference_mode():
        for round_ in range(rounds + 2):
            synchronise(device)
            started = time.perf_counter()
            step()
            synchronise(device)
            if round_ > 1:
                times.append(time.perf_counter() - started)
    return statistics.median(times)


def synchronise(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def allow_tf32(precision: str) -> None:
    """Let float32 convolutions use tensor cores for tf32 alone."""
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def name_of(device: torch.device) -> str:
    """Return the device's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


if __name__ == "__main__":
    main()
