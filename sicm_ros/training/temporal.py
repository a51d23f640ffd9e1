# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Training of a temporal prior: on symbols alone, which a model that is finished makes once of some drives."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sicm_ros.benchmark.drive import seconds_of
from sicm_ros.entropy.integer import IntegerPrior
from sicm_ros.entropy.temporal import GAIN_ONE
from sicm_ros.entropy.temporal_network import Example, LearntCorrections, Rows, TemporalNetworks, example
from sicm_ros.errors import InputError
from sicm_ros.kitti import StereoFrame
from sicm_ros.model import Model, load
from sicm_ros.model.base import Symbols
from sicm_ros.model.folder import FEATURES, find_model, read_model, save_temporal

HERTZ = 10  # of drives
LEVELS = (26, 77, 128, 204)  # qualities 0.1, 0.3, 0.5, 0.8
AGES = (0.0, 8.0, 4.0, 4.0, 2.0, 2.0, 1.0, 1.0, 1.0)  # how often a reference so old is trained with
OTHER_QUALITY = 0.1  # share of references at another quality than the pair's
REFERENCES = 3  # drawn for each pair and level
PLACES, LEAST_BITS = 800, 0.02  # kept of each pass: as likely as they cost bits, and that more
BATCH = 4096  # places of each pass in a step
RATE, LAST_RATE, WARM_UP = 1e-2, 5e-5, 50


@dataclass
class SymbolDrive:
    """Symbols of a drive's pairs.

    Attributes:
        numbers: of the pairs, at 10 Hz.
        symbols: level of quality -> of each pair.
    """

    numbers: list[int]
    symbols: dict[int, list[Symbols]]
    _examples: dict[tuple[int, int], Example] = field(default_factory=dict)

    def example(self, prior: IntegerPrior, index: int, level: int) -> Example:
        """Return a pair as it is trained with, made at first use."""
        key = index, level
        if key not in self._examples:
            s = self.symbols[level][index]
            self._examples[key] = example(prior, s.left, s.right, s.z, level)
        return self._examples[key]

    def earlier(self, index: int) -> dict[int, int]:
        """Return age -> index of the pairs that a pair can have as its reference."""
        found = {self.numbers[index] - number: i for i, number in enumerate(self.numbers[:index])}
        return {age: i for age, i in found.items() if 1 <= age < len(AGES)}

    def forget(self) -> None:
        """Free what `example` has made."""
        self._examples.clear()


def observe(model: Model, frames: Sequence[StereoFrame], levels: Sequence[int] = LEVELS) -> SymbolDrive:
    """Return the symbols of a drive at several qualities.

    Raises:
        InputError: a frame has neither a stamp nor a number, so that nobody knows how old another one is.
    """
    symbols: dict[int, list[Symbols]] = {level: [] for level in levels}
    for frame in tqdm(frames, "symbols", unit="pair", leave=False, disable=None):
        for level in levels:
            symbols[level].append(model.symbols(frame.left, frame.right, frame.calibration, level / 255))
    return SymbolDrive([round(seconds_of(frame) * HERTZ) for frame in frames], symbols)


def learn(folder: str | Path, drives: Sequence[Sequence[StereoFrame]], seconds: float, seed: int = 0) -> Path:
    """Train a model's temporal prior on drives, from the one that it has if there is one; return its file.

    Raises:
        InputError: the drives have no pairs that follow each other.
    """
    model = load(folder, sides=("vehicle",))
    gain = read_model(folder, FEATURES).network.gain
    observed = [observe(model, frames) for frames in drives]
    with tqdm(total=round(seconds), desc="temporal prior", unit="s", disable=None) as bar:

        def progress(step: int, share: float, ratio: float) -> None:
            bar.n = round(share * seconds)
            bar.set_postfix(step=step, ratio=f"{ratio:.3f}")

        def of_level(level: int) -> np.ndarray:
            return gain(torch.tensor([level / 255]))[0, :, 0, 0].detach().numpy()

        start = None if model.prior.temporal is None else model.prior.temporal.arrays
        networks = train(model.prior, gains(of_level), observed, seconds, seed, progress, start)
    return save_temporal(find_model(folder), networks.arrays())


def gains(of_level: Callable[[int], np.ndarray]) -> np.ndarray:
    """Return the integer gains that a temporal prior keeps, of a function from level to float (channels,)."""
    return np.stack([np.maximum(np.rint(of_level(level) * GAIN_ONE), 1) for level in range(256)]).astype(np.int32)


