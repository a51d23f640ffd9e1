# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What running nodes say of themselves, line by line from the `monitor` process."""

from __future__ import annotations

import json
import time
from pathlib import Path

from sicm_ros.pipeline.processes import Process, check


class Watched:
    """The newest word of each node; `statuses` maps its name to the monitor's line."""

    def __init__(self, monitor: Process) -> None:
        self._monitor = monitor
        self.statuses: dict[str, dict] = {}

    def number(self, node: str, key: str) -> float:
        """Return a value of a node's status; 0 where it has said nothing yet."""
        return float(self.statuses.get(node, {}).get("values", {}).get(key, 0))

    @property
    def detected(self) -> float:
        """When the newest detections came, seconds of time.monotonic(); 0 before the first."""
        return float(self.statuses.get("detections", {}).get("time", 0))

    @property
    def sequence(self) -> int:
        """Number of the packet that they were in: an encoder that starts counts from 0."""
        return int(self.statuses.get("detections", {}).get("sequence", 0))

    def causes(self, node: str) -> dict[str, int]:
        """Return what a node dropped, by cause."""
        values = self.statuses.get(node, {}).get("values", {})
        return {k.removeprefix("dropped_"): int(v) for k, v in values.items() if k.startswith("dropped_")}

    def listen(self, seconds: float, alive: list[Process]) -> None:
        """Take in what is said for a while; raise PipelineError if a node ends meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            line = self._monitor.line()
            if line and line.startswith("{"):
                status = json.loads(line)
                self.statuses[status["name"]] = status
            check([*alive, self._monitor])


def resident_kib(pid: int) -> int:
    """Return memory of a process that is in RAM, KiB (Linux: VmRSS)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0
