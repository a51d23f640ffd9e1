# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How many bytes to send: a quality for each pair, so that the stream keeps to a rate.

```
 pair at time t ──▶ RateController.quality(t) ──▶ encode ──▶ within_limit ──▶ RateController.sent(t, quality, bytes)
                         ▲                                                          │
                         └───────── SizeModel: bytes(quality), learnt ◀─────────────┘
```

Sizes are those of whole messages as they are sent. Times are seconds of any clock that never runs backwards.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sicm_ros.errors import InputError

MAX_PACKET_BYTES = 60_000  # fits one UDP datagram (65,507 bytes) with the headers of IP, UDP and RTPS

FIRST_SIZE = 1_500.0  # bytes at quality 0.5, before anything was sent
FIRST_SLOPE = 2.5  # d ln(bytes) / d quality: 12 times the bytes from the lowest quality to the highest
SLOPES = (0.3, 8.0)  # what any codec's slope lies between; positive, so that the model stays monotone
SLOPE_TRUST = 0.004  # variance of quality among the samples at which they weigh as much as FIRST_SLOPE
MEMORY = 24  # packets that the slope is learnt from; a scene is another one after two seconds
FADING = 0.9  # weight of a packet against the next one, for the slope
FOLLOWING = 0.4  # share of the newest residual in the level; more would swing where the true slope is steeper

FIRST_PERIOD = 0.1  # seconds between pairs before any were seen: KITTI's, and most stereo cameras' on vehicles
RISE = 0.25  # of quality from one packet to the next: a model that is wrong yet must not flood the link
PAYBACK = 0.5  # share of the surplus or the debt that the next packet makes good
BURST = 2.0  # periods' worth of bytes that one packet may have at most: more would wait for itself on a narrow link
DEBT = 0.25  # seconds' worth of bytes that may be owed before a pair is left out


class SizeModel:
    """bytes(quality) of the scene of now: ln(bytes) = level + slope * quality, with a slope above zero.

    The slope is a least-squares line through the last packets, held to what was believed before where they hardly
    differ in quality; the level follows the newest residuals, so that the line is right about the quality in use.
    """

    def __init__(self, size: float = FIRST_SIZE, slope: float = FIRST_SLOPE) -> None:
        self.slope = slope
        self.level = math.log(size) - slope * 0.5
        self._samples: deque[tuple[float, float]] = deque(maxlen=MEMORY)

    def size(self, quality: float) -> float:
        """Return bytes that a packet of this quality is expected to have."""
        return math.exp(self.level + self.slope * quality)

    def quality(self, size: float) -> float:
        """Return the quality at which a packet is expected to have `size` bytes; 0 to 1."""
        return min(max((math.log(max(size, 1.0)) - self.level) / self.slope, 0.0), 1.0)

    def learn(self, quality: float, size: int) -> None:
        """Take in what a packet turned out to have."""
        first = not self._samples
        log_size = math.log(max(size, 1))
        self._samples.append((quality, log_size))
        expected_before = self.level + self.slope * quality
        self.slope = self._fitted_slope()
        # The line turns about the point in use; then it is shifted towards what was seen there.
        following = 1.0 if first else FOLLOWING
        self.level = expected_before - self.slope * quality + following * (log_size - expected_before)

    def _fitted_slope(self) -> float:
        weights = [FADING**age for age in range(len(self._samples) - 1, -1, -1)]
        total = sum(weights)
        mean_q = sum(w * q for w, (q, _) in zip(weights, self._samples)) / total
        mean_s = sum(w * s for w, (_, s) in zip(weights, self._samples)) / total
        variance = sum(w * (q - mean_q) ** 2 for w, (q, _) in zip(weights, self._samples)) / total
        covariance = sum(w * (q - mean_q) * (s - mean_s) for w, (q, s) in zip(weights, self._samples)) / total
        slope = (covariance + SLOPE_TRUST * FIRST_SLOPE) / (variance + SLOPE_TRUST)
        return min(max(slope, SLOPES[0]), SLOPES[1])


