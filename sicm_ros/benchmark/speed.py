# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How long a pair takes, ours by stage beside other encoders, in one run on one machine.

All are timed in turn, pair by pair and round by round, so that whatever else the machine does is shared by all. An
encoder of ffmpeg's runs as a process; what a process takes to start is measured by itself and taken off.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sicm_ros.benchmark import ffmpeg
from sicm_ros.benchmark.codecs import PictureCodec
from sicm_ros.benchmark.coders import CodedPictures
from sicm_ros.geometry import StereoPair
from sicm_ros.network.stages import REMOTE, VEHICLE

if TYPE_CHECKING:
    from rich.table import Table

    from sicm_ros.model import Model


@dataclass(frozen=True)
class Timing:
    """Of one pair, milliseconds, medians; process start-up taken off.

    Attributes:
        encode, decode: wall time. Our decode includes detection; an image codec's needs `detect` in addition.
        encode_start, decode_start: what was taken off.
        bytes: a pair, median.
        stages: ours by stage, "encode: <stage>" and "decode: <stage>".
    """

    encode: float
    decode: float
    encode_start: float
    decode_start: float
    bytes: float
    stages: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """What stands beside ours: a codec, its setting and where it codes."""

    name: str
    codec: PictureCodec
    quality: float
    input_size: tuple[int, int] | None


def comparisons(model: Model, threads: int) -> list[Comparison]:
    """Return VVenC "faster" and x265 "ultrafast", two-view, and JPEG, at the camera's size and at the
    detector's input's.
    """
    area = model.config.input_width, model.config.input_height
    kinds = (
        ("VVenC faster, two-view, QP 42", PictureCodec("vvc", "two_view", "faster", threads), 42),
        ("x265 ultrafast, two-view, QP 38", PictureCodec("x265", "two_view", "ultrafast", threads), 38),
        ("JPEG, quality 20", PictureCodec("jpeg"), 20),
    )
    return [
        Comparison(f"{name}, {where}", codec, quality, size)
        for name, codec, quality in kinds
        for where, size in (("full size", None), (f"{area[0]} x {area[1]}", area))
    ]


def measure(
    model: Model,
    pairs: Sequence[StereoPair],
    threads: int,
    repeats: int = 7,
    quality: float = 0.5,
    progress: Callable[[list], Iterable] = iter,
    memory_of: str | Path | None = None,
) -> dict:
    """Measure ours and the comparisons on the same pairs; return a tree for JSON.

    Args:
        pairs: the images, decoded before the clock starts.
        threads: of ours and of each encoder; the caller has told PyTorch and OpenCV.
        repeats: rounds; the first one beside them warms up.
        progress: wraps the iteration over rounds and pairs.
        memory_of: model's name or folder, to measure peak memory of; None leaves that out.

    Returns:
        {"ours": Timing, "others": {name: Timing}, "detect": ms of the uncompressed network, "ratios": {name: {"encode":
        ours / theirs, "decode": ours / (theirs + detect)}}, "cost", "memory", "machine", ...}.
    """
    others = comparisons(model, threads)
    timed = _Timed()
    start = [_startup() for _ in range(5)][1:]
    for number, pair in progress([(i, pair) for i in range(repeats + 1) for pair in pairs]):
        into = timed if number else _Timed()  # the first round warms up
        _time_ours(into, model, pair, quality)
        for other in others:
            _time_other(into, other, pair)
        if number:
            start.append(_startup())
    startup, detect = 1e3 * statistics.median(start), timed.ms("detect")
    stages = {name.removeprefix("stage "): timed.ms(name) for name in timed.seconds if name.startswith("stage ")}
    ours = Timing(timed.ms("ours encode"), timed.ms("ours decode"), 0, 0, timed.size("ours"), stages)
    timings, ratios = {}, {}
    for other in others:
        off = startup if other.codec.row.process else 0.0
        encode, decode = (max(timed.ms(f"{other.name} {side}") - off, 0.1) for side in ("encode", "decode"))
        timings[other.name] = Timing(encode, decode, off, off, timed.size(other.name), {})
        ratios[other.name] = {"encode": ours.encode / encode, "decode": ours.decode / (decode + detect)}
    return {
        "ours": asdict(ours),
        "others": {name: asdict(timing) for name, timing in timings.items()},
        "detect": detect,
        "ratios": ratios,
        "process_start": startup,
        "unit": "ms, median",
        "cost": cost(model),
        "memory": {} if memory_of is None else memory(memory_of, pairs[0], threads, model.engine),
        "model": model.name,
        "model_fingerprint": model.fingerprint.hex(),
        "quality": quality,
        "pairs": len(pairs),
        "repeats": repeats,
        "threads": threads,
        "number_type": model.number_type,
        "engine": model.engine,
        "device": model.computes.device,
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "ffmpeg": ffmpeg.version()},
    }


