# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Curves of accuracy over rate, and the figures that compare them.

AP is not always increasing with the rate: a detector's luck with one set of frames is in it. Before anything is
compared, each variant's curve becomes the increasing curve that fits it best (isotonic regression), and all variants of
a codec together become their Pareto front, interpolated over log10(bytes) by PCHIP. The same for every codec, ours too.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

LEAST_POINTS = 3  # of a front that a BD-rate may be taken of
KBIT = (64, 128, 256, 512)  # kbit/s at which AP is told
RATE = 10  # Hz


@dataclass(frozen=True)
class Front:
    """What a codec reaches: bytes a pair (N,) and AP (N,), per cent, both strictly increasing."""

    sizes: np.ndarray
    ap: np.ndarray

    @classmethod
    def of(cls, *variants: Sequence[tuple[float, float]]) -> Front:
        """Return the Pareto front of curves of (bytes a pair, AP) points, each made monotone first."""
        best, kept = -np.inf, []
        points = [point for curve in variants for point in _monotone(curve)]
        for size, ap in sorted(points, key=lambda point: (point[0], -point[1])):
            if ap > best:
                best = ap
                kept.append((size, ap))
        return cls(*np.array(kept, np.float64).reshape(-1, 2).T)

    def __len__(self) -> int:
        return len(self.sizes)

    def ap_at(self, size: float) -> float | None:
        """Return AP for at most so many bytes a pair; None if the codec can't do with so few."""
        if not len(self) or size < self.sizes[0]:
            return None
        if size >= self.sizes[-1] or len(self) == 1:
            return float(self.ap[-1])  # nobody has to spend them all
        return float(PchipInterpolator(np.log10(self.sizes), self.ap)(np.log10(size)))

    def size_at(self, ap: float) -> float | None:
        """Return bytes a pair for an AP: None if never reached, the first point's if the curve begins above it."""
        if not len(self) or ap > self.ap[-1]:
            return None
        if ap <= self.ap[0] or len(self) == 1:
            return float(self.sizes[0])
        return float(10 ** PchipInterpolator(self.ap, np.log10(self.sizes))(ap))


def _monotone(curve: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the increasing curve that is nearest to the points, in squares of AP."""
    if not curve:
        return []
    sizes, ap = np.array(sorted(curve), np.float64).T
    return list(zip(sizes, increasing(ap)))


def increasing(values: np.ndarray) -> np.ndarray:
    """Return the values (N,) that never fall and fit the given ones best (isotonic regression; SciPy has it from 1.12).

    By the min-max formula (Barlow et al., 1972): the largest, over beginnings up to a place, of the least mean to an
    end at or after it.
    """
    sums, count = np.concatenate([[0.0], np.cumsum(values)]), len(values)
    first, last = np.ogrid[:count, :count]
    means = np.where(first <= last, sums[1:][None] - sums[:-1, None], np.inf) / np.maximum(last - first + 1, 1)
    least = np.minimum.accumulate(means[:, ::-1], axis=1)[:, ::-1]  # over all ends at or after a place
    return np.array([least[: place + 1, place].max() for place in range(count)])


@dataclass(frozen=True)
class BdRate:
    """Bjontegaard's delta rate: how many more bits one codec needs than an anchor for the same AP.

    Attributes:
        percent: mean over the APs that both reach; negative is fewer. None where it was refused.
        overlap: the APs that both reach over those that either does, 0 to 1.
        reason: why it was refused, or "".
    """

    percent: float | None
    overlap: float
    reason: str = ""

    def text(self) -> str:
        """Return it for people; the reason where there is none."""
        return rate_text(self.percent, self.reason)


def rate_text(percent: float | None, reason: str) -> str:
    """Return a BD-rate for people; the reason where there is none."""
    return f"none ({reason})" if percent is None else f"{percent:+.1f} %"


def bd_rate(anchor: Front, test: Front) -> BdRate:
    """Return BD-rate of test against anchor, on AP over log10(bytes), PCHIP (Bjontegaard, VCEG-M33;
    bjontegaard package).
    """
    from bjontegaard import bd_rate as delta

    if min(len(anchor), len(test)) < LEAST_POINTS:
        few = f"{len(anchor)} and {len(test)} points on the fronts of anchor and codec; expected {LEAST_POINTS} each"
        return BdRate(None, 0.0, few)
    low, high = max(anchor.ap[0], test.ap[0]), min(anchor.ap[-1], test.ap[-1])
    whole = max(anchor.ap[-1], test.ap[-1]) - min(anchor.ap[0], test.ap[0])
    overlap = max(0.0, float((high - low) / whole))
    if overlap <= 0:
        ranges = f"{anchor.ap[0]:.1f} to {anchor.ap[-1]:.1f} and {test.ap[0]:.1f} to {test.ap[-1]:.1f}"
        return BdRate(None, 0.0, f"no AP that both reach ({ranges})")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the overlap, which is told
        percent = delta(
            anchor.sizes, anchor.ap, test.sizes, test.ap, method="pchip", require_matching_points=False, min_overlap=0
        )
    return BdRate(float(percent), overlap)


def kbit_per_s(size: float) -> float:
    """Return kbit/s of a stream of pairs of so many bytes at 10 Hz."""
    return size * 8 * RATE / 1000


def size_of(kbit: float) -> float:
    """Return bytes a pair of a stream of so many kbit/s at 10 Hz."""
    return kbit * 1000 / 8 / RATE
