# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""monitor: what nodes say and that they detect, as lines of JSON on standard output, for programs without ROS."""

from __future__ import annotations

import json
import time
from typing import NoReturn

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

from sicm_ros.msg import DetectionSource
from sicm_ros.nodes.process import run
from sicm_ros.nodes.watcher import ours


class MonitorNode(Node):
    """One line per status of /diagnostics: `{"name", "level", "text", "values", "time"}`, and one of name `detections`,
    with the `sequence` of the packet, per message there; time in seconds of time.monotonic().
    """

    def __init__(self) -> None:
        super().__init__("monitor")
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_array, 100)
        self.create_subscription(DetectionSource, "detection_source", self._on_detections, 100)
        print("listening", flush=True)

    def _on_array(self, array: DiagnosticArray) -> None:
        now = time.monotonic()
        for status in ours(array):
            line = {"name": status.name, "level": status.level, "text": status.text, "values": status.values}
            print(json.dumps(line | {"time": now}), flush=True)

    def _on_detections(self, source: DetectionSource) -> None:
        print(json.dumps({"name": "detections", "sequence": source.sequence, "time": time.monotonic()}), flush=True)


def main(args: list[str] | None = None) -> NoReturn:
    """Listen until it is told to stop."""
    run(MonitorNode, args)


if __name__ == "__main__":
    main()
