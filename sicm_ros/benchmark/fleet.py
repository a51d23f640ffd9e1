# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How many vehicles one decoder process serves: real packets of N vehicles, real nodes, results counted."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sicm_ros.benchmark.watched import Watched, resident_kib
from sicm_ros.pipeline.processes import READY, check_ros, expect, processes

if TYPE_CHECKING:
    from rich.table import Table

SETTLING = 3.0  # seconds of full load before counting


@dataclass(frozen=True)
class Served:
    """One decoder under the load of some vehicles.

    Attributes:
        vehicles, rate: senders, and pairs/s of each.
        workers: pairs of different vehicles side by side, at most; None is the node's own choice.
        batch: pairs of different vehicles in one pass, at most.
        results: pairs/s that were answered, over all vehicles.
        least, most: pairs/s of the vehicle with the fewest and the most answers.
        delay: ms from a message's arrival to its detections, median over the vehicles.
        memory: MiB of the decoder.
        lost: messages that never arrived.
    """

    vehicles: int
    rate: float
    workers: int | None
    batch: int
    results: float
    least: float
    most: float
    delay: float
    memory: float
    lost: int


def serve(
    source: Path,
    computes: Mapping[str, Any],
    vehicles: int,
    rate: float = 10.0,
    seconds: float = 10.0,
    workers: int | None = None,
    batch: int = 1,
) -> Served:
    """Measure one decoder process with so many vehicles.

    Args:
        computes: the decoder's model, and what computes it: parameters `model`, `engine`, `number_type`, `threads`.

    Raises:
        PipelineError: a node ended.
    """
    check_ros()
    names = [f"vehicle_{n}" for n in range(1, vehicles + 1)]
    with tempfile.TemporaryDirectory() as folder, processes(Path(folder)) as start:
        monitor = start("monitor", {})
        decoder = start(
            "decoder",
            {**computes, "vehicles": names, "workers": workers or 0, "max_batch": batch, "topic_timeout": 60.0},
        )
        load = start(
            "load", {"path": str(Path(source).resolve()), "model": computes["model"], "vehicles": names, "rate": rate}
        )
        alive, watched = [decoder, load], Watched(monitor)
        expect("sending", load, alive, READY)
        watched.listen(SETTLING, alive)
        streams = [f"{name}/decoder" for name in names]

        def counts(key: str) -> list[float]:
            return [watched.number(stream, key) for stream in streams]

        before, since = counts("published"), [watched.statuses[s]["time"] for s in streams]
        lost = sum(counts("lost"))
        watched.listen(seconds, alive)
        rates = [
            (after - earlier) / (watched.statuses[s]["time"] - then)
            for s, after, earlier, then in zip(streams, counts("published"), before, since)
        ]
        return Served(
            vehicles,
            rate,
            workers,
            batch,
            sum(rates),
            min(rates),
            max(rates),
            statistics.median(counts("since_arrival_ms")),
            resident_kib(decoder.popen.pid) / 1024,
            int(sum(counts("lost")) - lost),
        )


def table(rows: list[Served]) -> Table:
    """Return a rich table of them."""
    from rich.table import Table

    shown = Table(title="one decoder process, packets of a fleet")
    for title in (
        "vehicles", "Hz each", "workers", "batch", "results/s", "least/s", "most/s", "delay ms", "memory MiB", "lost",
    ):  # fmt: skip
        shown.add_column(title, justify="right")
    for r in rows:
        shown.add_row(
            str(r.vehicles), f"{r.rate:g}", str(r.workers or "auto"), str(r.batch), f"{r.results:.1f}",
            f"{r.least:.1f}", f"{r.most:.1f}", f"{r.delay:.0f}", f"{r.memory:.0f}", str(r.lost),
        )  # fmt: skip
    return shown
