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


@dataclass(frozen=True)
class Coded:
    """What training sees of a pass through the codec.

    Attributes:
        features: rebuilt, as `Features`.
        bits: (B,) estimated bits of each pair.
        maps: what the detector says of the rebuilt features.
    """

    features: Features
    bits: Tensor
    maps: Maps


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
        return self.encoder(features) * self.gain(quality).repeat(2, 1, 1, 1)

    # Remote side

    def synthesise(self, symbols: Tensor, quality: Tensor) -> Features:
        """Rounded latents (2B, M, H / 16, W / 16) and quality (B,) -> rebuilt features."""
        both = quality.repeat(2)
        return self.decoder(symbols / self.gain(quality).repeat(2, 1, 1, 1), both)

    def detect(self, features: Features, rigs: Rigs) -> Maps:
        """Features of both views, rebuilt or not, and the rigs of the B pairs -> what the head says."""
        return self.detector(features, rigs)

    # Training

    def code(self, features: Features, quality: Tensor, rigs: Rigs) -> Coded:
        """The whole chain, differentiable: the prior rounds (straight through) and estimates the rate."""
        left, right = self.analyse(features, quality).chunk(2)
        coded = self.prior(left, right, (quality * LEVELS).round())
        rebuilt = self.synthesise(torch.cat([coded.left, coded.right]), quality)
        return Coded(rebuilt, coded.bits, self.detect(rebuilt, rigs))
