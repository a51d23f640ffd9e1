# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which feature messages are new: gaps are losses, repetitions and stragglers are not decoded."""

from __future__ import annotations

MODULUS = 1 << 32
FAR = 1 << 10  # messages; a step back by more than this is an encoder that started anew


class Sequence:
    """Follows the sequence numbers of one encoder, through its restarts."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._stamp = 0.0

    def check(self, number: int, stamp: float) -> tuple[int, str]:
        """Takes a message's number and stamp (s); returns how many were lost before it, and why to drop it, if so.

        A number behind the last one with a later stamp is an encoder's new start: a straggler is older in both.
        """
        if self._last is None:
            self._last, self._stamp = number, stamp
            return 0, ""
        step = (number - self._last) % MODULUS
        behind = step > MODULUS // 2
        if step == 0 and stamp == self._stamp:
            return 0, "repeated"
        if behind and MODULUS - step <= FAR and stamp < self._stamp:
            return 0, "late"
        restarted = step == 0 or behind
        self._last, self._stamp = number, stamp
        return (0 if restarted else step - 1), ""
