"""mU-Net (Seo, Huang, Bassenne, Xiao & Xing, IEEE TMI 2020, arXiv 1911.00140, figure 2).

A U-Net whose skips carry a residual path: the pooled feature map is brought back by a transposed
convolution and subtracted, so that low-resolution information does not pass twice, and a further
convolution extracts high-level features of the remaining edges. With width 64 and depth 4:
35.6 million parameters.
"""

from __future__ import annotations

from torch import Tensor, nn

from TumorSegLib.networks.base import conv_bn_relu
from TumorSegLib.networks.unet import UNet


class MUNet(UNet):
    """Modified U-Net with `depth` poolings; the channels double at each from `width` on."""

    def __init__(
        self, in_channels: int = 1, out_channels: int = 1, *, width: int = 64, depth: int = 4
    ) -> None:
        super().__init__(in_channels, out_channels, width=width, depth=depth)

    def _skip(self, channels: int) -> nn.Module:
        return ResidualSkip(channels)


class ResidualSkip(nn.Module):
    """The skip of mU-Net: ReLU(BN(Conv(encoded - ReLU(ConvT(pooled)))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.extract = conv_bn_relu(channels, channels)

    def forward(self, encoded: Tensor, pooled: Tensor) -> Tensor:
        """Remove from `encoded` what `pooled`, half its size, already says."""
        return self.extract(encoded - self.up(pooled).relu())  # type: ignore[no-any-return]
