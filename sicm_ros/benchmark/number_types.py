# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a number type, or an engine, costs in accuracy: the same frames through a reference and through it, by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sicm_ros.benchmark.association import overlapping
from sicm_ros.engines import ENGINES, NUMBER_TYPES
from sicm_ros.errors import InputError
from sicm_ros.kitti import Labels, StereoFrame, evaluate, from_detections

if TYPE_CHECKING:
    from rich.table import Table

    from sicm_ros.model import Model

ALLOWED = 0.5  # points of AP that a type may lose
CERTAIN = 0.2  # score from which boxes are compared with the reference's
FIGURES = (("3d", "0.50"), ("bev", "0.50"), ("3d", "0.70"), ("bev", "0.70"))  # of cars, moderate, 40 recall points


@dataclass(frozen=True)
class EngineType:
    """An engine and what it computes in."""

    engine: str
    number_type: str = "float32"

    @classmethod
    def parse(cls, text: str) -> EngineType:
        """Read ENGINE or ENGINE:TYPE. Raises InputError for another engine or type."""
        engine, _, number_type = text.partition(":")
        number_type = number_type or "float32"
        if engine not in ENGINES or engine == "auto" or number_type not in NUMBER_TYPES:
            raise InputError(
                f"{text!r}: expected {', '.join(e for e in ENGINES if e != 'auto')}, followed by :"
                f"{' or :'.join(NUMBER_TYPES)}, such as torch:bfloat16"
            )
        return cls(engine, number_type)

    def load(self, name: str | Path, threads: int) -> Model:
        """Return a model that it computes."""
        import sicm_ros

        return sicm_ros.load(name, engine=self.engine, number_type=self.number_type, threads=threads)

    def __str__(self) -> str:
        return f"{self.engine}:{self.number_type}"


@dataclass(frozen=True)
class TypeCost:
    """Of one pairing of vehicle and server.

    Attributes:
        vehicle, server: what computed them.
        bytes: of a packet, mean.
        symbols: share that differs from the reference's.
        depth: by what share of it boxes are elsewhere than the reference's, median; AP of few frames hardly tells.
        ap: of FIGURES, per cent.
        lost: what the reference has more of each, points.
    """

    vehicle: EngineType
    server: EngineType
    bytes: float
    symbols: float
    depth: float
    ap: tuple[float, ...]
    lost: tuple[float, ...]

    @property
    def passes(self) -> bool:
        """Whether no figure lost more than ALLOWED."""
        return max(self.lost) <= ALLOWED


def measure(
    name: str | Path,
    frames: Sequence[StereoFrame],
    choices: Sequence[EngineType],
    quality: float = 0.5,
    threads: int = 0,
    progress: Callable[[Sequence[StereoFrame]], Iterable[StereoFrame]] = iter,
) -> list[TypeCost]:
    """Code and detect with the first choice, the reference, and with each other one on the vehicle, on the server, on
    both.

    Args:
        frames: labelled ones.
    """
    models: dict[EngineType, Model] = {choice: choice.load(name, threads) for choice in dict.fromkeys(choices)}
    reference, *others = models
    rows = [(reference, reference)]
    for other in others:
        rows += [(other, reference), (reference, other), (other, other)]
    labels: list[Labels] = []
    found: dict[tuple[EngineType, EngineType], list[Labels]] = {row: [] for row in rows}
    sizes: dict[EngineType, list[int]] = {choice: [] for choice in models}
    changed: dict[EngineType, list[float]] = {choice: [] for choice in models}
    for frame in progress(frames):
        labels.append(frame.truth)
        packets = {choice: model.encode(frame, quality) for choice, model in models.items()}
        sent = {choice: models[reference].read(packet, frame.calibration).symbols for choice, packet in packets.items()}
        for choice, packet in packets.items():
            sizes[choice].append(len(packet))
            changed[choice].append(float(np.mean(sent[choice] != sent[reference])))
        for vehicle, server in rows:
            found[vehicle, server].append(from_detections(models[server].decode(packets[vehicle]).detections))
    expected: tuple[float, ...] = ()
    costs = []
    for vehicle, server in rows:
        car = evaluate(labels, found[vehicle, server])["Car"]
        ap = tuple(car[metric][limit]["R40"][1] for metric, limit in FIGURES)
        expected = expected or ap
        lost = tuple(e - a for e, a in zip(expected, ap))
        depth = _apart(found[vehicle, server], found[rows[0]])
        size, symbols = float(np.mean(sizes[vehicle])), float(np.mean(changed[vehicle]))
        costs.append(TypeCost(vehicle, server, size, symbols, depth, ap, lost))
    return costs


def _apart(found: Sequence[Labels], reference: Sequence[Labels]) -> float:
    """Median difference of two detectors' depths, as a share of the depth; nan where they share no box."""
    shares = [np.zeros(0)]
    for ours, theirs in zip(found, reference):
        ours, theirs = (boxes[np.asarray(boxes.scores) >= CERTAIN] for boxes in (ours, theirs))
        same = overlapping(ours.image_boxes, theirs.image_boxes)
        depth = theirs.location[same[same >= 0], 2]
        shares.append(np.abs(ours.location[same >= 0, 2] - depth) / depth)
    every = np.concatenate(shares)
    return float(np.median(every)) if len(every) else float("nan")


def table(costs: Sequence[TypeCost], frames: int) -> Table:
    """Return a rich table of them."""
    from rich.table import Table

    shown = Table(
        title=f"cars, moderate, AP, {frames} frames; in brackets what was lost; passes: at most {ALLOWED:g} of each",
        title_justify="left",
    )
    for title in ("vehicle", "server"):
        shown.add_column(title)
    for title in ("bytes", "other symbols", "depth off", *(f"{metric} {limit}" for metric, limit in FIGURES), "passes"):
        shown.add_column(title, justify="right")
    for number, cost in enumerate(costs):
        figures = [f"{ap:.1f}" + (f" ({lost:+.1f})" if number else "") for ap, lost in zip(cost.ap, cost.lost)]
        verdict = ("yes" if cost.passes else "no") if number else "reference"
        sizes = f"{cost.bytes:.0f}", f"{cost.symbols:.1%}", f"{cost.depth:.2%}"
        shown.add_row(str(cost.vehicle), str(cost.server), *sizes, *figures, verdict)
    return shown
