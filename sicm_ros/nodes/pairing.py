# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Left and right pictures that belong together, by their stamps.

Not message_filters: its synchroniser calls back inside its lock, never fires at a tolerance of zero, and stalls when a
looped bag jumps back in time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

SIDES = ("left", "right")
DEPTH = 8  # pictures of one side that wait for a partner; a partner that is later than that never comes
JUMP = 500_000_000  # ns: a step back in time by more than this is a new start (a looped bag), less is a late picture


class StereoPairer:
    """Gives each left picture the right one nearest in time, within a tolerance; a pair drops whatever is older.

    Args:
        tolerance: largest difference of stamps in a pair, nanoseconds; 0 asks for equal stamps.
        dropped: called with a cause, `unpaired` or `late`, for each picture that is given up.
    """

    def __init__(self, tolerance: int, dropped: Callable[[str], None] = lambda cause: None) -> None:
        self.tolerance = tolerance
        self._dropped = dropped
        self._waiting: dict[str, deque[tuple[int, Any]]] = {side: deque() for side in SIDES}
        self._newest: dict[str, int | None] = dict.fromkeys(SIDES)
        self._paired_until: dict[str, int | None] = dict.fromkeys(SIDES)

    def add(self, side: str, stamp: int, picture: Any) -> tuple[Any, Any] | None:
        """Takes a picture (its stamp in nanoseconds); returns (left, right) where it completes a pair."""
        newest = self._newest[side]
        if newest is not None and stamp < newest - JUMP:
            self._restart()
        until = self._paired_until[side]
        if until is not None and stamp < until:
            self._dropped("late")
            return None
        self._newest[side] = max(stamp, self._newest[side] or stamp)
        other = SIDES[side == "left"]
        partners = [(abs(s - stamp), s) for s, _ in self._waiting[other] if abs(s - stamp) <= self.tolerance]
        own = self._waiting[side]
        if not partners:
            own.append((stamp, picture))
            if len(own) > DEPTH:
                own.popleft()
                self._dropped("unpaired")
            return None
        _, partner_stamp = min(partners)
        partner = self._discard(other, partner_stamp)
        self._discard(side, stamp)
        self._paired_until = {side: stamp, other: partner_stamp}
        return (picture, partner) if side == "left" else (partner, picture)

    def _discard(self, side: str, until: int) -> Any:
        """Gives up a side's waiting pictures up to a stamp; returns the one that has that stamp."""
        found = None
        keep: deque[tuple[int, Any]] = deque()
        for stamp, picture in self._waiting[side]:
            if stamp > until:
                keep.append((stamp, picture))
            elif stamp == until and found is None:
                found = picture
            else:
                self._dropped("unpaired")
        self._waiting[side] = keep
        return found

    def _restart(self) -> None:
        for waiting in self._waiting.values():
            for _ in waiting:
                self._dropped("unpaired")
            waiting.clear()
        self._newest = dict.fromkeys(SIDES)
        self._paired_until = dict.fromkeys(SIDES)
