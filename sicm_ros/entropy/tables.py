# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Integer tables: the distributions that symbols are coded with.

A distribution has a mean in quarters and one of SCALES scales. The symbol minus the mean's floor is the residual that
is coded; the mean's fraction (0 to 3 quarters) and the scale choose its table: table = 4 * scale + fraction.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sicm_ros.errors import ModelError

MEAN_STEPS = 4  # means come in quarters
SCALES = 32
MEAN_LIMIT = 511  # quarters
EXACT = 1 << 24  # float32 holds every integer up to this
PRECISION = 24  # a table's frequencies sum to 2 ** PRECISION: constriction's default


@dataclass(frozen=True)
class Tables:
    """Integer tables of every distribution.

    Attributes:
        reach: int32 (SCALES,), the largest residual, either sign, of each scale's tables.
        frequencies: int32 (sum over tables of 2 * reach + 1,), table after table, residuals ascending; each table's
            sum is 2 ** PRECISION and none is zero.
    """

    reach: np.ndarray
    frequencies: np.ndarray

    def __post_init__(self) -> None:
        reach, frequencies = self.reach, self.frequencies
        if reach.shape != (SCALES,) or reach.min() < 1 or reach.max() > 4096:
            raise ModelError(f"tables: expected {SCALES} reaches of 1 to 4096; fetch the model again")
        if frequencies.shape != (self.starts[-1],) or frequencies.min() < 1:
            raise ModelError("tables: frequencies of the wrong number or not positive; fetch the model again")
        if (np.add.reduceat(frequencies.astype(np.int64), self.starts[:-1]) != 1 << PRECISION).any():
            raise ModelError(f"tables: frequencies that don't sum to 2^{PRECISION}; fetch the model again")

    @cached_property
    def starts(self) -> np.ndarray:
        """int64 (4 * SCALES + 1,): where each table starts in `frequencies`, and their end."""
        return np.concatenate([[0], np.cumsum(np.repeat(2 * self.reach.astype(np.int64) + 1, MEAN_STEPS))])

    @cached_property
    def reach_of(self) -> np.ndarray:
        """int32 (4 * SCALES,): the reach of each table."""
        return np.repeat(self.reach.astype(np.int32), MEAN_STEPS)

    @cached_property
    def costs(self) -> np.ndarray:
        """float64, bits of every entry of `frequencies`."""
        return PRECISION - np.log2(self.frequencies)

    def of(self, table: int) -> np.ndarray:
        """Return int32 (2 * reach + 1,): one table's frequencies."""
        return self.frequencies[self.starts[table] : self.starts[table + 1]]
