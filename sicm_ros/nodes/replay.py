# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""replay_node: a bag or a KITTI folder, played as a stereo camera would publish it."""

from __future__ import annotations

import importlib
import json
import queue
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from vision_msgs.msg import Detection3DArray

from sicm_ros.bags.pairing import SIDES, StereoPairer
from sicm_ros.bags.serialization import nanoseconds
from sicm_ros.bags.source import DISPARITY_OFFSET, HORIZON, LEFT_INFO, MOST, RIGHT_INFO, TF_STATIC
from sicm_ros.bags.stamps import stamp_in
from sicm_ros.bags.stereo import open_stereo
from sicm_ros.errors import InputError, SicmError
from sicm_ros.nodes.parameters import REPLAY, Parameters
from sicm_ros.nodes.process import DESCRIBE, run
from sicm_ros.nodes.qos import latched, overridable

LONGEST_GAP = 10.0  # seconds of a recording without a message that are waited out; what is longer is skipped
CLOCK_STEP = 0.01  # seconds between two messages on /clock
DISCOVERY = 3.0  # seconds that further subscribers are waited for, who needn't come
FLUSHING = 7.0  # seconds that the last messages are given to arrive: two heartbeats of Fast DDS, 3 s apart
SAYING = 5.0  # seconds of waiting after which the log says what for; again after twice the time, and so on
SETTLING = 1.0  # seconds without a new subscriber after which the known ones are ready: discovery is not one step


