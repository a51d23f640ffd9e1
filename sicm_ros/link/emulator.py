# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A link that isn't there: what a radio link does to packets, repeatable from a seed.

```
 send ──▶ queue of the bottleneck ──▶ radio ──▶ network ──▶ arrivals
          bandwidth over time,        bursts     delay, jitter,
          full: `queue_full`          of loss,   reordering,
                                      bit errors duplicates
```

Packets that are lost on the radio have used its bandwidth. Every packet either arrives or is counted by cause:
sent + duplicates = delivered + lost + queue_full + on the way.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

from sicm_ros.errors import InputError

T = TypeVar("T")

HEADERS = 130  # bytes that IP, UDP and RTPS add to a message (measured: docs/nodes.md)
NEVER = math.inf


@dataclass(frozen=True)
class LinkProfile:
    """What a link is like. Probabilities are per packet.

    Loss has bursts (Gilbert 1960, Elliott 1963): a good state and a bad one, each with a loss of its own.

    Attributes:
        bandwidth_kbit_s: of the narrowest part, for everything including headers.
        queue_ms: what the queue before it holds, in milliseconds of its bandwidth at `bandwidth_kbit_s`.
        delay_ms: of every packet, beside queueing and its own length.
        jitter_ms: mean of an exponentially distributed further delay.
        loss: in the good state, 0 to 1.
        burst_start: from the good state to the bad one, 0 to 1.
        burst_packets: mean length of the bad state, packets, 1 or more.
        burst_loss: in the bad state, 0 to 1.
        bit_error: per bit; such a packet arrives damaged. Links with checksums drop it instead, which `loss` is for.
        reorder, reorder_ms: probability that a packet is held back so that others pass it, and for how long. All others
            keep their order.
        duplicate: probability that a packet arrives twice.
        cycle: the bandwidth over time: (seconds, share of `bandwidth_kbit_s`), one after the other, again and again.
    """

    bandwidth_kbit_s: float = 1e6
    queue_ms: float = 500.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    burst_start: float = 0.0
    burst_packets: float = 1.0
    burst_loss: float = 1.0
    bit_error: float = 0.0
    reorder: float = 0.0
    reorder_ms: float = 50.0
    duplicate: float = 0.0
    cycle: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "cycle":
                good = all(seconds > 0 and share >= 0 for seconds, share in value)
                good &= not value or any(share > 0 for _, share in value)
                expected = "pairs of seconds above 0 and shares, one of them above 0"
            elif field.name in ("bandwidth_kbit_s", "queue_ms"):
                good, expected = 0 < value < math.inf, "a number above 0"
            elif field.name == "burst_packets":
                good, expected = 1 <= value < math.inf, "1 or more"
            elif field.name.endswith("_ms"):
                good, expected = 0 <= value < math.inf, "0 or more"
            else:
                good, expected = 0 <= value <= 1, "0 to 1"
            if not good:
                raise InputError(f"link: {field.name} is {value}; expected {expected}")

    @property
    def mean_loss(self) -> float:
        """Share of packets that the radio loses over a long time."""
        if not self.burst_start:
            return self.loss
        bad = self.burst_start / (self.burst_start + 1 / self.burst_packets)
        return (1 - bad) * self.loss + bad * self.burst_loss

    def bandwidth(self, seconds: float) -> tuple[float, float]:
        """Return bytes per second at a time since the link's start, and how many seconds it stays like that."""
        full = self.bandwidth_kbit_s * 125
        if not self.cycle:
            return full, NEVER
        at = seconds % sum(length for length, _ in self.cycle)
        for length, share in self.cycle:
            if at < length:
                return full * share, length - at
            at -= length
        return full * self.cycle[0][1], self.cycle[0][0]  # rounding put it at the very end of the cycle


@dataclass(frozen=True)
class Arrival(Generic[T]):
    """A packet that came through.

    Attributes:
        time: seconds.
        packet: as it was sent.
        sent: when, seconds.
        flipped: positions of damaged bits, 0 to 8 * its bytes - 1; empty for nearly all.
        duplicate: it has arrived before, or will.
    """

    time: float
    packet: T
    sent: float
    flipped: tuple[int, ...] = ()
    duplicate: bool = False


