# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Left and right images that belong together, by their stamps: the one rule of nodes, replay and tools.

Not message_filters: its synchroniser calls back inside its lock, never fires at a tolerance of zero, stalls when a
looped bag jumps back in time, and pairs an image with its partner's neighbour where the tolerance exceeds half of the
period.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

SIDES = ("left", "right")
TOLERANCE = 30_000_000  # ns between the stamps of a pair, unless told otherwise; KITTI's cameras: up to 10 ms
HALF = 0.45  # of the period: an image nearer than half of it has no nearer partner, with room for jitter
CERTAIN = 4_000_000  # ns: images this near belong together at any rate up to 120 Hz
MEASURED = 4  # distances between images of one camera after which the period is known
WINDOW = 16  # distances that the period is taken from
SIXTH = 0.17  # of what seems to be the period: less than one even where that is four or five of them
QUARTER = 0.25  # of the period: what arrives nearer belongs together; times of arrival are less certain than stamps
PAUSE = 2_000_000_000  # ns: a longer distance is no period
DEPTH = 8  # images of one side that wait for a partner in any case,
HORIZON = 500_000_000  # ns: and further ones as long as they are not older than this against the newest,
MOST = 64  # but no more than this
SKIPPED = 4  # pairs of later images after which an image's partner was lost


@dataclass(eq=False)
class _Waiting(Generic[T]):
    """An image without a partner.

    Attributes:
        number: of arrival, on its side.
        behind: its stamp is no newer than those before it: a straggler, or the clock was set back.
        skipped: pairs that were made of later arrivals of its side.
    """

    stamp: int
    picture: T
    number: int
    behind: bool
    skipped: int = 0


