"""What a network is made of: typed, validated, read from YAML. An ablation is a configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sicm_ros.entropy import PriorConfig


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CodecConfig(_Frozen):
    """Stereo multi-scale feature compression (SMFC).

    Attributes:
        scales_jointly: fuse the scales into one latent per view (the paper); otherwise each scale has a latent of its
            own.
        contextual_transform: exchange information between the views in encoder and decoder.
        width: channels of the fused features at stride 16.
        search: widest disparity, in cells of stride 4, that the contextual transform looks at.
    """

    scales_jointly: bool = True
    contextual_transform: bool = True
    width: int = Field(96, ge=8)
    search: int = Field(24, ge=4)
    prior: PriorConfig = PriorConfig()


class DetectorConfig(_Frozen):
    """Visual analysis: matching, then a centre head.

    Attributes:
        width: channels of the pyramid at stride 4.
        matching_width: channels that are correlated.
        groups: groups of the correlation.
        disparities: cells of stride 4 that the correlation volume spans.
        head_width: channels of the head.
    """

    width: int = Field(48, ge=8)
    matching_width: int = Field(32, ge=8)
    groups: int = Field(8, ge=1)
    disparities: int = Field(24, ge=4)
    head_width: int = Field(64, ge=8)


class NetworkConfig(_Frozen):
    """A whole MVSFC-Net.

    Attributes:
        backbone: `lite` (EfficientNet-Lite0) or `resnet34` (the paper's).
        input_width, input_height: size of the network's input, pixels; multiples of 16.
    """

    backbone: Literal["lite", "resnet34"] = "lite"
    input_width: int = Field(864, ge=64, le=4096, multiple_of=16)
    input_height: int = Field(192, ge=64, le=4096, multiple_of=16)
    codec: CodecConfig = CodecConfig()
    detector: DetectorConfig = DetectorConfig()
