# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What the baseline's network is made of."""

from __future__ import annotations

from dataclasses import dataclass

from sicm_ros.config import Config, limited
from sicm_ros.entropy import PriorConfig


@dataclass(frozen=True, kw_only=True)
class PictureCodecConfig(Config):
    """A codec of stereo images (network.py).

    Attributes:
        input_width, input_height: size of the images that are coded, pixels; multiples of 16.
        width: channels at strides 8 and 16; three quarters of them at stride 4.
        search: widest disparity, in cells of stride 4, that the contextual transforms look at.
        prior: its latent has twice the channels of our features': images need more for the same detections.
    """

    input_width: int = limited(864, ge=64, le=4096, multiple_of=16)
    input_height: int = limited(192, ge=64, le=4096, multiple_of=16)
    width: int = limited(64, ge=8, multiple_of=4)
    search: int = limited(24, ge=4)
    prior: PriorConfig = PriorConfig(channels=96)
