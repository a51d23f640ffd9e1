# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How long a node takes from the start of its process until its model is loaded and warm, and its memory then."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sicm_ros.benchmark.watched import resident_kib
from sicm_ros.pipeline.processes import READY, PipelineError, Process, check, check_ros, processes

if TYPE_CHECKING:
    from rich.table import Table

NODES = ("encoder", "decoder")
LOADED = "is loaded and warm"  # what a node's log says then


@dataclass(frozen=True)
class Started:
    """A node that has become ready.

    Attributes:
        node: its name.
        first: s until it was ready where no compiled graph was kept yet.
        seconds: the same of later starts, median.
        cpu: s of processor time of a later start, median.
        memory: MiB in RAM when it was ready, median of later starts.
    """

    node: str
    first: float
    seconds: float
    cpu: float
    memory: float


def measure(
    model: str, threads: int = 1, repeats: int = 3, progress: Callable[[list], Iterable] = iter
) -> list[Started]:
    """Start each node once with an empty cache of compiled graphs, then `repeats` times with that cache.

    Raises:
        PipelineError: a node ended, or did not become ready.
    """
    check_ros()
    taken: dict[str, list[tuple[float, float, float]]] = {node: [] for node in NODES}
    with tempfile.TemporaryDirectory() as folder:
        before = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            for node, number in progress([(node, number) for number in range(repeats + 1) for node in NODES]):
                with processes(Path(folder) / f"{node}{number}") as start:
                    begin = time.monotonic()
                    process = start(node, {"model": model, "threads": threads})
                    _wait(process, begin)
                    seconds, pid = time.monotonic() - begin, process.popen.pid
                    taken[node].append((seconds, _cpu_seconds(pid), resident_kib(pid) / 1024))
        finally:
            if before is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = before
    return [
        Started(node, runs[0][0], *(statistics.median(values) for values in zip(*runs[1:])))
        for node, runs in taken.items()
    ]


def _wait(process: Process, begin: float) -> None:
    """Wait until the node's log says that its model is loaded."""
    while LOADED not in process.log.read_text(errors="replace"):
        check([process])
        if time.monotonic() - begin > READY:
            raise PipelineError(f"{process.name}: not ready after {READY:g} s ({process.log})")
        time.sleep(0.01)


def _cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its threads so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(rows: list[Started]) -> Table:
    """Return a rich table of them."""
    from rich.table import Table

    shown = Table(title="from the start of a node's process until its model is loaded and warm")
    shown.add_column("node")
    for title in ("first start s", "later s", "of the processor s", "memory MiB"):
        shown.add_column(title, justify="right")
    for row in rows:
        shown.add_row(row.node, f"{row.first:.1f}", f"{row.seconds:.1f}", f"{row.cpu:.1f}", f"{row.memory:.0f}")
    return shown
