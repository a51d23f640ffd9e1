# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""link_node: an emulated link between encoder and decoder. Feature messages in, those that come through out."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any, NoReturn

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message

from sicm_ros.link.emulator import Link, LinkProfile
from sicm_ros.link.profiles import profile
from sicm_ros.msg import CompressedStereoFeatures
from sicm_ros.nodes import qos
from sicm_ros.nodes.parameters import LINK, Parameters
from sicm_ros.nodes.process import run
from sicm_ros.nodes.tally import Tally

OUT = "link/features"
# The link alone loses messages: what DDS holds for it, and what it sends after an outage, must not overwrite itself.
QUEUES = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)
LOSSES = {"lost": "link_lost", "queue_full": "link_queue_full"}  # of the emulator -> cause in /diagnostics


class LinkNode(Node):
    """Carries whole serialised messages by a profile; every one is published or counted by cause."""

    def __init__(self) -> None:
        super().__init__("link")
        self.parameters = Parameters(self, LINK)
        self.tally = Tally("received", "published", "damaged", "duplicates", "reordered")
        self._chosen = self._choice()
        self._link: Link[bytes] = Link(self._profile(), self.parameters.seed)
        self._changed = threading.Condition()  # guards the link; told of every message and of the end
        self._closed = False
        override = qos.overridable()
        self._out = self.create_publisher(CompressedStereoFeatures, OUT, QUEUES, qos_overriding_options=override)
        self.create_subscription(
            CompressedStereoFeatures, "features", self._on_features, QUEUES, raw=True, qos_overriding_options=override
        )
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._carrier = threading.Thread(target=self._carry, name="carrier", daemon=True)
        self._carrier.start()
        self.get_logger().info(f"link {self.parameters.profile}: {self._link.profile}")

    def _choice(self) -> tuple:
        p = self.parameters
        return p.profile, p.bandwidth_kbit_s, p.delay_ms, p.loss

    def _profile(self) -> LinkProfile:
        """Return the named profile, with what single parameters overrule."""
        name, bandwidth, delay, loss = self._choice()
        changes: dict[str, Any] = {}
        if bandwidth > 0:
            changes["bandwidth_kbit_s"] = bandwidth
        if delay >= 0:
            changes["delay_ms"] = delay
        if loss >= 0:
            changes |= {"loss": loss, "burst_start": 0.0}
        return replace(profile(name), **changes)

    def _on_features(self, data: bytes) -> None:
        with self._changed:
            if self._choice() != self._chosen:
                self._chosen = self._choice()
                self._link.profile = self._profile()
            self.tally.count("received")
            cause = self._link.send(time.monotonic(), data, len(data))
            self._changed.notify()
        if cause:
            self.tally.drop(LOSSES[cause])

    # -- carrier's thread ---------------------------------------------------------------------------------------------

    def _carry(self) -> None:
        """Publish every message at its time."""
        while True:
            with self._changed:
                if self._closed:
                    return
                due = self._link.next_time
                if due is None or due > time.monotonic():
                    self._changed.wait(None if due is None else due - time.monotonic())
                    continue
                arrivals = self._link.arrivals(time.monotonic())
            for arrival in arrivals:
                data = self._damaged(arrival.packet, arrival.flipped) if arrival.flipped else arrival.packet
                self._out.publish(data)
                now = time.monotonic()
                self.tally.count("published")
                self.tally.message(len(data), arrival.sent, now, now - arrival.sent)
                self.tally.took("transit", now - arrival.sent)

    def _damaged(self, data: bytes, flipped: tuple[int, ...]) -> bytes:
        """Return a message with bits of its payload flipped: what its own checksum is there for.

        All errors go to the payload, since DDS itself would stumble over a message whose fields are broken.
        """
        message = deserialize_message(data, CompressedStereoFeatures)
        bits = 8 * len(message.payload)
        for bit in flipped if bits else ():
            message.payload[bit % bits // 8] ^= 1 << bit % 8
        return serialize_message(message)

    # -- what it says -------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        values: dict[str, Any] = self.tally.report()
        with self._changed:
            for name in ("damaged", "duplicates", "reordered"):
                values[name] = str(self._link.counts[name])
            values["on_the_way"] = str(self._link.on_the_way)
            bandwidth = self._link.profile.bandwidth_kbit_s
        rate, _, kbit, _ = self.tally.rates(time.monotonic())
        values |= {"profile": self.parameters.profile, "seed": str(self.parameters.seed)}
        values |= {"bandwidth_kbit_s": f"{bandwidth:g}", "kbit_per_s": f"{kbit:.3f}", "frame_rate_node": f"{rate:.3f}"}
        full_name = f"{self.get_namespace().rstrip('/')}/{self.get_name()}"
        status = DiagnosticStatus(level=DiagnosticStatus.OK, name=full_name.lstrip("/"), hardware_id=full_name)
        status.message = f"emulating {self.parameters.profile}"
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        array = DiagnosticArray(status=[status])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)

    def close(self) -> bool:
        """End the carrier; what is on the way is dropped with it."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._carrier.join(1.0)
        return not self._carrier.is_alive()


def main(args: list[str] | None = None) -> NoReturn:
    """Run the node until it is told to stop."""
    run(LinkNode, args)


if __name__ == "__main__":
    main()
