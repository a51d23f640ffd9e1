# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Disparity-compensated coding: the left view, and how far everything in it moves to where the right view shows it.

    left features --SMFC units--> c --+--> appearance latent --+--> left features^ --moved by d^--> right features^
    both views --stereo matching--> d +--> geometry latent ----+--> d^

Of a rectified pair, the right view is the left one moved along the rows, but for what one of them hides. Coding both
alike, a decoder has to draw the same surface twice with an offset of hundredths of a cell; here the offset is a number
that is sent. (Disparity compensation is as old as stereo coding; HESIC, CVPR 2021, warps by a homography.) Both latents
lie in the left view's cells, and a gate shrinks what the detector would not miss. The vehicle matches with a network of
its own, much lighter than the detector's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sicm_ros.entropy import RIGHT
from sicm_ros.entropy.prior import padded
from sicm_ros.network.config import CodecConfig
from sicm_ros.network.disparity import Features, Matched, StereoMatching, three
from sicm_ros.network.epipolar import moved
from sicm_ros.network.layers import PatchConv, bias_of, conv, cosine_rows, exact, zero
from sicm_ros.network.smfc import FeatureDecoder, FeatureEncoder, quality_plane

SIDE = 4  # of a cell of stride 16, in cells of stride 4, which have a disparity each
# log(1 + disparity in cells) is coded: a step of it is nearly the same share of the depth at 5 m and at 50 m.
TYPICAL, SPREAD = 1.6, 0.6  # its mean and deviation on roads, roughly; they only set where learning starts
COARSE, FINE = 0.12, 0.01  # its steps of rounding at quality 0 and 1, before training
COMPONENTS = 6  # of the cosine transform of SIDE x SIDE, slowest first, that the geometry latent starts with
OPEN = 4.0  # logit of a gate before training


def cosines() -> Tensor:
    """Return (COMPONENTS, SIDE, SIDE): orthonormal patterns of the two-dimensional cosine transform, slowest first."""
    rows = cosine_rows(SIDE)
    order = sorted(((i, j) for i in range(SIDE) for j in range(SIDE)), key=lambda ij: (sum(ij), ij))
    return torch.stack([rows[i][:, None] * rows[j] for i, j in order[:COMPONENTS]])


def geometry_gains(steps: int) -> tuple[float, float]:
    """Return where gains of the geometry latent start: the logarithm at quality 0, and each of `steps` increments."""
    return -math.log(COARSE / SPREAD), math.log(COARSE / FINE) / steps


class CompensatedEncoder(FeatureEncoder):
    """Vehicle side: left features and what matching found to an appearance and a geometry latent."""

    def __init__(self, channels: tuple[int, int, int], config: CodecConfig) -> None:
        super().__init__(channels, config)
        width, appearance, geometry = config.width, config.prior.channels, config.prior.coded(RIGHT)
        self.stereo = StereoMatching(channels, config.matching)
        found = config.matching.width
        self.look = nn.Sequential(conv(2 * found, found, 3, 2), nn.ReLU(), conv(found, width, 3, 2))
        self.join = nn.Sequential(conv(2 * width + 1, width, 1), nn.ReLU(), zero(conv(width, width, 1)))
        self.to_geometry = zero(conv(width, geometry, 1))
        self.patch = PatchConv(1, geometry, SIDE)
        self.gate = zero(conv(width, appearance + geometry, 1))
        with torch.no_grad():
            nn.init.zeros_(self.patch.weight)
            known = min(COMPONENTS, geometry)
            self.patch.weight[:known, 0] = cosines()[:known] / (SIDE * SPREAD)
            bias_of(self.patch)[:1] = -TYPICAL / SPREAD
            bias_of(self.gate).fill_(OPEN)

    def forward(  # type: ignore[override]  # nobody calls both kinds alike
        self, features: Features, matched: Matched, quality: Tensor
    ) -> Tensor:
        """Map features (2B, ...), what `stereo` found in them, quality (B,) to latents (2B, M, H / 16, W / 16).

        The first B are the appearance latents, the others the geometry latents, zero where the prior codes none of
        their channels.
        """
        left = three(f.chunk(2)[0] for f in features)
        c = self.fused(left)
        found = self.look(torch.cat([matched.appearance, matched.cost], 1))
        c = c + self.join(torch.cat([c, found, quality_plane(quality, c)], 1))
        appearance = self.to_latent(c) + sum(self.linear(left))
        geometry = exact(self.to_geometry, c) + exact(self.patch, matched.disparity.clamp(min=0).log1p())
        latents = torch.cat([appearance, geometry], 1) * self.gate(c).sigmoid()
        appearance, geometry = latents.split((appearance.shape[1], geometry.shape[1]), 1)
        return torch.cat([appearance, padded(geometry, appearance.shape[1])])


class CompensatedDecoder(FeatureDecoder):
    """Remote side: both latents to the left view's features and disparity, and from them the right view's."""

    def __init__(self, channels: tuple[int, int, int], config: CodecConfig) -> None:
        geometry = config.prior.coded(RIGHT)
        super().__init__(channels, config, besides=geometry)
        self.geometry = geometry
        self.most = config.matching.disparities - 1
        self.patch = conv(geometry, SIDE * SIDE, 1)
        self.to_disparity = zero(nn.Conv2d(config.width // 3, 1, 3, padding=1))
        with torch.no_grad():
            nn.init.zeros_(self.patch.weight)
            known = min(COMPONENTS, geometry)
            self.patch.weight[:, :known, 0, 0] = cosines()[:known].flatten(1).T * (SIDE * SPREAD)
            bias_of(self.patch).fill_(TYPICAL)

    def forward(  # type: ignore[override]
        self, latents: Tensor, quality: Tensor
    ) -> tuple[Features, Tensor]:
        """Map dequantised latents (2B, M, h, w) as the encoder orders them, quality (B,) to features of both views, and
        the left view's disparity (B, 1, 4h, 4w) in cells.
        """
        appearance, geometry = latents.chunk(2)
        geometry = geometry[:, : self.geometry]
        left, x = self.rebuild(appearance, torch.cat([appearance, quality_plane(quality, appearance), geometry], 1))
        logarithm = F.pixel_shuffle(exact(self.patch, geometry), SIDE) + exact(self.to_disparity, x)
        disparity = logarithm.clamp(0, math.log1p(self.most)).exp() - 1  # expm1, which ONNX lacks
        return three(torch.cat([f, self._right(f, disparity)]) for f in left), disparity

    def _right(self, left: Tensor, disparity: Tensor) -> Tensor:
        side = int(disparity.shape[3]) // int(left.shape[3])
        if side > 1:
            disparity = F.avg_pool2d(disparity, side) / side
        return moved(left, disparity, self.most / side)
