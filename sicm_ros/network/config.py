# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a network is made of: typed, validated, read from YAML. An ablation is a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sicm_ros.config import Config, limited
from sicm_ros.entropy import PriorConfig
from sicm_ros.geometry.boxes import CLASSES

CHANNELS = {"lite": (24, 40, 112), "resnet34": (64, 128, 256)}  # of each backbone's features at strides 4, 8, 16
LEVELS = 255  # a quality travels as one byte


def quality_level(quality: float) -> int:
    """Return the byte that stands for a quality in [0, 1]."""
    return round(min(max(quality, 0.0), 1.0) * LEVELS)


@dataclass(frozen=True, kw_only=True)
class StereoConfig(Config):
    """Stereo matching.

    Attributes:
        width: channels of the pyramid at stride 4, and of what comes out.
        matching_width: channels that are correlated.
        groups: groups of the correlation.
        disparities: cells of stride 4 that the correlation volume spans.
        head_width: channels of the first aggregation.
        refine_width: channels that look for the disparity between the cells.
    """

    width: int = limited(48, ge=8, le=512)
    matching_width: int = limited(32, ge=8, le=512)
    groups: int = limited(8, ge=1, le=512)
    disparities: int = limited(24, ge=4, le=1024)
    head_width: int = limited(64, ge=8, le=512)
    refine_width: int = limited(32, ge=8, le=512)


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(Config):
    """How scores become chances: a line between their logits (Platt, 1999), for what focal losses call likely is too
    modest.

    `sicm calibrate` fits it to the chance that an object lies within 2 m of where it is named.

    Attributes:
        slope, shift: of that line.
        cut: what is added for an object that reaches out of the image at the left or right.
        of: what is added for a class.
    """

    slope: float = limited(1.6, gt=0)
    shift: float = 1.7
    cut: float = 0.0
    of: dict[str, float] = limited({})


@dataclass(frozen=True, kw_only=True)
class ErrorConfig(Config):
    """How far boxes are off, as standard deviations: what the network says of itself, held against what is measured.

    Fitted so that two thirds of the boxes lie inside, on frames that nothing was trained on where there are any; `sicm
    evaluate --table` prints what share does. Decoding is the same with any of them.

    Attributes:
        depth: factor of the depth's error as the network expects it (a Laplace distribution).
        pixels: error of the centre in the network's input. That of a centre that may be anywhere in its cell of
            stride 4 is 4 / sqrt(12).
        size: share of a box's length or height that its centre is uncertain by, however near it is.
        heading: factor of the spread of the heading's bins.
    """

    depth: float = limited(1.0, gt=0)
    pixels: float = limited(1.15, gt=0)
    size: float = limited(0.02, ge=0)
    heading: float = limited(2.0, gt=0)


@dataclass(frozen=True, kw_only=True)
class DetectorConfig(StereoConfig):
    """Visual analysis: matching, then a centre head of `head_width` channels.

    Attributes:
        head: name of the centre head's network, see network.heads.
        classes: what it names, each with the mean height, width and length over KITTI's training labels, metres.
        scores: how its scores become chances.
        errors: how far its boxes are off.
    """

    head: str = "centre"
    classes: dict[str, tuple[float, float, float]] = limited(
        {
            "Car": (1.53, 1.63, 3.88),
            "Pedestrian": (1.76, 0.66, 0.84),
            "Cyclist": (1.74, 0.60, 1.76),
            "Van": (2.21, 1.90, 5.08),
            "Truck": (3.25, 2.59, 10.11),
        }
    )
    scores: ScoreConfig = ScoreConfig()
    errors: ErrorConfig = ErrorConfig()

    def check(self) -> None:
        unknown = [name for name in self.classes if name not in CLASSES]
        if unknown or not self.classes:
            raise ValueError(f"classes {list(self.classes)}; expected some of {', '.join(CLASSES)}")
        if not all(side > 0 for size in self.classes.values() for side in size):
            raise ValueError("a mean size is not positive; expected height, width and length in metres")


@dataclass(frozen=True, kw_only=True)
class CodecConfig(Config):
    """Stereo multi-scale feature compression (SMFC).

    Attributes:
        scales_jointly: fuse the scales into one latent per view (the paper); otherwise each scale has a latent of its
            own.
        compensation: code the left view and the disparity, and rebuild the right view as the left one, moved. Otherwise
            each view has a latent of its own, and the next switch says whether they know of each other.
        contextual_transform: exchange information between the views in encoder and decoder.
        width: channels of the fused features at stride 16.
        matching: the vehicle's own stereo matching, for compensation; lighter than the detector's.
        search: widest disparity, in cells of stride 4, that the contextual transform looks at.
        prior: of the latents. With compensation the right one is the disparity's, which needs few channels.
    """

    scales_jointly: bool = True
    compensation: bool = True
    contextual_transform: bool = True
    width: int = limited(96, ge=8, le=512)
    matching: StereoConfig = StereoConfig(width=24, matching_width=16, groups=4, head_width=32, refine_width=24)
    search: int = limited(24, ge=4, le=1024)
    prior: PriorConfig = PriorConfig(channels=64, right_channels=6)

    def check(self) -> None:
        if self.compensation and not self.scales_jointly:
            raise ValueError("compensation moves all scales by one disparity: switch it off to code scales separately")
        if self.prior.right_channels is not None and not self.compensation:
            raise ValueError("without compensation, both views are coded alike: set prior.right_channels=null")

    @property
    def exchanges(self) -> bool:
        """Whether contextual transforms run: compensation leaves them nothing to find."""
        return self.contextual_transform and not self.compensation


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(Config):
    """A whole MVSFC-Net.

    Attributes:
        backbone: `lite` (EfficientNet-Lite0) or `resnet34` (the paper's).
        input_width, input_height: size of the network's input, pixels; multiples of 16.
    """

    backbone: Literal["lite", "resnet34"] = "lite"
    input_width: int = limited(864, ge=64, le=4096, multiple_of=16)
    input_height: int = limited(192, ge=64, le=4096, multiple_of=16)
    codec: CodecConfig = CodecConfig()
    detector: DetectorConfig = DetectorConfig()

    @property
    def channels(self) -> tuple[int, int, int]:
        """Of features at strides 4, 8 and 16."""
        return CHANNELS[self.backbone]
