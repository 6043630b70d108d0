"""The network stage on one ready tensor: ours beside MONAI, SMP, ONNX Runtime and OpenVINO.

Each contender runs with the allocator setting that it has in practice: glibc's own for the peers,
which change nothing of the process, `keep_large_blocks` for ours.
"""

from __future__ import annotations

import copy
import ctypes
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from rows.machine import CPU, gflop_of, precisions, timed
from rows.pairs import Contender, Group, LeftOut, Sample
from TumorSegLib.inference.engine import Engine
from TumorSegLib.networks import LinkNet, UNet
from TumorSegLib.support.allocator import (
    M_MMAP_THRESHOLD,
    M_TRIM_THRESHOLD,
    keep_large_blocks,
    release_memory,
)

Stage = Callable[[Tensor], Tensor]
"""From slices (n, C, H, W) to probabilities (n, K, H, W)."""

BATCHES = (1, 4)
"""A peer that leaves its batch to the caller is measured with the best of these."""

SLICES = 12


def groups() -> Iterator[Group]:
    """Yield the groups of this family."""
    torch.manual_seed(0)
    unet, linknet = UNet(3, 1, width=32).eval(), LinkNet(3, 1).eval()
    slices = torch.rand(SLICES, 3, 256, 256)
    smp = {"SMP LinkNet-18": smp_stage}
    monai = {"MONAI SliceInferer": monai_stage}
    yield _group("U-Net of width 32, 256x256", unet, slices, monai)
    yield _group("LinkNet-18, 256x256", linknet, slices, smp)
    large = torch.rand(SLICES // 4, 3, 512, 512)
    yield _group("U-Net of width 32, 512x512", unet, large, monai, runtimes=False)


def _group(
    what: str,
    network: nn.Module,
    slices: Tensor,
    further: dict[str, Callable[..., Stage]],
    *,
    runtimes: bool = True,
) -> Group:
    stages: dict[str, Callable[[], Stage]] = {
        name: lambda make=make: make(network) for name, make in further.items()
    }
    types = precisions()
    if runtimes:
        stages["ONNX Runtime"] = lambda: onnx_stage(network, slices)
    for name in types if runtimes else ():
        stages[f"OpenVINO {name}"] = lambda name=name: openvino_stage(network, slices, name)
    gflop = gflop_of(network, slices[:1]) * len(slices)
    contenders, left_out = [], {}
    for name, make in stages.items():
        try:
            stage = make()
        except LeftOut as reason:
            left_out[name] = str(reason)
            continue
        precision = "bf16" if name.endswith("bf16") else "fp32"
        contenders.append(
            Contender(name, _run(stage, slices, usual_allocator), _gflop(name, gflop), precision)
        )
    for precision, dtype in types.items():
        engine = Engine([copy.deepcopy(network)], torch.sigmoid, device=CPU, dtype=dtype)
        run = _run(engine_stage(engine), slices, keep_large_blocks)
        contenders.append(Contender(f"TumorSegLib {precision}", run, gflop, precision))
    pairs = [
        (f"TumorSegLib {ours}", peer) for peer in stages for ours in types if _fair(ours, peer)
    ]
    return Group(what, contenders, pairs, left_out)


def _gflop(name: str, gflop: float) -> float | None:
    """Return the arithmetic where the peer runs our network; SMP's is its own, of 97 % of it."""
    return None if name.startswith("SMP") else gflop


def _fair(ours: str, peer: str) -> bool:
    """Pair OpenVINO's reduced precision with ours alone."""
    return not peer.startswith("OpenVINO") or peer.endswith(ours)


def _run(stage: Stage, slices: Tensor, allocator: Callable[[], None]) -> Callable[[], Sample]:
    """Return what runs a stage, after it has run once on a few slices."""
    allocator()
    stage(slices[:4])

    def run() -> Sample:
        allocator()
        release_memory()
        return timed(lambda: stage(slices))

    return run


def usual_allocator() -> None:
    """Bring glibc's thresholds to where its own adaptation takes them for large blocks."""
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(M_TRIM_THRESHOLD, 64 << 20)


def peer(name: str) -> ModuleType:
    """Import a peer.

    Raises:
        LeftOut: it is not installed, or cannot be used here.
    """
    try:
        return import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        raise LeftOut((str(error).strip().splitlines() or [type(error).__name__])[0]) from None


def engine_stage(engine: Engine) -> Stage:
    """Return our way: batches of slices, folded, channels-last."""

    def stage(slices: Tensor) -> Tensor:
        size = engine.batch_size((slices.shape[-2], slices.shape[-1]))
        return torch.cat([engine.probabilities(part) for part in torch.split(slices, size)])

    return stage


def monai_stage(network: nn.Module) -> Stage:
    """Return MONAI's way: every axial slice of the volume, one by one."""
    inferers = peer("monai.inferers")

    def stage(slices: Tensor) -> Tensor:
        size = (slices.shape[-2], slices.shape[-1])
        inferer = inferers.SliceInferer(roi_size=size, spatial_dim=0, sw_batch_size=1)
        with torch.inference_mode():
            return inferer(slices.transpose(0, 1)[None], network).sigmoid()[0].transpose(0, 1)

    return stage


def smp_stage(_network: nn.Module) -> Stage:
    """Return the LinkNet of segmentation_models_pytorch, eager, at its best batch."""
    declare_torchvision_operators()
    smp = peer("segmentation_models_pytorch")
    network = smp.Linknet("resnet18", encoder_weights=None, in_channels=3, classes=1).eval()

    def with_batch(batch: int) -> Stage:
        def stage(slices: Tensor) -> Tensor:
            with torch.inference_mode():
                return torch.cat([network(part).sigmoid() for part in torch.split(slices, batch)])

        return stage

    return best_batch(with_batch, torch.rand(4, 3, 256, 256))


def onnx_stage(network: nn.Module, slices: Tensor) -> Stage:
    """Return ONNX Runtime's way with the same network, at its best batch."""
    runtime = peer("onnxruntime")
    peer("onnx")
    content = io.BytesIO()
    axes = {"slices": {0: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (slices[:2],),
            content,
            input_names=["slices"],
            dynamic_axes=axes,
            dynamo=False,
        )
    session = runtime.InferenceSession(content.getvalue(), providers=["CPUExecutionProvider"])

    def with_batch(batch: int) -> Stage:
        def stage(slices: Tensor) -> Tensor:
            parts = torch.split(slices, batch)
            logits = [session.run(None, {"slices": part.numpy()})[0] for part in parts]
            return torch.cat([torch.from_numpy(part).sigmoid() for part in logits])

        return stage

    return best_batch(with_batch, slices[:4])


def openvino_stage(network: nn.Module, slices: Tensor, precision: str) -> Stage:
    """Return OpenVINO's way with the same network, at its best batch."""
    openvino = peer("openvino")
    core: Any = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise LeftOut("has no bf16 on this processor")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = openvino.convert_model(network, example_input=slices[:2])
    hints = {"INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision]}
    compiled = core.compile_model(model, "CPU", hints)

    def with_batch(batch: int) -> Stage:
        def stage(slices: Tensor) -> Tensor:
            parts = torch.split(slices, batch)
            logits = [torch.from_numpy(compiled(part.numpy())[0]) for part in parts]
            return torch.cat([part.sigmoid() for part in logits])

        return stage

    return best_batch(with_batch, slices[:4])


def best_batch(with_batch: Callable[[int], Stage], slices: Tensor) -> Stage:
    """Return the stage with the batch that is quickest on some slices."""
    usual_allocator()
    seconds = {}
    for batch in BATCHES:
        stage = with_batch(batch)
        stage(slices)
        seconds[batch] = timed(lambda stage=stage: stage(slices)).seconds
    return with_batch(min(seconds, key=lambda batch: seconds[batch]))


def declare_torchvision_operators() -> None:
    """Declare operators of torchvision that SMP imports and never calls.

    The build of torchvision on PyPI brings them for CUDA's PyTorch; beside one for the CPU they
    are missing, and importing it fails.
    """
    try:
        import torchvision  # noqa: F401
    except ImportError:
        return
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]


_KEPT: list[Any] = []
"""A declaration lasts as long as its object."""
