# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The family of distributions that the prior is trained with, and the integer tables made of it."""

from __future__ import annotations

import math

import numpy as np
import torch

from sicm_ros.entropy.tables import MEAN_STEPS, PRECISION, SCALES, Tables

SMALLEST_SCALE, LARGEST_SCALE = 0.05, 40.0  # standard deviations, evenly spaced in the logarithm
LOG_SCALE_STEP = math.log(LARGEST_SCALE / SMALLEST_SCALE) / (SCALES - 1)
LEAST_REACH = 15  # residuals that any table holds, so that a surprise can be sent
REACH = 8  # ... and in standard deviations
SURPRISE = (
    2.0**-12
)  # share of every distribution that is as wide as the widest: no symbol costs more than that makes it


def bits(offset: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return the cost in bits of symbols that lie `offset` from the mean, under scale index `scale` (any real number in
    0..31).

    Laplace distributions integrated over a cell of width one (Balle et al., ICLR 2017, eq. 8-10), mixed with SURPRISE
    of the widest one. Differentiable in both arguments, which broadcast; in the logarithm throughout, so that a symbol
    far off still has a gradient that leads it back.
    """
    distance = offset.abs()
    likely = _log_mass(distance, SMALLEST_SCALE * torch.exp(scale * LOG_SCALE_STEP))
    surprising = _log_mass(distance, torch.full_like(scale, LARGEST_SCALE))
    mixed = torch.logaddexp(likely + math.log(1 - SURPRISE), surprising + math.log(SURPRISE))
    return mixed / -math.log(2)


def _log_mass(distance: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the Laplace mass of [distance - 1/2, distance + 1/2], distance >= 0."""
    rate = math.sqrt(2) / deviation
    # Beyond 1/2 the cell lies in one tail; within, it holds the peak, and the two tails are what it lacks.
    outside = -rate * (distance - 0.5).clamp(min=0) - math.log(2) + torch.log(-torch.expm1(-rate))
    within = distance.clamp(max=0.5)
    tails = (torch.exp(-rate * (0.5 - within)) + torch.exp(-rate * (0.5 + within))) / 2
    return torch.where(distance >= 0.5, outside, torch.log1p(-tails))


def build_tables() -> Tables:
    """Return the integer tables of the family."""
    reach, frequencies = [], []
    for scale in range(SCALES):
        deviation = SMALLEST_SCALE * math.exp(scale * LOG_SCALE_STEP)
        reach.append(max(LEAST_REACH, math.ceil(REACH * deviation)))
        residuals = torch.arange(-reach[-1], reach[-1] + 1, dtype=torch.float64)
        for fraction in range(MEAN_STEPS):
            cost = bits(residuals - fraction / MEAN_STEPS, torch.tensor(float(scale), dtype=torch.float64))
            frequencies.append(_to_frequencies(np.exp2(-cost.numpy())))
    return Tables(np.array(reach, np.int32), np.concatenate(frequencies).astype(np.int32))


def _to_frequencies(mass: np.ndarray) -> np.ndarray:
    """Return integers >= 1 in proportion to `mass` that sum to 2 ** PRECISION; what rounding leaves goes to the
    largest.
    """
    total = 1 << PRECISION
    frequencies = 1 + np.floor(mass / mass.sum() * (total - len(mass))).astype(np.int64)
    frequencies[mass.argmax()] += total - frequencies.sum()
    return frequencies