class ReplayNode(Node):
    """Publishes the messages of a stereo source at the pace of their stamps.

    The player is a thread, so that acknowledgements and parameters are served while it waits. `finished` becomes the
    exit status when the last message has been published and, where asked for, answered; not 0 where no pair was.
    """

    def __init__(self, **options) -> None:
        super().__init__("replay", **options)
        self.parameters = Parameters(self, REPLAY)
        self.finished: int | None = None
        self._stop = threading.Event()
        self._answered = threading.Condition()
        self._expected = 0  # stamp of the left image whose answer is awaited, nanoseconds; 0 for none
        self._answers = 0  # how many have come
        self._last_answer = 0  # stamp of the newest, nanoseconds
        self._last_pair = 0  # stamp of the last left image that has a right one, nanoseconds; 0 for none
        self._outputs: dict[str, Publisher | None] = {}
        p = self.parameters
        if not p.path:
            raise InputError(
                "parameter path is empty; expected a bag or a KITTI folder: --ros-args -p path:=drive.mcap"
            )
        self._source = open_stereo(
            p.path,
            p.preset,
            p.left_topic,
            p.right_topic,
            pair_tolerance=p.pair_tolerance,
            assume_rectified=p.assume_rectified,
            baseline=p.baseline,
            rectify=p.rectify,
            calibration_file=p.calibration_file,
        )
        self._time = self.create_publisher(Clock, "/clock", 10) if p.clock else None
        for topic in {p.acknowledge, p.results} - {""}:
            self.create_subscription(Detection3DArray, topic, self._on_answer, 10)
        self._prepare()
        self._player = threading.Thread(target=self._play, name="player", daemon=True)
        self._player.start()

    def close(self) -> bool:
        """End the player; return whether it has ended."""
        self._stop.set()
        with self._answered:
            self._answered.notify_all()
        self._player.join(timeout=1.0)
        ended = not self._player.is_alive()
        if ended:
            self._source.close()
        return ended

    def _prepare(self) -> None:
        """Make all publishers before the first message, so that their subscribers have found them by then."""
        for topic, kind in self._source.types(self.parameters.other_topics).items():
            self._publisher(topic, kind)
        self.get_logger().info(
            f"{self._source.path}: {self._source.count} stereo pairs, layout {self._source.layout}, "
            f"{'compressed' if self._source.compressed else 'raw'} images on {self._source.topics[0]}"
        )

    def _publisher(self, topic: str, kind: str) -> Publisher | None:
        """Return the publisher of a topic, made at its first message; None where the package of its
        type isn't installed.
        """
        if topic not in self._outputs:
            package, _, name = kind.split("/")
            try:
                message = getattr(importlib.import_module(f"{package}.msg"), name)
            except (ImportError, AttributeError):
                self.get_logger().warning(f"{topic} is not played: the package of {kind} is not installed here")
                self._outputs[topic] = None
                return None
            # Reliable serves both kinds of subscribers: best effort, as the encoder's, and reliable, as most others'.
            qos = latched() if topic in (TF_STATIC, DISPARITY_OFFSET) else QoSProfile(depth=10)
            self._outputs[topic] = self.create_publisher(message, topic, qos, qos_overriding_options=overridable())
        return self._outputs[topic]

    def _on_answer(self, message: Detection3DArray) -> None:
        stamp = nanoseconds(message.header.stamp)
        with self._answered:
            self._answers, self._last_answer = self._answers + 1, stamp
            if stamp == self._expected:
                self._expected = 0
            self._answered.notify_all()

    def _play(self) -> None:
        try:
            if self._wait_for_subscribers():
                self._play_all()
            self.finished = 0
        except Exception as error:
            self.get_logger().fatal(str(error) or type(error).__name__)
            self.finished = 2

    def _wait_for_subscribers(self) -> bool:
        """Return whether to play: soon, or when both images have a taker. False if told to stop meanwhile."""
        limit = self.parameters.wait_for_subscribers
        if not limit:
            return self._settle()
        begin = time.monotonic()
        due = begin + SAYING
        while awaited := self._awaited():
            now = time.monotonic()
            if now > begin + limit:
                raise InputError(f"{awaited} after {limit:g} s; start the encoder and the decoder, and activate them")
            if now > due:
                due += now - begin
                self.get_logger().info(f"not playing yet: {awaited} ({now - begin:.0f} s of {limit:g} s)")
            if self._stop.wait(0.05):
                return False
        # Who wants images may want camera_info, which DDS discovers by itself. The graph may know of others whom DDS
        # does not reach yet.
        settled = time.monotonic() + DISCOVERY
        while time.monotonic() < settled and not self._all_matched():
            if self._stop.wait(0.05):
                return False
        return self._settle()

    def _all_matched(self) -> bool:
        """Return whether DDS reaches every subscriber that the graph knows of, and both camera_infos reach somebody."""
        infos = [self._outputs[topic] for topic in (LEFT_INFO, RIGHT_INFO)]
        return all(p is not None and p.get_subscription_count() for p in infos) and all(
            p.get_subscription_count() >= self.count_subscribers(p.topic_name)
            for p in filter(None, self._outputs.values())
        )

    def _awaited(self) -> str:
        """Return who is missing before playing makes sense; empty if nobody is."""
        p = self.parameters
        for topic in self._source.topics:
            output = self._outputs[topic]
            if output is None or not output.get_subscription_count():
                return f"nobody subscribes to {topic}"
        for topic in filter(None, p.wait_for_topics):
            if not self.count_subscribers(topic):
                return f"nobody subscribes to {topic}"
        for topic in filter(None, (p.acknowledge, p.results)):
            if not self.count_publishers(topic):
                return f"nobody publishes {topic}"
        return ""

    def _settle(self) -> bool:
        """Wait until no subscriber has come for SETTLING seconds. False if told to stop meanwhile."""
        found, since, end = -1, time.monotonic(), time.monotonic() + DISCOVERY
        while time.monotonic() < min(since + SETTLING, end):
            now = sum(publisher.get_subscription_count() for publisher in filter(None, self._outputs.values()))
            if now != found:
                found, since = now, time.monotonic()
            if self._stop.wait(0.05):
                return False
        return True

    def _play_all(self) -> None:
        pairs = unanswered = 0
        while True:
            counted, missed = self._play_once()
            pairs, unanswered = pairs + counted, unanswered + missed
            if self._stop.is_set() or not self.parameters.loop:
                break
        self._flush()
        p = self.parameters
        if p.results and self._last_pair and not self._stop.is_set():
            self._wait_for_the_last()
        if not pairs and not self._stop.is_set():
            raise InputError(f"{self._source.path}: no stereo pair was played; `sicm info` says why")
        topic = p.acknowledge or p.results
        if topic and pairs and not self._answers and not self._stop.is_set():
            raise InputError(
                f"played {pairs} stereo pairs, {pairs} of them unanswered: nothing came on {topic}; "
                "encoder and decoder say why"
            )
        lost = f", {unanswered} of them unanswered" if p.acknowledge else ""
        answers = f", {self._answers} of them answered" if topic and not p.acknowledge else ""
        self.get_logger().info(f"played {pairs} stereo pairs{lost}{answers}")

    def _wait_for_the_last(self) -> None:
        """Wait until the last pair is answered, as long as answers come within `acknowledge_timeout` of each other."""
        limit, topic = self.parameters.acknowledge_timeout, self.parameters.results
        with self._answered:
            while self._last_answer < self._last_pair and not self._stop.is_set():
                if not self._answered.wait(limit):
                    self.get_logger().warning(f"the last pair got no answer on {topic} within {limit:g} s")
                    return

    def _flush(self) -> None:
        """Wait until everything has arrived: what full buffers lost is sent again with the writer's next heartbeat."""
        end = time.monotonic() + FLUSHING
        for publisher in filter(None, self._outputs.values()):
            while not self._stop.is_set() and time.monotonic() < end:
                if publisher.wait_for_all_acked(Duration(seconds=0.1)):
                    break

    def _play_once(self) -> tuple[int, int]:
        """Play from the start to the end; return pairs played and those that were not answered."""
        pairs = unanswered = 0
        last: int | None = None
        moment = time.monotonic()  # when the next message is due
        # The encoder's rule; the period, which the encoder has to measure, is known here.
        source = self._source
        pairer: StereoPairer[int] = StereoPairer(source.tolerance, horizon=HORIZON, most=MOST, period=source.period)
        sides = dict(zip(source.topics, SIDES))
        messages = source.messages(self.parameters.start, self.parameters.other_topics)
        for message in _prefetched(messages, self._stop):
            gap = 0.0 if last is None else (message.stamp - last) / 1e9
            last = message.stamp
            if gap > LONGEST_GAP:
                self.get_logger().info(
                    f"{gap:.0f} s without a message in the recording; waiting {LONGEST_GAP:g} s instead"
                )
            moment += min(max(gap, 0.0), LONGEST_GAP) / self.parameters.rate
            if not self._wait_until(moment, message.stamp):
                return pairs, unanswered
            done: list[tuple[int, int]] = []
            if message.topic in sides:
                stamp = stamp_in(message.data)
                done = pairer.add(sides[message.topic], stamp, stamp)
            if done:
                pairs, self._last_pair = pairs + len(done), done[-1][0]
                self._expected = self._last_pair if self.parameters.acknowledge else 0
            publisher = self._publisher(message.topic, message.type)
            if publisher is not None:
                publisher.publish(message.data)
            if self._expected:
                waiting = time.monotonic()
                unanswered += not self._wait_for_answer()
                moment += time.monotonic() - waiting  # the drive stands still meanwhile
        return pairs, unanswered

    def _wait_until(self, moment: float, stamp: int) -> bool:
        """Sleep until a moment of time.monotonic(), when the drive's time is `stamp`; /clock goes on. False: stop."""
        while not self._stop.is_set():
            left = moment - time.monotonic()
            if self._time:
                now = stamp - max(0, round(left * self.parameters.rate * 1e9))
                clock = Clock()
                clock.clock.sec, clock.clock.nanosec = divmod(now, 10**9)
                self._time.publish(clock)
            if left <= 0:
                return True
            self._stop.wait(min(left, CLOCK_STEP) if self._time else left)
        return False

    def _wait_for_answer(self) -> bool:
        """Return whether the answer to the last pair came in time."""
        limit, topic, stamp = self.parameters.acknowledge_timeout, self.parameters.acknowledge, self._expected
        with self._answered:
            self._answered.wait_for(lambda: not self._expected or self._stop.is_set(), limit)
            came, self._expected = not self._expected, 0
        if not came and not self._stop.is_set():
            self.get_logger().warning(f"no answer on {topic} to the image of {stamp / 1e9:.3f} s within {limit:g} s")
        return came


