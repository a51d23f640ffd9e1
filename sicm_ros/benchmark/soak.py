# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A long run at full speed through the real nodes: does memory grow, is anything lost, does latency drift?"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sicm_ros.bags import serialization as ros
from sicm_ros.bags.bag import BagWriter
from sicm_ros.bags.pairing import SIDES
from sicm_ros.bags.source import LEFT, LEFT_INFO, RIGHT, RIGHT_INFO
from sicm_ros.bags.stereo import open_stereo
from sicm_ros.benchmark.watched import Watched, resident_kib
from sicm_ros.geometry.view import ModelView
from sicm_ros.pipeline.processes import READY, PipelineError, both_at_work, check_ros, processes, reliable

WARM_UP = 0.1  # share of the pairs before memory and latency are looked at
LEAST_WARM_UP = 300  # pairs
LEAST_PAIRS = 10  # fewer say nothing
PERIOD = 1.0  # seconds between two samples
STALLED = 30.0  # seconds without a result after which it is over
MAX_GROWTH = 0.01  # share of the memory after warm-up
SLOPE_POINTS = 400  # samples that a slope is taken from, at most: pairs of them are compared
NODES = ("encoder", "decoder")


@dataclass(frozen=True)
class Moment:
    """At one moment: seconds since the start, results so far, memory (KiB) and latency (ms) of both nodes."""

    seconds: float
    pairs: int
    memory: dict[str, int]
    latency: dict[str, float]


@dataclass(frozen=True)
class Soak:
    """What a run showed.

    Attributes:
        pairs, seconds: results, and how long they took.
        growth: of each node's memory from the end of the warm-up to the end, a share: by the median slope between any
            two samples (Theil-Sen). What grows steadily shows in it as it is; a single step, as an allocator makes when
            two threads ask at once for the first time, doesn't.
        step: the same from the median of the fifth after warm-up to that of the last fifth, single steps included.
        drift: of each node's median latency, like step.
        lost: messages that never arrived.
        dropped: by node and cause.
        samples: once a second.
    """

    pairs: int
    seconds: float
    growth: dict[str, float]
    step: dict[str, float]
    drift: dict[str, float]
    lost: int
    dropped: dict[str, dict[str, int]]
    samples: list[Moment]

    @property
    def passed(self) -> bool:
        """Memory grew by less than MAX_GROWTH and nothing was lost. Latency is reported: what is drift, people see."""
        return max(self.growth.values()) < MAX_GROWTH and not self.lost and not any(self.dropped.values())

    def as_json(self) -> dict:
        return asdict(self) | {"passed": self.passed}


SIZE = 128, 64  # pixels that the small model looks at in a soak: its pairs are to be many
SMALL = {
    "input_width": 256,
    "input_height": 96,
    "codec": {"width": 16, "search": 8, "prior": {"channels": 8, "hyper_channels": 4}},
    "detector": {"width": 16, "matching_width": 8, "groups": 4, "disparities": 8, "head_width": 16},
}


def small_model(folder: Path) -> Path:
    """Make an untrained model that is quick: what the nodes themselves do is much of its pairs."""
    from sicm_ros.model import create, export  # with PyTorch, which a soak of a model that is there doesn't need
    from sicm_ros.network import NetworkConfig

    size = {"input_width": SIZE[0], "input_height": SIZE[1]}
    made = create(folder / "small", NetworkConfig.parse(SMALL | size))
    export(made)
    return made


def small_drive(source: Path, folder: Path) -> Path:
    """Write a drive's pairs as a bag of raw images that the small model takes as they are; return its path.

    Raises:
        InputError: the drive has no pair that can be read.
    """
    out = folder / "small.mcap"
    with open_stereo(source) as drive, BagWriter(out) as bag:
        for pair in drive.pairs():
            view = ModelView.fit(pair.calibration, *SIZE)
            views = zip(SIDES, (pair.left, pair.right))
            infos = [ros.camera_info(view.calibration, side, pair.stamp, side) for side in SIDES]
            images = [ros.image(view.apply(image), pair.stamp, side) for side, image in views]
            for topic, message in zip((LEFT_INFO, RIGHT_INFO, LEFT, RIGHT), infos + images):
                bag.write(f"/{topic}", message.__msgtype__, pair.stamp, ros.serialize(message))
    return out


