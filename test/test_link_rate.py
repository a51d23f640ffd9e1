# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The rate controller on simulated scenes: the target is kept, whatever the contents do."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import cycle, islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sicm_ros
from sicm_ros.bags import open_stereo
from sicm_ros.cli.options import SHIPPED
from sicm_ros.errors import InputError
from sicm_ros.link.rate import RateController, SizeModel, within_limit

HZ = 10.0
OVERHEAD = 120  # bytes of header, calibration and message that no quality changes

# ln(payload bytes) over quality, as codecs' curves look: straight, flat at the lower end, flat at the upper one.
CURVES: dict[str, Callable[[float], float]] = {
    "straight": lambda q: math.log(150) + 2.5 * q,
    "steep": lambda q: math.log(60) + 5.0 * q,
    "flat below": lambda q: math.log(200) + 3.0 * q * q,
    "flat above": lambda q: math.log(100) + 3.5 * math.sqrt(q),
}


class Scene:
    """A codec on a drive: sizes follow a curve, times contents that wander and flicker."""

    def __init__(self, curve: Callable[[float], float], seed: int, flicker: float = 0.03, wander: float = 0.02):
        self.curve, self.random = curve, random.Random(seed)
        self.flicker, self.wander, self.content = flicker, wander, 0.0

    def size(self, quality: float) -> int:
        self.content += self.random.gauss(0, self.wander) - 0.05 * self.content
        noise = self.random.gauss(0, self.flicker)
        return OVERHEAD + round(math.exp(self.curve(quality) + self.content + noise))


def drive(controller: RateController, scene: Scene, times: list[float]) -> list[tuple[float, float, int]]:
    """Encodes a pair at each time; (time, quality, bytes) of those that were sent."""
    sent = []
    for now in times:
        quality = controller.quality(now)
        if quality is not None:
            size = scene.size(quality)
            controller.sent(quality, size)
            sent.append((now, quality, size))
    return sent


def every(seconds: float, hz: float = HZ, begin: float = 100.0) -> list[float]:
    return [begin + i / hz for i in range(round(seconds * hz))]


def errors(sent: list[tuple[float, float, int]], target: float, after: float, window: float = 1.0) -> list[float]:
    """Relative error of the rate over each second, from packet to packet."""
    found = []
    for i, (begin, _, _) in enumerate(sent):
        if begin < after:
            continue
        total = 0
        for now, _, size in sent[i + 1 :]:
            total += size
            if now - begin >= window - 1e-6:
                found.append(total * 8e-3 / (now - begin) / target - 1)
                break
    assert found
    return found


@pytest.mark.parametrize("curve", CURVES)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), share=st.floats(0.25, 0.8), hz=st.sampled_from([5.0, 10.0, 15.0, 30.0]))
def test_every_second_keeps_to_the_target(curve: str, seed: int, share: float, hz: float):
    """To 4 % from 10 Hz on. At 5 Hz a packet is a fifth of its second, and what flickers in it can't be foreseen."""
    low, high = (OVERHEAD + math.exp(CURVES[curve](q)) for q in (0.0, 1.0))
    target = 8e-3 * hz * low ** (1 - share) * high**share
    sent = drive(RateController(target), Scene(CURVES[curve], seed), every(20, hz))
    off = sorted(map(abs, errors(sent, target, after=102.0)))
    if hz >= 10:
        assert off[-1] < 0.04
    else:
        assert off[-1] < 0.07
        assert sum(e < 0.05 for e in off) >= 0.97 * len(off)


class RealScene:
    """The model that ships on the demo's drive, there and back again."""

    def __init__(self) -> None:
        self.model = sicm_ros.load("default")
        with open_stereo(SHIPPED) as drive:
            pairs = list(islice(drive.pairs(), 12))
        self.pairs = cycle(pairs + pairs[-2:0:-1])

    def size(self, quality: float) -> int:
        pair = next(self.pairs)
        packet = self.model.encode(pair.left, pair.right, pair.calibration, quality, include_calibration=False)
        return OVERHEAD + len(packet)


def test_every_second_of_real_packets_keeps_to_the_target():
    sent = drive(RateController(64.0), RealScene(), every(5.0))
    assert len(sent) == 50
    assert max(map(abs, errors(sent, 64.0, after=102.0))) < 0.05


