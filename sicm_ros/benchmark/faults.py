# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Encoder and decoder killed and stopped in mid-stream: how soon do results come again, and is any of them stale?"""

from __future__ import annotations

import math
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sicm_ros.bags.source import LEFT_INFO, RIGHT_INFO
from sicm_ros.bags.stereo import open_stereo
from sicm_ros.benchmark.watched import Watched
from sicm_ros.pipeline.processes import READY, PipelineError, Process, both_at_work, check_ros, processes, reliable

if TYPE_CHECKING:
    from rich.table import Table

WARM = 50  # results before the first fault: more packets than a new encoder sends before a decoder hears it
ON_THE_WAY = 0.5  # seconds in which results come that were published before; no node starts so soon
SHARED = Path("/dev/shm")


@dataclass(frozen=True)
class Fault:
    """What happened to a node, and after it.

    Attributes:
        what: in words.
        seconds: from the new process's start, or from the moment it could go on, to the next result.
        stale: results that were dropped since they were left over from before.
        leftovers: MiB of shared memory that the dead left behind, once the new process runs.
    """

    what: str
    seconds: float
    stale: int
    leftovers: float


def measure(
    source: Path, model: str, stopped: float = 10.0, progress: Callable[[str], None] = lambda _: None
) -> list[Fault]:
    """Play a drive again and again, at its own pace; kill each node, then stop each node for a while.

    Raises:
        PipelineError: a node didn't come back.
    """
    check_ros()
    with open_stereo(source) as drive:
        compressed, topics = drive.compressed, drive.topics
    shared = both_at_work(model)
    parameters = {
        "encoder": {**shared, **reliable((*topics, LEFT_INFO, RIGHT_INFO)), "compressed": compressed},
        "decoder": shared,
    }
    replay = {"path": str(Path(source).resolve()), "loop": True, "clock": False, "wait_for_subscribers": READY}
    found = []
    with tempfile.TemporaryDirectory() as folder, processes(Path(folder)) as start:
        watched = Watched(start("monitor", {}))
        nodes = {name: start(name, values) for name, values in parameters.items()}
        player = start("replay", replay)

        def next_result(since: float, alive: list[Process], below: float = math.inf) -> float:
            """Wait for detections that come after a moment, in a packet of a smaller number; return when they did."""
            end = time.monotonic() + READY
            while watched.detected <= since or watched.sequence >= below:
                watched.listen(0.05, alive)
                if time.monotonic() > end:
                    raise PipelineError("no result arrived any more")
            return watched.detected

        while watched.number("decoder", "published") < WARM:
            next_result(watched.detected, [*nodes.values(), player])
        for name in nodes:
            progress(f"kill -9 of the {name}")
            nodes[name].popen.kill()
            nodes[name].popen.wait()
            # A decoder goes on with what the killed encoder has sent; the new one counts from 0.
            below = watched.sequence if name == "encoder" else math.inf
            begin = time.monotonic()
            nodes[name] = start(name, parameters[name])
            came = next_result(begin + ON_THE_WAY, [*nodes.values(), player], below)
            found.append(Fault(f"{name} killed", came - begin, 0, _left_behind()))
        for name, node in nodes.items():
            progress(f"SIGSTOP of the {name} for {stopped:g} s")
            dropped = watched.causes(name).get("old", 0)
            os.kill(node.popen.pid, signal.SIGSTOP)
            watched.listen(stopped, [])
            begin = time.monotonic()
            os.kill(node.popen.pid, signal.SIGCONT)
            came = next_result(begin, [*nodes.values(), player])
            watched.listen(2.5, [*nodes.values(), player])
            old = watched.causes(name).get("old", 0) - dropped
            found.append(Fault(f"{name} stopped for {stopped:g} s", came - begin, old, _left_behind()))
    return found


def _left_behind() -> float:
    """Return the MiB of shared memory whose process is gone."""
    from sicm_ros.pipeline.leftovers import leftovers

    sizes = []
    for lock in leftovers(SHARED):
        segment = lock.with_name(lock.name.removesuffix("_el"))
        sizes.append(segment.stat().st_size if segment.exists() else 0)
    return sum(sizes) / (1 << 20)


def table(found: list[Fault]) -> Table:
    """Return one row per fault, for a terminal."""
    from rich.table import Table

    shown = Table()
    shown.add_column("fault")
    for title in ("next result after, s", "left over, dropped", "shared memory left behind, MiB"):
        shown.add_column(title, justify="right")
    for fault in found:
        shown.add_row(fault.what, f"{fault.seconds:.1f}", str(fault.stale), f"{fault.leftovers:.1f}")
    return shown
