# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a pair costs on each side, by engine, number type and size of the network's input: all in turn, in one run."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sicm_ros.benchmark.number_types import EngineType
from sicm_ros.engines import SIDES
from sicm_ros.geometry import StereoPair

if TYPE_CHECKING:
    from rich.table import Table

    from sicm_ros.model import Model


@dataclass(frozen=True)
class SideCosts:
    """Of one pair, medians.

    Attributes:
        engine: what computed it, as it was asked for.
        height, width: of the network's input.
        wall: side -> ms, of the whole side: images to packet, packet to boxes.
        cpu: side -> ms of processor time of all threads: the energy it takes is in proportion.
        ratio: side -> median over the rounds of wall time divided by the last engine's in the same round.
    """

    engine: str
    height: int
    width: int
    wall: dict[str, float]
    cpu: dict[str, float]
    ratio: dict[str, float]


def measure(
    name: str | Path,
    pairs: Sequence[StereoPair],
    engines: Sequence[str],
    sizes: Sequence[tuple[int, int]] = (),
    repeats: int = 5,
    quality: float = 0.5,
    threads: int = 0,
    progress: Callable[[list], Iterable] = iter,
) -> list[SideCosts]:
    """Measure every engine, or ENGINE:TYPE, at every size (height, width); at the model's own if there are none.

    Other sizes are measured with the same weights, which were not trained for them: cost alone means anything there.

    Raises:
        DependencyError: another size asks for graphs, which PyTorch makes.
    """
    choices = {text: EngineType.parse(text) for text in engines}
    rows: list[SideCosts] = []
    with tempfile.TemporaryDirectory() as folder:
        models: list[dict[str, Model]] = []
        for size in sizes or (None,):
            where = name if size is None else _resized(name, Path(folder) / f"{size[0]}x{size[1]}", size, choices)
            models.append({text: choice.load(where, threads) for text, choice in choices.items()})
        taken: dict[tuple, list[float]] = {}
        rounds = [(n, pair, at) for n in range(repeats + 1) for pair in pairs for at in range(len(models))]
        for number, pair, at in progress(rounds):
            for text, model in models[at].items():
                _time(taken if number else {}, text, model, pair, quality, at)  # the first round warms up
        for at, beside in enumerate(models):
            for text, model in beside.items():
                walls = {side: taken[at, text, side, "wall"] for side in SIDES}
                ratios = {
                    side: statistics.median(a / b for a, b in zip(walls[side], taken[at, engines[-1], side, "wall"]))
                    for side in SIDES
                }
                rows.append(
                    SideCosts(
                        text,
                        model.config.input_height,
                        model.config.input_width,
                        {side: statistics.median(walls[side]) for side in SIDES},
                        {side: statistics.median(taken[at, text, side, "cpu"]) for side in SIDES},
                        ratios,
                    )
                )
    return rows


def _resized(name: str | Path, folder: Path, size: tuple[int, int], choices: Mapping[str, EngineType]) -> Path:
    """Return a copy of a model folder for another size of input, with graphs where an engine needs them."""
    from sicm_ros.engines.graphs import remove_graphs
    from sicm_ros.model.folder import TEMPORAL, change_config, export, find_model

    # The temporal prior belongs to the model at its own size; no packet refers to another one here.
    shutil.copytree(find_model(name), folder, ignore=shutil.ignore_patterns(TEMPORAL))
    remove_graphs(folder)
    change_config(folder, lambda tree: tree["network"].update(input_height=size[0], input_width=size[1]))
    if any(choice.engine != "torch" for choice in choices.values()):
        export(folder)
    return folder


def _time(taken: dict[tuple, list[float]], text: str, model: Model, pair: StereoPair, quality: float, at: int) -> None:
    packet = b""
    for side in SIDES:
        wall, cpu = time.perf_counter(), time.process_time()
        if side == "vehicle":
            packet = model.encode(pair, quality)
        else:
            model.decode(packet)
        for what, seconds in (("wall", time.perf_counter() - wall), ("cpu", time.process_time() - cpu)):
            taken.setdefault((at, text, side, what), []).append(1e3 * seconds)


def table(rows: Sequence[SideCosts]) -> Table:
    """Return a rich table of them."""
    from rich.table import Table

    last = rows[-1].engine
    shown = Table(title="one pair: ms, ms of processor time, and ms divided by those of the last engine, medians")
    for title in ("input", "engine"):
        shown.add_column(title)
    for side in SIDES:
        for title in (f"{side} ms", "CPU ms", f"/ {last}"):
            shown.add_column(title, justify="right")
    for row in rows:
        cells = [[f"{row.wall[side]:.1f}", f"{row.cpu[side]:.1f}", f"{row.ratio[side]:.2f}"] for side in SIDES]
        shown.add_row(f"{row.height} x {row.width}", row.engine, *cells[0], *cells[1])
    return shown
