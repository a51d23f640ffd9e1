# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Detection heads by name: what `detector.head` in a model's configuration may be."""

from __future__ import annotations

from torch import nn

from sicm_ros.errors import InputError
from sicm_ros.extensions import Registry
from sicm_ros.network.config import DetectorConfig
from sicm_ros.network.detector import StereoDetector

# A head of your own is an entry point of this group. It names a class of `Head(channels, config)`, an nn.Module whose
# `forward(features, rigs)` returns Maps: boxes, losses and packets then work with it as they are (CONTRIBUTING.md).
HEADS: Registry[type[nn.Module]] = Registry("sicm_ros.heads", {"centre": StereoDetector}, nn.Module, classes=True)


def head_of(channels: tuple[int, int, int], config: DetectorConfig) -> nn.Module:
    """Return a detector for features of so many channels at strides 4, 8 and 16; InputError for an unknown head."""
    if config.head not in HEADS:
        raise InputError(f"detector.head {config.head!r}; expected one of {', '.join(HEADS)}")
    return HEADS[config.head](channels, config)