@pytest.mark.parametrize("jump", [math.log(2), -math.log(2)], ids=["twice the detail", "half the detail"])
@pytest.mark.parametrize("seed", range(5))
def test_a_cut_to_another_scene_is_made_good_within_a_second(jump: float, seed: int):
    target = 50.0
    controller, scene = RateController(target), Scene(CURVES["straight"], seed)
    before = drive(controller, scene, every(5))
    scene.curve = lambda q: CURVES["straight"](q) + jump
    after = drive(controller, scene, every(5, begin=105.0))
    # The one packet that nobody could foresee is in every second that holds it; the rest of them make it good.
    whole = errors(before + after, target, after=104.0)
    assert max(map(abs, whole)) < 0.15
    assert max(map(abs, errors(after, target, after=105.5))) < 0.05
    assert len(after) == 50


@pytest.mark.parametrize("factor", [0.6, 2.5])
def test_a_target_changed_in_mid_stream_is_kept_from_the_next_second_on(factor: float):
    controller, scene = RateController(40.0), Scene(CURVES["flat above"], 1)
    drive(controller, scene, every(5))
    controller.target_kbit_s = 40.0 * factor
    after = drive(controller, scene, every(5, begin=105.0))
    assert max(map(abs, errors(after, 40.0 * factor, after=105.5))) < 0.05


def test_pairs_that_come_unevenly_or_not_at_all_keep_to_the_target_too():
    rng, target = random.Random(3), 40.0
    times = [t + rng.uniform(-0.02, 0.02) for t in every(30) if rng.random() > 0.05]
    sent = drive(RateController(target), Scene(CURVES["straight"], 5), times)
    off = errors(sent, target, after=102.0)
    assert max(off) < 0.05
    assert min(off) > -0.12  # what several missing pairs leave unused isn't sent later in one piece
    assert abs(sum(off) / len(off)) < 0.01


def test_after_a_pause_there_is_no_flood():
    controller, scene = RateController(40.0), Scene(CURVES["straight"], 2, flicker=0.0, wander=0.0)
    drive(controller, scene, every(5))
    after = drive(controller, scene, every(5, begin=160.0))
    usual = 40.0 * 125 / HZ
    assert max(size for _, _, size in after) < 2.2 * usual


def test_a_target_below_the_lowest_quality_leaves_pairs_out_evenly():
    lowest = OVERHEAD + math.exp(CURVES["straight"](0.0))
    target = 8e-3 * HZ * lowest / 2
    sent = drive(RateController(target), Scene(CURVES["straight"], 4), every(30))
    later = [s for s in sent if s[0] > 105]
    assert {q for _, q, _ in later} == {0.0}
    gaps = [b[0] - a[0] for a, b in pairwise(later)]
    assert max(gaps) < 0.45
    total = sum(size for _, _, size in later[1:]) * 8e-3 / (later[-1][0] - later[0][0])
    assert total == pytest.approx(target, rel=0.05)


def test_a_target_above_the_best_quality_stays_at_the_best():
    sent = drive(RateController(10_000.0), Scene(CURVES["straight"], 4), every(5))
    assert all(q == 1.0 for _, q, _ in sent[3:])


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 10**6)), min_size=1, max_size=60))
def test_the_model_of_sizes_stays_monotone_and_finite_whatever_it_learns(samples):
    model = SizeModel()
    for quality, size in samples:
        model.learn(quality, size)
    sizes = [model.size(q / 10) for q in range(11)]
    assert all(math.isfinite(s) and s > 0 for s in sizes)
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    for q in (0.0, 0.3, 1.0):
        assert model.quality(model.size(q)) == pytest.approx(q, abs=1e-6) or model.size(q) < 1


@settings(deadline=None)
@given(
    limit=st.integers(200, 60_000),
    lowest=st.integers(50, 5_000),
    slope=st.floats(0.3, 8.0),
    quality=st.floats(0, 1),
)
def test_no_packet_exceeds_the_limit(limit: int, lowest: int, slope: float, quality: float):
    tried = []

    def encode(q: float) -> bytes:
        tried.append(q)
        return bytes(min(round(lowest * math.exp(slope * q)), 10**7))

    coded = within_limit(encode, quality, SizeModel(), limit)
    assert len(tried) <= 6
    assert tried == sorted(tried, reverse=True)
    if coded is None:
        assert lowest > limit
        assert tried[-1] == 0.0
    else:
        assert len(coded.data) <= limit
        assert coded.attempts == len(tried)
        assert coded.quality == tried[-1]
        if len(encode(quality)) <= limit:
            assert coded.attempts == 1  # a packet that fits is never encoded again


@pytest.mark.parametrize("nonsense", [0.0, -3.0, math.nan, math.inf])
def test_a_target_that_is_no_rate_is_refused(nonsense: float):
    with pytest.raises(InputError, match="above 0"):
        RateController(nonsense)
