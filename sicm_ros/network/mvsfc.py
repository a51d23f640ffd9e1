"""MVSFC-Net, whole: how the stages follow each other, on the vehicle and on the remote side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sicm_ros.entropy.prior import StereoPrior
from sicm_ros.network.backbone import BACKBONES
from sicm_ros.network.config import NetworkConfig
from sicm_ros.network.detector import Maps, Rigs, StereoDetector
from sicm_ros.network.quality import LEVELS, QualityGain
from sicm_ros.network.smfc import FeatureDecoder, FeatureEncoder, Features


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
        """Takes the statistics of some batches of features."""
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
        bits: (B,) estimated bits of each pair.
        maps: what the detector says of the rebuilt features; None where it wasn't asked.
    """

    features: Features
    bits: Tensor
    maps: Maps | None


class MVSFCNet(nn.Module):
    """Stereo feature extraction, SMFC, and visual analysis.

    Vehicle: `extract` -> `analyse`; remote: `synthesise` -> `detect`. Both views of B pairs travel as one batch of 2B,
    left views first.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = BACKBONES[config.backbone]()
        channels = self.backbone.channels
        self.scale = FeatureScale(channels)
        self.encoder = FeatureEncoder(channels, config.codec)
        self.gain = QualityGain(config.codec.prior.channels)
        self.prior = StereoPrior(config.codec.prior)
        self.decoder = FeatureDecoder(channels, config.codec)
        self.detector = StereoDetector(channels, config.detector)
        # The detector of uncompressed features: the teacher in training, and what codecs of pictures are measured with.
        self.reference = StereoDetector(channels, config.detector)

    # Vehicle side

    def extract(self, images: Tensor) -> Features:
        """Pictures (2B, 3, H, W), 0 to 255 -> features at strides 4, 8 and 16."""
        return self.backbone(images)

    def analyse(self, features: Features, quality: Tensor) -> Tensor:
        """Features and quality (B,) -> latents (2B, M, H / 16, W / 16) in quantisation steps, not yet rounded."""
        return self.encoder(self.scale.normalised(features)) * self.gain(quality).repeat(2, 1, 1, 1)

    # Remote side

    def synthesise(self, symbols: Tensor, quality: Tensor) -> Features:
        """Rounded latents (2B, M, H / 16, W / 16) and quality (B,) -> rebuilt features."""
        latents = symbols / self.gain(quality).repeat(2, 1, 1, 1)
        return self.scale.restored(self.decoder(latents, quality.repeat(2)))

    def detect(self, features: Features, rigs: Rigs) -> Maps:
        """Features of both views, rebuilt or not, and the rigs of the B pairs -> what the head says."""
        return self.detector(features, rigs)

    # Training

    def code(self, features: Features, quality: Tensor, rigs: Rigs | None) -> Coded:
        """The whole chain, differentiable: the prior rounds (straight through) and estimates the rate.

        Without rigs it ends with the features.
        """
        left, right = self.analyse(features, quality).chunk(2)
        coded = self.prior(left, right, (quality * LEVELS).round())
        rebuilt = self.synthesise(torch.cat([coded.left, coded.right]), quality)
        return Coded(rebuilt, coded.bits, None if rigs is None else self.detect(rebuilt, rigs))
