"""FCN-8s (Long, Shelhamer & Darrell 2015; arXiv 1605.06211, figure 3) on VGG-16.

Parameter names of the convolutions are torchvision's VGG-16 (`features.N`), so that ImageNet
weights published in that format load name by name; `fc6` and `fc7` are its fully connected layers
recast as convolutions. With 3 inputs and 4096 hidden channels: 134.3 million parameters. With
`batch_norm` they are those of VGG-16 with BatchNorm, which can be trained from a random start.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from TumorSegLib.networks.base import SliceNetwork, initialise

VGG16_STAGES = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))  # in units of `width`


class FCN8s(SliceNetwork):
    """FCN-8s; `width` is VGG-16's first (64 there), `hidden` that of fc6 and fc7 (4096 there)."""

    stride = 32

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        width: int = 64,
        hidden: int = 4096,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = in_channels
        self.stage_ends = []
        for stage in VGG16_STAGES:
            for factor in stage:
                layers.append(nn.Conv2d(inputs, width * factor, 3, padding=1))
                inputs = width * factor
                if batch_norm:
                    layers.append(nn.BatchNorm2d(inputs))
                layers.append(nn.ReLU(inplace=True))
            layers.append(nn.MaxPool2d(2))
            self.stage_ends.append(len(layers))
        self.features = nn.Sequential(*layers)
        self.fc6 = nn.Conv2d(inputs, hidden, 7, padding=3)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.dropout = nn.Dropout2d(0.5)
        self.score_fc7 = nn.Conv2d(hidden, out_channels, 1)
        self.score_pool4 = nn.Conv2d(width * 8, out_channels, 1)
        self.score_pool3 = nn.Conv2d(width * 4, out_channels, 1)
        self.up_fc7 = nn.ConvTranspose2d(out_channels, out_channels, 4, 2, padding=1, bias=False)
        self.up_pool4 = nn.ConvTranspose2d(out_channels, out_channels, 4, 2, padding=1, bias=False)
        self.up_pool3 = nn.ConvTranspose2d(out_channels, out_channels, 16, 8, padding=4, bias=False)
        initialise(self)
        for score in (self.score_fc7, self.score_pool4, self.score_pool3):
            nn.init.zeros_(score.weight)
        for up in (self.up_fc7, self.up_pool4, self.up_pool3):
            up.weight.data.copy_(bilinear_kernel(out_channels, up.kernel_size[0]))

    def logits(self, slices: Tensor) -> Tensor:
        """Add the scores of fc7, pool4 and pool3, coarse to fine, and enlarge them eightfold."""
        pool3, pool4, pool5 = self.pools(slices)
        hidden = self.dropout(self.fc6(pool5).relu_())
        hidden = self.dropout(self.fc7(hidden).relu_())
        scores = self.up_fc7(self.score_fc7(hidden)) + self.score_pool4(pool4)
        scores = self.up_pool4(scores) + self.score_pool3(pool3)
        return self.up_pool3(scores)  # type: ignore[no-any-return]

    def pools(self, slices: Tensor) -> list[Tensor]:
        """Return VGG-16's feature maps after the third, fourth and fifth pooling."""
        pools = []
        features = slices
        for index, layer in enumerate(self.features, start=1):
            features = layer(features)
            if index in self.stage_ends[2:]:
                pools.append(features)
        return pools


def bilinear_kernel(channels: int, size: int) -> Tensor:
    """Weights (channels, channels, size, size) that interpolate each channel bilinearly."""
    centre = (size - 1) / 2
    ramp = 1 - (torch.arange(size, device="cpu") - centre).abs() / ((size + 1) // 2)
    kernel = torch.zeros(channels, channels, size, size)
    kernel[range(channels), range(channels)] = ramp[:, None] * ramp[None, :]
    return kernel
