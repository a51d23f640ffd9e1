# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What the demo listens with: every small topic of the pipeline into one bag, with the time of each arrival."""

from __future__ import annotations

import importlib
import time

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile

from sicm_ros.bags.bag import BagWriter
from sicm_ros.bags.source import LEFT, RIGHT
from sicm_ros.errors import InputError
from sicm_ros.files import explain
from sicm_ros.nodes.parameters import Parameter, Parameters
from sicm_ros.nodes.process import run
from sicm_ros.nodes.qos import latched

# Images stay out: listening to them would slow down what is measured. Their camera_info, sent in the same moment,
# stands for them.
TOPICS = {
    "left/camera_info": "sensor_msgs/msg/CameraInfo",
    "right/camera_info": "sensor_msgs/msg/CameraInfo",
    "codec_description": "sicm_ros/msg/CodecDescription",
    "features": "sicm_ros/msg/CompressedStereoFeatures",
    "link/features": "sicm_ros/msg/CompressedStereoFeatures",
    "detections": "vision_msgs/msg/Detection3DArray",
    "markers": "visualization_msgs/msg/MarkerArray",
    "/diagnostics": "diagnostic_msgs/msg/DiagnosticArray",
}
RECORDER = (
    Parameter("out", "", "bag to write"),
    Parameter("link", False, "there is an emulated link between encoder and decoder"),
)


class RecorderNode(Node):
    """Writes the topics as they arrive, and says so on standard output.

    A line `<topic> <messages so far>` for each message, and before them `listening` once it records and `ready` once
    the pipeline is: an encoder waits for images and a decoder for features.
    """

    ends_at_errors = True

    def __init__(self, **options) -> None:
        super().__init__("recorder", **options)
        parameters = Parameters(self, RECORDER)
        out = parameters.out
        if not out:
            raise InputError("parameter out is empty; expected the bag to write")
        self._bag, self._ended = BagWriter(out, overwrite=True), False
        self._bag.__enter__()
        self._counts = dict.fromkeys(TOPICS, 0)
        self._stations = ("features", "link/features") if parameters.link else ("features",)
        for topic, kind in TOPICS.items():
            package, _, name = kind.split("/")
            message = getattr(importlib.import_module(f"{package}.msg"), name)
            qos = latched() if topic == "codec_description" else QoSProfile(depth=100)
            self.create_subscription(message, topic, self._writer(topic, kind), qos, raw=True)
        self._waiting = self.create_timer(0.1, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))
        print("listening", flush=True)

    def _look(self) -> None:
        # Both nodes subscribe when their models are loaded; the recorder itself is one subscriber of features.
        pictures = [self.count_subscribers(t) + self.count_subscribers(f"{t}/compressed") for t in (LEFT, RIGHT)]
        if all(pictures) and all(self.count_subscribers(topic) > 1 for topic in self._stations):
            self.destroy_timer(self._waiting)
            print("ready", flush=True)

    def _writer(self, topic: str, kind: str):
        def write(data: bytes, info: dict) -> None:
            arrival = info.get("received_timestamp") or time.time_ns()  # DDS's own time, before Python was woken up
            try:
                self._bag.write("/" + topic.lstrip("/"), kind, arrival, data)
            except OSError as error:  # a recording with holes is none
                self._end(error)  # now, so that a full disk has room for the log, which says why
            self._counts[topic] += 1
            print(topic, self._counts[topic], flush=True)

        return write

    def close(self) -> None:
        """Complete the bag; what is still in memory is written now.

        Raises:
            InputError: it can't be written.
        """
        if not self._ended:
            self._end()

    def _end(self, reason: OSError | None = None) -> None:
        self._ended = True
        try:
            self._bag.__exit__(None if reason is None else type(reason))
        except OSError as error:
            reason = error
        if reason is not None:
            raise InputError(explain(reason) or repr(reason))


def main(args: list[str] | None = None) -> int:
    """Record until Ctrl-C or SIGTERM."""
    return run(RecorderNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
