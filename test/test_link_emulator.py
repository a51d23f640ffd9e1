# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The emulated link: every packet arrives or is counted by cause, a seed repeats it all, bandwidth is kept."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sicm_ros.errors import InputError
from sicm_ros.link.emulator import HEADERS, Arrival, Link, LinkProfile
from sicm_ros.link.profiles import PROFILES, profile

SHARES = st.one_of(st.just(0.0), st.floats(0, 1))
ANY_PROFILE = st.builds(
    LinkProfile,
    bandwidth_kbit_s=st.floats(5, 1e5),
    queue_ms=st.floats(1, 3000),
    delay_ms=st.floats(0, 500),
    jitter_ms=st.floats(0, 200),
    loss=SHARES,
    burst_start=SHARES,
    burst_packets=st.floats(1, 50),
    burst_loss=SHARES,
    bit_error=st.one_of(st.just(0.0), st.floats(1e-7, 1e-2)),
    reorder=SHARES,
    reorder_ms=st.floats(0, 500),
    duplicate=SHARES,
    cycle=st.one_of(st.just(()), st.just(((1.0, 1.0), (0.5, 0.0), (0.3, 0.25)))),
)
TRAFFIC = st.lists(st.tuples(st.floats(0, 0.5), st.integers(1, 5000)), min_size=1, max_size=60)  # gaps (s), bytes


def carry(link: Link[int], traffic: list[tuple[float, int]]) -> list[Arrival[int]]:
    """Sends packets numbered 0, 1, ...; what arrived, looked for at each sending and long after the last one."""
    now, come = 50.0, []
    for number, (gap, size) in enumerate(traffic):
        now += gap
        come += link.arrivals(now)
        link.send(now, number, size)
    return come + link.arrivals(now + 1e5)


def steady(packets: int, size: int = 500, hz: float = 10.0) -> list[tuple[float, int]]:
    return [(1 / hz, size)] * packets


@settings(max_examples=60, deadline=None)
@given(kind=ANY_PROFILE, traffic=TRAFFIC, seed=st.integers(0, 2**32))
def test_every_packet_arrives_or_is_counted_by_cause(kind: LinkProfile, traffic, seed: int):
    link = Link(kind, seed)
    come = carry(link, traffic)
    counts = link.counts
    assert link.on_the_way == 0
    assert counts["sent"] == len(traffic)
    assert counts["sent"] + counts["duplicates"] == counts["delivered"] + counts["lost"] + counts["queue_full"]
    assert len(come) == counts["delivered"]
    assert len({a.packet for a in come}) == counts["delivered"] - counts["duplicates"]
    assert sum(bool(a.flipped) for a in come) == counts["damaged"]
    for a in come:
        assert a.time >= a.sent + kind.delay_ms * 1e-3
        assert all(0 <= bit < 8 * traffic[a.packet][1] for bit in a.flipped)
    assert [a.time for a in come] == sorted(a.time for a in come)


@settings(max_examples=20, deadline=None)
@given(kind=ANY_PROFILE, traffic=TRAFFIC, seed=st.integers(0, 2**32))
def test_a_seed_repeats_everything(kind: LinkProfile, traffic, seed: int):
    first, second = Link(kind, seed), Link(kind, seed)
    assert carry(first, traffic) == carry(second, traffic)
    assert first.counts == second.counts


def test_another_seed_is_another_run():
    kind = LinkProfile(loss=0.5)
    assert {a.packet for a in carry(Link(kind, 1), steady(50))} != {a.packet for a in carry(Link(kind, 2), steady(50))}


@settings(max_examples=40, deadline=None)
@given(
    rate=st.floats(20, 2000),
    queue=st.floats(50, 3000),
    traffic=TRAFFIC,
    cycle=st.sampled_from([(), ((0.7, 1.0), (0.4, 0.25), (0.2, 0.0))]),
)
def test_no_stretch_of_time_carries_more_than_the_bandwidth(rate: float, queue: float, traffic, cycle):
    link = Link(LinkProfile(bandwidth_kbit_s=rate, queue_ms=queue, cycle=cycle))
    come = carry(link, traffic)
    # Each packet occupies the link for its own length before it arrives: between two arrivals lies the second one's.
    for before, after in pairwise(come):
        time = before.time
        carried = 0.0
        while time < after.time:
            speed, stays = link.profile.bandwidth(time - link._start)
            step = min(max(stays, 1e-9), after.time - time)
            carried, time = carried + speed * step, time + step
        assert traffic[after.packet][1] + HEADERS <= carried * (1 + 1e-6) + 0.1