@dataclass
class _Timed:
    """Seconds by name, and bytes by codec, of every pair and round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    sizes: dict[str, list[int]] = field(default_factory=dict)

    def note(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)

    def ms(self, name: str) -> float:
        return 1e3 * statistics.median(self.seconds[name])

    def size(self, name: str) -> float:
        return statistics.median(self.sizes[name])


def _time_ours(into: _Timed, model: Model, pair: StereoPair, quality: float) -> None:
    begin = time.perf_counter()
    packet = model.encode(pair, quality)
    middle = time.perf_counter()
    result = model.decode(packet)
    end = time.perf_counter()
    model.detect_uncompressed(pair)
    into.note("detect", time.perf_counter() - end)
    into.note("ours encode", middle - begin)
    into.note("ours decode", end - middle)
    into.sizes.setdefault("ours", []).append(len(packet))
    for side, laps in (("encode", model.last_timings), ("decode", result.timings)):
        for stage, seconds in laps.items():
            into.note(f"stage {side}: {stage}", seconds)


def _time_other(into: _Timed, other: Comparison, pair: StereoPair) -> None:
    coder = CodedPictures(other.codec, other.quality, other.input_size)
    begin = time.perf_counter()
    streams = coder.encode([pair])
    middle = time.perf_counter()
    coder.decode([pair], streams)
    end = time.perf_counter()
    into.note(f"{other.name} encode", middle - begin)
    into.note(f"{other.name} decode", end - middle)
    into.sizes.setdefault(other.name, []).append(sum(map(len, streams)))


def _startup() -> float:
    """Return seconds that ffmpeg takes to start, read an image of nothing and write it."""
    picture = np.zeros((1, 16, 16, 3), np.uint8)
    begin = time.perf_counter()
    ffmpeg.encode(picture, ["-c:v", "rawvideo", "-f", "rawvideo"], 1)
    return time.perf_counter() - begin


def cost(model: Model) -> dict:
    """Return multiply-accumulates and parameters of both sides."""

    stages = model.costs()
    tree: dict = {name: asdict(stage) for name, stage in stages.items()}
    for side, names in (("vehicle", VEHICLE), ("remote", REMOTE)):
        tree[side] = {
            "macs": sum(stages[n].macs for n in names),
            "parameters": sum(stages[n].parameters for n in names),
        }
    tree["vehicle_share"] = tree["vehicle"]["macs"] / (tree["vehicle"]["macs"] + tree["remote"]["macs"])
    return tree


_CHILD = """
import sys
import numpy, cv2
from sicm_ros.geometry import StereoCalibration
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
cv2.setNumThreads(int(sys.argv[2]))
imported = peak()
import sicm_ros
model = sicm_ros.load(sys.argv[1], engine=sys.argv[6], threads=int(sys.argv[2]), sides=())
width, height = int(sys.argv[3]), int(sys.argv[4])
rig = StereoCalibration(0.58 * width, 0.58 * width, width / 2, height / 2, 0.5, width, height)
picture = numpy.random.default_rng(0).integers(0, 255, (height, width, 3), numpy.uint8)
packet = model.encode(picture, picture, rig)
if sys.argv[5] == "decode":
    model.decode(packet)
print(imported, peak())
"""


def memory(model: str | Path, pair: StereoPair, threads: int, engine: str = "auto") -> dict[str, float]:
    """Return peak memory, MB, of fresh processes that encode a pair, and that decode it as well;
    Linux only, else empty.

    The first of them are the libraries alone: OpenCV and NumPy, without the engine.
    """
    if not Path("/proc/self/status").exists():
        return {}
    height, width = pair.left.shape[:2]
    tree = {}
    for side in ("encode", "decode"):
        command = [sys.executable, "-c", _CHILD, str(model), str(threads), str(width), str(height), side, engine]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        imported, peak = map(float, done.stdout.split()[-2:])
        tree["libraries alone"] = imported
        tree["encode" if side == "encode" else "encode and decode"] = peak
    return tree


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(times: dict) -> Table:
    """Return the tree of `measure` as a table for the terminal."""
    from rich.table import Table

    where = times["machine"]
    title = (
        f"{times['model']} ({times['number_type']}, in {times['engine']}), {times['threads']} threads, "
        f"{where['processor']}"
    )
    caption = (
        f"Medians over {times['pairs']} pairs x {times['repeats']} rounds. Starting an ffmpeg process, "
        f"{times['process_start']:.0f} ms, is subtracted. Ratios: ours / theirs; their decode includes the "
        f"uncompressed detector's {times['detect']:.0f} ms, as ours includes detection."
    )
    result = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    result.add_column("codec")
    for name in ("bytes per pair", "encode ms", "decode ms", "encode ratio", "decode ratio"):
        result.add_column(name, justify="right")
    ours = times["ours"]
    result.add_row(
        "ours, decode with detection", f"{ours['bytes']:.0f}", f"{ours['encode']:.1f}", f"{ours['decode']:.1f}"
    )
    for stage, value in ours["stages"].items():
        side, name = stage.split(": ", 1)
        own = (f"{value:.1f}", "") if side == "encode" else ("", f"{value:.1f}")
        result.add_row(f"  {name}", "", *own, style="dim")
    result.add_section()
    for name, timing in times["others"].items():
        ratio = times["ratios"][name]
        cells = (f"{timing['bytes']:.0f}", f"{timing['encode']:.1f}", f"{timing['decode']:.1f}")
        result.add_row(name, *cells, f"{ratio['encode']:.3f}", f"{ratio['decode']:.3f}")
    return result


def cost_lines(times: dict) -> list[str]:
    """Return the cost and memory in sentences."""
    cost, memory = times["cost"], times["memory"]
    lines = [
        f"{side}: {cost[side]['macs'] / 1e9:.2f} G multiply-accumulates per pair, "
        f"{cost[side]['parameters'] / 1e6:.2f} M parameters"
        for side in ("vehicle", "remote")
    ]
    lines[0] += f" ({100 * cost['vehicle_share']:.0f} % of the total)"
    if memory:
        lines.append("peak memory: " + ", ".join(f"{name} {value:.0f} MB" for name, value in memory.items()))
    return lines
