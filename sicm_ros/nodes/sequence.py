# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which messages are new, and which never came: gaps are losses, stragglers are not decoded, a new start is."""

from __future__ import annotations

MODULUS = 1 << 32
FAR = 1 << 16  # messages: a larger step forward is no gap but another encoder's numbers
SILENCE = 2.0  # seconds without a message, after which an old number is a new start: a straggler is quicker
NUMBERLESS = (1 << 64) - 1  # the number of a message where the middleware counts none
RUN = 3  # messages in a row, all behind, that are a new start: what was ahead of them was a stray


class Sequence:
    """Follows the sequence numbers of one encoder, through its restarts.

    A new start and a straggler both step back in number, and where the same recording is played again in stamp as
    well. What tells them apart: an encoder that starts describes itself, takes seconds to do so, and goes on.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._stamp = self._heard = 0.0
        self._fresh = False  # a description has come since the last message
        self._behind = (0, 0.0, 0)  # number and stamp of the last one that was dropped, and how many in a row

    def described(self) -> None:
        """Note that an encoder has described itself: at its start, or because its camera has changed."""
        self._fresh = True

    def check(self, number: int, stamp: float, now: float) -> tuple[int, str]:
        """Take a message's number, its stamp and when it arrived, both in seconds.

        Returns:
            How many were lost before it, and why to drop it: `repeated`, `late`, or "" for a new one.
        """
        fresh, self._fresh = self._fresh, False
        silent, self._heard = now - self._heard, now
        step = 0 if self._last is None else (number - self._last) % MODULUS
        started = self._last is None
        last, before, row = self._behind
        follows = (number - last) % MODULUS == 1 and stamp > before
        if not started and step == 0:
            # The end of a short recording is also what comes after its beginning, when it is played again.
            quick = silent < SILENCE  # as what a link repeats is; a recording of one pair is played again later
            if stamp == self._stamp and quick and not fresh and not (follows and row + 1 >= RUN):
                return 0, "repeated"
            started = True
        elif step > MODULUS // 2:
            self._behind = number, stamp, row + 1 if follows else 1
            started = fresh or stamp > self._stamp or silent >= SILENCE or self._behind[2] >= RUN
            if not started:
                return 0, "late"
        self._last, self._stamp, self._behind = number, stamp, (0, 0.0, 0)
        return (0 if started or step > FAR else step - 1), ""


class Gaps:
    """Finds messages that were sent and never taken, by the numbers that the middleware gives them."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}  # topic -> number of the newest message

    def before(self, topic: str, number: int | None) -> int:
        """Return how many messages of the topic are missing between the one before and this one."""
        if number is None or number == NUMBERLESS:
            return 0
        last = self._last.get(topic)
        self._last[topic] = number
        # One that isn't larger is of a publisher that has started anew.
        return number - last - 1 if last is not None and number > last else 0