def soak(
    source: Path,
    model: str,
    pairs: int,
    quality: float = 0.5,
    progress: Callable[[int], None] = lambda _: None,
) -> Soak:
    """Play a drive again and again through encoder and decoder, each pair as soon as the one before is answered.

    Args:
        source: bag or KITTI folder.
        pairs: results to wait for.
        progress: told how many there are so far.

    Raises:
        PipelineError: a node ended, or nothing came any more.
    """
    check_ros()
    with open_stereo(source) as drive:
        compressed, topics = drive.compressed, drive.topics
    shared = both_at_work(model, in_turn=True)
    replay = {
        "path": str(Path(source).resolve()),
        "loop": True,
        "rate": 100.0,
        "clock": False,
        "wait_for_subscribers": READY,
        "acknowledge": "detections",
    }
    samples: list[Moment] = []
    with tempfile.TemporaryDirectory() as folder, processes(Path(folder)) as start:
        watched = Watched(start("monitor", {}))
        nodes = {
            "encoder": start("encoder", {**shared, **reliable(topics), "compressed": compressed, "quality": quality}),
            "decoder": start("decoder", shared),
        }
        alive = [*nodes.values(), start("replay", replay)]
        began = moved = time.monotonic()
        done = 0
        while done < pairs:
            watched.listen(PERIOD, alive)
            now, count = time.monotonic(), int(watched.number("decoder", "published"))
            if count > done:
                moved = now
            elif now - moved > (STALLED if done else READY):
                raise PipelineError(f"no result for {now - moved:.0f} s after {done} pairs: {alive[0].complaint()}")
            if not done:
                began = now
            done = count
            progress(min(done, pairs))
            memory = {name: resident_kib(node.popen.pid) for name, node in nodes.items()}
            latency = {name: watched.number(name, "since_arrival_ms") for name in NODES}
            samples.append(Moment(now - began, done, memory, latency))
        dropped = {name: watched.causes(name) for name in NODES}
        lost = int(watched.number("decoder", "lost"))
    return summarised(samples, lost, dropped)


def summarised(samples: list[Moment], lost: int, dropped: dict[str, dict[str, int]]) -> Soak:
    """Return figures of a run's samples."""
    total = samples[-1].pairs
    warm = [s for s in samples if s.pairs >= min(max(WARM_UP * total, LEAST_WARM_UP), total / 2)]
    fifth = max(1, len(warm) // 5)

    def change(values: Sequence[float]) -> float:
        before = statistics.median(values[:fifth])
        after = statistics.median(values[-fifth:])
        return after / before - 1 if before else 0.0

    growth = {name: _trend([(s.pairs, s.memory[name]) for s in warm]) for name in NODES}
    step = {name: change([s.memory[name] for s in warm]) for name in NODES}
    drift = {name: change([s.latency[name] for s in warm]) for name in NODES}
    return Soak(total, samples[-1].seconds, growth, step, drift, lost, dropped, samples)


def _trend(points: list[tuple[int, int]]) -> float:
    """Return what a value gains from the first point to the last at the median slope of all pairs, a
    share of its median.
    """
    x, y = np.array(points[:: -(-len(points) // SLOPE_POINTS)], float).T
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] > x[first]
    if not apart.any():
        return 0.0
    slopes = (y[second] - y[first])[apart] / (x[second] - x[first])[apart]
    return float(np.median(slopes) * (x[-1] - x[0]) / np.median(y))


def lines(result: Soak) -> list[str]:
    """Return what a run showed as lines for the terminal."""
    rate = result.pairs / max(result.seconds, 1e-9)
    told = [f"{result.pairs} pairs in {result.seconds:.0f} s, {rate:.1f} per second"]
    for name in NODES:
        memory = result.samples[-1].memory[name] / 1024
        told.append(
            f"{name}: {memory:.0f} MiB, since warm-up {100 * result.step[name]:+.2f} %, steadily "
            f"{100 * result.growth[name]:+.2f} %; latency {result.samples[-1].latency[name]:.1f} ms, "
            f"{100 * result.drift[name]:+.1f} %; dropped: {result.dropped[name] or 'nothing'}"
        )
    verdict = "passed" if result.passed else "FAILED"
    told.append(f"lost: {result.lost}; {verdict}: memory may grow steadily by 1 %, nothing may be lost")
    return told


def picture(result: Soak, out: Path) -> None:
    """Draw memory and latency over the pairs, as a PNG."""
    from sicm_ros.benchmark.figures import plt, save

    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
    pairs = [s.pairs for s in result.samples]
    for name in NODES:
        above.plot(pairs, [s.memory[name] / 1024 for s in result.samples], label=name)
        below.plot(pairs, [s.latency[name] for s in result.samples], label=name)
    most = max(max(s.memory.values()) for s in result.samples) / 1024
    above.set(ylabel="resident memory, MiB", ylim=(0, 1.1 * most))
    below.set(ylabel="arrival to publication, ms", xlabel="pairs", ylim=(0, None))
    above.legend(frameon=False)
    save(figure, out, dpi=120)
    plt.close(figure)
