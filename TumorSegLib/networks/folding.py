"""Folds each BatchNorm into the convolution before it, which in evaluation is the same function."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Fold in place, everywhere in `network`, and return it.

    The networks of this library register a BatchNorm directly after the convolution whose output
    it normalises (see `TumorSegLib.networks.base`).
    """
    for module in network.modules():
        children = list(module.named_children())
        for (_, first), (second_name, second) in pairwise(children):
            if not isinstance(second, nn.BatchNorm2d):
                continue
            if not isinstance(first, nn.Conv2d | nn.ConvTranspose2d):
                raise TypeError(f"{second_name} follows {type(first).__name__}, not a convolution")
            mean, variance = second.running_mean, second.running_var
            assert mean is not None
            assert variance is not None
            first.weight, first.bias = fuse_conv_bn_weights(
                first.weight,
                first.bias,
                mean,
                variance,
                second.eps,
                second.weight,
                second.bias,
                transpose=isinstance(first, nn.ConvTranspose2d),
            )
            setattr(module, second_name, nn.Identity())
    return network
