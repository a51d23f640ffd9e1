# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The adaptive target over an emulated link: it gives way when the link narrows and is back when the link is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from statistics import median

import pytest

from sicm_ros.link.congestion import AdaptiveTarget, Report
from sicm_ros.link.emulator import Link, LinkProfile

HZ = 10
MOST = 80.0  # kbit/s


def stream(kind: Callable[[float], LinkProfile], seconds: int, seed: int = 1):
    """Ten messages a second of the size that the target asks for, a report a second; lists by second.

    Yields (target, kbit/s delivered, delays, lost) for each second.
    """
    target, link = AdaptiveTarget(5.0, MOST), Link(kind(0.0), seed)
    history, heard, clock_offset = [], set(), 1234.5
    for second in range(seconds):
        come, first = [], second * HZ
        for i in range(HZ):
            now = second + i / HZ
            link.profile = kind(now)
            link.send(now, first + i, round(target.kbit_s * 125 / HZ))
            come += link.arrivals(now)
        come += link.arrivals(second + 0.9999)
        numbers = {a.packet for a in come}
        newest = max(numbers | {-1})
        missing = sum(n not in numbers and n not in heard for n in range(max(heard | {-1}) + 1, newest))
        size = sum(round(target.kbit_s * 125 / HZ) for _ in come)
        delays = [a.time - a.sent for a in come]
        if come:
            heard |= numbers
            report = Report(len(come), missing, size * 8e-3, median(delays) + clock_offset)
            target.report(second + 1.0, report)
        else:
            target.look(second + 1.0)
        history.append((target.kbit_s, size * 8e-3, delays, missing))
    return history


def test_a_link_with_room_keeps_the_full_target():
    history = stream(lambda t: LinkProfile(bandwidth_kbit_s=500, delay_ms=40, jitter_ms=10), 30)
    assert all(target == MOST for target, *_ in history)


def test_loss_that_no_rate_avoids_does_not_lower_the_target():
    history = stream(lambda t: LinkProfile(bandwidth_kbit_s=500, delay_ms=40, loss=0.2), 60)
    assert sum(target == MOST for target, *_ in history) >= 55


def test_a_link_that_drops_to_a_quarter_is_followed_and_recovered_within_three_seconds():
    full = LinkProfile(bandwidth_kbit_s=120, queue_ms=2000, delay_ms=40, jitter_ms=5)
    quarter = replace(full, bandwidth_kbit_s=30)
    history = stream(lambda t: quarter if 10 <= t < 25 else full, 40)
    targets = [target for target, *_ in history]
    assert targets[9] == MOST
    assert all(target <= 30 for target in targets[12:14])  # three seconds after the drop it fits
    assert min(targets[10:25]) >= 5.0
    # The queue that the drop left is gone, and stays small while the target probes for more.
    assert median([d for _, _, delays, _ in history[15:25] for d in delays]) < 0.6
    assert max(targets[25:28]) >= 0.8 * MOST  # within three seconds after the link came back
    assert all(target == MOST for target in targets[30:])


def test_silence_halves_the_target_down_to_the_least():
    target = AdaptiveTarget(10.0, 80.0)
    assert target.look(0.0) == 80.0
    assert target.look(2.0) == 80.0
    assert target.look(3.0) == 40.0
    assert target.look(3.1) == 40.0
    for second in range(6, 60, 3):
        target.look(float(second))
    assert target.kbit_s == 10.0
    for second in range(60, 65):
        target.report(float(second), Report(10, 0, 10.0, 0.1))
    assert target.kbit_s == 80.0


@pytest.mark.parametrize("delay", [float("nan"), float("inf")])
def test_a_report_of_nonsense_changes_nothing_for_the_worse(delay: float):
    target = AdaptiveTarget(5.0, 80.0)
    target.report(1.0, Report(10, 0, 50.0, delay))
    target.report(2.0, Report(10, 0, 50.0, 0.1))
    assert target.kbit_s == 80.0
