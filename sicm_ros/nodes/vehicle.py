# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One encoder's stream at a decoder: its topics, its numbers, its calibration, how it fares."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray, LabelInfo, VisionInfo
from visualization_msgs.msg import MarkerArray

from sicm_ros.bags import result_messages
from sicm_ros.bags.feature_messages import calibration_of
from sicm_ros.bags.serialization import nanoseconds
from sicm_ros.bitstream import FINGERPRINT_BYTES, VERSION, box_packet, identity, unpack
from sicm_ros.errors import BitstreamError, InputError, printable
from sicm_ros.geometry import Detections, StereoCalibration
from sicm_ros.geometry.boxes import least_score
from sicm_ros.geometry.pose import FramePose
from sicm_ros.model.references import ReceivedPairs
from sicm_ros.msg import (
    CodecDescription,
    CompressedStereoFeatures,
    DecodedPairs,
    DetectionSource,
    LinkFeedback,
)
from sicm_ros.nodes import messages, qos
from sicm_ros.nodes.health import Health
from sicm_ros.nodes.managed import ManagedNode
from sicm_ros.nodes.receiving import subscribe
from sicm_ros.nodes.sequence import Sequence
from sicm_ros.nodes.tracking import SPEECH, tracked_objects
from sicm_ros.nodes.transforms import FrameError, Frames, StaticFrames
from sicm_ros.tracking.following import FARTHEST, Followed, Follower

if TYPE_CHECKING:
    from sicm_ros.model import Result


