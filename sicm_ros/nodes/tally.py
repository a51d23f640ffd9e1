# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a node did, counted: nothing is dropped without a cause in here."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

RECENT = 200  # times of a stage that median and 95th percentile are taken over
WINDOW = 5.0  # seconds over which rates are taken
MOST = 2000  # messages at most: a clock that stands still would never let one go


class Tally:
    """Counters, causes of drops, bytes and times of stages; for use by several threads.

    Args:
        counters: names that are reported from the start, even while they are 0.
    """

    def __init__(self, *counters: str) -> None:
        self._lock = threading.Lock()
        self._counts = Counter(dict.fromkeys(counters, 0))
        self._dropped: Counter[str] = Counter()
        self._stages: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))
        self._bytes = 0
        self._messages = 0
        self._recent: deque[tuple[float, float, int, float]] = deque(maxlen=MOST)

    def count(self, name: str, number: int = 1) -> None:
        with self._lock:
            self._counts[name] += number

    def drop(self, cause: str, number: int = 1) -> None:
        with self._lock:
            self._dropped[cause] += number

    def took(self, stage: str, seconds: float) -> None:
        with self._lock:
            self._stages[stage].append(seconds)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Time the block as one run of a stage; one that raises is not counted."""
        start = time.perf_counter()
        yield
        self.took(stage, time.perf_counter() - start)

    def message(self, size: int, stamp: float, now: float, delay: float) -> None:
        """Count one message of `size` bytes on the wire, sent or received now; stamp of its header, and how old it is.

        All in seconds. `now` is of any clock; one that is set back, as by a looped bag, or set, begins anew.
        """
        with self._lock:
            self._bytes += size
            self._messages += 1
            if self._recent and now < self._recent[-1][0]:
                self._recent.clear()
            self._recent.append((now, stamp, size, delay))
            self._forget(now)

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0][0] < now - WINDOW:
            self._recent.popleft()

    @property
    def drops(self) -> int:
        """Everything that was dropped, of all causes."""
        with self._lock:
            return sum(self._dropped.values())

    def rates(self, now: float) -> tuple[float, float, float, float]:
        """Return, of the last seconds: messages/s by node clock and by stamp, kbit/s, and the newest
        one's delay in seconds.

        The delay is nan where there was no message, or no clock to tell it by.
        """
        with self._lock:
            self._forget(now)
            recent = list(self._recent)
        if not recent:
            return 0.0, 0.0, 0.0, float("nan")
        arrivals, stamps, sizes, delays = zip(*recent)
        span, stamp_span = arrivals[-1] - arrivals[0], stamps[-1] - stamps[0]
        by_node = (len(recent) - 1) / span if span > 0 else 0.0
        by_stamp = (len(recent) - 1) / stamp_span if stamp_span > 0 else 0.0
        # Between the first and the last message, so that a stream of any length shows its rate at once.
        kbit = sum(sizes[1:]) * 8e-3 / span if span > 0 else 0.0
        return by_node, by_stamp, kbit, delays[-1]

    def report(self) -> dict[str, str]:
        """Return everything, as /diagnostics wants it: keys and values in words."""
        with self._lock:
            values: dict[str, float] = dict(self._counts)
            values["dropped"] = sum(self._dropped.values())
            values |= {f"dropped_{cause}": number for cause, number in sorted(self._dropped.items())}
            values["bytes"] = self._bytes
            values["bytes_per_message"] = round(self._bytes / self._messages, 1) if self._messages else 0
            for stage, times in self._stages.items():
                ordered = sorted(times)
                values[f"{stage}_ms"] = round(1e3 * median(ordered), 3)
                values[f"{stage}_ms_p95"] = round(1e3 * ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 3)
        return {key: str(value) for key, value in values.items()}
