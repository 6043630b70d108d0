"""LinkNet (Chaurasia & Culurciello 2017, arXiv 1707.03718, figures 1 and 2).

A ResNet-18 encoder and a light decoder whose skips are added, not concatenated. With 3 inputs and
1 output: 11.53 million parameters.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from TumorSegLib.networks.base import SliceNetwork, conv_bn_relu, initialise
from TumorSegLib.networks.resnet import resnet18, resnet50


class LinkNet(SliceNetwork):
    """LinkNet; `width` is that of the encoder's first stage (64 in the paper).

    With a ResNet-50 as encoder it teaches a slice classifier's encoder where to look: a run of the
    classifier can start from its checkpoint.
    """

    stride = 32

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        width: int = 64,
        encoder: Literal["ResNet-18", "ResNet-50"] = "ResNet-18",
    ) -> None:
        super().__init__()
        build_encoder = resnet18 if encoder == "ResNet-18" else resnet50
        self.encoder = build_encoder(in_channels, width)
        widths = self.encoder.widths
        self.decoder = nn.ModuleList(
            decoder_block(inputs, outputs, scale)
            for inputs, outputs, scale in zip(
                widths[::-1], [*widths[-2::-1], width], [2, 2, 2, 1], strict=True
            )
        )
        self.head = nn.Sequential(
            *transposed_bn_relu(width, width // 2, 2),
            *conv_bn_relu(width // 2, width // 2),
            nn.ConvTranspose2d(width // 2, out_channels, 2, stride=2),
        )
        initialise(self)

    def logits(self, slices: Tensor) -> Tensor:
        """Encode, decode with the skips added, and score each pixel."""
        *skips, features = self.encoder(slices)
        for block in self.decoder:
            features = block(features)
            if skips:
                features = features + skips.pop()
        return self.head(features)  # type: ignore[no-any-return]


def decoder_block(inputs: int, outputs: int, scale: int) -> nn.Sequential:
    """1x1 to a quarter, 3x3 transposed by `scale`, 1x1 to `outputs` (figure 2)."""
    squeezed = inputs // 4
    return nn.Sequential(
        *conv_bn_relu(inputs, squeezed, kernel=1),
        *transposed_bn_relu(squeezed, squeezed, scale),
        *conv_bn_relu(squeezed, outputs, kernel=1),
    )


def transposed_bn_relu(inputs: int, outputs: int, scale: int) -> nn.Sequential:
    """3x3 transposed convolution that enlarges exactly by `scale`, BatchNorm, ReLU."""
    convolution = nn.ConvTranspose2d(
        inputs, outputs, 3, stride=scale, padding=1, output_padding=scale - 1, bias=False
    )
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
