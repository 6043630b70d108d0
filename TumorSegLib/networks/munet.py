"""mU-Net (Seo, Huang, Bassenne, Xiao & Xing, IEEE TMI 2020, arXiv 1911.00140, figure 2).

A U-Net whose skips carry a residual path: the pooled feature map is brought back by a transposed
convolution and subtracted, so that low-resolution information does not pass twice, and a further
convolution extracts high-level features of the remaining edges. With width 64 and depth 4:
35.6 million parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from TumorSegLib.networks.base import SliceNetwork, conv_bn_relu, initialise
from TumorSegLib.networks.unet import double_convolution


class MUNet(SliceNetwork):
    """Modified U-Net with `depth` poolings; the channels double at each from `width` on."""

    def __init__(
        self, in_channels: int = 1, out_channels: int = 1, *, width: int = 64, depth: int = 4
    ) -> None:
        super().__init__()
        self.stride = 2**depth
        widths = [width * 2**level for level in range(depth + 1)]

        self.contracting = nn.ModuleList(
            double_convolution(inputs, outputs)
            for inputs, outputs in zip([in_channels, *widths[:-2]], widths[:-1], strict=True)
        )
        self.skips = nn.ModuleList(ResidualSkip(channels) for channels in widths[:-1])
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
        """Contract, expand with the filtered skips concatenated, and score each pixel."""
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


class ResidualSkip(nn.Module):
    """The skip of mU-Net: ReLU(BN(Conv(encoded - ReLU(ConvT(pooled)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.extract = conv_bn_relu(channels, channels)

    def forward(self, encoded: Tensor, pooled: Tensor) -> Tensor:
        """Remove from `encoded` what `pooled`, half its size, already says."""
        return self.extract(encoded - self.up(pooled).relu())  # type: ignore[no-any-return]