COUNTERS = ("received", "lost", "decoded", "boxes", "published", "detections", "tracks")
LONGEST_NAME = 256  # characters of a frame's name
_SAID = {
    "repeated": "it was here before; the link repeats messages, or two encoders send on one topic",
    "late": "newer ones were here before; the link reorders messages, or two encoders send on one topic",
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")


@dataclass(frozen=True)
class Job:
    """A feature message that may be decoded, its bytes on the wire, and steady time (s) when it came."""

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


@dataclass(frozen=True)
class Mount:
    """Where a camera is on its vehicle: the pose of its optical frame in the body's."""

    optical: str
    base: str
    pose: FramePose


@dataclass(frozen=True)
class Placement:
    """The frame that results are published in: their header, and the camera's pose in it."""

    header: Header
    camera: FramePose


class Vehicle:
    """Receives and checks in the executor's thread; publishes in a worker's, one at a time.

    Args:
        node: the decoder.
        name: the vehicle's namespace below the node's own; empty for a decoder of one vehicle.
        frames: to find the target frame by; None where results stay in the camera's.
        broadcast: to publish where the camera is; None where nobody wants that.

    Raises:
        InputError: the name is no namespace.
    """

    def __init__(
        self,
        node: ManagedNode,
        name: str = "",
        frames: Frames | None = None,
        broadcast: StaticFrames | None = None,
    ) -> None:
        if name and not _NAME.fullmatch(name):
            raise InputError(f"vehicles: {name!r} is not a namespace; use letters, digits, _ and /, as in fleet/van_3")
        self.name, self._node = name, node
        self.health = node.new_health(COUNTERS, name)
        self._frames, self._broadcast = frames, broadcast
        # Vehicles call their frames alike; where they meet in one tree, each has its name before them.
        self._prefix = f"{name}/" if name and (frames or broadcast) else ""

        def publisher(kind: type, topic: str, **profile: Any) -> Any:
            return node.create_lifecycle_publisher(kind, self._topic(topic), **profile)

        shown = {"qos_profile": qos.results(), "qos_overriding_options": qos.overridable()}
        self._detections = publisher(Detection3DArray, "detections", **shown)
        self._source = publisher(DetectionSource, "detection_source", **shown)
        self._markers = publisher(MarkerArray, "markers", **shown)
        self.points = publisher(PointCloud2, "points", **shown)
        self.bev = publisher(Image, "bev_image", **shown)
        self._objects = publisher(messages.autoware.DetectedObjects, "objects", **shown) if messages.autoware else None
        self._tracks = publisher(SPEECH.TrackedObjects, "tracks", **shown) if node.parameters.tracking else None
        latched = {"qos_profile": qos.latched(), "qos_overriding_options": qos.overridable()}
        self._vision_info = publisher(VisionInfo, "vision_info", **latched)
        self._label_info = publisher(LabelInfo, "label_info", **latched)
        self._announced: float | None = None  # the score that label_info names
        self._feedback = publisher(LinkFeedback, "link_feedback", qos_profile=10)
        self._decoded = publisher(DecodedPairs, "decoded_pairs", qos_profile=qos.acknowledgements())
        self._features_topic = node.resolve_topic_name(self._topic("features"))
        self._description: Any = None
        self._may_say_unmoved = True
        self.forget()

    def _topic(self, name: str) -> str:
        return f"{self.name}/{name}" if self.name else name

    def forget(self) -> None:
        """Drop what is remembered of the encoder."""
        if self._description is not None:  # which gives it again, from the latched message, to whoever subscribes anew
            self._node.destroy_subscription(self._description)
            self._description = None
        self._sequence = Sequence()
        self.calibration: StereoCalibration | None = None
        self._mount: Mount | None = None
        self._announced = None
        self._second = Second()
        self.received_pairs = ReceivedPairs(self._acknowledge)
        self._follower = Follower() if self._node.parameters.tracking else None

    # -- executor's thread --------------------------------------------------------------------------------------------

    def subscribe(self) -> None:
        options: dict[str, Any] = {"qos_overriding_options": qos.overridable()}
        # Most packets carry their calibration themselves: its silence is no trouble.
        described, features = CodecDescription, CompressedStereoFeatures
        topic, refuse = self._node.resolve_topic_name(self._topic("codec_description")), self.health.refuse
        self._description = subscribe(
            self._node, described, topic, self._on_description, qos.latched(), refuse, **options
        )
        topic, profile = self._features_topic, qos.features_received()
        features = subscribe(self._node, features, topic, self._on_features, profile, self._unread, **options)
        self.health.listen({self._features_topic: features})
        self._announce()

    def _announce(self) -> None:
        """Say what the detections are made by, and which classes there are; again where the least score changed."""
        least, model = self._node.parameters.min_score, self._node.model
        if least == self._announced:
            return
        self._announced = least
        header = Header(stamp=self._node.get_clock().now().to_msg())
        labels = self._node.resolve_topic_name(self._topic("label_info"))
        self._vision_info.publish(messages.vision_info(model.name, model.fingerprint, labels, header))
        nearest = float(least_score(0.0, least))
        self._label_info.publish(messages.label_info(model.describe()["classes"], nearest, header))

    def _on_description(self, message: CodecDescription, size: int = 0) -> None:
        log, own = self._node.get_logger(), self._node.model
        fingerprint = bytes(message.model_fingerprint)
        if fingerprint != own.fingerprint:
            self.health.problem = self._mismatch(message.model, fingerprint)
            if self.health.may_say("mismatch"):
                log.error(printable(self.health.problem))
            return
        self._sequence.described()
        try:
            _check_names(message.header.frame_id, message.optical_frame, message.base_frame)
            calibration = calibration_of(message)
            identity(calibration)  # what packets can't name, no packet was made with
        except InputError as error:
            self.health.refuse("description", f"codec_description: {error}; it is not used")
            return
        self.calibration = calibration
        self._mount = self._mount_of(message)
        if self._broadcast is not None:
            if self._mount is None:
                log.warning(f"publish_tf: {self._unplaced()}")
            else:
                mount = self._mount
                self._broadcast.put(self._prefix + mount.base, self._prefix + mount.optical, mount.pose)
        if self.health.may_say("description"):
            said = f"the encoder uses model {message.model} on {message.width} x {message.height} pixels, "
            log.info(printable(f"{said}baseline {message.baseline:.3f} m, frame {message.header.frame_id or '(none)'}"))

    def _mount_of(self, message: CodecDescription) -> Mount | None:
        """Return where the camera is; None where the vehicle doesn't know, or says what can't be."""
        if not message.base_frame or message.optical_frame in ("", message.base_frame):
            return None
        p, q = message.optical_pose.position, message.optical_pose.orientation
        try:
            pose = FramePose.of(np.array([p.x, p.y, p.z]), np.array([q.x, q.y, q.z, q.w]))
        except ValueError as error:
            self._node.get_logger().error(f"codec_description: optical_pose {error}; it is not used")
            return None
        return Mount(message.optical_frame, message.base_frame, pose)

    def _unplaced(self) -> str:
        whose = f" of {self.name}" if self.name else ""
        return (
            f"codec_description doesn't say where the camera{whose} is: set the encoder's optical_pose, or let the "
            "vehicle publish /tf_static"
        )

    def _mismatch(self, name: str, fingerprint: bytes) -> str:
        own = self._node.model
        return (
            f"the encoder uses model {name or 'unknown'} ({fingerprint.hex()}), this decoder {own.name} "
            f"({own.fingerprint.hex()}): give both the same `model`"
        )

    def _unread(self, cause: str, text: str) -> None:
        """Count a feature message that was not even unpacked."""
        self.health.tally.count("received")
        self.health.refuse(cause, text)

    def _on_features(self, message: CompressedStereoFeatures, size: int) -> None:
        health = self.health
        health.heard(self._features_topic)
        health.tally.count("received")
        stamp = _seconds(message.header.stamp)
        delay = health.message(size, stamp)
        second = self._second
        second.received, second.bytes = second.received + 1, second.bytes + size
        job = self._checked(message, size)
        if job is None:
            return
        lost, cause = self._sequence.check(message.sequence, stamp, self._node.steady())
        health.tally.count("lost", lost)
        second.lost += lost
        second.delays.append(delay)
        second.newest = message
        if cause:
            health.refuse(cause, f"message {message.sequence} of {stamp:.3f} s: {_SAID[cause]}")
        else:
            self._node.submit(job)

    def _checked(self, message: CompressedStereoFeatures, size: int) -> Job | None:
        """Return the job of a message that is whole and meant for this model; says and counts it where it is not.

        Checked before it may take a good one's place in the mailbox.
        """
        refuse, kinds = self.health.refuse, CompressedStereoFeatures
        fingerprint = bytes(message.model_fingerprint)
        if fingerprint != self._node.model.fingerprint:
            refuse("wrong_model", self._mismatch("", fingerprint))
            return None
        version = {kinds.FEATURES: VERSION, kinds.BOXES: box_packet.VERSION}.get(message.content)
        try:
            _check_names(message.header.frame_id)
        except InputError as error:
            refuse("malformed", str(error))
            return None
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
                # A reference brings its calibration with it.
                calibrated = bool(packet.calibration or packet.reference or self.calibration)
        except BitstreamError as error:
            refuse("malformed", str(error))
            return None
        if of_model != fingerprint[:FINGERPRINT_BYTES] or number != message.sequence & 0xFFFF:
            refuse("malformed", "the packet is of another message: its model or its number differs")
            return None
        if not calibrated:
            refuse("no_description", "a packet without calibration came before any codec_description")
            return None
        return Job(self, message, size, self._node.steady(), detections)

    def _acknowledge(self) -> None:
        """Tell the encoder which pairs are here, so that it may refer to them."""
        said = self.received_pairs.acknowledgement()
        numbers, identities = zip(*said.pairs, strict=True) if said.pairs else ((), ())
        self._decoded.publish(
            DecodedPairs(
                decoder=said.decoder, sequences=list(numbers), identities=list(identities), missing=said.missing
            )
        )

    def report(self) -> None:
        """Tell the encoder how its messages arrive, once there were any to judge by; and listeners what changed."""
        if self._announced is not None:
            self._announce()
        second, self._second = self._second, Second()
        if second.newest is None:
            return
        self._feedback.publish(
            LinkFeedback(
                header=second.newest.header,
                sequence=second.newest.sequence,
                received=second.received,
                lost=second.lost,
                kbit_s=second.bytes * 8e-3 / max(time.monotonic() - second.begin, 1e-3),
                delay=median(second.delays),
            )
        )

    # -- a worker's thread -------------------------------------------------------------------------------------------

    def too_old(self, job: Job) -> bool:
        """Return whether a job's stamp lies further back than `max_age_ms`; counts it where it does."""
        most = self._node.parameters.max_age_ms
        age = 1e3 * (self._node.now() - _seconds(job.message.header.stamp))
        if most and age > most:
            self.health.refuse("old", f"a result is {age:.0f} ms old, more than max_age_ms {most:g}")
            return True
        return False

    def overslept(self, job: Job) -> bool:
        """Return whether a job is left over from before the process stood still; counts it where it is."""
        delay = self._node.now() - _seconds(job.message.header.stamp)
        return self._node.overslept(self.health, job.arrived, delay)

    def place(self, job: Job) -> Placement | None:
        """Return where the results of a job are published; None where nobody knows: it is counted, and said."""
        header, target = job.message.header, self._node.parameters.target_frame
        optical = f"{self._prefix}{header.frame_id}" if header.frame_id else ""
        if not target:
            return Placement(Header(stamp=header.stamp, frame_id=optical), FramePose.identity())
        frame = self._frame(target)
        try:
            camera = self._camera_in(frame, header)
        except FrameError as error:
            self.health.refuse(error.cause, f"target_frame {target}: {error}")
            return None
        return Placement(Header(stamp=header.stamp, frame_id=frame), camera)

    def _frame(self, name: str) -> str:
        """Return a frame that a parameter names, on /tf: the vehicle's own, unless a slash says that
        it is everybody's.
        """
        return name.lstrip("/") if name.startswith("/") else f"{self._prefix}{name}"

    def _camera_in(self, frame: str, header: Header) -> FramePose:
        """Return the camera's pose in a frame: by /tf, or else from where the vehicle says that the camera is.

        Raises:
            FrameError: neither knows.
        """
        frames = self._frames
        assert frames is not None, "asked for only where frames are looked up"
        if not header.frame_id:
            raise FrameError("the images have no frame (header.frame_id is empty): set it in the camera driver")
        try:
            return frames.find(frame, f"{self._prefix}{header.frame_id}", header.stamp)
        except FrameError as error:
            mount = self._mount
            if mount is None or mount.optical != header.frame_id:
                raise FrameError(f"{error}; {self._unplaced()}") from None
        return frames.find(frame, f"{self._prefix}{mount.base}", header.stamp) @ mount.pose

    def follow(self, found: Detections, job: Job, result: Result | None) -> Followed:
        """Return what a message showed, as it is published: the likely ones, with the ids of their tracks.

        Args:
            result: of its features; None of a message that holds boxes alone.
        """
        health, header, parameters = self.health, job.message.header, self._node.parameters
        if self._follower is None:
            return Followed(found.take(found.likely(parameters.min_score)))
        camera = None
        if parameters.odometry_frame:
            try:
                camera = self._camera_in(self._frame(parameters.odometry_frame), header)
            except FrameError as error:
                health.tally.count("without_odometry")
                self._node.get_logger().warning(
                    f"odometry_frame {parameters.odometry_frame}: {error}; velocities may be relative to the camera",
                    throttle_duration_sec=5.0,
                )
        with health.tally.timed("track"):
            return self._follower.follow(
                found,
                _seconds(header.stamp),
                camera,
                parameters.min_score,
                parameters.rescore,
                result if parameters.visual_odometry else None,
            )

    def publish(self, followed: Followed, job: Job, placement: Placement) -> None:
        """Publish what a message showed."""
        health, message, parameters = self.health, job.message, self._node.parameters
        detections, header = followed.detections, placement.header
        boxes = messages.placed(detections, placement.camera, followed.ids)
        health.tally.count("detections", len(detections))
        with health.tally.timed("publish"):
            now = self._node.now()
            self._detections.publish(result_messages.detection_array(boxes, header, parameters.other_classes))
            self._source.publish(
                DetectionSource(
                    header=header,
                    content=message.content,
                    sequence=message.sequence,
                    bytes=job.bytes,
                    quality=message.quality,
                    delay=now - _seconds(header.stamp),
                )
            )
            note = "boxes" if job.detections is not None else ""
            trails = self._publish_tracks(followed, placement) if followed.tracks is not None else []
            self._markers.publish(result_messages.marker_array(boxes, header, parameters.marker_lifetime, note, trails))
            if self._objects is not None and self._objects.get_subscription_count():
                self._objects.publish(messages.detected_objects(boxes, header, parameters.other_classes))
        health.tally.count("published")
        health.tally.took("since_arrival", self._node.steady() - job.arrived)
        health.problem = ""

    def _publish_tracks(self, followed: Followed, placement: Placement) -> list[np.ndarray]:
        """Publish the likely tracks; return where each has been, (M, 3) in the frame of the results."""
        assert self._follower is not None
        assert followed.tracks is not None
        assert self._tracks is not None
        parameters, header = self._node.parameters, placement.header
        tracks = followed.tracks.take(followed.tracks.boxes.likely(parameters.min_score))
        trails = [placement.camera.points(trail) for trail in tracks.trails]
        stamp = _seconds(header.stamp)
        seconds = self._node.now() - stamp if parameters.extrapolate else 0.0
        if not 0 <= seconds <= FARTHEST:  # nan without a clock
            if self._may_say_unmoved:  # rclpy's `once` would look for its caller each time, which takes a millisecond
                self._may_say_unmoved = False
                self._node.get_logger().warning(
                    f"extrapolate: tracks are {seconds:.3g} s old by this node's clock; expected 0 to {FARTHEST:g} s, "
                    "so they stay at their image's time (use_sim_time with a bag?)"
                )
            self.health.tally.count("not_extrapolated")
            seconds = 0.0
        camera = self._follower.placed(placement.camera, stamp, seconds)
        if seconds:
            tracks = tracks.after(seconds)
            header = Header(stamp=_later(header.stamp, seconds), frame_id=header.frame_id)
        self.health.tally.count("tracks", len(tracks))
        self._tracks.publish(tracked_objects(tracks, camera, self._follower.session, header, parameters.other_classes))
        return trails


def _later(stamp: Any, seconds: float) -> Any:
    """Return a stamp, some seconds later."""
    later = nanoseconds(stamp) + round(seconds * 1e9)
    return Time(sec=later // 10**9, nanosec=later % 10**9)


def _check_names(*names: str) -> None:
    """Raise InputError if a frame has a name that no frame has: it would come back with every result."""
    for name in names:
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise InputError(f"frame '{printable(name, 60)}'; expected a name of at most {LONGEST_NAME} characters")


def _seconds(stamp: Any) -> float:
    return stamp.sec + stamp.nanosec * 1e-9