def test_a_full_queue_drops_and_says_so_and_what_came_through_was_not_late():
    kind = LinkProfile(bandwidth_kbit_s=40, queue_ms=500)  # 5 kB/s
    link = Link(kind)
    come = carry(link, steady(100, size=1000 - HEADERS))  # 10 kB/s
    assert link.counts["queue_full"] == pytest.approx(50, abs=4)
    assert link.counts["lost"] == 0
    assert max(a.time - a.sent for a in come) <= 0.5 + 2 * 1000 / 5000 + 1e-9


@pytest.mark.parametrize("name", [n for n in PROFILES if n != "perfect"])
def test_profiles_lose_what_they_say(name: str):
    kind = profile(name)
    link = Link(kind, seed=7)
    carry(link, steady(20_000, size=300))
    # Bursts make the number of losses wander by more than chance alone.
    spread = math.sqrt(kind.mean_loss * 2 * kind.burst_packets / 20_000)
    assert link.counts["lost"] / 20_000 == pytest.approx(kind.mean_loss, abs=4 * spread)


def test_losses_come_in_bursts_of_the_length_asked_for():
    kind = LinkProfile(burst_start=0.01, burst_packets=6, burst_loss=1.0)
    arrived = {a.packet for a in carry(Link(kind, 3), steady(20_000))}
    lengths, run = [], 0
    for number in range(20_000):
        if number in arrived:
            lengths += [run] if run else []
            run = 0
        else:
            run += 1
    assert sum(lengths) / len(lengths) == pytest.approx(6, rel=0.2)


def test_packets_keep_their_order_unless_they_are_held_back():
    jittery = LinkProfile(delay_ms=20, jitter_ms=100)
    order = [a.packet for a in carry(Link(jittery), steady(200, hz=50))]
    assert order == list(range(200))
    passing = Link(LinkProfile(delay_ms=20, reorder=0.2, reorder_ms=300))
    order = [a.packet for a in carry(passing, steady(200))]
    assert sorted(order) == list(range(200))
    assert order != sorted(order)
    assert passing.counts["reordered"] == pytest.approx(40, abs=20)


def test_bit_errors_are_as_frequent_as_asked():
    link = Link(LinkProfile(bit_error=1e-4), seed=5)
    come = carry(link, steady(500, size=1000))
    flips = sum(len(a.flipped) for a in come)
    assert flips == pytest.approx(1e-4 * 8000 * 500, rel=0.15)


def test_one_effect_switched_on_leaves_the_others_chances_alone():
    plain = {a.packet for a in carry(Link(LinkProfile(loss=0.3), 9), steady(200))}
    both = {
        a.packet
        for a in carry(Link(LinkProfile(loss=0.3, jitter_ms=30, duplicate=0.5, bit_error=1e-4), 9), steady(200))
    }
    assert plain == both


def test_a_profile_changed_in_mid_stream_is_followed():
    link = Link(LinkProfile())
    link.send(0.0, 0, 500)
    link.profile = LinkProfile(loss=1.0)
    assert link.send(0.1, 1, 500) == "lost"
    link.profile = LinkProfile()
    assert link.send(0.2, 2, 500) == ""
    assert [a.packet for a in link.arrivals(10)] == [0, 2]
    assert link.next_time is None


@pytest.mark.parametrize(
    "nonsense",
    [
        {"bandwidth_kbit_s": 0.0},
        {"loss": 1.5},
        {"delay_ms": -1.0},
        {"jitter_ms": math.nan},
        {"burst_packets": 0.0},
        {"cycle": ((1.0, 0.0),)},
        {"cycle": ((0.0, 1.0),)},
    ],
)
def test_a_profile_that_no_link_can_have_is_refused(nonsense: dict):
    with pytest.raises(InputError, match=next(iter(nonsense))):
        LinkProfile(**nonsense)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"'4g'.*lte_poor"):
        profile("4g")
