# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A codec of stereo images with bi-directional contextual transforms: what others send instead of features.

    left, right --> stride 4 --> stride 8 --> stride 16 --> latents --(QualityGain, rounding, StereoPrior)--> symbols
                    the views meet in a contextual transform at each of the strides; the decoder mirrors it

After BCSIC (Lei et al., deep stereo image compression via bi-directional coding, CVPR 2022), whose transforms let the
views look at each other in encoder and decoder alike, with a joint entropy model. As in ECSIC (Woedlinger et al.,
2023) a position looks along its own row alone. The transform and the prior are those of our feature codec, so that a
comparison of the two compares what is coded.

Beside the units runs a linear transform of each block of 16 x 16 pixels, which begins as a cosine transform: on
images of roads it keeps as much of the variance as principal components do (99.4 % against 99.5 %, of 96 out of 768
numbers), and what the units learn is added to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sicm_ros.baseline.config import PictureCodecConfig
from sicm_ros.entropy.choice import prior_of
from sicm_ros.network.gain import ANCHORS, QualityGain, quality_levels
from sicm_ros.network.layers import PatchConv, ResidualBlock, conv, cosine_rows, zero
from sicm_ros.network.smfc import ContextualTransform, quality_plane

MEAN, DEVIATION = 92.0, 70.0  # of the pixels of KITTI's images; they only set where learning starts
BLOCK = 16  # pixels on a side of a cell of the latent
FINEST = 4  # stride at which the units begin and end
# Where the steps of rounding begin, in grey levels of an orthonormal transform, at quality 0 and 1: about 0.9 and 40 kB
# a pair of 192 x 864 by entropy, before context saves some.
COARSE, FINE = 1200.0, 25.0
# Brightness, and two differences of colour: orthonormal, as the error is counted in. Of a variance of 1 in brightness
# the differences have about so much on roads.
COLOURS = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))
COLOUR_SHARES = (1.0, 0.1, 0.02)
FALL = 1.2  # variance falls with the square of the frequency to this power


def cosine_blocks(count: int) -> Tensor:
    """Return (count, 3, BLOCK, BLOCK): orthonormal patterns of colour and frequency, those that vary most in images."""
    rows = cosine_rows(BLOCK)
    colours = torch.tensor(COLOURS)
    colours = colours / colours.norm(dim=1, keepdim=True)
    order = sorted(
        ((c, i, j) for c in range(3) for i in range(BLOCK) for j in range(BLOCK)),
        key=lambda cij: (-COLOUR_SHARES[cij[0]] * (1 + cij[1] ** 2 + cij[2] ** 2) ** -FALL, cij),
    )
    return torch.stack([colours[c][:, None, None] * rows[i][:, None] * rows[j] for c, i, j in order[:count]])


def _widths(config: PictureCodecConfig) -> tuple[int, int, int]:
    """Return channels at strides 4, 8 and 16."""
    return config.width * 3 // 4, config.width, config.width


class PictureEncoder(nn.Module):
    """Normalised images of both views to one latent each, whose magnitude begins at about one."""

    def __init__(self, config: PictureCodecConfig) -> None:
        super().__init__()
        low, middle, high = _widths(config)
        latent = config.prior.channels
        self.units = nn.Sequential(
            nn.PixelUnshuffle(FINEST),
            conv(3 * FINEST**2, low),
            ResidualBlock(low),
            ContextualTransform.at_stride(4, low, config.search),
            conv(low, middle, 3, 2),
            ResidualBlock(middle),
            ContextualTransform.at_stride(8, middle, config.search),
            conv(middle, high, 3, 2),
            ResidualBlock(high),
            ContextualTransform.at_stride(16, high, config.search),
        )
        self.join = conv(high + 1, high, 1)
        self.to_latent = nn.Sequential(ResidualBlock(high), zero(conv(high, latent)))
        self.linear = PatchConv(3, latent, BLOCK)
        with torch.no_grad():
            self.linear.weight.copy_(cosine_blocks(latent) / latent_magnitude(latent))

    def forward(self, pictures: Tensor, quality: Tensor) -> Tensor:
        """Map (2B, 3, H, W), left views first, and quality (2B,) to (2B, M, H / 16, W / 16)."""
        x = self.units(pictures)
        x = self.join(torch.cat([x, quality_plane(quality, x)], 1))
        return self.linear(pictures) + self.to_latent(x)