class StereoPairer(Generic[T]):
    """Gives each image the nearest one of the other side, whatever the order in which they arrive.

    The tolerance is kept below half of the period, which is measured: at 60 Hz two images that are one period apart
    are within 30 ms, and no pair. Before the period is known, only images that are a pair at any rate are paired
    at once; others wait for a few more, or for `settle`.

    Args:
        tolerance: largest difference of stamps in a pair, nanoseconds; 0 asks for equal stamps.
        dropped: called with a cause for each image that is given up: `unpaired`, or `repeated` where one of the
            same stamp took its place or is in a pair.
        horizon, most: how long images wait for a partner that is late, nanoseconds and number a side.
        period: of the images, nanoseconds, where it is known beforehand.

    Attributes:
        by_arrival: stamps are times of arrival, since the cameras set none. A busy machine makes images wait, and those
            that waited come in a burst. So a pair may be a quarter of the period apart, if that is more than the
            tolerance, but is one only when no nearer image can come any more; until then, or `settle`, it waits.
    """

    def __init__(
        self,
        tolerance: int = TOLERANCE,
        dropped: Callable[[str], None] = lambda cause: None,
        horizon: int = HORIZON,
        most: int = MOST,
        period: int | None = None,
    ) -> None:
        self.tolerance = tolerance
        self.by_arrival = False
        self._dropped, self._horizon, self._most = dropped, horizon, most
        self._waiting: dict[str, list[_Waiting[T]]] = {side: [] for side in SIDES}
        self._recent: dict[str, deque[int]] = {side: deque(maxlen=DEPTH) for side in SIDES}
        self._arrived = dict.fromkeys(SIDES, 0)
        self._taken: dict[str, deque[int]] = {side: deque(maxlen=MOST) for side in SIDES}  # stamps of those in pairs
        self._spacings: deque[int] = deque([period] * MEASURED if period else (), maxlen=WINDOW)
        self._limit = self._reach()

    @property
    def period(self) -> int | None:
        """Nanoseconds between two images of one camera, as far as it was measured; None before."""
        # The lower quartile: where images were lost distances are multiples, where stamps jitter some are short. Of few
        # the least: what is taken for too short makes images wait, what is taken for too long makes wrong pairs.
        known = len(self._spacings)
        return sorted(self._spacings)[(known - 1) // 4 if known > WINDOW // 2 else 0] if known else None

    @property
    def undecided(self) -> bool:
        """Whether images wait that `settle` would pair."""
        return (self.by_arrival or len(self._spacings) < MEASURED) and bool(self._candidates(self._guess()))

    def add(self, side: str, stamp: int, picture: T) -> list[tuple[T, T]]:
        """Take an image (its stamp in nanoseconds); return the pairs (left, right) that it completes."""
        recent = self._recent[side]
        for twin in [item for item in self._waiting[side] if item.stamp == stamp]:
            self._waiting[side].remove(twin)
            self._dropped("repeated")
        if recent and 0 < stamp - recent[-1] < PAUSE:
            self._spacings.append(stamp - recent[-1])
        self._arrived[side] += 1
        number = self._arrived[side]
        behind = bool(recent) and stamp <= max(recent)
        fresh = [_Waiting(stamp, picture, number, behind)]
        if not behind:  # so those right before were stragglers, and no clock was set back
            fresh += [item for item in self._waiting[side] if item.behind and item.number >= number - 2]
            for item in fresh:
                item.behind = False
        recent.append(stamp)
        self._waiting[side].append(fresh[0])
        if self.by_arrival:
            limit = self._reach()
            certain = [left for apart, left in self._candidates(limit) if stamp - left.stamp >= 2 * apart]
            # The first first, lest it be taken for one that others have overtaken.
            pairs = self._paired("left", sorted(certain, key=lambda left: left.number), limit)
            self._give_up(side)
            return pairs
        limit, self._limit = self._limit, self._reach()
        # A wider reach is news for all that wait.
        pairs = self._paired(side, self._waiting[side] if limit < self._limit else fresh, self._limit)
        self._give_up(side)
        return pairs

    def settle(self) -> list[tuple[T, T]]:
        """Pair what waits for the period to be known: at the end of a recording, or when nothing more arrives."""
        if len(self._spacings) >= MEASURED and not self.by_arrival:
            return []
        limit = self._guess()
        return self._paired("left", [left for _, left in self._candidates(limit)], limit)

    def close(self) -> list[tuple[T, T]]:
        """Settle, and give up what remains."""
        pairs = self.settle()
        for side, waiting in self._waiting.items():
            self._drop(side, list(waiting))
        return pairs

    def _reach(self) -> int:
        """Largest difference of stamps in a pair, nanoseconds, by what is known of the period."""
        if len(self._spacings) >= MEASURED:
            return self._guess()
        if self.by_arrival:  # while the period may still be a multiple of what it seems to be
            return min(self._guess(), max(CERTAIN, int(SIXTH * (self.period or 0))))
        return min(self.tolerance, CERTAIN)

    def _guess(self) -> int:
        period = self.period
        if period is None:
            return self.tolerance
        tolerance = max(self.tolerance, int(QUARTER * period)) if self.by_arrival else self.tolerance
        return min(tolerance, int(HALF * period))

    def _candidates(self, limit: int) -> list[tuple[int, _Waiting[T]]]:
        """Left images that have a partner, the nearest first."""
        found = [(self._nearest("left", item, limit), item) for item in self._waiting["left"]]
        return sorted(
            ((abs(other.stamp - item.stamp), item) for other, item in found if other is not None), key=lambda c: c[0]
        )

    def _paired(self, side: str, items: Iterable[_Waiting[T]], limit: int) -> list[tuple[T, T]]:
        """Pairs of those items that are their partner's nearest, too."""
        other = SIDES[side == "left"]
        pairs = []
        for item in list(items):
            partner = self._nearest(side, item, limit)
            # An item that was dropped meanwhile is nobody's nearest.
            if partner is None or self._nearest(other, partner, limit) is not item:
                continue
            self._take(side, item)
            self._take(other, partner)
            pair = item.picture, partner.picture
            pairs.append(pair if side == "left" else pair[::-1])
        return pairs

    def _nearest(self, side: str, item: _Waiting[T], limit: int) -> _Waiting[T] | None:
        """The other side's nearest image to an item; of several, the one that came last."""
        best = None
        for other in self._waiting[SIDES[side == "left"]]:
            apart = abs(other.stamp - item.stamp)
            # One that is left over from before the clock was set back is no partner of what came after it.
            foreign = (item.behind and other.skipped) or (other.behind and item.skipped)
            if apart <= limit and not foreign and (best is None or apart <= abs(best.stamp - item.stamp)):
                best = other
        return best

    def _take(self, side: str, item: _Waiting[T]) -> None:
        self._waiting[side].remove(item)
        self._taken[side].append(item.stamp)
        for earlier in self._waiting[side]:
            earlier.skipped += earlier.number < item.number
        self._drop(side, [earlier for earlier in self._waiting[side] if earlier.skipped >= SKIPPED])

    def _give_up(self, side: str) -> None:
        """Drop the oldest of those that wait for too long."""
        waiting = self._waiting[side]
        while len(waiting) > self._most or (
            len(waiting) > DEPTH and abs(waiting[-1].stamp - waiting[0].stamp) > self._horizon
        ):
            self._drop(side, waiting[:1])

    def _drop(self, side: str, items: list[_Waiting[T]]) -> None:
        for item in items:
            self._waiting[side].remove(item)
            self._dropped("repeated" if item.stamp in self._taken[side] else "unpaired")
