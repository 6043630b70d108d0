"""The networks, by the names under which `model.json` and training configs call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from TumorSegLib.errors import ModelError
from TumorSegLib.networks.fcn8s import FCN8s
from TumorSegLib.networks.linknet import LinkNet
from TumorSegLib.networks.munet import MUNet
from TumorSegLib.networks.resnet import ResNet50Classifier
from TumorSegLib.networks.unet import UNet

NETWORKS: dict[str, type[nn.Module]] = {
    "U-Net": UNet,
    "LinkNet": LinkNet,
    "mU-Net": MUNet,
    "FCN-8s": FCN8s,
    "ResNet-50": ResNet50Classifier,
}

MAXIMUM_ARGUMENT = 8192
"""No network has more channels, layers or classes than this."""


def build_network(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Build the network called `name`.

    Raises:
        ModelError: there is no such network, or it does not take these arguments.
    """
    if name not in NETWORKS:
        raise ModelError(f"network: found {name!r}, expected one of {', '.join(NETWORKS)}")
    for argument, value in arguments.items():
        if isinstance(value, int) and not 0 <= value <= MAXIMUM_ARGUMENT:
            raise ModelError(
                f"network {name}: {argument} is {value}, expected at most {MAXIMUM_ARGUMENT}"
            )
    try:
        return NETWORKS[name](**arguments)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(
            f"network {name}: arguments {dict(arguments)} do not fit: {error}"
        ) from None


def shapes_alone(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Build a network whose tensors have shapes but no memory, which an absurd one must not cost.

    Raises:
        ModelError: see `build_network`.
    """
    with torch.device("meta"), _Unset():
        return build_network(name, arguments)


class _Unset(TorchFunctionMode):
    """Leaves tensors as they are made.

    PyTorch draws random numbers for tensors without memory with the help of its compiler, whose
    import takes as long as its own, and leaves a folder among the temporary files.
    """

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in ("normal_", "uniform_", "fill_", "zero_"):
            return args[0] if args else kwargs["tensor"]  # Tensor's own, or that of nn.init
        return func(*args, **(kwargs or {}))


__all__ = [
    "NETWORKS",
    "FCN8s",
    "LinkNet",
    "MUNet",
    "ResNet50Classifier",
    "UNet",
    "build_network",
    "shapes_alone",
]
