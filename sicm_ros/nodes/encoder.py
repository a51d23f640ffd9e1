"""encoder_node: a stereo camera in, feature messages out; or boxes alone, where the link has no room for features."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Float64

from sicm_ros.bags.camera_info import stereo_calibration
from sicm_ros.bitstream import VERSION, box_packet
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.link.congestion import AdaptiveTarget, Report
from sicm_ros.link.rate import Coded, RateController, SizeModel, within_limit
from sicm_ros.nodes import qos
from sicm_ros.nodes.health import Health
from sicm_ros.nodes.images import rgb
from sicm_ros.nodes.managed import ManagedNode
from sicm_ros.nodes.pairing import SIDES, StereoPairer
from sicm_ros.nodes.parameters import ENCODER
from sicm_ros.nodes.process import run

SMALLEST = 32  # pixels of a picture's side: below it there is nothing to see
INFO_ATTEMPTS, INFO_WAIT = 6, 0.01  # looks for a camera_info that is late, and seconds between two of them
ALIGNMENT = 8  # bytes at most that serialisation adds between the fields and a payload
LEAST_SHARE = 0.05  # of target_kbit_s, which `adaptive` never goes below: something has to test the link
INFOS = 32  # camera_info messages of one camera that are kept to find the one with a picture's stamp


@dataclass(frozen=True)
class Pair:
    """One job: the messages of both pictures, and node time (s) when the second one came."""

    left: Image | CompressedImage
    right: Image | CompressedImage
    arrived: float
    health: Health


@dataclass(frozen=True)
class Seen:
    """A pair as the model takes it: uint8 RGB pictures and their calibration."""

    left: np.ndarray
    right: np.ndarray
    calibration: StereoCalibration


class EncoderNode(ManagedNode):
    """Pairs pictures, encodes them in the worker's thread, publishes features and, latched, the codec's description."""

    def __init__(self) -> None:
        counters = ("received_left", "received_right", "paired", "encoded", "published")
        super().__init__("encoder", ENCODER)
        self.health = self.new_health((*counters, "boxes"))
        self.health.facts = self._facts
        from sicm_ros.msg import CodecDescription, CompressedStereoFeatures, LinkFeedback

        self._features_type, self._description_type = CompressedStereoFeatures, CodecDescription
        self._feedback_type = LinkFeedback
        override = qos.overridable()
        self._features = self.create_lifecycle_publisher(
            CompressedStereoFeatures, "features", qos.features(), qos_overriding_options=override
        )
        self._description = self.create_lifecycle_publisher(
            CodecDescription, "codec_description", qos.latched(), qos_overriding_options=override
        )
        self._sequence = 0
        self._offset_heard = 0.0
        self.forget()

    def forget(self) -> None:
        # The tolerance of the pairing is fixed, the pictures before a deactivation are nothing to wait for.
        self._pairer = StereoPairer(round(self.parameters.pair_tolerance * 1e9), self.health.tally.drop)
        self._infos: dict[str, deque[CameraInfo]] = {side: deque(maxlen=INFOS) for side in SIDES}
        self._stamped = False  # the last picture had a camera_info of its own stamp
        self._rig: tuple[Any, StereoCalibration] | None = None
        self._described: StereoCalibration | None = None
        self._rate: RateController | None = None
        self._adaptive: AdaptiveTarget | None = None
        self._quality_in_use: float | None = None

    # -- executor's thread: receive and pair --------------------------------------------------------------------------

    def subscribe(self) -> None:
        kind, suffix = (CompressedImage, "/compressed") if self.parameters.compressed else (Image, "")
        profile, override = qos.sensor(self.parameters.reliable_images), qos.overridable()
        options = {"qos_profile": profile, "qos_overriding_options": override}
        inputs = {}
        self._image_topics, self._info_topics = {}, {}
        for side in SIDES:
            base = self.resolve_topic_name(f"{side}/image_rect_color")
            image_topic, info_topic = base + suffix, f"{base.rpartition('/')[0]}/camera_info"
            self._image_topics[side], self._info_topics[side] = image_topic, info_topic

            def on_image(message: Any, side: str = side, topic: str = image_topic) -> None:
                self.health.heard(topic)
                self._on_image(side, message)

            def on_info(message: CameraInfo, side: str = side, topic: str = info_topic) -> None:
                self.health.heard(topic)
                self._infos[side].append(message)

            inputs[image_topic] = self.create_subscription(kind, image_topic, on_image, **options)
            if info_topic in inputs:
                raise InputError(
                    f"both images ({', '.join(self._image_topics.values())}) share {info_topic}; "
                    "each camera needs a namespace of its own"
                )
            inputs[info_topic] = self.create_subscription(CameraInfo, info_topic, on_info, **options)
        # Bags of KITTI say here what their camera_info can't; most cameras have no such topic, so it isn't awaited.
        if self._offset is None:
            self._offset = self.create_subscription(Float64, "disparity_offset", self._on_offset, qos.latched())
        # Without `adaptive` nobody needs to report.
        if self._feedback is None:
            self._feedback = self.create_subscription(self._feedback_type, "link_feedback", self._on_feedback, 10)
        self.health.listen(inputs)

    _offset: Any = None
    _feedback: Any = None

    def _on_feedback(self, message: Any) -> None:
        adaptive = self._adaptive
        if adaptive is not None:
            report = Report(message.received, message.lost, message.kbit_s, message.delay)
            adaptive.report(time.monotonic(), report)

    def _on_offset(self, message: Float64) -> None:
        if np.isfinite(message.data):
            self._offset_heard = message.data

    def _on_image(self, side: str, message: Any) -> None:
        self.health.tally.count(f"received_{side}")
        pair = self._pairer.add(side, _nanoseconds(message.header.stamp), message)
        if pair is not None:
            self.health.tally.count("paired")
            self.submit(Pair(*pair, self.now(), self.health))

    # -- worker's thread: encode and publish --------------------------------------------------------------------------

    def work(self, jobs: list[Pair]) -> None:
        (pair,) = jobs
        seen = self._look(pair)
        if seen is None:
            return
        message = self._features_type(header=pair.left.header, sequence=self._sequence)
        message.model_fingerprint = np.frombuffer(self.model.fingerprint, np.uint8)
        mode = self.parameters.mode
        refusal = self._put_features(message, seen, send=mode != "boxes")
        if mode == "boxes" or (refusal and mode == "auto"):
            refusal = self._put_boxes(message, seen)
        if refusal:
            self.health.refuse(*refusal)
            return
        self._describe(seen.calibration, pair.left.header)
        self._send(message, pair)

    def _look(self, pair: Pair) -> Seen | None:
        """The pair's pictures and calibration; None where something of it was refused."""
        with self.health.tally.timed("decode_images"):
            left = rgb(pair.left, self._image_topics["left"])
            right = rgb(pair.right, self._image_topics["right"])
        calibration = self._calibration(pair)
        if calibration is None:
            return None
        for side, picture in (("left", left), ("right", right)):
            height, width = picture.shape[:2]
            if (width, height) != (calibration.width, calibration.height):
                self.health.refuse(
                    "size",
                    f"{self._image_topics[side]} is {width} x {height} pixels, {self._info_topics[side]} says "
                    f"{calibration.width} x {calibration.height}; publish the camera_info of that picture",
                )
                return None
            if min(width, height) < SMALLEST:
                self.health.refuse(
                    "size", f"{self._image_topics[side]} is {width} x {height} pixels; at least {SMALLEST} a side"
                )
                return None
        return Seen(left, right, calibration)

    def _put_features(self, message: Any, seen: Seen, send: bool) -> tuple[str, str] | None:
        """Codes a pair into a message; cause and text where the rate or the limit of a packet leaves no room.

        Without `send` the rate's account alone is kept.
        """
        quality = self._quality()
        if quality is None:
            return "rate", f"target_kbit_s {self._rate.target_kbit_s:g} is below what the lowest quality needs"
        if not send:
            return None
        message.content, message.format = self._features_type.FEATURES, VERSION
        limit = self.parameters.max_packet_bytes - len(serialize_message(message)) - ALIGNMENT
        with self.health.tally.timed("encode"):
            coded = self._encode(seen, quality, limit)
        if coded is None:
            return "too_large", f"more than max_packet_bytes {self.parameters.max_packet_bytes} even at quality 0"
        self.health.took("encode", self.model.last_timings)
        self.health.tally.count("encoded")
        self.health.tally.count("encoded_again", coded.attempts - 1)
        message.quality = coded.quality
        message.payload.frombytes(coded.data)
        return None

    def _put_boxes(self, message: Any, seen: Seen) -> tuple[str, str] | None:
        """Detects here, and puts the boxes alone into a message; cause and text where even they don't fit."""
        with self.health.tally.timed("detect"):
            found = self.model.detect_uncompressed(seen.left, seen.right, seen.calibration).detections
        data = box_packet.pack_boxes(
            found.above(self.parameters.min_score),
            self.model.fingerprint,
            self._sequence,
            seen.calibration.width,
            seen.calibration.height,
        )
        message.content, message.format = self._features_type.BOXES, box_packet.VERSION
        message.quality = 0.0
        message.payload.frombytes(data)
        if self._rate is not None and not self._rate.affords(len(serialize_message(message))):
            return "rate", f"target_kbit_s {self._rate.target_kbit_s:g} is below what boxes alone need"
        self.health.tally.count("boxes")
        return None

    def _send(self, message: Any, pair: Pair) -> None:
        health = self.health
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        with health.tally.timed("publish"):
            data = serialize_message(message)
            self._features.publish(data)
        health.tally.count("published")
        coded = message.content == self._features_type.FEATURES
        self._quality_in_use = message.quality if coded else None
        if self._rate is not None:
            if coded:
                self._rate.sent(message.quality, len(data))
            else:
                self._rate.spend(len(data))
        now = self.now()
        health.tally.message(len(data), _nanoseconds(pair.left.header.stamp) * 1e-9, now)
        health.tally.took("since_arrival", now - pair.arrived)
        health.problem = ""

    def _encode(self, seen: Seen, quality: float, limit: int) -> Coded | None:
        """A packet of at most `limit` bytes, at this quality or a lower one; None if there is none."""

        def encode(quality: float) -> bytes:
            return self.model.encode(
                seen.left,
                seen.right,
                seen.calibration,
                quality,
                sequence=self._sequence,
                include_calibration=self.parameters.calibration_in_packets,
            )

        return within_limit(encode, quality, self._rate.model if self._rate else SizeModel(), limit)

    def _quality(self) -> float | None:
        """The quality of the next packet: the parameter's, or what keeps to the target; None to leave the pair out."""
        most = self.parameters.target_kbit_s
        if not most:
            self._rate = self._adaptive = None
            return self.parameters.quality
        if not self.parameters.adaptive:
            self._adaptive = None
        elif self._adaptive is None or self._adaptive.most != most:
            self._adaptive = AdaptiveTarget(LEAST_SHARE * most, most)
        now = time.monotonic()
        target = most if self._adaptive is None else self._adaptive.look(now)
        if self._rate is None:
            self._rate = RateController(target)
        self._rate.target_kbit_s = target
        return self._rate.quality(now)

    def _facts(self) -> dict[str, str]:
        rate, quality = self._rate, self._quality_in_use
        values = {"mode": self.parameters.mode} | ({} if quality is None else {"quality": f"{quality:.3f}"})
        return values if rate is None else values | {"target_kbit_s": f"{rate.target_kbit_s:.3f}"}

    def _calibration(self, pair: Pair) -> StereoCalibration | None:
        """The rig of a pair, from the camera_info with its stamps or else the newest; None where it was refused."""
        infos = []
        for side, picture in (("left", pair.left), ("right", pair.right)):
            info = self._info_of(side, picture.header.stamp)
            if info is None:
                topic = self._info_topics[side]
                self.health.refuse(
                    "no_calibration", f"nothing on {topic} yet; it is needed beside {self._image_topics[side]}"
                )
                return None
            infos.append(info)
        offset = self.parameters.disparity_offset or self._offset_heard
        signature = (*((i.width, i.height, tuple(i.d), tuple(i.p)) for i in infos), offset)
        # Compared in words, since a NaN is not equal to itself.
        if self._rig is None or repr(self._rig[0]) != repr(signature):
            try:
                rig = stereo_calibration(
                    *infos,
                    topics=(self._info_topics["left"], self._info_topics["right"]),
                    disparity_offset=offset,
                    assume_rectified=self.parameters.assume_rectified,
                )
            except CalibrationError as error:
                self.health.problem = str(error)
                self.health.refuse("calibration", f"{error} (or set assume_rectified, if the pictures are)")
                return None
            if self._rig is not None:
                self.get_logger().info(f"the calibration changed: {rig}")
            self._rig = (signature, rig)
        return self._rig[1]

    def _info_of(self, side: str, stamp: Any) -> CameraInfo | None:
        """The camera_info with a picture's stamp, or else the newest one.

        Where the picture before had its own, this one's may be some milliseconds late: a changed calibration must not
        miss the first picture that it belongs to.
        """
        for attempt in range(INFO_ATTEMPTS if self._stamped else 1):
            if attempt:
                time.sleep(INFO_WAIT)
            known = self._infos[side].copy()
            own = [info for info in known if info.header.stamp == stamp]
            if own:
                break
        self._stamped = bool(own)
        return own[-1] if own else known[-1] if known else None

    def _describe(self, calibration: StereoCalibration, header: Any) -> None:
        """Publishes the codec's description if it is new."""
        if calibration == self._described:
            return
        about = self.model.describe()
        c = calibration
        message = self._description_type(
            header=header,
            model=about["name"],
            format=VERSION,
            model_width=about["input_width"],
            model_height=about["input_height"],
            classes=about["classes"],
            width=c.width,
            height=c.height,
            fx=float(c.fx),
            fy=float(c.fy),
            cx=float(c.cx),
            cy=float(c.cy),
            baseline=float(c.baseline),
            disparity_offset=float(c.disparity_offset),
        )
        message.model_fingerprint = np.frombuffer(self.model.fingerprint, np.uint8)
        self._description.publish(message)
        self._described = calibration


def _nanoseconds(stamp: Any) -> int:
    return stamp.sec * 10**9 + stamp.nanosec


def main(args: list[str] | None = None) -> NoReturn:
    """Runs the node until it is told to stop."""
    run(EncoderNode, args)


if __name__ == "__main__":
    main()