class Link(Generic[T]):
    """Carries packets by a profile. Times are seconds of any clock that never runs backwards.

    Args:
        profile: may be changed at any time by setting the attribute; what is on the way stays as it was.
        seed: the same packets at the same times have the same fate.
        start: time at which the profile's cycle begins; by default the first packet's.

    Attributes:
        counts: sent, delivered, duplicates, damaged, reordered and, by cause, lost and queue_full.
    """

    def __init__(self, profile: LinkProfile, seed: int = 0, start: float | None = None) -> None:
        self.profile = profile
        self.counts = Counter(
            dict.fromkeys(("sent", "delivered", "duplicates", "damaged", "reordered", "lost", "queue_full"), 0)
        )
        # One stream of chances per effect: switching one on doesn't change what the others do.
        self._chance = {
            name: random.Random(f"{seed} {name}")
            for name in ("state", "loss", "bits", "jitter", "reorder", "duplicate")
        }
        self._bad = False
        self._start = start
        self._free = -NEVER  # when the bottleneck has sent all that is queued
        self._in_order = -NEVER  # arrival of the last packet that keeps its order
        self._number = 0  # makes the order of the heap one of time, then of sending
        self._travelling: list[tuple[float, int, Arrival[T]]] = []

    @property
    def on_the_way(self) -> int:
        """Arrivals that are still to come."""
        return len(self._travelling)

    @property
    def next_time(self) -> float | None:
        """When the next packet arrives, seconds; None if none is on the way."""
        return self._travelling[0][0] if self._travelling else None

    def send(self, now: float, packet: T, size: int) -> str:
        """Put a packet of `size` bytes (without HEADERS) on the link; "", or why it won't arrive: lost, queue_full."""
        p = self.profile
        self.counts["sent"] += 1
        if self._start is None:
            self._start = now
        # All of a packet's chances are drawn, whatever becomes of it: the next one's are then always the same.
        lost, length = self._lost(), 8 * size
        flipped = self._flipped(length)
        jitter = self._chance["jitter"].expovariate(1.0) * p.jitter_ms * 1e-3
        held = self._chance["reorder"].random() < p.reorder
        twice = self._chance["duplicate"].random() < p.duplicate
        waiting = max(self._free - now, 0.0)
        if waiting * 1e3 > p.queue_ms and self._backlog(now) > p.queue_ms * 1e-3 * p.bandwidth_kbit_s * 125:
            self.counts["queue_full"] += 1
            return "queue_full"
        self._free = self._through(max(now, self._free), size + HEADERS)
        if lost:
            self.counts["lost"] += 1
            return "lost"
        time = self._free + p.delay_ms * 1e-3 + jitter
        if held:
            time += p.reorder_ms * 1e-3
            self.counts["reordered"] += 1
        else:
            time = self._in_order = max(time, self._in_order)
        self._travel(Arrival(time, packet, now, flipped, twice))
        if twice:
            self.counts["duplicates"] += 1
            self._travel(Arrival(time + 1e-3, packet, now, (), True))
        return ""

    def arrivals(self, now: float) -> list[Arrival[T]]:
        """Return what has arrived until now and was not handed out before, in the order of arrival."""
        come = []
        while self._travelling and self._travelling[0][0] <= now:
            arrival = heapq.heappop(self._travelling)[2]
            self.counts["delivered"] += 1
            self.counts["damaged"] += bool(arrival.flipped)
            come.append(arrival)
        return come

    def _travel(self, arrival: Arrival[T]) -> None:
        heapq.heappush(self._travelling, (arrival.time, self._number, arrival))
        self._number += 1

    def _lost(self) -> bool:
        p = self.profile
        change = 1 / p.burst_packets if self._bad else p.burst_start
        if self._chance["state"].random() < change:
            self._bad = not self._bad
        return self._chance["loss"].random() < (p.burst_loss if self._bad else p.loss)

    def _flipped(self, bits: int) -> tuple[int, ...]:
        """Return positions of bit errors: the gaps between them are geometrically distributed."""
        rate, found, at = self.profile.bit_error, [], -1
        while rate > 0:
            if rate < 1:
                at += 1 + int(math.log(1 - self._chance["bits"].random()) / math.log1p(-rate))
            else:
                at += 1
            if at >= bits:
                break
            found.append(at)
        return tuple(found)

    def _through(self, begin: float, size: float) -> float:
        """Return when the bottleneck has sent `size` bytes that it begins with at `begin`."""
        time = begin
        while True:
            rate, stays = self.profile.bandwidth(time - (self._start or 0.0))
            if size <= rate * stays:
                return time + size / rate
            size -= rate * stays
            time += max(stays, 1e-9)  # always on, whatever rounding does to the cycle's steps

    def _backlog(self, now: float) -> float:
        """Return bytes that are queued: what the bottleneck can send until it is free."""
        time, size = now, 0.0
        while time < self._free:
            rate, stays = self.profile.bandwidth(time - (self._start or 0.0))
            step = min(max(stays, 1e-9), self._free - time)
            size += rate * step
            time += step
        return size