def train(
    prior: IntegerPrior,
    gain: np.ndarray,
    drives: Sequence[SymbolDrive],
    seconds: float,
    seed: int = 0,
    progress: Callable[[int, float, float], None] | None = None,
    start: Mapping[str, np.ndarray] | None = None,
    steps: int | None = None,
) -> TemporalNetworks:
    """Train on drives for so many seconds, or `steps` if they are over before.

    Args:
        start: arrays to go on from, at a lower rate.
        progress: told now and then of step, share of the time, and bytes with references over bytes without.

    Raises:
        InputError: no pair has an earlier one.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    networks = TemporalNetworks(prior, gain)
    highest = RATE
    if start is not None:
        networks.restore(start)
        highest = RATE / 2
    passes = _drawn_places(networks, prior, drives, rng)
    optimiser = torch.optim.Adam(networks.parameters(), highest, betas=(0.9, 0.98))
    begin, step, ratios = time.monotonic(), 0, []
    while (share := max((time.monotonic() - begin) / seconds, step / steps if steps else 0.0)) < 1:
        rate = LAST_RATE + (highest - LAST_RATE) * (1 + math.cos(math.pi * share)) / 2
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / WARM_UP)
        loss = torch.zeros(())
        for name, (rows, weights, rest) in passes.items():
            batch = torch.from_numpy(rng.integers(len(weights), size=BATCH))
            costs = cast(LearntCorrections, networks.passes[name]).bits(rows[batch])
            loss = loss + (costs * weights[batch]).mean() + rest
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        optimiser.step()
        ratios.append(float(loss.detach()))
        step += 1
        if progress is not None and step % 50 == 0:
            progress(step, share, float(np.mean(ratios[-50:])))
    return networks


def _drawn_places(
    networks: TemporalNetworks, prior: IntegerPrior, drives: Sequence[SymbolDrive], rng: np.random.Generator
) -> dict[str, tuple[Rows, Tensor, float]]:
    """Draw references of all pairs at all levels, and places of each pass.

    Returns:
        Of each pass its places, their weights, and a rest, so that bits with a reference over bits without, on average
        over pairs, are the sum over passes of the mean of weighted bits of places, and the rest.
    """
    found: dict[str, list[tuple[Rows, Tensor]]] = {name: [] for name in networks.passes}
    rests = dict.fromkeys(found, 0.0)
    pairs = 0
    for drive in tqdm(drives, "references", unit="drive", leave=False, disable=None):
        for level in drive.symbols:
            for index in range(len(drive.numbers)):
                for _ in range(REFERENCES if drive.earlier(index) else 0):
                    pair, earlier, age = _drawn(prior, drive, index, level, rng)
                    alone = pair.bits()  # every rate counts alike
                    pairs += 1
                    for name, (rows, rest) in networks.rows(pair, earlier.coded.kept(), age).items():
                        chance = rows.alone() + LEAST_BITS
                        chance = (chance * (PLACES / chance.sum())).clamp(max=1)
                        kept = torch.from_numpy(rng.random(len(chance)) < chance.numpy())
                        found[name].append((rows[kept], 1 / (alone * chance[kept])))
                        rests[name] += rest / alone
        drive.forget()
    if not pairs:
        raise InputError("no pair has one at most eight pairs older; expected drives at 10 Hz")
    result = {}
    for name, parts in found.items():
        rows, weights = Rows.joined([part for part, _ in parts]), torch.cat([part for _, part in parts])
        parts.clear()
        result[name] = rows, weights * (len(weights) / pairs), rests[name] / pairs
    return result


def _drawn(
    prior: IntegerPrior, drive: SymbolDrive, index: int, level: int, rng: np.random.Generator
) -> tuple[Example, Example, int]:
    """Draw an age, and seldom another quality for the reference; return the pair, its reference and the age."""
    choices = drive.earlier(index)
    weights = np.array([AGES[age] for age in choices])
    age = int(rng.choice(list(choices), p=weights / weights.sum()))
    levels = list(drive.symbols)
    other = levels[rng.integers(len(levels))] if rng.random() < OTHER_QUALITY else level
    return drive.example(prior, index, level), drive.example(prior, choices[age], other), age


def ratio(
    networks: TemporalNetworks, prior: IntegerPrior, drives: Iterable[SymbolDrive], level: int, age: int
) -> float:
    """Return estimated bits with references so old over bits without, of all pairs that have one; nan if none has."""
    total = alone = 0.0
    with torch.no_grad():
        for drive in drives:
            for index in range(len(drive.numbers)):
                reference = drive.earlier(index).get(age)
                if reference is None:
                    continue
                pair = drive.example(prior, index, level)
                total += float(networks.bits(pair, drive.example(prior, reference, level).coded.kept(), age))
                alone += pair.bits()
    return total / alone if alone else math.nan
