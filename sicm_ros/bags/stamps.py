# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Header stamps as they come: read and set in serialised messages, checked before they serve as clock or key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from typing import Literal

HEADER = 16  # bytes that a serialised message with a header has at least
STANDSTILL = 3  # images of one camera with one stamp, after which its stamps are no times


def stamp_in(data: bytes) -> int:
    """Return the header stamp, nanoseconds, of a serialised message whose first field is its header."""
    order = _order(data)
    return int.from_bytes(data[4:8], order, signed=True) * 10**9 + int.from_bytes(data[8:12], order)


def frame_in(data: bytes) -> str:
    """Return the header's frame_id of a serialised message whose first field is its header."""
    length = int.from_bytes(data[12:16], _order(data))
    return bytes(data[16 : 16 + max(length - 1, 0)]).decode("utf-8", "replace")


def with_stamp(data: bytes, stamp: int) -> bytes:
    """Return a serialised message with another header stamp, nanoseconds."""
    order = _order(data)
    seconds = (stamp // 10**9).to_bytes(4, order, signed=True)
    return data[:4] + seconds + (stamp % 10**9).to_bytes(4, order) + data[12:]


def _order(data: bytes) -> Literal["little", "big"]:
    return "little" if data[1] & 1 else "big"


class Stamps:
    """Tells which time to take for an image: its stamp, or that of its arrival where its camera sets none.

    Args:
        remark: told once, in words, where stamps are no use.

    Attributes:
        unusable: stamps are zero, negative or all the same; arrival is taken from then on, for both cameras.
    """

    def __init__(self, remark: Callable[[str], None]) -> None:
        self.unusable = False
        self._remark = remark
        self._last: dict[str, tuple[int, int]] = {}  # topic -> last stamp, and how often in a row it came
        self._arrived: dict[str, int] = {}

    def time(self, topic: str, stamp: int, arrival: int) -> int:
        """Return the time of an image, nanoseconds, from its header stamp and from when it arrived."""
        last, times = self._last.get(topic, (None, 0))
        times = times + 1 if stamp == last else 1
        first = topic not in self._last
        self._last[topic] = stamp, times
        # One that is wrong among good ones has no partner, which is counted.
        if not self.unusable and ((first and stamp <= 0) or times >= STANDSTILL):
            self.unusable = True
            said = f"{stamp / 1e9:g} s" if stamp <= 0 else f"always {stamp / 1e9:.3f} s"
            self._remark(
                f"{topic}: header.stamp is {said}, which is not a valid time; images are timed by their arrival"
            )
        if not self.unusable:
            return stamp
        # Several that arrive at one time (a recording without times) keep their order.
        self._arrived[topic] = max(arrival, self._arrived.get(topic, arrival - 1) + 1)
        return self._arrived[topic]


def rate_of(stamps: Sequence[int], otherwise: float = 10.0) -> float:
    """Return the rate, Hz, of images with these stamps (nanoseconds); `otherwise` where they tell none.

    By the median of the steps forward: a clock that was set, a pause or a lost image doesn't change it.
    """
    steps = [b - a for a, b in pairwise(stamps) if b > a]
    return 1e9 / median(steps) if steps else otherwise
