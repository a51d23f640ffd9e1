# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Stereo multi-scale feature compression (SMFC): three scales of both views to one latent per view, and back.

    f0 --SEU--> c_0 --+--> c_0-1 --+--> c_0-2 = y      (per view; the views meet in every contextual transform)
    f1 --SEU----------'            |
    f2 --SEU-----------------------'

    y^ --SDU--> f2^ --SDU--> f1^ --SDU--> f0^          (the decoder mirrors it)

Beside both runs a linear transform of each cell of stride 16: what the units learn is added to what principal
components bring already (sicm_ros.training.transform measures them).

`compensation` builds on these units what we ship; used alone they code both views alike, as the paper does.

SEU and SDU are the paper's stereo encoder and decoder unit (arXiv 2502.14190, section III). Both views of a batch
travel as one tensor (2B, C, H, W), left views first, so that a layer that treats them alike is called once.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sicm_ros.network.config import CodecConfig
from sicm_ros.network.disparity import Features, three
from sicm_ros.network.epipolar import correlate, gather_along_rows, mirror
from sicm_ros.network.layers import PatchConv, ResidualBlock, conv, zero

SIDES = (4, 2, 1)  # of a cell of stride 16, in cells of each scale


class ContextualTransform(nn.Module):
    """Bi-directional contextual transform between rectified views.

    Each position of a view looks along its own row of the other view, over the disparities that a camera in front of
    the scene can have, and nowhere else. It takes what it finds there (attention), and how well each disparity
    matches, which is what tells a later layer the sub-cell disparity. The right view is the left one of the mirrored
    pair.
    """

    KEYS = 8

    def __init__(self, channels: int, disparities: int) -> None:
        super().__init__()
        self.disparities = disparities
        self.keys = nn.Conv2d(channels, self.KEYS, 1)
        self.values = nn.Conv2d(channels, self.KEYS, 1)
        self.sharpness = nn.Parameter(torch.tensor(2.0))
        self.merge = zero(nn.Conv2d(self.KEYS + disparities, channels, 1))

    @classmethod
    def at_stride(cls, stride: int, channels: int, search: int) -> ContextualTransform:
        """Return a configuration that looks as far at any stride: `search` cells of stride 4."""
        return cls(channels, max(4, search * 4 // stride))

    def forward(self, x: Tensor) -> Tensor:
        keys = F.normalize(self.keys(x), dim=1) * self.KEYS**0.5
        values = self.values(x)
        left, right = keys.chunk(2)
        left_values, right_values = values.chunk(2)
        # One call for both directions: the pair as it is, and mirrored with the views exchanged.
        scores = correlate(torch.cat([left, mirror(right)]), torch.cat([right, mirror(left)]), self.disparities)
        attention = (scores * self.sharpness.exp()).softmax(1)
        found = gather_along_rows(attention, torch.cat([right_values, mirror(left_values)]))
        context = torch.cat([found, scores], 1)
        from_right, from_left = context.chunk(2)
        return x + self.merge(torch.cat([from_right, mirror(from_left)]))


class StereoEncoderUnit(nn.Module):
    """SEU: contextual transform and two down-sampling convolutions, to stride 16 whatever the input's stride."""

    def __init__(self, channels: int, stride: int, config: CodecConfig) -> None:
        super().__init__()
        first = 2 if stride < 8 else 1
        second = 2 if stride < 16 else 1
        self.context = (
            ContextualTransform.at_stride(stride, channels, config.search) if config.exchanges else nn.Identity()
        )
        self.down = nn.Sequential(
            conv(channels, config.width // 2, 3, first), nn.ReLU(), conv(config.width // 2, config.width, 3, second)
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.down(self.context(features))


class StereoDecoderUnit(nn.Module):
    """SDU: up-sampling by `scale`, contextual transform, and the rebuilt features of one scale.

    At stride 4 there is no transform: what the views say to each other is settled at stride 8, for a quarter of the
    time.
    """

    def __init__(self, inputs: int, width: int, outputs: int, stride: int, scale: int, config: CodecConfig) -> None:
        super().__init__()
        self.up = nn.Sequential(
            conv(inputs, width * scale * scale), nn.PixelShuffle(scale) if scale > 1 else nn.Identity()
        )
        exchanges = config.exchanges and stride > 4
        self.context = ContextualTransform.at_stride(stride, width, config.search) if exchanges else nn.Identity()
        self.refine = ResidualBlock(width) if stride > 4 else nn.Sequential(nn.ReLU(), conv(width, width), nn.ReLU())
        self.rebuild = zero(nn.Conv2d(width, outputs, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the next unit starts from, and this scale's rebuilt features."""
        x = self.refine(self.context(self.up(x)))
        return x, self.rebuild(x)


class LinearAnalysis(nn.Module):
    """Each cell of stride 16, all that the scales have in it, times a matrix: features to latents."""

    def __init__(self, channels: tuple[int, int, int], outputs: tuple[int, ...]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchConv(c, m, side) for c, m, side in zip(channels, outputs, SIDES))

    def forward(self, features: Features) -> list[Tensor]:
        return [scale(f) for scale, f in zip(self.scales, features)]


class LinearSynthesis(nn.Module):
    """The way back: each cell's latents times a matrix, one for each scale."""

    def __init__(self, channels: tuple[int, int, int], inputs: tuple[int, ...]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            nn.Sequential(conv(m, c * side * side, 1), nn.PixelShuffle(side) if side > 1 else nn.Identity())
            for c, m, side in zip(channels, inputs, SIDES)
        )

    def forward(self, latents: list[Tensor]) -> Features:
        return tuple(scale(y) for scale, y in zip(self.scales, latents))


def latent_shares(latent: int) -> tuple[int, int, int]:
    """Return channels of the latent for each scale, where each is coded by itself."""
    return latent - 2 * (latent // 3), latent // 3, latent // 3


class FeatureEncoder(nn.Module):
    """Vehicle side of SMFC: features of both views at three scales to one latent per view at stride 16."""

    def __init__(self, channels: tuple[int, int, int], config: CodecConfig) -> None:
        super().__init__()
        width, latent = config.width, config.prior.channels
        self.jointly = config.scales_jointly
        self.to_latent: nn.Module  # of all scales together; or a list, one for each
        self.units = nn.ModuleList(StereoEncoderUnit(c, s, config) for c, s in zip(channels, (4, 8, 16)))
        if self.jointly:
            self.fuse = nn.ModuleList(nn.Sequential(conv(2 * width, width, 1), ResidualBlock(width)) for _ in range(2))
            self.to_latent = zero(conv(width, latent))
            self.linear = LinearAnalysis(channels, (latent,) * 3)
        else:
            # The ablation: a third of the latent's channels for each scale, which never see each other.
            shares = latent_shares(latent)
            self.to_latent = nn.ModuleList(
                nn.Sequential(ResidualBlock(width), ResidualBlock(width), zero(conv(width, share))) for share in shares
            )
            self.linear = LinearAnalysis(channels, shares)

    def forward(self, features: Features) -> Tensor:
        """Map three tensors (2B, C, H / stride, W / stride) to y (2B, M, H / 16, W / 16)."""
        if self.jointly:
            return self.to_latent(self.fused(features)) + sum(self.linear(features))
        scales = [unit(f) for unit, f in zip(self.units, features)]
        return torch.cat([head(c) + y for head, c, y in zip(_each(self.to_latent), scales, self.linear(features))], 1)

    def fused(self, features: Features) -> Tensor:
        """Return c_0-2 of each view, (2B, width, H / 16, W / 16)."""
        low, middle, high = (unit(f) for unit, f in zip(self.units, features))
        c_01 = self.fuse[0](torch.cat([low, middle], 1))
        return self.fuse[1](torch.cat([c_01, high], 1))


class FeatureDecoder(nn.Module):
    """Remote side of SMFC: one latent per view to features of both views at three scales."""

    def __init__(self, channels: tuple[int, int, int], config: CodecConfig, besides: int = 0) -> None:
        """`besides`: channels that the units see beside a view's latent, if scales come jointly."""
        super().__init__()
        width, latent = config.width, config.prior.channels
        self.jointly = config.scales_jointly
        self.enter: nn.Module  # likewise
        self.shares: tuple[int, int, int] | None
        if self.jointly:
            self.shares = None
            self.enter = conv(latent + 1 + besides, width)
            inputs = (width, width, width // 2)
        else:
            self.shares = latent_shares(latent)
            self.enter = nn.ModuleList(conv(share + 1, width) for share in reversed(self.shares))
            inputs = (width, width, width)
        scales = (1, 2, 2) if self.jointly else (1, 2, 4)
        widths = (width, width // 2, width // 3)
        self.units = nn.ModuleList(
            StereoDecoderUnit(i, w, c, stride, scale, config)
            for i, w, c, stride, scale in zip(inputs, widths, reversed(channels), (16, 8, 4), scales)
        )
        self.deepen = nn.Sequential(ResidualBlock(width), ResidualBlock(width)) if self.jointly else nn.Identity()
        self.linear = LinearSynthesis(channels, self.shares or (latent,) * 3)

    def forward(self, latents: Tensor, quality: Tensor) -> Features:
        """Map dequantised latents (2B, M, h, w) and quality (2B,) to rebuilt features, low, middle and high."""
        plane = quality_plane(quality, latents)
        if self.jointly:
            return self.rebuild(latents, torch.cat([latents, plane], 1))[0]
        parts = latents.split(self.shares, 1)
        rebuilt = [
            unit(enter(torch.cat([part, plane], 1)))[1]
            for enter, unit, part in zip(_each(self.enter), self.units, reversed(parts))
        ]
        return three(units + cells for units, cells in zip(reversed(rebuilt), self.linear(parts)))

    def rebuild(self, latents: Tensor, seen: Tensor) -> tuple[Features, Tensor]:
        """Rebuild the features of all scales from latents and all that the units see; return the last unit's
        maps (stride 4) too.
        """
        x = self.deepen(self.enter(seen))
        rebuilt = []
        for unit in self.units:
            x, features = unit(x)
            rebuilt.append(features)
        return three(units + cells for units, cells in zip(reversed(rebuilt), self.linear([latents] * 3))), x


def _each(modules: nn.Module) -> Iterator[nn.Module]:
    assert isinstance(modules, nn.ModuleList)
    return iter(modules)


def quality_plane(quality: Tensor, like: Tensor) -> Tensor:
    """Return quality (B,) as a map (B, 1, h, w)."""
    return quality.to(like.dtype).view(-1, 1, 1, 1).expand(-1, 1, *like.shape[2:])
