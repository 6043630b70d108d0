"""What all networks share: logits for any height and width."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class SliceNetwork(nn.Module):
    """A network that maps slices (B, C, H, W) to logits.

    Subclasses set `stride`, the factor by which the deepest feature map is smaller than the input,
    and define `logits` for heights and widths that are multiples of it.

    In every module of this package a BatchNorm is registered directly after the convolution whose
    output it normalises; `TumorSegLib.networks.folding` relies on that order.
    """

    stride: int

    def forward(self, slices: Tensor) -> Tensor:
        """Return logits (B, K, H, W) for slices (B, C, H, W) of any height and width."""
        height, width = slices.shape[-2:]
        padded = pad_to_multiple(slices, self.stride)
        return self.logits(padded)[..., :height, :width]

    def logits(self, slices: Tensor) -> Tensor:
        """Return logits for slices whose height and width are multiples of `stride`."""
        raise NotImplementedError


def pad_to_multiple(slices: Tensor, multiple: int) -> Tensor:
    """Pad (B, C, H, W) at bottom and right with zeros (air) to multiples of `multiple`."""
    bottom = -slices.shape[-2] % multiple
    right = -slices.shape[-1] % multiple
    if bottom == 0 and right == 0:
        return slices
    return functional.pad(slices, (0, right, 0, bottom))


def conv_bn_relu(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution without bias, BatchNorm, ReLU; keeps the size where `stride` is 1."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def initialise(network: nn.Module) -> None:
    """He initialisation of every convolution (He et al. 2015, arXiv 1502.01852, eq. 10)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
