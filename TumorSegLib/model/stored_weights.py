"""How a network's tensors are stored: safetensors in a floating-point type, or as int8 with scales.

As int8, each weight of a convolution or a linear layer is rounded to one of 255 steps between minus
and plus the largest absolute value of its output channel (symmetric quantisation a channel,
Krishnamoorthi 2018, arXiv 1806.08342); one scale a channel is stored beside it. Biases and
BatchNorms stay in float16. Nothing is computed in int8: on loading, tensors become float32 again.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from TumorSegLib.errors import ModelError
from TumorSegLib.model.specification import StoredType
from TumorSegLib.support.schema import SHOWN, parsed

if TYPE_CHECKING:
    from torch import Tensor, nn

STORED_AS: Mapping[str, tuple[str, ...]] = {
    "float32": ("F32",),
    "float16": ("F16",),
    "bfloat16": ("BF16",),
    "int8": ("I8", "F16", "F32"),
}
"""Types of safetensors by the word in `model.json`; counters (I64) may always be among them."""

SCALE = ".int8_scale"
"""Ending of the name of an int8 tensor's scales: float32, size 1 along all axes but one."""

METADATA = "__metadata__"
"""Key of what a safetensors file holds besides tensors."""

STEPS = 127


def to_bytes(network: nn.Module, stored_as: StoredType, *, float16: Collection[str] = ()) -> bytes:
    """Return a network's tensors as the content of a safetensors file.

    Args:
        network: in float32.
        stored_as: type of its floating-point tensors.
        float16: names of tensors that stay float16 where the others become int8.

    Raises:
        KeyError: a name in `float16` is none of the network's quantisable weights.
    """
    import torch
    from safetensors.torch import save

    axes = _output_axes(network) if stored_as == "int8" else {}
    for name in float16:
        del axes[name]
    floating = torch.float16 if stored_as == "int8" else getattr(torch, stored_as)
    tensors: dict[str, Tensor] = {}
    for name, tensor in network.state_dict().items():
        tensor = tensor.cpu()
        if name in axes:
            tensors[name], tensors[name + SCALE] = quantised(tensor, axes[name])
        else:
            tensors[name] = tensor.to(floating) if tensor.is_floating_point() else tensor
    return save({name: tensor.contiguous() for name, tensor in tensors.items()})


def from_bytes(content: bytes, stored_as: StoredType, path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file in float32, counters as they are.

    Args:
        content: of the file.
        stored_as: what `model.json` says.
        path: for messages.

    Raises:
        ModelError: the file is no safetensors file, or its tensors are stored otherwise.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    _check_header(content, STORED_AS[stored_as], path)
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise ModelError(f"{path}: not a safetensors file: {str(error)[:SHOWN]}") from None
    scales = {name: tensors.pop(name) for name in list(tensors) if name.endswith(SCALE)}
    values: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if str(tensor.dtype) != "torch.int8":
            values[name] = tensor.float() if tensor.is_floating_point() else tensor
            continue
        scale = scales.pop(name + SCALE, None)
        if scale is None or scale.ndim != tensor.ndim:
            raise ModelError(f"{path}: tensor {name} is int8 and lacks its scales")
        try:
            values[name] = tensor.float().mul_(scale.float())
        except RuntimeError:
            raise ModelError(
                f"{path}: tensor {name} has shape {tuple(tensor.shape)}, its scales"
                f" {tuple(scale.shape)}"
            ) from None
    if scales:
        raise ModelError(f"{path}: {min(scales)} belongs to no int8 tensor")
    return values


def quantised(tensor: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Return a tensor as int8 and its scales: tensor is about int8 times scale.

    Args:
        tensor: float32.
        axis: of the output channels, which have a scale each.

    Returns:
        Codes, int8 in the tensor's shape; scales, float32, size 1 along all other axes.
    """
    import torch

    others = [other for other in range(tensor.ndim) if other != axis]
    scale = tensor.float().abs().amax(dim=others, keepdim=True).div(STEPS)
    codes = torch.where(scale > 0, tensor.float() / scale, 0.0).round().to(torch.int8)
    return codes, scale


def _output_axes(network: nn.Module) -> dict[str, int]:
    """Return the axis of the output channels by the name of each weight that int8 suits."""
    from torch import nn

    axes = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            axes[f"{name}.weight"] = 0
        elif isinstance(module, nn.ConvTranspose2d) and module.groups == 1:
            axes[f"{name}.weight"] = 1
    return axes


def _check_header(content: bytes, allowed: tuple[str, ...], path: Path) -> None:
    """Refuse files that are not safetensors, and tensors that are not stored as promised."""
    try:
        (length,) = struct.unpack_from("<Q", content)
        header: dict[str, Any] = parsed(content[8 : 8 + length])
        stored = {name: said["dtype"] for name, said in header.items() if name != METADATA}
    except (struct.error, ValueError, OverflowError, AttributeError, KeyError, TypeError):
        raise ModelError(f"{path}: not a safetensors file") from None
    for name, kind in stored.items():
        if kind not in (*allowed, "I64"):
            expected = " or ".join(allowed)
            raise ModelError(f"{path}: tensor {name} is {kind}, expected {expected}")
