# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""monitor: what nodes say and that they detect, as lines of JSON on standard output, for programs without ROS."""

from __future__ import annotations

import json
import time
from typing import NoReturn

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from vision_msgs.msg import Detection3DArray

from sicm_ros.nodes.process import run
from sicm_ros.nodes.watcher import ours


class MonitorNode(Node):
    """One line per status of /diagnostics: `{"name", "level", "text", "values", "time"}`, and one of name `detections`
    per message there; time in seconds of time.monotonic().
    """

    def __init__(self) -> None:
        super().__init__("monitor")
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_array, 100)
        self.create_subscription(Detection3DArray, "detections", self._on_detections, 100, raw=True)
        print("listening", flush=True)

    def _on_array(self, array: DiagnosticArray) -> None:
        now = time.monotonic()
        for status in ours(array):
            line = {"name": status.name, "level": status.level, "text": status.text, "values": status.values}
            print(json.dumps(line | {"time": now}), flush=True)

    def _on_detections(self, _: bytes) -> None:
        print(json.dumps({"name": "detections", "time": time.monotonic()}), flush=True)


def main(args: list[str] | None = None) -> NoReturn:
    """Listen until it is told to stop."""
    run(MonitorNode, args)


if __name__ == "__main__":
    main()
