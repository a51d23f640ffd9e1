# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A drive as a stream of packets: bytes and time with references to earlier pairs, and without: `sicm bench stream`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoPair
from sicm_ros.model.base import Symbols, level_of
from sicm_ros.model.references import Acknowledgement, ReceivedPairs, SentPairs

if TYPE_CHECKING:
    from rich.table import Table

    from sicm_ros.model import Model


@dataclass(frozen=True)
class StreamRate:
    """Of the pairs of a drive that have one so much older, at one quality.

    Attributes:
        pairs: how many.
        alone, referring: bytes per pair of whole packets, each by itself or with its reference.
        same: pairs whose symbols are decoded to those that the pair by itself gives.
        network: seconds per pair of the vehicle's network.
        alone_seconds, referring_seconds: per pair, of entropy coding, at both ends together.
    """

    quality: float
    age: int
    pairs: int
    alone: float
    referring: float
    same: int
    network: float
    alone_seconds: float
    referring_seconds: float

    @property
    def ratio(self) -> float:
        """Bytes with references over bytes without."""
        return self.referring / self.alone

    @property
    def coding_ratio(self) -> float:
        """Time of entropy coding with references over that without."""
        return self.referring_seconds / self.alone_seconds

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"ratio": self.ratio, "coding_ratio": self.coding_ratio}


@dataclass
class _Way:
    """Packets as one way of sending gives them: bytes, symbols, seconds of the processor, of each pair."""

    sizes: list[int]
    symbols: list[np.ndarray]
    seconds: list[float]


def rates(
    model: Model,
    frames: Sequence[StereoPair],
    qualities: Sequence[float],
    ages: Sequence[int],
    progress: Callable[[Sequence[StereoPair]], Iterable[StereoPair]] = iter,
) -> list[StreamRate]:
    """Send the pairs of a drive by themselves, and with references so many pairs old.

    Raises:
        InputError: the model has no temporal prior, or the drive is too short.
    """
    if model.prior.temporal is None:
        raise InputError(f"model {model.name} codes every pair by itself; train a temporal prior with sicm temporal")
    if len(frames) <= max(ages):
        raise InputError(f"{len(frames)} pairs; expected more than the {max(ages)} that a reference is old")
    made: dict[float, list[Symbols]] = {quality: [] for quality in qualities}
    network: dict[float, list[float]] = {quality: [] for quality in qualities}
    calibrations = []
    for frame in progress(frames):
        calibrations.append(frame.calibration)
        for quality in qualities:
            start = time.process_time()
            made[quality].append(model.symbols(frame, quality))
            network[quality].append(time.process_time() - start)
    found = []
    for quality in qualities:
        alone = _sent(model, made[quality], calibrations, quality, None)
        for age in ages:
            with_references = _sent(model, made[quality], calibrations, quality, age)
            pairs = range(age, len(frames))
            found.append(
                StreamRate(
                    quality,
                    age,
                    len(pairs),
                    float(np.mean(alone.sizes[age:])),
                    float(np.mean(with_references.sizes[age:])),
                    sum(bool((alone.symbols[i] == with_references.symbols[i]).all()) for i in pairs),
                    float(np.mean(network[quality])),
                    float(np.mean(alone.seconds[age:])),
                    float(np.mean(with_references.seconds[age:])),
                )
            )
    return found


def _sent(model: Model, pairs: Sequence[Symbols], calibrations: Sequence, quality: float, age: int | None) -> _Way:
    way = _Way([], [], [])
    sent, received = SentPairs(), ReceivedPairs()
    known: list[tuple[int, int]] = []
    for number, (symbols, calibration) in enumerate(zip(pairs, calibrations, strict=True)):
        if age is not None and number >= age:  # of one pair alone, so that the reference is as old as is wanted
            sent.acknowledge(Acknowledgement(received.decoder, [known[number - age]]))
        references = () if age is None else (sent, received)
        start = time.process_time()
        data = model.write(symbols, calibration, level_of(quality), number, True, *references[:1])
        reading = model.read(data, None, *references[1:])
        way.seconds.append(time.process_time() - start)
        way.sizes.append(len(data))
        way.symbols.append(reading.symbols)
        if age is not None:
            known.append(received.acknowledgement().pairs[-1])
    return way


def table(found: Sequence[StreamRate], title: str) -> Table:
    """Return one row per quality and age, for a terminal, and the mean of each age."""
    from rich.table import Table

    shown = Table(title=title, title_justify="left")
    sizes, times = ("bytes", "with reference", "ratio", "same symbols"), ("coding ms", "with reference")
    for name in ("quality", "age", "pairs", *sizes, *times):
        shown.add_column(name, justify="right")
    for one in found:
        shown.add_row(
            f"{one.quality:g}",
            str(one.age),
            str(one.pairs),
            f"{one.alone:.0f}",
            f"{one.referring:.0f}",
            f"{one.ratio:.3f}",
            f"{one.same} of {one.pairs}",
            f"{1e3 * one.alone_seconds:.1f}",
            f"{1e3 * one.referring_seconds:.1f}",
        )
    for age in sorted({one.age for one in found}):
        rows = [one for one in found if one.age == age]
        coding, network = (float(np.mean([getattr(r, name) for r in rows])) for name in ("coding_ratio", "network"))
        mean = f"{np.mean([one.ratio for one in rows]):.3f}"
        shown.add_row("mean", str(age), "", "", "", mean, "", f"network {1e3 * network:.1f}", f"x {coding:.2f}")
    return shown
