# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which rate a link has, from what its far end reports once a second: `adaptive` of the encoder node.

Delay tells more than loss: a queue that fills is too high a rate, a radio that loses packets at any rate is not. (The
idea of delay-based congestion control, as in Google's for WebRTC: Carlucci et al., MMSys 2016.)
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

QUEUEING = 0.15  # seconds of delay above the least one: the queue fills
HEAVY_LOSS = 0.4  # share lost: more than a radio loses that is of any use; a policer, or a link that is gone
BACK_OFF = 0.85  # of what came through, so that the queue empties
GROWTH = (1.5, 2.0, 2.0)  # of the target with each clean report in a row: 6 times in three seconds
MEMORY = 30  # reports over which the least delay is taken: clocks drift, routes change
SILENCE = 2.5  # seconds without a report: nothing comes through, or nothing comes back


@dataclass(frozen=True)
class Report:
    """What the far end says of one second.

    Attributes:
        received, lost: messages.
        kbit_s: rate of what arrived.
        delay: seconds, median; its clock may be off by a constant; nan where nobody can tell.
    """

    received: int
    lost: int
    kbit_s: float
    delay: float

    @property
    def possible(self) -> bool:
        """Whether a decoder could have said this; anybody may publish anything."""
        return self.received >= 0 and self.lost >= 0 and math.isfinite(self.kbit_s) and self.kbit_s >= 0


class AdaptiveTarget:
    """The target rate for a link that changes: down at once, up in three steps.

    Args:
        least, most: kbit/s that the target stays between; it begins at `most`.
    """

    def __init__(self, least: float, most: float) -> None:
        self.least, self.most = min(least, most), most
        self.kbit_s = most
        self._clean = 0  # reports in a row without a sign of congestion
        self._delays: deque[float] = deque(maxlen=MEMORY)
        self._losses: deque[tuple[int, int]] = deque(maxlen=3)  # lost and sent; a second alone has too few to tell
        self._heard: float | None = None  # when a report last came, or silence was last acted on

    def report(self, now: float, report: Report) -> float:
        """Take in a report; return the target from now on, kbit/s. One that can't be is as if it had not come."""
        if not report.possible:
            return self.kbit_s
        self._heard = now
        if report.received and math.isfinite(report.delay):
            self._delays.append(report.delay)
        known = math.isfinite(report.delay)  # a decoder without a clock can't tell
        queued = report.received > 0 and known and report.delay - min(self._delays) > QUEUEING
        self._losses.append((report.lost, report.received + report.lost))
        lost, sent = (sum(column) for column in zip(*self._losses))
        if queued or lost > HEAVY_LOSS * sent:
            self._clean = 0
            self._set(min(BACK_OFF * report.kbit_s, self.kbit_s))
        elif report.received:
            self._set(self.kbit_s * GROWTH[min(self._clean, len(GROWTH) - 1)])
            self._clean += 1
        return self.kbit_s

    def look(self, now: float) -> float:
        """Return the target when nothing new was reported: half of it after each SILENCE."""
        if self._heard is None:
            self._heard = now
        elif now - self._heard > SILENCE:
            self._heard, self._clean = now, 0
            self._set(self.kbit_s / 2)
        return self.kbit_s

    def _set(self, kbit_s: float) -> None:
        self.kbit_s = min(max(kbit_s, self.least), self.most)
