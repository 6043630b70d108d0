"""ResNet (He, Zhang, Ren & Sun 2015, arXiv 1512.03385, table 1): encoder and slice classifier.

Parameter names are those of torchvision's ResNets, so that ImageNet weights published in that
format load name by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from TumorSegLib.networks.base import initialise


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside the identity (figure 5, left)."""

    expansion: ClassVar[int] = 1

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = projection(inputs, channels, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, channels, H / stride, W / stride)."""
        residual = self.bn1(self.conv1(features)).relu_()
        residual = self.bn2(self.conv2(residual))
        return (self.downsample(features) + residual).relu_()  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside the identity (figure 5, right)."""

    expansion: ClassVar[int] = 4

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        outputs = channels * self.expansion
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = projection(inputs, outputs, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 4 * channels, H / stride, W / stride)."""
        residual = self.bn1(self.conv1(features)).relu_()
        residual = self.bn2(self.conv2(residual)).relu_()
        residual = self.bn3(self.conv3(residual))
        return (self.downsample(features) + residual).relu_()  # type: ignore[no-any-return]


Block = type[BasicBlock] | type[Bottleneck]


class ResNetEncoder(nn.Module):
    """Stem and four stages; returns the stages' feature maps at strides 4, 8, 16 and 32."""

    def __init__(self, in_channels: int, block: Block, blocks: Sequence[int], width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.widths = [width * 2**stage * block.expansion for stage in range(4)]
        widths = self.widths
        self.layer1 = stage(block, blocks[0], width, width, stride=1)
        self.layer2 = stage(block, blocks[1], widths[0], 2 * width, stride=2)
        self.layer3 = stage(block, blocks[2], widths[1], 4 * width, stride=2)
        self.layer4 = stage(block, blocks[3], widths[2], 8 * width, stride=2)

    def forward(self, slices: Tensor) -> list[Tensor]:
        """Return the four stages' feature maps, finest first."""
        features = self.maxpool(self.bn1(self.conv1(slices)).relu_())
        stages = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = layer(features)
            stages.append(features)
        return stages


def stage(block: Block, count: int, inputs: int, channels: int, stride: int) -> nn.Sequential:
    """`count` blocks, of which the first changes size and channels."""
    first = block(inputs, channels, stride)
    rest = (block(channels * block.expansion, channels, 1) for _ in range(1, count))
    return nn.Sequential(first, *rest)


def resnet18(in_channels: int, width: int = 64) -> ResNetEncoder:
    """ResNet-18: two basic blocks a stage."""
    return ResNetEncoder(in_channels, BasicBlock, (2, 2, 2, 2), width)


def resnet50(in_channels: int, width: int = 64) -> ResNetEncoder:
    """ResNet-50: 3, 4, 6 and 3 bottleneck blocks."""
    return ResNetEncoder(in_channels, Bottleneck, (3, 4, 6, 3), width)


class ResNet50Classifier(nn.Module):
    """ResNet-50 with a small fully connected head: what does this slice hold?

    The head of the slice detector for LGG has two hidden layers of 256 with dropout 0.3; without
    hidden layers the network is the paper's own (23.5 million parameters without ImageNet's 1000
    classes).

    Pooling "mean" averages the features before the head, as the paper does. "peak" asks the head
    at every place and takes a smooth maximum, log-mean-exp (Pinheiro & Collobert 2015, eq. 6,
    arXiv 1411.6228), so that a small structure is not averaged away.
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        *,
        width: int = 64,
        hidden: Sequence[int] = (),
        dropout: float = 0.3,
        pooling: Literal["mean", "peak"] = "mean",
    ) -> None:
        super().__init__()
        if pooling not in ("mean", "peak"):
            raise ValueError(f"pooling {pooling!r} is neither mean nor peak")
        self.pooling = pooling
        self.encoder = resnet50(in_channels, width)
        layers: list[nn.Module] = []
        inputs = self.encoder.widths[-1]
        for outputs in hidden:
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(dropout)]
            inputs = outputs
        self.head = nn.Sequential(*layers, nn.Linear(inputs, out_channels))
        initialise(self)

    def forward(self, slices: Tensor) -> Tensor:
        """Return logits (B, K) for slices (B, C, H, W) of any height and width."""
        features = self.encoder(slices)[-1]
        if self.pooling == "mean":
            return self.head(features.mean(dim=(2, 3)))  # type: ignore[no-any-return]
        logits = self.head(features.flatten(2).transpose(1, 2)).float()
        return torch.logsumexp(logits, dim=1) - math.log(logits.shape[1])


def projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Identity, or a 1x1 convolution where size or channels change (option B of the paper)."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))
