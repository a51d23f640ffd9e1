# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""encoder_node: a stereo camera in, feature messages out; or boxes alone, where the link has no room for features."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.clock import ROSClock
from rclpy.qos import DurabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Float64

from sicm_ros.bags.camera_info import check_sizes
from sicm_ros.bags.conversion import half
from sicm_ros.bags.feature_messages import description_fields, pose_fields
from sicm_ros.bags.images import PixelDepth, reducible
from sicm_ros.bags.pairing import SIDES, StereoPairer
from sicm_ros.bags.presets import IMAGES, Preset, bare, find_preset, info_places, places
from sicm_ros.bags.rig import CameraRig, how_to_rectify
from sicm_ros.bags.serialization import nanoseconds
from sicm_ros.bags.stamps import Stamps
from sicm_ros.bitstream import VERSION, box_packet, refers
from sicm_ros.errors import InputError
from sicm_ros.geometry import ImagePair, StereoCalibration
from sicm_ros.geometry.calibration_file import read_calibration_file
from sicm_ros.geometry.pose import FramePose, mounted
from sicm_ros.geometry.rectification import EpipolarCheck
from sicm_ros.link.congestion import Report
from sicm_ros.link.quality import QualityChoice
from sicm_ros.model.references import Acknowledgement, SentPairs
from sicm_ros.msg import CodecDescription, CompressedStereoFeatures, DecodedPairs, LinkFeedback
from sicm_ros.nodes import qos
from sicm_ros.nodes.health import Health
from sicm_ros.nodes.images import rgb
from sicm_ros.nodes.intake import Intake
from sicm_ros.nodes.managed import ManagedNode
from sicm_ros.nodes.messages import KINDS
from sicm_ros.nodes.parameters import ENCODER
from sicm_ros.nodes.process import run
from sicm_ros.nodes.receiving import subscribe
from sicm_ros.nodes.rig import BadInfo, Rig
from sicm_ros.nodes.sequence import Gaps
from sicm_ros.nodes.transforms import FrameError, Frames

SEARCH = 0.5  # seconds between two looks for the camera of a preset
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
LATCHED = 0.2  # seconds between two looks for camera_infos that were published once, until there is one
SILENCE = 0.1  # seconds without an image, after which those that wait for the period to be known are paired
ALIGNMENT = 8  # bytes at most that serialisation adds between the fields and a payload


@dataclass(frozen=True)
class Pair:
    """One job: the messages of both images, and steady time (s) when the second one came."""

    left: Image | CompressedImage
    right: Image | CompressedImage
    arrived: float
    health: Health


