# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""MVSFC-Net, whole: how the stages follow each other, on the vehicle and on the remote side."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sicm_ros.entropy import LEFT, RIGHT
from sicm_ros.entropy.choice import prior_of
from sicm_ros.network.backbone import BACKBONES
from sicm_ros.network.compensation import CompensatedDecoder, CompensatedEncoder, geometry_gains
from sicm_ros.network.config import NetworkConfig
from sicm_ros.network.detector import Maps, Rigs
from sicm_ros.network.disparity import Features, Matched
from sicm_ros.network.gain import ANCHORS, QualityGain, quality_levels
from sicm_ros.network.heads import head_of
from sicm_ros.network.smfc import FeatureDecoder, FeatureEncoder


class FeatureScale(nn.Module):
    """Mean and deviation of each channel at each scale, as measured once: the codec sees features of one magnitude."""

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        for i, count in enumerate(channels):
            self.register_buffer(f"mean{i}", torch.zeros(1, count, 1, 1))
            self.register_buffer(f"deviation{i}", torch.ones(1, count, 1, 1))

    def _statistics(self):
        return [(getattr(self, f"mean{i}"), getattr(self, f"deviation{i}")) for i in range(3)]

    def normalised(self, features: Features) -> Features:
        return tuple((f - mean) / deviation for f, (mean, deviation) in zip(features, self._statistics(), strict=True))

    def restored(self, features: Features) -> Features:
        return tuple(f * deviation + mean for f, (mean, deviation) in zip(features, self._statistics(), strict=True))

    @torch.no_grad()
    def measure(self, batches: list[Features]) -> None:
        """Take the statistics of some batches of features."""
        for scale, (mean, deviation) in zip(zip(*batches, strict=True), self._statistics(), strict=True):
            values = torch.cat([f.transpose(0, 1).flatten(1) for f in scale], 1)
            mean.copy_(values.mean(1).view_as(mean))
            spread = values.std(1)
            deviation.copy_(spread.clamp(min=0.1 * spread.mean()).view_as(deviation))  # dead channels stay small


@dataclass(frozen=True)
class Coded:
    """What training sees of a pass through the codec.

    Attributes:
        features: rebuilt, as `Features`.
        disparity: (B, 1, H / 4, W / 4) that moved the left view to the right one, in cells; None without compensation.
        bits: (B,) estimated bits of each pair.
        costs: bits of each symbol, as `PriorOutput` has them.
        maps: what the detector says of the rebuilt features.
        matched: what the vehicle's matching found; None without compensation.
    """

    features: Features
    disparity: Tensor | None
    bits: Tensor
    costs: dict[str, Tensor]
    maps: Maps
    matched: Matched | None


class MVSFCNet(nn.Module):
    """Stereo feature extraction, SMFC, and visual analysis.

    Vehicle: `extract` -> `analyse`; remote: `synthesise` -> `detect`. Both views of B pairs travel as one batch of 2B,
    left views first.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        backbone = BACKBONES[config.backbone]
        self.backbone = backbone()
        channels = backbone.channels
        self.scale = FeatureScale(channels)
        appearance, geometry = (config.codec.prior.coded(view) for view in (LEFT, RIGHT))
        self.gain = QualityGain(appearance, geometry)
        self.encoder: FeatureEncoder
        self.decoder: FeatureDecoder
        if config.codec.compensation:
            self.encoder = CompensatedEncoder(channels, config.codec)
            self.decoder = CompensatedDecoder(channels, config.codec)
            self.gain.start(slice(appearance, None), *geometry_gains(ANCHORS - 1))
        else:
            self.encoder = FeatureEncoder(channels, config.codec)
            self.decoder = FeatureDecoder(channels, config.codec)
        self.prior = prior_of(config.codec.prior)
        self.detector = head_of(channels, config.detector)
        # The detector of uncompressed features: the teacher in training, and what codecs of images are measured with.
        self.reference = head_of(channels, config.detector)

    # Vehicle side

    def extract(self, images: Tensor) -> Features:
        """Map images (2B, 3, H, W), 0 to 255, to features at strides 4, 8 and 16."""
        return self.backbone(images)

    def analyse(self, features: Features, quality: Tensor) -> Tensor:
        """Map features and quality (B,) to latents (2B, M, H / 16, W / 16) in quantisation steps, not yet rounded.

        The first B are those of the left views. The others say what the right views add: with compensation, their
        disparity.
        """
        return self._latents(features, quality, None, 0.0)[0]

    def _latents(
        self, features: Features, quality: Tensor, known: Tensor | None, guided: float
    ) -> tuple[Tensor, Matched | None]:
        normalised = self.scale.normalised(features)
        if not isinstance(self.encoder, CompensatedEncoder):
            return self.encoder(normalised) * self.gain.of_views(quality), None
        matched = used = self.encoder.stereo(normalised)
        if known is not None:
            guide = torch.rand(len(known), 1, 1, 1, device=known.device) < guided
            used = replace(matched, disparity=torch.where(guide, known, matched.disparity))
        return self.encoder(normalised, used, quality) * self.gain.of_views(quality), matched

    # Remote side

    def synthesise(self, symbols: Tensor, quality: Tensor) -> Features:
        """Map rounded latents (2B, M, H / 16, W / 16) and quality (B,) to rebuilt features."""
        return self._synthesise(symbols, quality)[0]

    def _synthesise(self, symbols: Tensor, quality: Tensor) -> tuple[Features, Tensor | None]:
        latents = symbols / self.gain.of_views(quality)
        if self.config.codec.compensation:
            features, disparity = self.decoder(latents, quality)
        else:
            features, disparity = self.decoder(latents, quality.repeat(2)), None
        return self.scale.restored(features), disparity

    def detect(self, features: Features, rigs: Rigs) -> Maps:
        """Map features of both views, rebuilt or not, and the rigs of the B pairs to what the head says."""
        return self.detector(features, rigs)

    # Training

    def rate(self, features: Features, quality: Tensor, known: Tensor | None = None) -> Tensor:
        """Return (B,) estimated bits of each pair, with gradients for the prior alone. `known` as in
        `code`, for all pairs.
        """
        with torch.no_grad():
            left, right = self._latents(features, quality, known, 1.0)[0].chunk(2)
        return self.prior(left, right, quality_levels(quality)).bits

    def code(
        self, features: Features, quality: Tensor, rigs: Rigs, known: Tensor | None = None, guided: float = 0.0
    ) -> Coded:
        """Run the whole chain, differentiable: the prior rounds (straight through) and estimates the rate.

        With compensation, `known` disparities (B, 1, H / 4, W / 4), in cells,
        take the place of what the vehicle matches in a share `guided` of the pairs: while that is still being learnt.
        """
        latents, matched = self._latents(features, quality, known, guided)
        coded = self.prior(*latents.chunk(2), quality_levels(quality))
        rebuilt, disparity = self._synthesise(torch.cat([coded.left, coded.right]), quality)
        return Coded(rebuilt, disparity, coded.bits, coded.costs, self.detect(rebuilt, rigs), matched)
