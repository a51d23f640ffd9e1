"""One encoder's stream at a decoder: its topics, its numbers, its calibration, how it fares."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, fields
from statistics import median
from typing import TYPE_CHECKING, Any

from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image, PointCloud2
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import MarkerArray

from sicm_ros.bitstream import FINGERPRINT_BYTES, VERSION, box_packet, unpack
from sicm_ros.errors import BitstreamError, CalibrationError, InputError
from sicm_ros.geometry import Detections, StereoCalibration
from sicm_ros.nodes import messages, qos
from sicm_ros.nodes.health import Health
from sicm_ros.nodes.sequence import Sequence

if TYPE_CHECKING:
    from sicm_ros.nodes.decoder import DecoderNode

COUNTERS = ("received", "lost", "decoded", "boxes", "published", "detections")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass(frozen=True)
class Job:
    """A feature message that may be decoded, its bytes on the wire, and node time (s) when it came."""

    vehicle: Vehicle
    message: Any
    bytes: int
    arrived: float
    detections: Detections | None = None  # of a message that holds boxes alone

    @property
    def health(self) -> Health:
        return self.vehicle.health


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


class Vehicle:
    """Receives and checks in the executor's thread; publishes in the worker's.

    Args:
        node: the decoder.
        name: the vehicle's namespace below the node's own; empty for a decoder of one vehicle.

    Raises:
        InputError: the name is no namespace.
    """

    def __init__(self, node: DecoderNode, name: str = "") -> None:
        from sicm_ros.msg import CodecDescription, CompressedStereoFeatures, DetectionSource, LinkFeedback

        if name and not _NAME.fullmatch(name):
            raise InputError(f"vehicles: {name!r} is no namespace; use letters, digits, _ and /, as in fleet/van_3")
        self.name, self._node = name, node
        self.health = node.new_health(COUNTERS, name)
        self._features_type, self._description_type = CompressedStereoFeatures, CodecDescription
        self._feedback_type, self._source_type = LinkFeedback, DetectionSource

        def publisher(kind: type, topic: str, **profile: Any) -> Any:
            return node.create_lifecycle_publisher(kind, self._topic(topic), **profile)

        results = {"qos_profile": qos.results(), "qos_overriding_options": qos.overridable()}
        self._detections = publisher(Detection3DArray, "detections", **results)
        self._source = publisher(DetectionSource, "detection_source", **results)
        self._markers = publisher(MarkerArray, "markers", **results)
        self.points = publisher(PointCloud2, "points", **results)
        self.bev = publisher(Image, "bev_image", **results)
        self._feedback = publisher(LinkFeedback, "link_feedback", qos_profile=10)
        self._features_topic = node.resolve_topic_name(self._topic("features"))
        self._description: Any = None
        self.forget()

    def _topic(self, name: str) -> str:
        return f"{self.name}/{name}" if self.name else name

    def forget(self) -> None:
        """Drops what is remembered of the encoder."""
        self._sequence = Sequence()
        self.calibration: StereoCalibration | None = None
        self._second = Second()

    # -- executor's thread --------------------------------------------------------------------------------------------

    def subscribe(self) -> None:
        options = {"qos_overriding_options": qos.overridable()}
        # Awaited for its calibration alone, which most packets carry themselves: its silence is no trouble.
        self._description = self._description or self._node.create_subscription(
            self._description_type,
            self._topic("codec_description"),
            self._on_description,
            qos.latched(),
            **options,
        )
        features = self._node.create_subscription(
            self._features_type, self._features_topic, self._on_features, qos.features_received(), **options
        )
        self.health.listen({self._features_topic: features})

    def _on_description(self, message: Any) -> None:
        log, own = self._node.get_logger(), self._node.model
        fingerprint = bytes(message.model_fingerprint)
        if fingerprint != own.fingerprint:
            self.health.problem = self._mismatch(message.model, fingerprint)
            log.error(self.health.problem)
            return
        try:
            values = {field.name: getattr(message, field.name) for field in fields(StereoCalibration)}
            self.calibration = StereoCalibration(**values)
        except CalibrationError as error:
            log.error(f"codec_description: {error}; it is not used")
            return
        log.info(
            f"the encoder uses model {message.model} on {message.width} x {message.height} pixels, "
            f"baseline {message.baseline:.3f} m, frame {message.header.frame_id or '(none)'}"
        )

    def _mismatch(self, name: str, fingerprint: bytes) -> str:
        own = self._node.model
        return (
            f"the encoder uses model {name or 'unknown'} ({fingerprint.hex()}), this decoder {own.name} "
            f"({own.fingerprint.hex()}): give both the same `model`"
        )

    def _on_features(self, message: Any) -> None:
        health, now = self.health, self._node.now()
        health.heard(self._features_topic)
        health.tally.count("received")
        size, stamp = len(serialize_message(message)), _seconds(message.header.stamp)
        health.tally.message(size, stamp, now)
        second = self._second
        second.received, second.bytes = second.received + 1, second.bytes + size
        job = self._checked(message, size, now)
        if job is None:
            return
        lost, cause = self._sequence.check(message.sequence, stamp)
        health.tally.count("lost", lost)
        second.lost += lost
        second.delays.append(now - stamp)
        second.newest = message
        if cause:
            health.tally.drop(cause)
        else:
            self._node.submit(job)

    def _checked(self, message: Any, size: int, now: float) -> Job | None:
        """The job of a message that is whole and meant for this model; says and counts it where it is not.

        Checked before it may take a good one's place in the mailbox.
        """
        refuse, kinds = self.health.refuse, self._features_type
        fingerprint = bytes(message.model_fingerprint)
        if fingerprint != self._node.model.fingerprint:
            refuse("wrong_model", self._mismatch("", fingerprint))
            return None
        version = {kinds.FEATURES: VERSION, kinds.BOXES: box_packet.VERSION}.get(message.content)
        if version is None:
            refuse("content", f"a payload of kind {message.content}; this decoder reads features and boxes: update it")
            return None
        if message.format != version:
            refuse(
                "format", f"packets of version {message.format}; this decoder reads {version}: update the older side"
            )
            return None
        detections = None
        try:
            if message.content == kinds.BOXES:
                detections, of_model, number = box_packet.unpack_boxes(bytes(message.payload))
                calibrated = True
            else:
                packet = unpack(bytes(message.payload))
                of_model, number = packet.fingerprint, packet.sequence
                calibrated = packet.calibration is not None or self.calibration is not None
        except BitstreamError as error:
            refuse("malformed", str(error))
            return None
        if of_model != fingerprint[:FINGERPRINT_BYTES] or number != message.sequence & 0xFFFF:
            refuse("malformed", "the packet is of another message: its model or its number differs")
            return None
        if not calibrated:
            refuse("no_description", "a packet without calibration came before any codec_description")
            return None
        return Job(self, message, size, now, detections)

    def report(self) -> None:
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

    # -- worker's thread ----------------------------------------------------------------------------------------------

    def too_old(self, job: Job) -> bool:
        """Whether a job's stamp lies further back than `max_age_ms`; counts it where it does."""
        most = self._node.parameters.max_age_ms
        age = 1e3 * (self._node.now() - _seconds(job.message.header.stamp))
        if most and age > most:
            self.health.refuse("old", f"a result is {age:.0f} ms old, more than max_age_ms {most:g}")
            return True
        return False

    def publish(self, detections: Detections, job: Job) -> None:
        """Publishes what a message showed."""
        node, health, message = self._node, self.health, job.message
        header, boxes = message.header, job.detections is not None
        health.tally.count("detections", len(detections))
        with health.tally.timed("publish"):
            now = node.now()
            self._detections.publish(messages.detection_array(detections, header))
            self._source.publish(
                self._source_type(
                    header=header,
                    content=message.content,
                    sequence=message.sequence,
                    bytes=job.bytes,
                    quality=message.quality,
                    delay=now - _seconds(header.stamp),
                )
            )
            note = "boxes" if boxes else ""
            self._markers.publish(messages.marker_array(detections, header, node.parameters.marker_lifetime, note))
        health.tally.count("published")
        health.tally.took("since_arrival", node.now() - job.arrived)
        health.problem = ""


def _seconds(stamp: Any) -> float:
    return stamp.sec + stamp.nanosec * 1e-9
