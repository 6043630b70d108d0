"""U-Net (Ronneberger, Fischer & Brox 2015, arXiv 1505.04597, figure 1).

As is usual since, convolutions keep the size (padding 1) and are followed by BatchNorm. With
width 32, depth 4, 3 inputs and 1 output this is the LGG reference network of Buda et al. 2019
(arXiv 1906.03720): 7.76 million parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from TumorSegLib.networks.base import SliceNetwork, conv_bn_relu, initialise


class UNet(SliceNetwork):
    """U-Net with `depth` poolings; the channels double at each from `width` on."""

    def __init__(
        self, in_channels: int = 3, out_channels: int = 1, *, width: int = 32, depth: int = 4
    ) -> None:
        super().__init__()
        self.stride = 2**depth
        widths = [width * 2**level for level in range(depth + 1)]

        self.contracting = nn.ModuleList(
            double_convolution(inputs, outputs)
            for inputs, outputs in zip([in_channels, *widths[:-2]], widths[:-1], strict=True)
        )
        self.skips = nn.ModuleList(self._skip(channels) for channels in widths[:-1])
        self.bottom = double_convolution(widths[-2], widths[-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * outputs, outputs, 2, stride=2) for outputs in widths[-2::-1]
        )
        self.expanding = nn.ModuleList(
            double_convolution(2 * outputs, outputs) for outputs in widths[-2::-1]
        )
        self.head = nn.Conv2d(width, out_channels, 1)
        self.pool = nn.MaxPool2d(2)
        initialise(self)

    def logits(self, slices: Tensor) -> Tensor:
        """Contract, expand with the skips concatenated, and score each pixel."""
        skips = []
        features = slices
        for block, skip in zip(self.contracting, self.skips, strict=True):
            encoded = block(features)
            features = self.pool(encoded)
            skips.append(skip(encoded, features))
        features = self.bottom(features)
        for up, block in zip(self.up, self.expanding, strict=True):
            features = block(torch.cat([up(features), skips.pop()], dim=1))
        return self.head(features)  # type: ignore[no-any-return]

    def _skip(self, _channels: int) -> nn.Module:
        """Return a module from an encoder's features and the same pooled to what is skipped."""
        return PlainSkip()


class PlainSkip(nn.Module):
    """The skip of U-Net: the encoder's features as they are."""

    def forward(self, encoded: Tensor, _pooled: Tensor) -> Tensor:
        """Return `encoded`."""
        return encoded


def double_convolution(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3x3 convolutions, each with BatchNorm and ReLU."""
    return nn.Sequential(*conv_bn_relu(inputs, outputs), *conv_bn_relu(outputs, outputs))
