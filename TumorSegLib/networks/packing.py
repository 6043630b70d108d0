"""Convolutions as the CPU wants them: weights in its order, and the ReLU behind them within.

A convolution of PyTorch brings its weights into oneDNN's order at every call, and a ReLU reads and
writes its feature map once more. Both are left out here with the operators that PyTorch's compiler
uses on CPUs. The sums are those that oneDNN makes anyway, so results are the same bit for bit, but
where PyTorch would do without oneDNN: with one thread alone, and for tiny maps of one slice.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor, nn


class PackedConvolution(nn.Module):
    """A convolution of fixed weights, and a ReLU if there is one.

    oneDNN's order depends on the shape of the feature map: in another shape's order, weights are
    brought into the right one at every call, which can take forty times as long as to convolve.
    """

    def __init__(self, convolution: nn.Conv2d, *, relu: bool) -> None:
        """Take over weights; `convolution` itself stays as it is."""
        super().__init__()
        self._weight = convolution.weight.detach()
        self._bias = None if convolution.bias is None else convolution.bias.detach()
        self._geometry: tuple[Any, ...] = (
            convolution.padding,
            convolution.stride,
            convolution.dilation,
            convolution.groups,
        )
        self._behind = "relu" if relu else "none"
        self._shape: torch.Size | None = None
        self._packed = self._weight

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, outputs, H', W') for features (B, inputs, H, W).

        Raises:
            AttributeError, RuntimeError: this PyTorch cannot.
        """
        if features.shape != self._shape:
            self._shape = features.shape
            self._packed = self._packed_for(self._shape)
        convolved: Tensor = torch.ops.mkldnn._convolution_pointwise(
            features, self._packed, self._bias, *self._geometry, self._behind, [], ""
        )
        return convolved

    def _packed_for(self, shape: torch.Size) -> Tensor:
        """Return the weights in the order for features of a shape."""
        packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            self._weight, *self._geometry, shape
        )
        return packed


def pack_convolutions(network: nn.Module) -> nn.Module:
    """Pack in place, everywhere in a network on the CPU whose BatchNorms are folded; return it.

    A PyTorch that cannot leaves the network as it is.
    """
    convolutions = (module for module in network.modules() if isinstance(module, nn.Conv2d))
    convolution = next(convolutions, None)
    if convolution is None or not _can_pack(convolution.weight.dtype):
        return network
    for module in list(network.modules()):
        children = [pair for pair in module.named_children() if not _is_nothing(pair[1])]
        for (name, first), (behind, second) in zip_longest(
            children, children[1:], fillvalue=("", None)
        ):
            if not isinstance(first, nn.Conv2d) or not isinstance(first.padding, tuple):
                continue
            relu = isinstance(module, nn.Sequential) and isinstance(second, nn.ReLU)
            setattr(module, name, PackedConvolution(first, relu=relu))
            if relu:
                setattr(module, behind, nn.Identity())
    return network


def _can_pack(dtype: torch.dtype) -> bool:
    """Tell whether this PyTorch packs convolutions of a type, on this processor."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    try:
        with torch.inference_mode():
            tried = PackedConvolution(nn.Conv2d(1, 1, 1, dtype=dtype), relu=False)
            tried(torch.zeros(1, 1, 1, 1, dtype=dtype))
    except (AttributeError, RuntimeError):
        return False
    return True


def _is_nothing(module: nn.Module) -> bool:
    """Tell whether a module hands on what it is given, as a folded BatchNorm does."""
    return isinstance(module, nn.Identity)
