# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Readers of what strangers send, fed with what nobody would: checksums made right, everything behind them wrong.

With atheris (libFuzzer for Python) coverage leads to the bytes that matter; without it, mutations of good inputs do.
Either way a reader has two answers: what it read, or the one error that says why not.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sicm_ros.errors import BitstreamError, InputError, SicmError

if TYPE_CHECKING:
    from rich.table import Table

    from sicm_ros.entropy import IntegerPrior
    from sicm_ros.entropy.temporal import CodedSymbols

GRID = 4, 6  # cells of the latents that the prior reads: small, so that many are read
MODEL = "free"  # whose prior reads
REFERRING = "default"  # ... where payloads refer to earlier pairs


class FuzzError(SicmError):
    """A reader raised what it may not; the message names the file that makes it do so again."""


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        seeds: good inputs, which mutations begin with.
        read: reads bytes; raises `refusal`, and nothing else.
        seal: makes the checksum right, so that what is behind it is reached.
    """

    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes], object]
    refusal: type[Exception]
    seal: Callable[[bytes], bytes] = bytes

    def accepts(self, data: bytes) -> bool:
        """Return whether the reader took it; False where it refused, any other exception comes through."""
        try:
            self.read(data)
        except self.refusal:
            return False
        return True


@dataclass(frozen=True)
class Fuzzing:
    """What a run showed: inputs tried, by what, in how many seconds."""

    target: str
    engine: str
    tried: int
    seconds: float


def sealed(header: int) -> Callable[[bytes], bytes]:
    """Return a function that makes right the CRC-32 which lies after so many bytes of header."""

    def seal(data: bytes) -> bytes:
        if len(data) < header + 4:
            return data
        checksum = zlib.crc32(data[header + 4 :], zlib.crc32(data[:header]))
        return data[:header] + checksum.to_bytes(4, "little") + data[header + 4 :]

    return seal


def _packets() -> list[bytes]:
    from sicm_ros.bitstream import Packet, Reference, identity, pack
    from sicm_ros.geometry import StereoCalibration

    c = StereoCalibration(721.5, 721.5, 609.5, 172.9, 0.53, 1242, 375, 0.5)
    return [
        pack(Packet(bytes(4), c.width, c.height, quality, 7, identity(c), own, bytes(range(size)), reference=reference))
        for quality, own, size, reference in (
            (0, c, 0, None),
            (128, None, 40, None),
            (255, c, 200, None),
            (128, None, 40, Reference(1, 15, 4711)),
            (77, c, 40, Reference(8, 0, 65535)),
        )
    ]


def _boxes() -> list[bytes]:
    from sicm_ros.bitstream.box_packet import pack_boxes
    from sicm_ros.geometry import Detections

    found = [Detections.empty()]
    for count in (1, 5):
        numbers = np.arange(1.0, 3 * count + 1).reshape(count, 3)
        scores = np.linspace(0.9, 0.1, count)
        found.append(Detections(np.arange(count) % 3, scores, numbers, numbers, np.zeros(count), np.zeros((count, 4))))
    return [pack_boxes(detections, bytes(4), 3, 1242, 375) for detections in found]


@cache
def _prior(model: str = MODEL) -> IntegerPrior:
    from sicm_ros.model.folder import open_model

    return open_model(model).prior


def _symbols(prior: IntegerPrior, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    config, rng = prior.config, np.random.default_rng(seed)
    views = rng.integers(-3, 4, (2, config.channels, *GRID), np.int32)
    views[1, config.coded(1) :] = 0
    z = rng.integers(-2, 3, (config.hyper_channels, (GRID[0] + 3) // 4, (GRID[1] + 3) // 4), np.int32)
    return views[0], views[1], z


def _payloads() -> list[bytes]:
    prior = _prior()
    return [bytes([level]) + prior.compress(*_symbols(prior, 1), level) for level in (0, 128, 255)]


@cache
def _earlier() -> CodedSymbols:
    """What the payloads of target `reference` refer to."""
    prior = _prior(REFERRING)
    return prior.write(*_symbols(prior, 1), 128)[1].kept()


def _referring() -> list[bytes]:
    """Payloads after their quality, and age and similarity of the reference."""
    prior = _prior(REFERRING)
    found = []
    for level, age, seed in ((0, 1, 1), (128, 8, 1), (255, 3, 2)):
        left, right, z = _symbols(prior, seed)
        past = prior.past(left, right, level, _earlier(), age)
        assert past is not None
        payload, _ = prior.write(left, right, z, level, past)
        found.append(bytes([level, (age - 1) | past.similarity << 4]) + payload)
    return found


def _read_referring(data: bytes) -> None:
    from sicm_ros.entropy.temporal import Past

    level, mark = (*data[:2], 0, 0)[:2]
    _prior(REFERRING).read(data[2:], GRID, level, Past(_earlier(), (mark & 7) + 1, mark >> 4))


def _bag() -> list[bytes]:
    from sicm_ros.bags import BagWriter

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mcap"
        with BagWriter(path) as writer:
            for stamp in range(3):
                writer.write("/x", "std_msgs/msg/Float64", stamp, b"\0\1\0\0" + bytes(8))
        return [path.read_bytes()]


def _read_bag(data: bytes) -> None:
    from sicm_ros.bags import Bag

    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder) / "a.mcap"
        path.write_bytes(data)
        with Bag(path) as bag:
            for message in bag.messages():
                bag.decode(message)


def _read_packet(data: bytes) -> None:
    from sicm_ros.bitstream import unpack

    unpack(data)


def _read_boxes(data: bytes) -> None:
    from sicm_ros.bitstream.box_packet import unpack_boxes

    unpack_boxes(data)


def _read_payload(data: bytes) -> None:
    _prior().decompress(data[1:], *GRID, data[0] if data else 0)


TARGETS = {
    "packet": Target(_packets, _read_packet, BitstreamError, sealed(20)),
    "boxes": Target(_boxes, _read_boxes, BitstreamError, sealed(16)),
    "prior": Target(_payloads, _read_payload, BitstreamError),
    "reference": Target(_referring, _read_referring, BitstreamError),
    "bag": Target(_bag, _read_bag, InputError),
}


def mutated(data: bytes, others: list[bytes], rng: np.random.Generator) -> bytes:
    """Return bytes cut, grown, flipped, spliced with others, or with hostile numbers in them."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(changed) + 1))
        kind = rng.integers(6)
        if kind == 0:
            del changed[at:]
        elif kind == 1 and at < len(changed):
            changed[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            changed[at : at + 4] = rng.bytes(int(rng.integers(1, 5)))
        elif kind == 3:
            other = others[int(rng.integers(len(others)))]
            changed[at:] = other[int(rng.integers(len(other) + 1)) :]
        elif kind == 4:
            changed[at:at] = rng.bytes(int(rng.integers(1, 60)))
        else:
            size = int(rng.choice([1, 2, 4, 8]))
            changed[at : at + size] = (b"\0", b"\xff", b"\x7f", b"\x80")[int(rng.integers(4))] * size
    return bytes(changed)


def by_mutation(name: str, seconds: float, most: int | None = None, seed: int = 0) -> Fuzzing:
    """Try mutations of good inputs for a while, or so many of them.

    Raises:
        FuzzError: a reader raised what it may not.
    """
    target, rng = TARGETS[name], np.random.default_rng(seed)
    seeds = target.seeds()
    for data in seeds:
        if not target.accepts(data):
            raise FuzzError(f"{name}: a good input is refused")
    start, tried = time.monotonic(), 0
    while time.monotonic() - start < seconds and (most is None or tried < most):
        data = mutated(seeds[int(rng.integers(len(seeds)))], seeds, rng)
        data = target.seal(data) if rng.integers(8) else data
        tried += 1
        try:
            target.accepts(data)
        except Exception as error:
            path = Path(tempfile.gettempdir()) / f"sicm_fuzz_{name}_{zlib.crc32(data):08x}"
            path.write_bytes(data)
            raise FuzzError(f"{name}: {type(error).__name__}: {error}; the input is kept in {path}") from error
    return Fuzzing(name, "mutation", tried, time.monotonic() - start)


def by_coverage(name: str, seconds: float, corpus: Path) -> Fuzzing:
    """Let atheris look for new paths in a process of its own, which it ends itself.

    Raises:
        FuzzError: a reader raised what it may not.
    """
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(TARGETS[name].seeds()):
        (folder / f"seed{number}").write_bytes(data)
    start = time.monotonic()
    words = [f"-max_total_time={max(1, round(seconds))}", "-print_final_stats=1", "-max_len=4096", "-rss_limit_mb=2048"]
    command = [sys.executable, "-m", "sicm_ros.benchmark.fuzz", name, *words, f"-artifact_prefix={corpus}/{name}_"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True)
    found = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    if done.returncode or not found:
        last = " / ".join(line for line in done.stderr.splitlines() if "Error" in line or "Test unit" in line)[-600:]
        raise FuzzError(f"{name}: {last or done.stderr[-600:]}")
    return Fuzzing(name, "atheris", int(found[1]), time.monotonic() - start)


def fuzz(name: str, seconds: float, corpus: Path) -> Fuzzing:
    """Fuzz by coverage where atheris is installed, else by mutation."""
    if importlib.util.find_spec("atheris"):
        return by_coverage(name, seconds, corpus)
    return by_mutation(name, seconds)


def table(runs: list[Fuzzing]) -> Table:
    """Return what was tried, for a terminal."""
    from rich.table import Table

    shown = Table(title="every input was read or refused as it should be", title_justify="left")
    for title in ("reader", "led by"):
        shown.add_column(title)
    for title in ("inputs", "seconds"):
        shown.add_column(title, justify="right")
    for run in runs:
        shown.add_row(run.target, run.engine, f"{run.tried:,}", f"{run.seconds:.0f}")
    return shown


def _main(arguments: list[str]) -> None:
    """The process that atheris runs in: `python -m sicm_ros.benchmark.fuzz TARGET [libFuzzer's arguments]`."""
    import atheris

    name, *words = arguments
    target = TARGETS[name]
    with atheris.instrument_imports(include=["sicm_ros.bitstream", "sicm_ros.entropy", "sicm_ros.bags"]):
        target.accepts(target.seeds()[0])  # which imports what it reads with

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        return target.seal(atheris.Mutate(data, most))

    atheris.Setup([sys.argv[0], *words], target.accepts, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    _main(sys.argv[1:])