def _prefetched(items: Iterable, stop: threading.Event, depth: int = 12) -> Iterator:
    """Yield the items, read ahead in a thread so that decoding files doesn't disturb the pace; its
    errors come out here.
    """
    ready: queue.Queue = queue.Queue(depth)

    def put(kind: str, value: object) -> bool:
        while not stop.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except Exception as error:
            put("error", error)

    threading.Thread(target=read, name="reader", daemon=True).start()
    while not stop.is_set():
        try:
            kind, value = ready.get(timeout=0.1)
        except queue.Empty:
            continue
        if kind == "item":
            yield value
        elif kind == "error":
            raise value
        else:
            return


def describe(
    path: str, preset: str, left: str, right: str, rectify: str, calibration_file: str, assume_rectified: str
) -> int:
    """Print, as JSON, what pipeline.launch.py has to know of a recording before it starts the nodes; exit status."""
    try:
        how: dict[str, Any] = {"rectify": rectify, "calibration_file": calibration_file}
        with open_stereo(path, preset, left, right, assume_rectified=bool(assume_rectified), **how) as source:
            print(json.dumps({"compressed": source.compressed}))
    except (SicmError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def main(args: list[str] | None = None) -> int:
    """Play until the end, Ctrl-C or SIGTERM; exit status 2 if something is wrong with the recording."""
    if sys.argv[1:2] == [DESCRIBE]:
        return describe(*sys.argv[2:])
    return run(ReplayNode, args, sends_pictures=True)


if __name__ == "__main__":
    raise SystemExit(main())
