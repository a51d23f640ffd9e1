"""decoder_node: feature messages in, 3D detections out. It never sees a picture."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from statistics import median
from typing import Any, NoReturn

import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, PointCloud2
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from sicm_ros.bitstream import FINGERPRINT_BYTES, VERSION, unpack
from sicm_ros.errors import BitstreamError, CalibrationError
from sicm_ros.geometry import Detections, StereoCalibration
from sicm_ros.nodes import messages, qos
from sicm_ros.nodes.managed import ManagedNode
from sicm_ros.nodes.parameters import DECODER
from sicm_ros.nodes.points import matched_points
from sicm_ros.nodes.process import run
from sicm_ros.nodes.sequence import Sequence
from sicm_ros.pictures import DETECTION, birds_eye

FEEDBACK_PERIOD = 1.0  # seconds between two reports to the encoder


@dataclass(frozen=True)
class Job:
    """A feature message that may be decoded, and node time (s) when it came."""

    message: Any
    arrived: float


@dataclass
class Second:
    """What has arrived since the last report to the encoder.

    Attributes:
        newest: the last feature message; None before any.
        received, lost: messages.
        bytes: of whole messages.
        delays: arrival less stamp, seconds.
        begin: seconds of the steady clock.
    """

    newest: Any = None
    received: int = 0
    lost: int = 0
    bytes: int = 0
    delays: list[float] = field(default_factory=list)
    begin: float = field(default_factory=time.monotonic)


class DecoderNode(ManagedNode):
    """Checks feature messages, decodes the newest one in the worker's thread, publishes what it shows."""

    def __init__(self) -> None:
        super().__init__("decoder", DECODER, ("received", "lost", "decoded", "published", "detections"))
        from sicm_ros.msg import CodecDescription, CompressedStereoFeatures, LinkFeedback

        self._features_type, self._description_type = CompressedStereoFeatures, CodecDescription
        self._feedback_type = LinkFeedback
        results = {"qos_profile": qos.results(), "qos_overriding_options": qos.overridable()}
        self._detections = self.create_lifecycle_publisher(Detection3DArray, "detections", **results)
        self._markers = self.create_lifecycle_publisher(MarkerArray, "markers", **results)
        self._points = self.create_lifecycle_publisher(PointCloud2, "points", **results)
        self._bev = self.create_lifecycle_publisher(Image, "bev_image", **results)
        self._feedback = self.create_lifecycle_publisher(LinkFeedback, "link_feedback", 10)
        self.create_timer(FEEDBACK_PERIOD, self._report, clock=self._steady)
        self.forget()

    def forget(self) -> None:
        self._sequence = Sequence()
        self._calibration: StereoCalibration | None = None
        self._second = Second()

    # -- executor's thread: receive and check -------------------------------------------------------------------------

    def subscribe(self) -> dict[str, Any]:
        topic = self.resolve_topic_name("features")
        options = {"qos_overriding_options": qos.overridable()}
        # Awaited for its calibration alone, which most packets carry themselves: its silence is no trouble.
        self._description = self._description or self.create_subscription(
            self._description_type, "codec_description", self._on_description, qos.latched(), **options
        )
        features = self.create_subscription(
            self._features_type, topic, self._on_features, qos.features_received(), **options
        )
        return {topic: features}

    _description: Any = None

    def _on_description(self, message: Any) -> None:
        fingerprint = bytes(message.model_fingerprint)
        if fingerprint != self.model.fingerprint:
            self.problem = self._mismatch(message.model, fingerprint)
            self.get_logger().error(self.problem)
            return
        try:
            values = {field.name: getattr(message, field.name) for field in fields(StereoCalibration)}
            self._calibration = StereoCalibration(**values)
        except CalibrationError as error:
            self.get_logger().error(f"codec_description: {error}; it is not used")
            return
        self.get_logger().info(
            f"the encoder uses model {message.model} on {message.width} x {message.height} pixels, "
            f"baseline {message.baseline:.3f} m, frame {message.header.frame_id or '(none)'}"
        )

    def _mismatch(self, name: str, fingerprint: bytes) -> str:
        own = self.model.describe()["name"]
        return (
            f"the encoder uses model {name or 'unknown'} ({fingerprint.hex()}), this decoder {own} "
            f"({self.model.fingerprint.hex()}): give both the same `model`"
        )

    def _on_features(self, message: Any) -> None:
        self.heard(self.resolve_topic_name("features"))
        self.tally.count("received")
        now = self.now()
        size, stamp = len(serialize_message(message)), _seconds(message.header.stamp)
        self.tally.message(size, stamp, now)
        second = self._second
        second.received, second.bytes = second.received + 1, second.bytes + size
        if not self._may_decode(message):
            return
        lost, cause = self._sequence.check(message.sequence, stamp)
        self.tally.count("lost", lost)
        second.lost += lost
        second.delays.append(now - stamp)
        second.newest = message
        if cause:
            self.tally.drop(cause)
        else:
            self.submit(Job(message, now))

    def _report(self) -> None:
        """Tells the encoder how its messages arrive, once there were any to judge by."""
        second, self._second = self._second, Second()
        if second.newest is None:
            return
        self._feedback.publish(
            self._feedback_type(
                header=second.newest.header,
                sequence=second.newest.sequence,
                received=second.received,
                lost=second.lost,
                kbit_s=second.bytes * 8e-3 / max(time.monotonic() - second.begin, 1e-3),
                delay=median(second.delays),
            )
        )

    def _may_decode(self, message: Any) -> bool:
        """Whether a message is whole and meant for this model; says and counts it where not.

        Checked before it may take a good one's place in the mailbox.
        """
        fingerprint = bytes(message.model_fingerprint)
        if fingerprint != self.model.fingerprint:
            self.refuse("wrong_model", self._mismatch("", fingerprint))
        elif message.content != self._features_type.FEATURES:
            self.refuse("content", f"a payload of kind {message.content}; this decoder reads features: update it")
        elif message.format != VERSION:
            self.refuse(
                "format", f"packets of version {message.format}; this decoder reads {VERSION}: update the older side"
            )
        else:
            try:
                packet = unpack(bytes(message.payload))
            except BitstreamError as error:
                self.refuse("malformed", str(error))
                return False
            if packet.fingerprint != fingerprint[:FINGERPRINT_BYTES] or packet.sequence != message.sequence & 0xFFFF:
                self.refuse("malformed", "the packet is of another message: its model or its number differs")
                return False
            if packet.calibration is None and self._calibration is None:
                self.refuse("no_description", "a packet without calibration came before any codec_description")
                return False
            return True
        return False

    # -- worker's thread: decode and publish --------------------------------------------------------------------------

    def work(self, job: Job) -> None:
        header = job.message.header
        try:
            with self.tally.timed("decode"):
                result = self.model.decode(bytes(job.message.payload), self._calibration)
        except BitstreamError as error:
            self.refuse("malformed", str(error))
            return
        self.took("decode", result.timings)
        self.tally.count("decoded")
        age, most = 1e3 * (self.now() - _seconds(header.stamp)), self.parameters.max_age_ms
        if most and age > most:
            self.refuse("old", f"a result is {age:.0f} ms old, more than max_age_ms {most:g}")
            return
        detections = _above(result.detections, self.parameters.min_score)
        self.tally.count("detections", len(detections))
        with self.tally.timed("publish"):
            self._detections.publish(messages.detection_array(detections, header))
            self._markers.publish(messages.marker_array(detections, header, self.parameters.marker_lifetime))
        self.tally.count("published")
        self.tally.took("since_arrival", self.now() - job.arrived)
        self.problem = ""
        if self._points.get_subscription_count() or self._bev.get_subscription_count():
            with self.tally.timed("extras"):
                self._publish_extras(result, detections, header)

    def _publish_extras(self, result: Any, detections: Detections, header: Any) -> None:
        """Points and the bird's-eye view, which nobody has to pay for who doesn't look."""
        view = result.view
        points = matched_points(result.disparity, view, self.parameters.max_depth)
        if self._points.get_subscription_count():
            self._points.publish(messages.point_cloud(points, header))
        if self._bev.get_subscription_count():
            canvas = birds_eye([(detections, DETECTION)], view.source, depth=self.parameters.bev_depth, points=points)
            self._bev.publish(messages.picture(canvas, header))


def _above(detections: Detections, score: float) -> Detections:
    keep = np.asarray(detections.scores) >= score
    return Detections(**{field.name: getattr(detections, field.name)[keep] for field in fields(Detections)})


def _seconds(stamp: Any) -> float:
    return stamp.sec + stamp.nanosec * 1e-9


def main(args: list[str] | None = None) -> NoReturn:
    """Runs the node until it is told to stop."""
    run(DecoderNode, args)


if __name__ == "__main__":
    main()