class RateController:
    """Chooses a quality per pair so that the bytes of each second keep to a target.

    An account: time pays in at the target's rate, packets draw from it. Each packet is planned for what came in since
    the last one, and half of what the account is off. So the error of any second is that of its last packet and of the
    one before its first, however many there are in between.

    Args:
        target_kbit_s: of the whole stream; may be changed at any time by setting the attribute.

    Attributes:
        model: of the packets' sizes.
    """

    def __init__(self, target_kbit_s: float) -> None:
        self.model = SizeModel()
        self.target_kbit_s = target_kbit_s
        self._balance = 0.0  # bytes; negative when owed
        self._last: float | None = None  # when time last paid in
        self._waited = 0.0  # seconds since the last packet, or the last pair that was left out
        self._gaps: deque[float] = deque(maxlen=9)
        self._quality = 0.5  # of the last packet

    @property
    def target_kbit_s(self) -> float:
        return self._target

    @target_kbit_s.setter
    def target_kbit_s(self, value: float) -> None:
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"target_kbit_s is {value}; expected a rate above 0")
        if value != getattr(self, "_target", value):
            self._balance = 0.0  # what the old rate owed or saved is no matter of the new one
        self._target = value

    @property
    def _bytes_per_second(self) -> float:
        return self._target * 125.0

    @property
    def period(self) -> float:
        """Seconds between two pairs: the median of the last ones."""
        return sorted(self._gaps)[len(self._gaps) // 2] if self._gaps else FIRST_PERIOD

    def quality(self, now: float) -> float | None:
        """Return the quality for the pair that is to be encoded now; None to leave it out, since even
        0 wouldn't fit.
        """
        gap = self.period if self._last is None else max(now - self._last, 0.0)
        if self._last is not None:
            self._gaps.append(gap)
        self._last = now
        self._waited = min(self._waited + gap, BURST * self.period)
        due = self._waited * self._bytes_per_second
        if self._balance + due - self.model.size(0.0) < -max(DEBT * self._bytes_per_second, due):
            self._balance += due
            self._waited = 0.0
            return None
        return min(self.model.quality(due + PAYBACK * self._balance), self._quality + RISE)

    def sent(self, quality: float, size: int) -> None:
        """Book the packet that was planned last; `quality` as it was encoded in the end."""
        self._balance += self._waited * self._bytes_per_second - size
        self._waited, self._quality = 0.0, quality
        # What can't be saved for (the best quality is reached) or paid back (the lowest is) is let go.
        most = BURST * self.period * self._bytes_per_second
        self._balance = min(max(self._balance, -self._bytes_per_second), most)
        self.model.learn(quality, size)

    def affords(self, size: int) -> bool:
        """Return whether a packet of `size` bytes of another kind (boxes alone) would leave less debt
        than is let stand.
        """
        balance = self._balance + self._waited * self._bytes_per_second - size
        return balance >= -DEBT * self._bytes_per_second

    def spend(self, size: int) -> None:
        """Book a packet of another kind: it says nothing about sizes at any quality."""
        self._balance += self._waited * self._bytes_per_second - size
        self._waited = 0.0


@dataclass(frozen=True)
class FittingPacket:
    """A packet that may be sent.

    Attributes:
        data: the packet.
        quality: that it was encoded with in the end.
        attempts: how often the pair was encoded.
    """

    data: bytes
    quality: float
    attempts: int


def within_limit(
    encode: Callable[[float], bytes], quality: float, model: SizeModel, limit: int = MAX_PACKET_BYTES
) -> FittingPacket | None:
    """Encode a pair; again with a lower quality while the packet is above `limit` bytes. None if even 0 is.

    Args:
        encode: quality -> packet.
        quality: to begin with.
        model: says which lower quality might do.
        limit: bytes, included.
    """
    attempts = 0
    while True:
        data = encode(quality)
        attempts += 1
        if len(data) <= limit:
            return FittingPacket(data, quality, attempts)
        if quality <= 0:
            return None
        # Some way below the limit, since the model is a guess; and well below this quality, so that it ends soon.
        shrink = math.log(0.9 * limit / len(data)) / model.slope
        lower = min(quality + shrink, 0.8 * quality)
        quality = 0.0 if lower < 0.02 or attempts >= 4 else lower
