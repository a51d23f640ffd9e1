# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How one stream of messages fares: counted, dropped by cause, silent or not; one status in /diagnostics."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from sicm_ros.errors import printable
from sicm_ros.nodes.tally import Tally

REPEAT = 5.0  # seconds before the log says the same again
FIRST = 6.0  # times the timeout that a sender which is there may take for its first message
TOLERANCE = 0.25  # share of the expected frequency that may be missing
IMAGES = {"Image", "CompressedImage"}


class Health:
    """Of the node's own stream, or of one vehicle's where a node serves several.

    Args:
        node: whose logger and graph are used.
        name: of the status, as monitors show it: namespace and node.
        counters: names that are reported from the start, even while they are 0.
        steady: seconds of a clock that a paused bag doesn't stop.
        now: seconds of node time; nan while there is no clock.

    Attributes:
        tally: what happened so far.
        problem: what keeps the stream from its job right now; shown as an error.
        inputs: topic -> subscription; empty while the node is not active.
        facts: returns what else belongs into the status.
        computes: what runs the model: engine, provider, number_type, device, threads.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        counters: tuple[str, ...],
        steady: Callable[[], float],
        now: Callable[[], float],
    ) -> None:
        self.tally = Tally(*counters)
        self.usual_delay = math.nan  # seconds, of the newest message that went its way
        self.problem = ""
        self.inputs: dict[str, Any] = {}
        self.facts: Callable[[], dict[str, str]] = dict
        self.computes: dict[str, str] = {}
        self._node, self.name, self._steady, self._now = node, name, steady, now
        self._heard: dict[str, float] = {}  # topic -> steady seconds when something last came, or was awaited
        self._ever_heard: set[str] = set()
        self._silent: set[str] = set()
        self._complained: set[str] = set()
        self._said: dict[str, float] = {}
        self._drops_before = 0

    def listen(self, inputs: dict[str, Any]) -> None:
        """Await these inputs from now on."""
        self.inputs = inputs
        self._heard = dict.fromkeys(inputs, self._steady())
        self._ever_heard, self._silent, self._complained = set(), set(), set()

    def rest(self) -> dict[str, Any]:
        """Await nothing any more; return what was awaited."""
        inputs, self.inputs = self.inputs, {}
        self._silent, self.problem = set(), ""
        return inputs

    def heard(self, topic: str) -> None:
        """Note that something came on an input."""
        self._heard[topic] = self._steady()
        self._ever_heard.add(topic)

    def message(self, size: int, stamp: float) -> float:
        """Count a message of `size` bytes, stamped so (seconds of node time), as sent or received now; its delay in
        seconds, nan while there is no clock to tell it by.
        """
        now = self._now()
        self.tally.message(size, stamp, self._steady() if math.isnan(now) else now, now - stamp)
        return now - stamp

    def took(self, prefix: str, stages: dict[str, float]) -> None:
        """Add the model's own times, seconds by stage."""
        for stage, seconds in stages.items():
            self.tally.took(f"{prefix}_{stage.replace(' ', '_')}", seconds)

    def refuse(self, cause: str, text: str) -> None:
        """Count a drop and say why, at most once in REPEAT seconds per cause."""
        self.tally.drop(cause)
        if self.may_say(cause):
            self._node.get_logger().error(printable(f"dropped ({cause}): {text}"))

    def may_say(self, what: str) -> bool:
        """Return whether the log may hear of this: once in REPEAT seconds, however often a neighbour
        gives cause to it.
        """
        now = self._steady()
        if now - self._said.get(what, -math.inf) < REPEAT:
            return False
        self._said[what] = now
        return True

    def listen_for_silence(self, timeout: float) -> None:
        """Say once which inputs have been silent for `timeout` seconds, and which topics there are.

        An input whose sender is there is given longer for its first message: the sender may still be starting.
        """
        now = self._steady()
        silence = {topic: now - self._heard.get(topic, now) for topic in self.inputs}
        silent = {topic for topic, seconds in silence.items() if seconds >= timeout}
        fell_silent = {topic for topic in silent - self._silent if topic in self._ever_heard}
        if fell_silent:
            self._node.get_logger().warning(f"nothing more on {', '.join(sorted(fell_silent))}")
        refused = self._refused(silent - self._ever_heard)
        if refused and not set(refused) <= self._complained:
            self._node.get_logger().warning(_said_of(refused))
        self._complained |= set(refused)
        never_came = {
            topic
            for topic in silent - self._ever_heard - self._complained
            if silence[topic] >= FIRST * timeout or not self._node.count_publishers(topic)
        }
        if never_came:
            kinds = {self.inputs[topic].msg_type.__name__ for topic in never_came}
            if kinds & IMAGES:
                kinds |= IMAGES  # raw images awaited, compressed ones there, or the other way round
            there = [
                f"{name} ({', '.join(types)})"
                for name, types in sorted(self._node.get_topic_names_and_types())
                if any(t.rpartition("/")[2] in kinds for t in types) and self._node.count_publishers(name)
            ]
            seconds = max(silence[topic] for topic in never_came)
            self._node.get_logger().warning(
                f"nothing on {', '.join(sorted(never_came))} for {seconds:.0f} s; topics of that type that are "
                f"published: {', '.join(there) or 'none'}; remap the inputs or start the sender"
            )
        self._complained |= never_came
        self._silent = silent

    def _refused(self, topics: set[str]) -> list[str]:
        """Return those of which nothing can come: each of their senders offers less than is asked for."""
        asked = {topic for topic in topics if self.inputs[topic].qos_profile.reliability == ReliabilityPolicy.RELIABLE}
        offers = {t: {p.qos_profile.reliability for p in self._node.get_publishers_info_by_topic(t)} for t in asked}
        return sorted(topic for topic, offered in offers.items() if offered == {ReliabilityPolicy.BEST_EFFORT})

    def status(self, expected: float) -> DiagnosticStatus:
        """Return the stream's status; `expected` frequency in Hz (0: none)."""
        now = self._now()
        by_node, by_stamp, kbit, delay = self.tally.rates(self._steady() if math.isnan(now) else now)
        delay = math.nan if math.isnan(now) else delay  # what was told by a clock that is there no more
        drops = self.tally.drops
        level, text = DiagnosticStatus.OK, "running" if self.inputs else "not active"
        if drops > self._drops_before:
            level, text = DiagnosticStatus.WARN, f"dropped {drops - self._drops_before} in the last second"
        if self.inputs and expected and by_node < expected * (1 - TOLERANCE):
            level, text = DiagnosticStatus.WARN, f"{by_node:.1f} Hz, below the expected {expected:g} Hz"
        if self.inputs and math.isnan(now):
            level, text = DiagnosticStatus.WARN, "no clock: use_sim_time is true, but nothing is on /clock"
        awaited, fell_silent = self._silent - self._ever_heard, self._silent & self._ever_heard
        if awaited:
            level, text = DiagnosticStatus.WARN, f"nothing on {', '.join(sorted(awaited))} yet"
            if refused := self._refused(awaited & set(self.inputs)):
                level, text = DiagnosticStatus.ERROR, _said_of(refused)
        if fell_silent:
            level, text = DiagnosticStatus.ERROR, f"nothing more on {', '.join(sorted(fell_silent))}"
        if self.problem:
            level, text = DiagnosticStatus.ERROR, printable(self.problem)
        self._drops_before = drops
        values = (
            self.tally.report()
            | self.facts()
            | self.computes
            | {
                "kbit_per_s": f"{kbit:.3f}",
                # Keys of Isaac ROS' greenwave monitor.
                "frame_rate_node": f"{by_node:.3f}",
                "frame_rate_msg": f"{by_stamp:.3f}",
                "current_delay_from_realtime_ms": f"{1e3 * delay:.3f}",
                "expected_frequency": f"{expected:g}",
                "tolerance": f"{TOLERANCE:g}",
            }
        )
        status = DiagnosticStatus(level=level, name=self.name, message=text, hardware_id=f"/{self.name}")
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        return status


def _said_of(refused: list[str]) -> str:
    return (
        f"{', '.join(refused)}: sent best effort, but reliable is asked for, so nothing comes; set reliable_images to "
        "false, or the qos_overrides of the topic"
    )