class EncoderNode(ManagedNode):
    """Pairs images, encodes them in the worker's thread, publishes features and, latched, the codec's description."""

    def __init__(self) -> None:
        counters = ("received_left", "received_right", "missed_left", "missed_right", "paired", "encoded", "published")
        super().__init__("encoder", ENCODER)
        self.health = self.new_health((*counters, "boxes"))
        self.health.facts = self._facts
        override = qos.overridable()
        self._features = self.create_lifecycle_publisher(
            CompressedStereoFeatures, "features", qos.features(), qos_overriding_options=override
        )
        self._description = self.create_lifecycle_publisher(
            CodecDescription, "codec_description", qos.latched(), qos_overriding_options=override
        )
        self._rig: Rig | None = None
        self._sequence = 0
        self._offset_heard = 0.0
        self._optical_pose = mounted(self.parameters.base_frame, self.parameters.optical_pose)
        if file := self.parameters.calibration_file:
            read_calibration_file(file, (640, 480))  # what is wrong with it is said before anything starts
        # Only what is fixed: the pose of a camera that turns is no fact to announce.
        looks = self.parameters.base_frame and self._optical_pose is None
        self._frames = Frames(self, moving=False) if looks else None
        how_to_rectify(self.parameters.rectify, self.parameters.assume_rectified)  # what contradicts itself is said now
        self._preset = self._given_preset()
        self._finder = self.create_timer(SEARCH, self._find_camera, clock=self._steady)
        self._finder.cancel()
        self._decoders = ThreadPoolExecutor(2)
        self._image_topics: dict[str, str] = {}
        self._info_topics: dict[str, str] = {}
        self._latched: dict[str, Any] = {}
        self._silence = self.create_timer(SILENCE, self._settle, clock=self._steady)
        self._silence.cancel()
        self.create_timer(LATCHED, self._look_for_latched, clock=self._steady)
        self.forget()

    def _given_preset(self) -> Preset | None:
        """Return the preset that the parameters name. Raises InputError where no live camera can have it."""
        name = self.parameters.preset
        if not name:
            return None
        preset = find_preset(name)
        if not (preset.camera_info or self.parameters.calibration_file):
            raise InputError(
                f"preset {name}: bags of this layout have no camera_info; play them by `replay`, or give a "
                "calibration_file"
            )
        return preset

    def forget(self) -> None:
        self._finder.cancel()
        # The tolerance of the pairing is fixed, the images before a deactivation are nothing to wait for.
        self._pairer: StereoPairer[Any] = StereoPairer(
            round(self.parameters.pair_tolerance * 1e9), self.health.tally.drop
        )
        self._stamps, self._gaps = Stamps(self.get_logger().warning), Gaps()
        for subscription in self._latched.values():
            self.destroy_subscription(subscription)
        self._latched.clear()
        self._described: tuple | None = None
        self._choice = QualityChoice()
        self._quality_in_use: float | None = None
        self._depth, self._rows = PixelDepth(), EpipolarCheck()
        self._sent_pairs = SentPairs()

    # -- executor's thread: receive and pair --------------------------------------------------------------------------

    def subscribe(self) -> None:
        # Bags of KITTI say here what their camera_info can't; most cameras have no such topic, so it isn't awaited.
        if self._offset is None:
            self._offset = self.create_subscription(Float64, "disparity_offset", self._on_offset, qos.latched())
        # Without `adaptive` nobody needs to report.
        if self._feedback is None:
            topic, refuse = self.resolve_topic_name("link_feedback"), self.health.refuse
            self._feedback = subscribe(self, LinkFeedback, topic, self._on_feedback, 10, refuse)
        if self._decoded is None:
            topic, refuse = self.resolve_topic_name("decoded_pairs"), self.health.refuse
            profile = qos.acknowledgements()
            self._decoded = subscribe(self, DecodedPairs, topic, self._on_decoded, profile, refuse)
        if self._preset is None:
            self._listen(("left/image_rect_color", "right/image_rect_color"))
        elif not self._preset.left.startswith("*"):
            self._listen((self._preset.left, self._preset.right))
        else:
            self.get_logger().info(f"preset {self._preset.name}: looking for {self._preset.left}")
            self._finder.reset()

    def _find_camera(self) -> None:
        """Look for the preset's camera, in whatever namespace it is, and listen to it once it is there."""
        assert self._preset is not None, "the timer runs only with one"
        topics = self.get_topic_names_and_types()
        found = list(places(self._preset, {bare(name) for name, types in topics if set(types) & set(IMAGES)}))
        if len(found) > 1:
            offers = "; ".join(f"{one.left} and {one.right}" for one in found)
            self.health.problem = (
                f"preset {self._preset.name}: several cameras: {offers}; leave out the preset, and remap "
                "left/image_rect_color and right/image_rect_color to one"
            )
        elif not found:
            self.health.problem = (
                f"preset {self._preset.name}: no images on {self._preset.left} and {self._preset.right} yet"
            )
        if len(found) != 1:
            self.get_logger().warning(self.health.problem, throttle_duration_sec=10.0)
            return
        self._finder.cancel()
        self.health.problem = ""
        try:
            self._listen((found[0].left, found[0].right))
        except InputError as error:
            self.health.problem = str(error)
            self.get_logger().error(str(error))

    def _listen(self, names: tuple[str, str]) -> None:
        """Subscribe to both cameras' images, and to their camera_info if it is needed."""
        p = self.parameters
        self._intake = Intake("compressed" if p.compressed and p.transport == "raw" else p.transport, self.health)
        profile, override = qos.sensor(p.reliable_images), qos.overridable()
        options: dict[str, Any] = {"qos_profile": profile, "qos_overriding_options": override}
        inputs: dict[str, Any] = {}
        for side, name in zip(SIDES, names):
            named = self.resolve_topic_name(name)
            image_topic = self._intake.topic(named)
            info_topic = self._info_topic(bare(named))
            self._image_topics[side], self._info_topics[side] = image_topic, info_topic
            if image_topic not in inputs:
                on_image: Any = partial(self._on_image, image_topic)  # which takes what is said about a message, too
                inputs[image_topic] = self.create_subscription(self._intake.kind, image_topic, on_image, **options)
            if p.calibration_file:
                continue
            if info_topic in inputs:
                raise InputError(
                    f"both images ({', '.join(self._image_topics.values())}) share {info_topic}; each camera needs a "
                    "namespace of its own, and images that hold both views a calibration_file"
                )
            on_info = partial(self._on_info, side, info_topic)
            inputs[info_topic] = self.create_subscription(CameraInfo, info_topic, on_info, **options)
        rectified = self._preset is not None and self._preset.rectified
        rectify = how_to_rectify(p.rectify, p.assume_rectified, rectified)
        remark = self.get_logger().warning
        self._rig = Rig(self._image_topics, self._info_topics, remark, rectify, p.calibration_file, p.baseline)
        self.health.listen(inputs)

    def _info_topic(self, image: str) -> str:
        """Return where an image topic's camera_info is: its sibling, or where else a preset's camera has it."""
        sibling = f"{image.rpartition('/')[0]}/camera_info"
        if self._preset is None:
            return sibling
        kinds = dict(self.get_topic_names_and_types())
        places = (place for place in info_places(image) if CAMERA_INFO in kinds.get(place, ()))
        return next(places, sibling)

    _intake: Any = None
    _offset: Any = None
    _feedback: Any = None
    _decoded: Any = None

    def _on_decoded(self, message: DecodedPairs, size: int) -> None:
        pairs = list(zip(message.sequences, message.identities))
        self._sent_pairs.acknowledge(Acknowledgement(message.decoder, pairs, message.missing))

    def _on_feedback(self, message: LinkFeedback, size: int) -> None:
        report = Report(message.received, message.lost, message.kbit_s, message.delay)
        if not report.possible:
            self.health.refuse("feedback", f"link_feedback says {report.kbit_s} kbit/s; no decoder does")
            return
        self._choice.report(time.monotonic(), report)

    def _on_offset(self, message: Float64) -> None:
        if np.isfinite(message.data):
            self._offset_heard = message.data

    def _on_image(self, topic: str, message: Any, about: dict) -> None:
        """Take a message of a camera, or of both where their topic is one, and what the middleware says about it."""
        self.health.heard(topic)
        sides = [side for side in SIDES if self._image_topics[side] == topic]
        # Between two messages that come one after the other: others were sent, and newer ones took their place.
        missed = self._gaps.before(topic, about.get("publication_sequence_number"))
        if missed and self.count_publishers(topic) == 1:  # each has numbers of its own
            for side in sides:
                self.health.tally.count(f"missed_{side}", missed)
        # Not when it is our turn to take it: a busy machine lets messages wait.
        sent = about.get("source_timestamp") or time.time_ns()
        for picture in self._intake.pictures(topic, message):
            for side in sides:
                self._on_picture(side, picture, sent)

    def _on_picture(self, side: str, picture: Any, sent: int) -> None:
        self.health.tally.count(f"received_{side}")
        stamp = self._stamps.time(self._image_topics[side], nanoseconds(picture.header.stamp), sent)
        if self._stamps.unusable:
            self._pairer.by_arrival = True
            picture.header.stamp = self._clock_time(stamp)
        self._submit_all(self._pairer.add(side, stamp, picture))
        if self._pairer.undecided:
            self._silence.reset()
        else:
            self._silence.cancel()

    def _clock_time(self, sent: int) -> Time:
        """Return when an image without a time of its own was sent, by the node's clock."""
        clock = self.get_clock()
        if isinstance(clock, ROSClock) and clock.ros_time_is_active:  # the time of messages is the machine's
            return clock.now().to_msg()
        return Time(sec=sent // 10**9, nanosec=sent % 10**9)

    def _settle(self) -> None:
        self._silence.cancel()
        self._submit_all(self._pairer.settle())

    def _submit_all(self, pairs: list[tuple[Any, Any]]) -> None:
        for left, right in pairs:
            self.health.tally.count("paired")
            self.submit(Pair(left, right, self.steady(), self.health))

    def _on_info(self, side: str, topic: str, message: CameraInfo) -> None:
        self.health.heard(topic)
        if self._rig is not None:
            self._rig.put(side, message)

    def _look_for_latched(self) -> None:
        """Listen for camera_infos that were published once, before this node was there."""
        for side, topic in self._info_topics.items():
            if not self.health.inputs or topic in self._latched or self._rig is None or self._rig.knows(side):
                continue
            offers = [p.qos_profile.durability for p in self.get_publishers_info_by_topic(topic)]
            if DurabilityPolicy.TRANSIENT_LOCAL in offers:
                on_info = partial(self._on_info, side, topic)
                self._latched[topic] = self.create_subscription(CameraInfo, topic, on_info, qos.latched())

    # -- worker's thread: encode and publish --------------------------------------------------------------------------

    def work(self, jobs: list[Pair]) -> None:
        (pair,) = jobs
        seen = self._look(pair)
        message = CompressedStereoFeatures(header=pair.left.header, sequence=self._sequence)
        message.model_fingerprint = np.frombuffer(self.model.fingerprint, np.uint8)
        mode = self.parameters.mode
        refusal = self._put_features(message, seen, send=mode != "boxes")
        if mode == "boxes" or (refusal and mode == "auto"):
            refusal = self._put_boxes(message, seen)
        if refusal:
            self.health.refuse(*refusal)
            return
        if self.overslept(self.health, pair.arrived, self.now() - nanoseconds(pair.left.header.stamp) * 1e-9):
            return
        self._describe(seen.calibration, pair.left.header)
        self._send(message, pair)

    def _look(self, pair: Pair) -> ImagePair:
        """Return the pair's rectified images and their calibration. Raises an InputError with a
        `cause` where it is refused.

        What has to be rectified becomes at once what the model looks at, and the calibration is that of this window.
        """
        images = self._image_topics
        reduction = self._reduced = self._reduction(pair)
        left, right = self._pictures(pair, reduction)
        sizes = [(reduction * picture.shape[1], reduction * picture.shape[0]) for picture in (left, right)]
        check_sizes(sizes, (images["left"], images["right"]))
        before, cameras = self._used, self._cameras(pair, sizes[0])
        if cameras is not before and reduction > 1:  # which was for the cameras before
            self._reduced = 1
            left, right = self._pictures(pair)
        seen = ImagePair(left, right, cameras.calibration)
        if cameras.rectification is not None:
            with self.health.tally.timed("rectify"):
                window = self.model.view(cameras.calibration).calibration
                seen = cameras.rectification.apply(left, right, window)
        self._check_rows(seen, cameras)
        return seen

    def _pictures(self, pair: Pair, reduction: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return both images as the messages have them, or reduced."""
        images, messages = self._image_topics, (pair.left, pair.right)

        def decoded(message: Any, side: str) -> np.ndarray:
            return rgb(message, images[side], self._depth, reduction)

        with self.health.tally.timed("decode_images"):
            if pair.left is pair.right:
                left = right = decoded(pair.left, "left")
            elif self.model.computes.threads > 1 and all(map(reducible, messages)):
                left, right = self._decoders.map(decoded, messages, SIDES)  # OpenCV lets other threads run meanwhile
            else:
                left, right = map(decoded, messages, SIDES)
            if images["left"] == images["right"]:
                left, right = half(left, 0), half(right, 1)
        return left, right

    def _reduction(self, pair: Pair) -> int:
        """Return by how much JPEGs may be decoded smaller: as far as the network gets no pixel less.

        The first pairs are decoded whole, as long as their rows are compared; so are images that are rectified here.
        """
        cameras = self._used
        if cameras is None or cameras.rectification is not None or not self._rows.done:
            return 1
        size = cameras.calibration.width, cameras.calibration.height
        if any(reducible(message) != size for message in (pair.left, pair.right)):
            return 1
        return self.model.view(cameras.calibration).reduction()

    def _cameras(self, pair: Pair, size: tuple[int, int]) -> CameraRig:
        """Return the cameras by the pair's own camera_info, or the newest."""
        stamps = pair.left.header.stamp, pair.right.header.stamp
        offset = self.parameters.disparity_offset or self._offset_heard
        if not offset and self._preset is not None:
            offset = self._preset.offset_at(size[0])
        assert self._rig is not None, "made when the node subscribes"
        try:
            cameras, changed = self._rig.cameras(stamps, size, offset)
        except BadInfo as error:
            self.health.problem = str(error)
            raise
        if changed:
            self.get_logger().info(f"the calibration changed: {cameras.calibration}")
        if cameras is not self._used:
            self._used, self._rows = cameras, EpipolarCheck()
            self._say_how(cameras)
        return cameras

    _used: CameraRig | None = None
    _reduced = 1  # how many times smaller the newest pair was decoded

    def _say_how(self, cameras: CameraRig) -> None:
        """Say what becomes of the images of cameras that are new."""
        if expectation := self.model.view(cameras.calibration).expectation:
            self.get_logger().warning(expectation)
        said = self.parameters.calibration_file or self._info_topics["left"]
        if cameras.rectification is not None:
            self.get_logger().info(f"the images are rectified here, by {said}: {cameras.calibration}")
        elif cameras.ignored:
            self.get_logger().warning(
                f"{said} describes a distortion or a rotation, but the images are taken as rectified, by the name of "
                f"{self._image_topics['left']} or a parameter; set rectify to always if they aren't"
            )

    def _check_rows(self, seen: ImagePair, cameras: CameraRig) -> None:
        """Measure, on the first pairs, how well the images are rectified."""
        if self._rows.done:
            return
        self._rows.add(seen, cameras.calibration.fx / seen.calibration.fx)
        error = self._rows.error
        if error is not None and (complaint := error.complaint(cameras.rectification is not None)):
            self.get_logger().warning(complaint)
        elif error is not None:
            self.get_logger().info(f"rows of left and right agree within {error.pixels:.2f} pixels")

    def _put_features(self, message: CompressedStereoFeatures, seen: ImagePair, send: bool) -> tuple[str, str] | None:
        """Code a pair into a message; cause and text where the rate or the limit of a packet leaves no room.

        Without `send` the rate's account alone is kept.
        """
        p = self.parameters
        quality = self._choice.choose(time.monotonic(), p.quality, p.target_kbit_s, p.adaptive)
        if quality is None:
            return "rate", f"target_kbit_s {self._choice.target_kbit_s:g} is below what the lowest quality needs"
        if not send:
            return None
        message.content, message.format = CompressedStereoFeatures.FEATURES, VERSION
        limit = self.parameters.max_packet_bytes - len(serialize_message(message)) - ALIGNMENT
        with self.health.tally.timed("encode"):
            coded = self._choice.encode(lambda quality: self._packet(seen, quality), quality, limit)
        if coded is None:
            return "too_large", f"more than max_packet_bytes {self.parameters.max_packet_bytes} even at quality 0"
        self.health.took("encode", self.model.last_timings)
        self.health.tally.count("encoded")
        self.health.tally.count("encoded_again", coded.attempts - 1)
        self.health.tally.count("referring", refers(coded.data))
        message.quality = coded.quality
        message.payload.frombytes(coded.data)
        return None

    def _put_boxes(self, message: CompressedStereoFeatures, seen: ImagePair) -> tuple[str, str] | None:
        """Detect here, and put the boxes alone into a message; cause and text where even they don't fit."""
        with self.health.tally.timed("detect"):
            found = self.model.detect_uncompressed(seen).detections
        data = box_packet.pack_boxes(
            found.take(found.likely(self.parameters.min_score)),
            self.model.fingerprint,
            self._sequence,
            seen.calibration.width,
            seen.calibration.height,
        )
        message.content, message.format = CompressedStereoFeatures.BOXES, box_packet.VERSION
        message.quality = 0.0
        message.payload.frombytes(data)
        if not self._choice.affords(len(serialize_message(message))):
            return "rate", f"target_kbit_s {self._choice.target_kbit_s:g} is less than boxes alone need"
        self.health.tally.count("boxes")
        return None

    def _send(self, message: Any, pair: Pair) -> None:
        health = self.health
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        with health.tally.timed("publish"):
            data = serialize_message(message)
            self._features.publish(data)
        health.tally.count("published")
        coded = message.content == CompressedStereoFeatures.FEATURES
        self._quality_in_use = message.quality if coded else None
        if coded:
            self._choice.sent(message.quality, len(data))
        else:
            self._choice.spend(len(data))
        health.message(len(data), nanoseconds(pair.left.header.stamp) * 1e-9)
        health.tally.took("since_arrival", self.steady() - pair.arrived)
        health.problem = ""

    def _packet(self, seen: ImagePair, quality: float) -> bytes:
        references = self._sent_pairs if self.parameters.references == "auto" else None
        if references is not None:
            # Whoever listens and doesn't answer may record: then packets stand by themselves.
            references.listeners = self._features.get_subscription_count()
        return self.model.encode(
            seen,
            quality=quality,
            sequence=self._sequence,
            include_calibration=self.parameters.calibration_in_packets,
            references=references,
        )

    def _facts(self) -> dict[str, str]:
        target, quality = self._choice.target_kbit_s, self._quality_in_use
        values = {"mode": self.parameters.mode} | ({} if quality is None else {"quality": f"{quality:.3f}"})
        if self._used is not None:
            values["rectified"] = "here" if self._used.rectification is not None else "before"
        if self._reduced > 1:
            values["decoded_smaller"] = str(self._reduced)
        if self._rows.error is not None:
            values["epipolar_error_px"] = f"{self._rows.error.pixels:.2f}"
        if self._intake is not None and self._intake.delay is not None:
            values["video_delay_pictures"] = str(self._intake.delay)
        return values if target is None else values | {"target_kbit_s": f"{target:.3f}"}

    def _camera_pose(self, header: Any) -> FramePose | None:
        """Return the left camera's pose in base_frame; None where nobody says."""
        if self._frames is None or not header.frame_id:
            return self._optical_pose
        try:
            return self._frames.find(self.parameters.base_frame, header.frame_id, header.stamp)
        except FrameError:
            return None

    def _describe(self, calibration: StereoCalibration, header: Any) -> None:
        """Publish the codec's description if it is new, or the camera's pose has become known."""
        pose = self._camera_pose(header)
        facts = calibration, header.frame_id, pose and (*pose.translation, *pose.quaternion)
        if facts == self._described:
            return
        fields = description_fields(self.model.describe(), VERSION, header.frame_id, calibration)
        if pose is not None:
            fields |= pose_fields(KINDS, self.parameters.base_frame, pose)
        message = CodecDescription(header=header, **fields)
        message.model_fingerprint = np.frombuffer(self.model.fingerprint, np.uint8)
        self._description.publish(message)
        self._described = facts


def main(args: list[str] | None = None) -> NoReturn:
    """Run the node until it is told to stop."""
    run(EncoderNode, args)


if __name__ == "__main__":
    main()
