"""The networks, by the names under which `model.json` and training configs call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

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


__all__ = ["NETWORKS", "FCN8s", "LinkNet", "MUNet", "ResNet50Classifier", "UNet", "build_network"]