class PictureDecoder(nn.Module):
    """One latent of each view to normalised images of both."""

    def __init__(self, config: PictureCodecConfig) -> None:
        super().__init__()
        low, middle, high = _widths(config)
        latent = config.prior.channels
        self.enter = conv(latent + 1, high)
        self.units = nn.Sequential(
            ResidualBlock(high),
            ContextualTransform.at_stride(16, high, config.search),
            ResidualBlock(high),
            conv(high, 4 * middle),
            nn.PixelShuffle(2),
            ContextualTransform.at_stride(8, middle, config.search),
            ResidualBlock(middle),
            conv(middle, 4 * low),
            nn.PixelShuffle(2),
            ContextualTransform.at_stride(4, low, config.search),
            ResidualBlock(low),
            zero(conv(low, 3 * FINEST**2)),
            nn.PixelShuffle(FINEST),
        )
        self.linear = conv(latent, 3 * BLOCK**2, 1)
        with torch.no_grad():
            patterns = cosine_blocks(latent).flatten(1).T * latent_magnitude(latent)
            self.linear.weight.copy_(patterns[..., None, None])

    def forward(self, latents: Tensor, quality: Tensor) -> Tensor:
        """Map (2B, M, h, w), left views first, and quality (2B,) to (2B, 3, 16h, 16w)."""
        x = self.units(self.enter(torch.cat([latents, quality_plane(quality, latents)], 1)))
        return F.pixel_shuffle(self.linear(latents), BLOCK) + x


def latent_magnitude(channels: int) -> float:
    """Return the magnitude of the coefficients of an orthonormal transform of pixels of variance one, if so many of
    them hold nearly all.
    """
    return math.sqrt(3 * BLOCK**2 / channels)


@dataclass(frozen=True)
class CodedPair:
    """What training sees of a pass through the codec.

    Attributes:
        pictures: (2B, 3, H, W), rebuilt, not clipped.
        bits: (B,) estimated bits of each pair.
    """

    pictures: Tensor
    bits: Tensor


class StereoPictureNetwork(nn.Module):
    """Sender: `analyse`; receiver: `synthesise`. Both views of B pairs travel as one batch of 2B, left views first."""

    def __init__(self, config: PictureCodecConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.prior.channels
        self.encoder = PictureEncoder(config)
        self.decoder = PictureDecoder(config)
        self.gain = QualityGain(channels, channels)
        unit = DEVIATION * latent_magnitude(channels)  # grey levels in a latent of one
        self.gain.start(slice(None), -math.log(COARSE / unit), math.log(COARSE / FINE) / (ANCHORS - 1))
        self.prior = prior_of(config.prior)

    def analyse(self, pictures: Tensor, quality: Tensor) -> Tensor:
        """Map images (2B, 3, H, W), 0 to 255, and quality (B,) to latents (2B, M, H / 16, W / 16) in quantisation
        steps, not yet rounded.
        """
        return self.encoder((pictures - MEAN) / DEVIATION, quality.repeat(2)) * self.gain.of_views(quality)

    def synthesise(self, symbols: Tensor, quality: Tensor) -> Tensor:
        """Map rounded latents (2B, M, H / 16, W / 16) and quality (B,) to images (2B, 3, H, W), 0 to 255."""
        return self._synthesise(symbols, quality).clamp(0, 255)

    def _synthesise(self, symbols: Tensor, quality: Tensor) -> Tensor:
        return self.decoder(symbols / self.gain.of_views(quality), quality.repeat(2)) * DEVIATION + MEAN

    # Training

    def rate(self, pictures: Tensor, quality: Tensor) -> Tensor:
        """Return (B,) estimated bits of each pair, with gradients for the prior alone."""
        with torch.no_grad():
            left, right = self.analyse(pictures, quality).chunk(2)
        return self.prior(left, right, quality_levels(quality)).bits

    def code(self, pictures: Tensor, quality: Tensor) -> CodedPair:
        """Run the whole chain, differentiable: the prior rounds (straight through) and estimates the rate."""
        coded = self.prior(*self.analyse(pictures, quality).chunk(2), quality_levels(quality))
        return CodedPair(self._synthesise(torch.cat([coded.left, coded.right]), quality), coded.bits)
