# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The network's stages by name, and what one costs."""

from __future__ import annotations

from dataclasses import dataclass

VEHICLE = ("backbone", "feature encoder")
REMOTE = ("feature decoder", "detector")


@dataclass(frozen=True)
class Cost:
    """Of one pair: multiply-accumulates of convolutions and of matching, and parameters."""

    macs: int
    parameters: int
