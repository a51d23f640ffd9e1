# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One model for all rates: which qualities a batch is coded at, and what a bit costs at each."""

from __future__ import annotations

import torch
from torch import Tensor


def random_qualities(pairs: int, device: torch.device) -> Tensor:
    """Return (pairs,) in [0, 1]. Gains are interpolated: both ends must be met as well."""
    return (torch.rand(pairs, device=device) * 1.2 - 0.1).clamp(0, 1)


def prices(rate: tuple[float, float], quality: Tensor) -> Tensor:
    """Return (B,) price of a bit per pixel: exp of a line from rate[0] at quality 0 to rate[1] at quality 1."""
    low, high = rate
    return (low + (high - low) * quality).exp()
