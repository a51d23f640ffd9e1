# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Building blocks that more than one stage is made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def block(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Build a convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def up(x: Tensor, like: Tensor) -> Tensor:
    """Resize to another map's size, bilinear."""
    return F.interpolate(x, size=tuple(map(int, like.shape[2:])), mode="bilinear", align_corners=False)


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps its input's variance: in the codec no norm does it later, and
    rounding eats what is small.
    """
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
    nn.init.zeros_(bias_of(layer))
    return layer


class PatchConv(nn.Conv2d):
    """A convolution of patches that touch: kernel and stride are `side`, initialised as `conv`.

    Computed as pixel unshuffle and a 1 x 1 convolution, which is the same product. oneDNN's own way is wrong in
    bfloat16 on processors with AMX, for 16 or 24 input channels and sides of 4, 6 and 8 (PyTorch 2.13).
    """

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__(inputs, outputs, side, side)
        nn.init.kaiming_normal_(self.weight, nonlinearity="linear")
        nn.init.zeros_(bias_of(self))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pixel_unshuffle(x, self.stride[0]), self.weight.flatten(1)[..., None, None], self.bias)


def zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Return the same layer, silent until it has learnt something: what is added beside it comes first."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(bias_of(layer))
    return layer


def bias_of(layer: nn.Conv2d) -> Tensor:
    """Return the bias of a layer that has one."""
    assert layer.bias is not None
    return layer.bias


def exact(layer: nn.Module, x: Tensor) -> Tensor:
    """Run a layer in float32 even under autocast. For those that name a disparity or a position: bfloat16 has steps
    of a hundredth, which is as much as the whole error of a good depth.
    """
    with torch.autocast(x.device.type, enabled=False):
        return layer(x.float())


def cosine_rows(size: int) -> Tensor:
    """Return (size, size): the orthonormal cosine transform of `size` numbers, a pattern in each row, slowest first."""
    place = torch.arange(size) + 0.5
    rows = torch.stack([torch.cos(math.pi / size * k * place) for k in range(size)])
    return rows / rows.norm(dim=1, keepdim=True)


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity; no norm, since magnitudes carry the rate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.ReLU(), conv(width, width), nn.ReLU(), conv(width, width))
        last = self.body[3]
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)
