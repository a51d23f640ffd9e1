# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One model for every rate: gain units that scale the latents before they are rounded.

(Cui et al., asymmetric gained deep image compression, CVPR 2021; here continuous, and monotone by construction.)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sicm_ros.entropy.prior import padded
from sicm_ros.network.config import LEVELS

ANCHORS = 6  # qualities 0, 0.2 ... 1 with gains of their own; between them, logarithms are interpolated


def quality_levels(quality: Tensor) -> Tensor:
    """Return the bytes (`quality_level`) of a batch (B,) of qualities, as the prior takes them in training."""
    return (quality * LEVELS).round()


class QualityGain(nn.Module):
    """A positive factor per channel, growing with quality."""

    def __init__(self, left: int, right: int) -> None:
        """Channels of the left and of the right latent."""
        super().__init__()
        self.views = left, right
        channels = left + right
        self.coarsest = nn.Parameter(torch.full((channels,), 0.0))
        # softplus(0.17) = 0.78 a step: over the range of qualities a factor of 50 between steps of quantisation, which
        # makes 0.3 kB a pair into 12.
        self.steps = nn.Parameter(torch.full((ANCHORS - 1, channels), 0.17))

    def of_views(self, quality: Tensor) -> Tensor:
        """Map quality (B,) to gains (2B, M, 1, 1), the left latents' first; 1 where the right ones have no channels."""
        left, right = self(quality).split(self.views, 1)
        return torch.cat([left, padded(right, left.shape[1], value=1.0)])

    @torch.no_grad()
    def start(self, channels: slice, coarsest: float, step: float) -> None:
        """Set where some channels begin: the logarithm of their gain at quality 0, and its increments."""
        self.coarsest[channels] = coarsest
        self.steps[:, channels] = math.log(math.expm1(step))

    def forward(self, quality: Tensor) -> Tensor:
        """Map quality (B,) in [0, 1] to gains (B, channels, 1, 1)."""
        anchors = torch.cat([self.coarsest[None], self.coarsest + F.softplus(self.steps).cumsum(0)])
        position = quality.to(anchors.dtype).clamp(0, 1) * (ANCHORS - 1)
        low = position.floor().clamp(max=ANCHORS - 2).long()
        share = (position - low)[:, None]
        logs = anchors[low] * (1 - share) + anchors[low + 1] * share
        return logs.exp()[:, :, None, None]
