# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Stereo matching: features of both views to the disparity of what each cell of the left one sees.

    features -> pyramid (both views) -> group-wise correlation along the rows -> aggregation -> best cell -> refinement

The detector begins with it, and so does the codec: what the right view adds to the left one is mostly this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sicm_ros.network.config import StereoConfig
from sicm_ros.network.epipolar import correlate
from sicm_ros.network.layers import block, exact, up, zero

Features = tuple[Tensor, Tensor, Tensor]  # at strides 4, 8 and 16; of both views: (2B, C, h, w), left views first


def three(scales: Iterable[Tensor]) -> Features:
    """Return features, low, middle and high."""
    low, middle, high = scales
    return low, middle, high


# Cells on either side of the best disparity whose correlations say where between the cells it lies.
REACH = 2


@dataclass(frozen=True)
class Matched:
    """What matching found, of the left view at stride 4.

    Attributes:
        appearance: (B, width, h, w), the left view's pyramid.
        cost: (B, width, h, w), the aggregated correlations.
        logits: (B, disparities, h, w), over the disparities in cells.
        disparity: (B, 1, h, w) in cells, between them as well.
    """

    appearance: Tensor
    cost: Tensor
    logits: Tensor
    disparity: Tensor


class Pyramid(nn.Module):
    """Top-down pyramid to stride 4 (FPN, CVPR 2017)."""

    def __init__(self, channels: tuple[int, int, int], width: int) -> None:
        super().__init__()
        low, middle, high = channels
        self.high = block(high, 2 * width, kernel=1)
        self.middle = block(middle, 2 * width, kernel=1)
        self.mix_middle = block(2 * width, width)
        self.low = block(low, width, kernel=1)
        self.mix_low = block(width, width)

    def forward(self, features: Features) -> Tensor:
        low, middle, high = features
        middle = self.middle(middle)
        middle = self.mix_middle(middle + up(self.high(high), middle))
        low = self.low(low)
        return self.mix_low(low + up(middle, low))


class Refinement(nn.Module):
    """Disparity between the cells, from the correlations beside the best one.

    What it sees is the same for near and far surfaces, so every cell of every image teaches it, whatever the rig
    (RAFT-Stereo, 3DV 2021, looks its correlations up in the same way).
    """

    def __init__(self, groups: int, width: int = 32) -> None:
        super().__init__()
        self.groups = groups
        self.look = nn.Sequential(block((2 * REACH + 1) * (groups + 1), width, kernel=1), block(width, width))
        self.shift = zero(nn.Conv2d(width, 1, 1))

    def forward(self, volume: Tensor, matching: Tensor) -> Tensor:
        """Map (B, groups * D, H, W) correlations, (B, D, H, W) logits to (B, 1, H, W) disparity in cells."""
        matching = matching.permute(0, 2, 3, 1)  # channels last, as they lie in memory
        disparities = matching.shape[3]
        best = matching.argmax(3, keepdim=True)
        steps = torch.arange(-REACH, REACH + 1, device=best.device)
        beside = (best + steps).clamp(0, disparities - 1)
        logits = matching.gather(3, beside) - matching.gather(3, best)
        inside = (best + steps == beside).to(matching.dtype)
        correlations = volume.permute(0, 2, 3, 1).unflatten(3, (self.groups, disparities))
        window = correlations.gather(4, beside[:, :, :, None].expand(-1, -1, -1, self.groups, -1))
        seen = torch.cat([window.transpose(3, 4).flatten(3), logits.clamp(min=-10) / 10], 3).permute(0, 3, 1, 2)
        weights = logits.masked_fill(inside == 0, -1e4).softmax(3)
        between = best + (weights * steps).sum(3, keepdim=True)
        return between.permute(0, 3, 1, 2) + exact(self.shift, self.look(seen))


class CorrelationConv(nn.Conv2d):
    """1 x 1 convolution of a correlation volume. Its weights lie disparity by disparity, the volume group by group."""

    def __init__(self, groups: int, disparities: int, outputs: int) -> None:
        super().__init__(groups * disparities, outputs, 1, bias=False)
        self.volume = disparities, groups

    def forward(self, volume: Tensor) -> Tensor:
        weight = self.weight.unflatten(1, self.volume).transpose(1, 2).flatten(1, 2)
        return F.conv2d(volume, weight, self.bias)


class StereoMatching(nn.Module):
    """Features of both views to what matching finds."""

    def __init__(self, channels: tuple[int, int, int], config: StereoConfig) -> None:
        super().__init__()
        self.config = config
        width, head = config.width, config.head_width
        self.pyramid = Pyramid(channels, width)
        self.to_matching = nn.Conv2d(width, config.matching_width, 1)
        mixed = CorrelationConv(config.groups, config.disparities, head)
        self.aggregate = nn.Sequential(
            nn.Sequential(mixed, nn.BatchNorm2d(head), nn.ReLU(inplace=True)), block(head, width)
        )
        self.logits = nn.Conv2d(width, config.disparities, 1)
        self.refine = Refinement(config.groups, config.refine_width)

    def _matchable(self, pyramid: Tensor) -> Tensor:
        """Return features of which a product is a cosine: a view's brightness cancels out."""
        return F.normalize(self.to_matching(pyramid), dim=1) * self.config.matching_width**0.5

    def forward(self, features: Features) -> Matched:
        """Match the views of three tensors (2B, C, ...), left views first."""
        pyramid = self.pyramid(features)
        left, right = self._matchable(pyramid).chunk(2)
        volume = correlate(left, right, self.config.disparities, self.config.groups)
        cost = self.aggregate(volume)
        logits = exact(self.logits, cost)
        return Matched(pyramid.chunk(2)[0], cost, logits, self.refine(volume, logits))
