# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which quality the next packet gets: the one that was asked for, or what keeps to a rate that may follow the link."""

from __future__ import annotations

from collections.abc import Callable

from sicm_ros.link.congestion import AdaptiveTarget, Report
from sicm_ros.link.rate import FittingPacket, RateController, SizeModel, within_limit

LEAST_SHARE = 0.05  # of the rate, which an adaptive one never goes below: something has to test the link


class QualityChoice:
    """Keeps account of what was sent, where there is a rate to keep to.

    Call `choose` once per pair, then `sent` or `spend` with what it became. Times are seconds of any clock that never
    runs backwards.
    """

    def __init__(self) -> None:
        self._rate: RateController | None = None
        self._adaptive: AdaptiveTarget | None = None

    @property
    def target_kbit_s(self) -> float | None:
        """The rate that is kept to right now; None where the quality is constant."""
        return None if self._rate is None else self._rate.target_kbit_s

    def choose(self, now: float, quality: float, most_kbit_s: float, adaptive: bool) -> float | None:
        """Return the quality of the next packet; None to leave the pair out, since no quality fits the rate.

        Args:
            quality: where there is no rate to keep to.
            most_kbit_s: the rate; 0 for a constant quality.
            adaptive: whether to lower and raise the rate, up to that, with what `report` is told.
        """
        if not most_kbit_s:
            self._rate = self._adaptive = None
            return quality
        if not adaptive:
            self._adaptive = None
        elif self._adaptive is None or self._adaptive.most != most_kbit_s:
            self._adaptive = AdaptiveTarget(LEAST_SHARE * most_kbit_s, most_kbit_s)
        target = most_kbit_s if self._adaptive is None else self._adaptive.look(now)
        if self._rate is None:
            self._rate = RateController(target)
        self._rate.target_kbit_s = target
        return self._rate.quality(now)

    def report(self, now: float, report: Report) -> None:
        """Take in how packets arrive at the other side."""
        if self._adaptive is not None:
            self._adaptive.report(now, report)

    def encode(self, encode: Callable[[float], bytes], quality: float, limit: int) -> FittingPacket | None:
        """Return a packet of at most `limit` bytes, at this quality or a lower one; None if there is none."""
        return within_limit(encode, quality, self._rate.model if self._rate else SizeModel(), limit)

    def sent(self, quality: float, size: int) -> None:
        """Book a packet, with the quality that it was encoded with in the end."""
        if self._rate is not None:
            self._rate.sent(quality, size)

    def affords(self, size: int) -> bool:
        """Return whether a packet of `size` bytes of another kind (boxes alone) may be sent."""
        return self._rate is None or self._rate.affords(size)

    def spend(self, size: int) -> None:
        """Book a packet of another kind."""
        if self._rate is not None:
            self._rate.spend(size)
