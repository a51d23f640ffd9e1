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
FLOOR = 2.0**-12  # share of every distribution spread evenly over its table: the price of a surprise is bounded


def bits(offset: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Cost in bits of symbols that lie `offset` from the mean, under scale index `scale` (any real number in 0..31).

    Laplace distributions integrated over a cell of width one (Balle et al., ICLR 2017, eq. 8-10), mixed with FLOOR of a
    uniform one. Differentiable in both arguments, which broadcast.
    """
    deviation = SMALLEST_SCALE * torch.exp(scale * LOG_SCALE_STEP)
    entries = 2 * (REACH * deviation).clamp(min=LEAST_REACH) + 1
    return -torch.log2((1 - FLOOR) * _mass(offset.abs(), deviation) + FLOOR / entries)


def _mass(distance: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """Laplace mass of [distance - 1/2, distance + 1/2], by whichever form loses no digits; distance >= 0."""
    rate = math.sqrt(2) / deviation
    tail = torch.exp(-rate * (distance + 0.5)) / 2
    # Beyond 1/2 both ends lie in the upper tail; within, the cell holds the peak and the two tails are what it lacks.
    outside = torch.exp(-rate * (distance - 0.5).clamp(min=0)) / 2 - tail
    inside = 1 - torch.exp(-rate * (0.5 - distance).clamp(min=0)) / 2 - tail
    return torch.where(distance >= 0.5, outside, inside)


def build_tables() -> Tables:
    """The integer tables of the family."""
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
    """Integers >= 1 in proportion to `mass` that sum to 2 ** PRECISION; what rounding leaves goes to the largest."""
    total = 1 << PRECISION
    frequencies = 1 + np.floor(mass / mass.sum() * (total - len(mass))).astype(np.int64)
    frequencies[mass.argmax()] += total - frequencies.sum()
    return frequencies
