# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Encoder and decoder as real processes over real DDS: every encoding, every bad input, and what comes after each."""

from __future__ import annotations

import itertools
import math
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from conftest import NodeProcess, Peer, end_all

import sicm_ros
from sicm_ros.bags.camera_info import camera_info_fields
from sicm_ros.bags.images import rgb_from_compressed
from sicm_ros.bitstream import unpack
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import CLASSES
from sicm_ros.model import create, export
from sicm_ros.network import NetworkConfig
from sicm_ros.network.config import CodecConfig, DetectorConfig, ScoreConfig

WIDTH, HEIGHT = 200, 80
RIG = StereoCalibration(150.0, 150.0, 101.5, 30.25, 0.5, WIDTH, HEIGHT)
STAMPS = itertools.count(1_000_000_000_000, 100_000_000)  # nanoseconds; 10 Hz
QUICK = {"threads": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained, small, and sure of itself: there are boxes in every pair."""
    detector = DetectorConfig(
        width=16, matching_width=8, groups=2, disparities=8, head_width=16, scores=ScoreConfig(slope=1.0, shift=7.0)
    )
    codec = CodecConfig(width=16, search=8)
    config = NetworkConfig(input_width=192, input_height=64, codec=codec, detector=detector)
    folder = create(tmp_path_factory.mktemp("model") / "sure", config)
    export(folder)  # as models that ship: no node waits for PyTorch
    return folder


@pytest.fixture(scope="module")
def bus(ros_installed: None) -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def start(ros_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., NodeProcess]]:
    """As conftest's start_node, for processes that several tests share."""
    folder, started = tmp_path_factory.mktemp("logs"), []

    def start(name: str, *arguments: str, **parameters: object) -> NodeProcess:
        words = ["--ros-args", *arguments]
        for key, value in (QUICK | parameters).items():
            words += ["-p", f"{key}:={str(value).lower() if isinstance(value, bool) else value}"]
        started.append(NodeProcess(name, folder / f"{name}_{len(started)}.log", words))
        return started[-1]

    yield start
    end_all(started)


class Diagnostics:
    """The newest status of each node."""

    def __init__(self, bus: Peer) -> None:
        from diagnostic_msgs.msg import DiagnosticArray

        self._bus, self._arrays = bus, bus.listen(DiagnosticArray, "/diagnostics")

    def __call__(self, node: str) -> dict[str, str]:
        for array in reversed(self._arrays):
            for status in array.status:
                if status.name == node:
                    level = str(int.from_bytes(status.level, "little"))
                    return {v.key: v.value for v in status.values} | {"message": status.message, "level": level}
        return {}

    def number(self, node: str, key: str) -> float:
        return float(self(node).get(key, 0))

    def wait_for_more(self, node: str, key: str, than: float) -> None:
        self._bus.wait(lambda: self.number(node, key) > than, what=f"{key} of {node} above {than}")


@pytest.fixture(scope="module")
def diagnostics(bus: Peer) -> Diagnostics:
    return Diagnostics(bus)


def stamp_message(nanoseconds: int):
    from builtin_interfaces.msg import Time

    return Time(sec=nanoseconds // 10**9, nanosec=nanoseconds % 10**9)


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two images with structure, so that the symbols differ from those of another image."""
    random = np.random.default_rng(seed)
    left = cv2.resize(random.integers(0, 256, (10, 25, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return left, np.roll(left, -6, axis=1)


class Camera:
    """A stereo camera on the bus."""

    def __init__(self, bus: Peer, left: str, right: str, compressed: bool = False) -> None:
        from sensor_msgs.msg import CameraInfo, CompressedImage, Image

        kind, suffix = (CompressedImage, "/compressed") if compressed else (Image, "")
        self._compressed = compressed
        self.images = [bus.publisher(kind, topic + suffix) for topic in (left, right)]
        self.infos = [bus.publisher(CameraInfo, topic.rpartition("/")[0] + "/camera_info") for topic in (left, right)]
        self._bus = bus

    def wait_for_encoder(self) -> None:
        self._bus.wait(
            lambda: all(p.get_subscription_count() for p in (*self.images, *self.infos)),
            60,
            "the encoder's subscriptions",
        )

    def send_until(self, answered: Callable[[], Any]) -> None:
        """Sends pairs, one a second, until the first is answered: a match that this side sees is not yet one for the
        other, and what is sent in between is lost.
        """
        end = time.monotonic() + 60
        while not answered():
            assert time.monotonic() < end, "no pair of a minute's was answered"
            self.send(*scene())
            second = time.monotonic() + 1
            while time.monotonic() < second and not answered():
                time.sleep(0.01)

    def info(self, rig: StereoCalibration, side: str, stamp: int, **changes):
        from sensor_msgs.msg import CameraInfo

        info = CameraInfo(**(camera_info_fields(rig, side) | changes))
        info.header.stamp, info.header.frame_id = stamp_message(stamp), f"{side}_optical"
        return info

    def message(self, picture: np.ndarray, side: str, stamp: int, encoding: str = "rgb8", **changes):
        from sensor_msgs.msg import CompressedImage, Image

        if self._compressed:
            image = CompressedImage(format="png")
            image.data.frombytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
        else:
            rows = np.ascontiguousarray(picture).reshape(len(picture), -1).view(np.uint8)
            image = Image(height=len(picture), width=picture.shape[1], encoding=encoding, step=rows.shape[1])
            image.data.frombytes(rows.tobytes())
            for key, value in changes.items():
                setattr(image, key, value)
        image.header.stamp, image.header.frame_id = stamp_message(stamp), f"{side}_optical"
        return image

    def send(
        self,
        left,
        right,
        rig: StereoCalibration | None = RIG,
        encoding: str = "rgb8",
        apart: int = 0,
        stamp: int | None = None,
        **changes,
    ) -> int:
        """Sends one pair (with its camera_info, if there is a rig); the left image's stamp in nanoseconds."""
        stamp = next(STAMPS) if stamp is None else stamp
        if rig is not None:
            for publisher, side in zip(self.infos, ("left", "right")):
                publisher.publish(self.info(rig, side, stamp + (apart if side == "right" else 0)))
        for publisher, side, picture in zip(self.images, ("left", "right"), (left, right)):
            publisher.publish(
                self.message(picture, side, stamp + (apart if side == "right" else 0), encoding, **changes)
            )
        return stamp


def nanoseconds(message) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


class Pipeline:
    """A camera, an encoder, a decoder and everything that they say."""

    def __init__(self, bus: Peer, start: Callable, model: Path, diagnostics: Diagnostics) -> None:
        from sicm_ros.msg import CodecDescription, CompressedStereoFeatures
        from vision_msgs.msg import Detection3DArray
        from visualization_msgs.msg import MarkerArray

        from sicm_ros.nodes import qos

        self.bus, self.model, self.diagnostics = bus, model, diagnostics
        self.features = bus.listen(CompressedStereoFeatures, "features")
        self.descriptions = bus.listen(CodecDescription, "codec_description", qos.latched())
        self.detections = bus.listen(Detection3DArray, "detections")
        self.markers = bus.listen(MarkerArray, "markers")
        self.camera = Camera(bus, "left/image_rect_color", "right/image_rect_color")
        self.sender = bus.publisher(CompressedStereoFeatures, "features", qos.features())
        self.encoder = start("encoder", model=model)
        self.decoder = start("decoder", model=model, min_score=0.0)
        self.camera.wait_for_encoder()
        bus.wait(lambda: bus.node.count_publishers("detections"), what="the decoder")
        bus.wait(lambda: self.sender.get_subscription_count() >= 2, what="the decoder's subscription")
        self.camera.send_until(lambda: self.features and self.detections)

    def features_of(self, stamp: int):
        return self.bus.wait(
            lambda: next((m for m in self.features if nanoseconds(m) == stamp), None), what=f"features of {stamp}"
        )

    def detections_of(self, stamp: int):
        return self.bus.wait(
            lambda: next((m for m in self.detections if nanoseconds(m) == stamp), None), what=f"detections of {stamp}"
        )

    def serve_a_good_pair(self, **options):
        """Sends a pair that nothing is wrong with; its feature message, once the decoder has answered."""
        stamp = self.camera.send(*scene(), **options)
        features = self.features_of(stamp)
        self.detections_of(stamp)
        return features


@pytest.fixture(scope="module")
def pipeline(bus, start, model, diagnostics) -> Pipeline:
    return Pipeline(bus, start, model, diagnostics)


def test_a_pair_becomes_features_and_detections_with_the_left_pictures_header(pipeline: Pipeline):
    stamp = pipeline.camera.send(*scene())
    features, detections = pipeline.features_of(stamp), pipeline.detections_of(stamp)
    assert features.header.frame_id == detections.header.frame_id == "left_optical"
    assert detections.detections
    packet = unpack(bytes(features.payload))
    assert (packet.width, packet.height) == (WIDTH, HEIGHT)
    assert packet.calibration == RIG
    description = pipeline.bus.wait(lambda: pipeline.descriptions and pipeline.descriptions[-1])
    assert bytes(description.model_fingerprint) == bytes(features.model_fingerprint)
    assert (description.fx, description.baseline, description.width) == (RIG.fx, RIG.baseline, WIDTH)
    assert set(description.classes) == set(CLASSES)
    assert (description.optical_frame, description.base_frame) == ("left_optical", "")
    ids = [detection.id for detection in detections.detections if detection.id]
    assert len(set(ids)) == len(ids) > 0
    for detection in detections.detections:
        scores = [r.hypothesis.score for r in detection.results]
        assert {r.hypothesis.class_id for r in detection.results} <= set(description.classes)
        assert 0 <= min(scores) <= max(scores) == scores[0] <= 1
        np.linalg.cholesky(np.array(detection.results[0].pose.covariance).reshape(6, 6))


def test_who_made_the_detections_and_their_classes_are_latched(pipeline: Pipeline):
    from vision_msgs.msg import LabelInfo, VisionInfo

    from sicm_ros.nodes import qos

    infos = pipeline.bus.listen(VisionInfo, "vision_info", qos.latched())
    labels = pipeline.bus.listen(LabelInfo, "label_info", qos.latched())
    pipeline.bus.wait(lambda: infos and labels, what="what is latched")
    assert infos[0].database_location == "/label_info"
    assert bytes(pipeline.descriptions[-1].model_fingerprint).hex() in infos[0].method
    assert {c.class_name for c in labels[0].class_map} == set(pipeline.descriptions[-1].classes)
    pipeline.bus.set_parameters("/decoder", min_score=0.25)
    pipeline.bus.wait(lambda: labels[-1].threshold == pytest.approx(1 / 13), what="the nearest boxes' least score")
    pipeline.bus.set_parameters("/decoder", min_score=0.0)


def test_autoware_hears_of_the_same_objects(pipeline: Pipeline):
    autoware = pytest.importorskip(
        "autoware_perception_msgs.msg", reason="not installed: `make test` builds a stand-in"
    )
    objects = pipeline.bus.listen(autoware.DetectedObjects, "objects")
    pipeline.bus.wait(lambda: pipeline.bus.node.count_publishers("objects"))
    pipeline.bus.wait(lambda: (pipeline.serve_a_good_pair(), objects)[1], what="objects")
    same = pipeline.detections_of(nanoseconds(objects[-1]))
    assert objects[-1].header == same.header
    assert [o.kinematics.pose_with_covariance.pose for o in objects[-1].objects] == [
        d.bbox.center for d in same.detections
    ]


def test_tracks_have_the_ids_of_the_detections_and_are_not_extrapolated_by_a_clock_that_is_not_the_cameras(
    pipeline: Pipeline,
):
    from sicm_ros.nodes.tracking import SPEECH

    tracks = pipeline.bus.listen(SPEECH.TrackedObjects, "tracks")
    pipeline.bus.wait(lambda: pipeline.bus.node.count_publishers("tracks"))
    pipeline.bus.wait(lambda: (pipeline.serve_a_good_pair(), tracks)[1], what="tracks")
    same = pipeline.detections_of(nanoseconds(tracks[-1]))  # stamps are of 1970
    assert tracks[-1].header == same.header
    numbers = {str(int.from_bytes(bytes(thing.object_id.uuid)[8:], "big")) for thing in tracks[-1].objects}
    assert {d.id for d in same.detections if d.id} <= numbers

    def reported() -> bool:  # diagnostics come once a second
        pipeline.serve_a_good_pair()
        return all(pipeline.diagnostics.number("decoder", name) > 0 for name in ("not_extrapolated", "track_ms"))

    pipeline.bus.wait(reported, what="tracks in the diagnostics")


def test_without_a_clock_no_delay_is_made_up(pipeline: Pipeline):
    served = pipeline.serve_a_good_pair

    def delay_is_known() -> bool:
        served()
        return math.isfinite(pipeline.diagnostics.number("decoder", "current_delay_from_realtime_ms"))

    pipeline.bus.wait(delay_is_known, what="a delay")
    try:
        for node in ("/encoder", "/decoder"):
            pipeline.bus.set_parameters(node, use_sim_time=True)
        for node in ("encoder", "decoder"):
            pipeline.bus.wait(
                lambda node=node: (served(), "no clock" in pipeline.diagnostics(node).get("message", ""))[1],
                what=f"no clock at the {node}",
            )
            assert math.isnan(pipeline.diagnostics.number(node, "current_delay_from_realtime_ms"))
            assert 0 < pipeline.diagnostics.number(node, "since_arrival_ms") < 60_000
            pipeline.bus.wait(
                lambda node=node: (served(), pipeline.diagnostics.number(node, "frame_rate_node") > 0)[1],
                what=f"the {node}'s rate without a clock",
            )
    finally:
        for node in ("/encoder", "/decoder"):
            pipeline.bus.set_parameters(node, use_sim_time=False)
    pipeline.bus.wait(delay_is_known, what="a clock again")


def test_results_come_in_the_target_frame_or_not_at_all(pipeline: Pipeline, start, model: Path):
    """Of one vehicle by /tf; of a fleet's, in its own frames, by what its codec_description says."""
    from geometry_msgs.msg import TransformStamped
    from sensor_msgs.msg import PointCloud2
    from tf2_msgs.msg import TFMessage
    from vision_msgs.msg import Detection3DArray

    from sicm_ros.nodes import qos
    from sicm_ros.nodes.tracking import SPEECH
    from sicm_ros.nodes.transforms import STATIC, pose_of

    bus, source = pipeline.bus, ("features", "codec_description")
    one = [word for topic in source for word in ("-r", f"{topic}:=/{topic}")]
    of_fleet = [word for topic in source for word in ("-r", f"van_1/{topic}:=/{topic}")]
    common = {"model": model, "target_frame": "base_link", "min_score": 0.0}
    single = start("decoder", "-r", "__ns:=/placed", *one, odometry_frame="base_link", **common)
    fleet = start("decoder", "-r", "__ns:=/fleet", *of_fleet, "-p", "vehicles:=[van_1]", publish_tf=True, **common)
    placed = bus.listen(Detection3DArray, "/placed/detections")
    points = bus.listen(PointCloud2, "/placed/points")
    van = bus.listen(Detection3DArray, "/fleet/van_1/detections")
    tracks = bus.listen(SPEECH.TrackedObjects, "/placed/tracks")
    frames = bus.listen(TFMessage, "/tf_static", STATIC)
    for node, name in ((single, "placed/decoder"), (fleet, "fleet/van_1/decoder")):
        bus.wait(
            lambda name=name: (
                pipeline.serve_a_good_pair(), pipeline.diagnostics.number(name, "dropped_no_transform"),
            )[1],
            what=f"{name} without a transform",
        )  # fmt: skip
        node.wait_for("target_frame base_link: no transform from frame")
        node.wait_for("doesn't say where the camera")
    assert pipeline.diagnostics.number("placed/decoder", "without_odometry") > 0
    assert not placed
    assert not van
    assert not tracks
    # Now the vehicle says where its camera is; looking ahead, 1.5 m ahead and 1.2 m up, a little to the left.
    transform = TransformStamped(child_frame_id="left_optical")
    transform.header.frame_id = "base_link"
    transform.transform.translation.x, transform.transform.translation.z = 1.5, 1.2
    for key, value in zip("xyzw", (-0.54, 0.46, -0.5, 0.5)):
        setattr(transform.transform.rotation, key, value)
    camera = pose_of(transform.transform)
    bus.publisher(TFMessage, "/tf_static", qos.latched()).publish(TFMessage(transforms=[transform]))
    bus.wait(lambda: (pipeline.serve_a_good_pair(), placed and points and van)[1], what="placed results")
    description = bus.wait(lambda: pipeline.descriptions[-1].base_frame and pipeline.descriptions[-1])
    assert (description.optical_frame, description.base_frame) == ("left_optical", "base_link")
    assert description.optical_pose.position.x == 1.5
    bus.wait(lambda: (pipeline.serve_a_good_pair(), len(tracks) > 3)[1], what="tracks over ground")
    assert tracks[-1].header.frame_id == "base_link"
    unknown: list[float] = []

    def all_is_known() -> bool:  # diagnostics come once a second, some of them of pairs before the transform
        pipeline.serve_a_good_pair()
        unknown.append(pipeline.diagnostics.number("placed/decoder", "without_odometry"))
        return len(unknown) > 20 and len(set(unknown[-20:])) == 1

    bus.wait(all_is_known, what="odometry of each pair")
    # The same boxes, seen from there.
    for array, frame in ((placed[-1], "base_link"), (van[-1], "van_1/base_link")):
        assert array.header.frame_id == frame
        own = pipeline.detections_of(nanoseconds(array))
        assert len(array.detections) == len(own.detections) > 0
        for here, there in zip(own.detections, array.detections):
            a, b = (np.array([getattr(d.bbox.center.position, k) for k in "xyz"]) for d in (here, there))
            np.testing.assert_allclose(b, camera.points(a), atol=1e-6)
    assert points[-1].header.frame_id == "base_link"
    bus.wait(lambda: any(t.child_frame_id == "van_1/left_optical" for m in frames for t in m.transforms))
    said = next(t for m in frames for t in m.transforms if t.child_frame_id == "van_1/left_optical")
    assert said.header.frame_id == "van_1/base_link"
    np.testing.assert_allclose(pose_of(said.transform).rotation, camera.rotation, atol=1e-9)
    for node in (single, fleet):
        node.end()


def test_pictures_stamped_ten_milliseconds_apart_are_a_pair(pipeline: Pipeline):
    stamp = pipeline.camera.send(*scene(), apart=10_000_000)
    pipeline.features_of(stamp)


BAYER = {
    "bayer_rggb8": [[0, 1], [1, 2]],
    "bayer_bggr8": [[2, 1], [1, 0]],
    "bayer_gbrg8": [[1, 2], [0, 1]],
    "bayer_grbg8": [[1, 0], [2, 1]],
}


def as_encoding(rgb: np.ndarray, encoding: str) -> tuple[np.ndarray, dict]:
    """An image in another encoding, and the fields of the message that go with it."""
    match encoding:
        case "rgb8":
            return rgb, {}
        case "rgb8 padded":
            padded = np.zeros((HEIGHT, WIDTH * 3 + 13), np.uint8)
            padded[:, : WIDTH * 3] = rgb.reshape(HEIGHT, -1)
            return padded, {"width": WIDTH, "encoding": "rgb8"}
        case "bgr8":
            return rgb[..., ::-1], {}
        case "rgba8" | "bgra8":
            alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
            return np.concatenate([rgb if encoding == "rgba8" else rgb[..., ::-1], alpha], 2), {}
        case "mono8":
            return rgb[..., 0], {}
        case "mono16" | "mono16 big-endian":
            big = encoding.endswith("endian")
            deep = (rgb[..., 0].astype(np.uint16) << 8 | 0x5A).astype(">u2" if big else "<u2")
            return deep, {"encoding": "mono16", "is_bigendian": int(big), "width": WIDTH}
    tile = np.array(BAYER[encoding])
    pattern = np.tile(tile, (HEIGHT // 2, WIDTH // 2))
    return np.take_along_axis(rgb, pattern[..., None], 2)[..., 0], {}


COLOUR = ["rgb8 padded", "bgr8", "rgba8", "bgra8"]
GREY = ["mono8", "mono16", "mono16 big-endian"]


@pytest.mark.parametrize("encoding", COLOUR + GREY + list(BAYER))
def test_every_encoding_shows_the_same_picture(pipeline: Pipeline, encoding: str):
    left, right = scene(1)
    if encoding in GREY:
        left, right = (np.repeat(p[..., :1], 3, 2) for p in (left, right))
    elif encoding in BAYER:  # areas of one colour: what interpolation gives back exactly, but at the borders
        left = right = np.broadcast_to(np.array([200, 90, 30], np.uint8), left.shape)
    (coded_left, changes), (coded_right, _) = as_encoding(left, encoding), as_encoding(right, encoding)
    name = changes.pop("encoding", encoding)
    plain = unpack(bytes(pipeline.features_of(pipeline.camera.send(left, right)).payload))
    other = pipeline.features_of(pipeline.camera.send(coded_left, coded_right, encoding=name, **changes))
    assert unpack(bytes(other.payload)).payload == plain.payload
    swapped = pipeline.features_of(pipeline.camera.send(left[..., ::-1], right[..., ::-1]))
    if encoding in COLOUR:  # an untrained model tells textures apart, areas of one colour hardly
        assert unpack(bytes(swapped.payload)).payload != plain.payload, (
            "the picture's colours don't matter to this model"
        )


def break_size(camera: Camera) -> None:
    left, right = scene()
    camera.send(left[:60], right[:60])


def break_to_one_pixel(camera: Camera) -> None:
    pixel = np.zeros((1, 1, 3), np.uint8)
    camera.send(pixel, pixel, StereoCalibration(1.0, 1.0, 0.0, 0.0, 0.5, 1, 1))


def break_one_side(camera: Camera) -> None:
    left, right = scene()
    camera.send(left, right[:, :100])


def break_encoding(camera: Camera) -> None:
    camera.send(*scene(), encoding="yuv_of_nobody")


def break_data(camera: Camera) -> None:
    left, right = scene()
    camera.send(left[:10], right[:10], height=HEIGHT)


def break_calibration(changes: Callable[[str], dict]) -> Callable[[Camera], None]:
    def send(camera: Camera) -> None:
        stamp = next(STAMPS)
        for publisher, side in zip(camera.infos, ("left", "right")):
            publisher.publish(camera.info(RIG, side, stamp, **changes(side)))
        time.sleep(0.05)
        for publisher, side, picture in zip(camera.images, ("left", "right"), scene()):
            publisher.publish(camera.message(picture, side, stamp))

    return send


NAN = [float("nan"), *camera_info_fields(RIG, "left")["p"][1:]]


@pytest.mark.parametrize(
    ("broken", "cause", "words"),
    [
        # In turn: of each cause the next one is said after five seconds.
        (break_size, "size", "camera_info says 200 x 80"),
        (break_encoding, "image", "yuv_of_nobody"),
        (break_calibration(lambda side: {"p": NAN}), "calibration", "nan"),
        (break_to_one_pixel, "size", "is 1 x 1 pixels"),
        (break_data, "image", "bytes are not a 2"),
        (break_one_side, "size", "right/image_rect_color is 100 x 80"),
        (break_calibration(lambda side: {"p": camera_info_fields(RIG, "left")["p"]}), "calibration", "baseline"),
        (break_calibration(lambda side: {"width": 100 if side == "right" else WIDTH}), "calibration", "same size"),
    ],
    ids=["size", "encoding", "nan", "1x1", "data", "sizes-differ", "no-baseline", "info-sizes-differ"],
)
def test_bad_pictures_are_counted_and_the_next_good_pair_is_served(pipeline: Pipeline, broken, cause: str, words: str):
    key = f"dropped_{cause}"
    before = pipeline.diagnostics.number("encoder", key)
    broken(pipeline.camera)
    pipeline.diagnostics.wait_for_more("encoder", key, before)
    pipeline.serve_a_good_pair()

    # Said once in five seconds for each cause, so that a stream of bad images doesn't flood the log.
    def said() -> bool:
        if words not in pipeline.encoder.output:
            broken(pipeline.camera)
            time.sleep(0.3)
        return words in pipeline.encoder.output

    pipeline.bus.wait(said, what=words)
    pipeline.serve_a_good_pair()


def test_a_calibration_changed_in_mid_stream_is_followed(pipeline: Pipeline):
    from dataclasses import replace

    pipeline.serve_a_good_pair()
    other = replace(RIG, fx=175.0, fy=175.0, baseline=0.25)
    features = pipeline.serve_a_good_pair(rig=other)
    assert unpack(bytes(features.payload)).calibration == other
    pipeline.bus.wait(lambda: pipeline.descriptions[-1].fx == 175.0, what="a new description")
    assert unpack(bytes(pipeline.serve_a_good_pair().payload)).calibration == RIG


def test_pictures_that_change_size_with_their_camera_info_are_served(pipeline: Pipeline):
    left, right = scene()
    rig = StereoCalibration(90.0, 90.0, 59.5, 23.5, 0.5, 120, 48)
    stamp = pipeline.camera.send(cv2.resize(left, (120, 48)), cv2.resize(right, (120, 48)), rig)
    packet = unpack(bytes(pipeline.features_of(stamp).payload))
    assert (packet.width, packet.height, packet.calibration) == (120, 48, rig)
    pipeline.serve_a_good_pair()


def test_quality_changes_while_the_node_runs_and_nonsense_is_refused(pipeline: Pipeline):
    from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
    from rcl_interfaces.srv import SetParameters

    def ask(value: float) -> bool:
        number = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        request = SetParameters.Request(parameters=[Parameter(name="quality", value=number)])
        return pipeline.bus.call(SetParameters, "/encoder/set_parameters", request).results[0].successful

    assert ask(1.0)
    assert unpack(bytes(pipeline.serve_a_good_pair().payload)).quality == 255
    assert not ask(7.0)
    assert ask(0.5)


# -- what the decoder does with what isn't right ----------------------------------------------------------------------


def copy_of(message):
    from rclpy.serialization import deserialize_message, serialize_message

    return deserialize_message(serialize_message(message), type(message))


def with_payload(message, payload: bytes) -> None:
    while len(message.payload):
        message.payload.pop()
    message.payload.frombytes(payload)


def truncated(message) -> None:
    with_payload(message, bytes(message.payload)[:-3])


def empty(message) -> None:
    with_payload(message, b"")


def bit_flipped(message) -> None:
    message.payload[len(message.payload) // 2] ^= 0x10


def of_another_packet_version(message) -> None:
    message.payload[4] = 0xF0 | message.payload[4] & 0x0F


def of_another_format(message) -> None:
    message.format = 99


def of_unknown_content(message) -> None:
    message.content = 200


def of_another_model(message) -> None:
    message.model_fingerprint[0] ^= 0xFF


def of_another_number(message) -> None:
    message.sequence += 5


@pytest.mark.parametrize(
    ("spoil", "cause", "words"),
    [
        (truncated, "malformed", "packet"),
        (empty, "malformed", "packet"),
        (bit_flipped, "malformed", "packet"),
        (of_another_packet_version, "malformed", "packet"),
        (of_another_number, "malformed", "packet"),
        (of_another_format, "format", "version 99"),
        (of_unknown_content, "content", "kind 200"),
        (of_another_model, "wrong_model", "give both the same"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_bad_messages_are_counted_and_the_next_good_one_is_served(pipeline: Pipeline, spoil, cause: str, words: str):
    key = f"dropped_{cause}"
    message = copy_of(pipeline.serve_a_good_pair())
    before, answered = pipeline.diagnostics.number("decoder", key), len(pipeline.detections)
    message.sequence += 1
    with_payload(message, bytes(message.payload))
    message.header.stamp = stamp_message(next(STAMPS))
    spoil(message)
    pipeline.sender.publish(message)
    pipeline.diagnostics.wait_for_more("decoder", key, before)
    assert len(pipeline.detections) == answered, "a bad message was answered"
    pipeline.decoder.wait_for(words)
    pipeline.serve_a_good_pair()


def test_repeated_messages_are_decoded_once_and_gaps_are_counted_as_lost(pipeline: Pipeline):
    good = pipeline.serve_a_good_pair()
    before = {k: pipeline.diagnostics.number("decoder", k) for k in ("dropped_repeated", "lost")}
    pipeline.sender.publish(good)
    pipeline.diagnostics.wait_for_more("decoder", "dropped_repeated", before["dropped_repeated"])
    assert sum(nanoseconds(d) == nanoseconds(good) for d in pipeline.detections) == 1
    # Loss on the link: the decoder sees the message after the next one.
    from sicm_ros.bitstream import pack

    later = copy_of(good)
    later.sequence += 3
    later.header.stamp = stamp_message(next(STAMPS))
    packet = unpack(bytes(good.payload))
    with_payload(later, pack(type(packet)(**{**vars(packet), "sequence": later.sequence & 0xFFFF})))
    pipeline.sender.publish(later)
    pipeline.detections_of(nanoseconds(later))
    pipeline.diagnostics.wait_for_more("decoder", "lost", before["lost"] + 1)


def test_a_restarted_encoder_is_followed_with_the_same_recording_too(pipeline: Pipeline):
    """Numbers and stamps as they were before: what tells the decoder is the description, which comes with the start."""
    from sicm_ros.msg import CodecDescription

    from sicm_ros.nodes import qos

    first = pipeline.serve_a_good_pair()
    second = pipeline.serve_a_good_pair()
    described = pipeline.bus.publisher(CodecDescription, "codec_description", qos.latched())
    pipeline.bus.wait(described.get_subscription_count, what="the decoder's subscription")
    said = pipeline.decoder.output.count("the encoder uses model")
    described.publish(copy_of(pipeline.descriptions[-1]))
    pipeline.bus.wait(lambda: pipeline.decoder.output.count("the encoder uses model") > said, what="the description")
    for again in (first, second):
        pipeline.sender.publish(again)
        pipeline.bus.wait(
            lambda again=again: sum(nanoseconds(d) == nanoseconds(again) for d in pipeline.detections) == 2,
            what="a second answer to the same pair",
        )
    pipeline.serve_a_good_pair()


def test_points_and_birds_eye_view_come_while_somebody_looks(pipeline: Pipeline):
    from sensor_msgs.msg import Image, PointCloud2

    points, pictures = pipeline.bus.listen(PointCloud2, "points"), pipeline.bus.listen(Image, "bev_image")
    pipeline.bus.wait(lambda: pipeline.bus.node.count_publishers("points"))
    pipeline.bus.wait(lambda: (pipeline.serve_a_good_pair(), points and pictures)[1], what="points and picture")
    # The pair whose image came may have its points a moment later.
    pipeline.bus.wait(lambda: points[-1].header == pictures[-1].header, what="points and picture of one pair")
    assert pictures[-1].encoding == "rgb8"
    assert points[-1].header.frame_id == "left_optical"


def test_diagnostics_account_for_every_picture_and_message(pipeline: Pipeline):
    pipeline.serve_a_good_pair()
    time.sleep(1.5)
    encoder, decoder = pipeline.diagnostics("encoder"), pipeline.diagnostics("decoder")
    for values in (encoder, decoder):
        assert values["engine"] in ("openvino", "onnxruntime")
        assert values["provider"] in ("CPU", "CPUExecutionProvider")
        assert (values["number_type"], values["device"], values["threads"]) == ("float32", "cpu", "1")
    dropped = {k: int(v) for k, v in encoder.items() if k.startswith("dropped_")}
    of_pairs = sum(v for k, v in dropped.items() if k not in ("dropped_unpaired", "dropped_late"))
    assert int(encoder["paired"]) == int(encoder["published"]) + of_pairs
    assert int(encoder["dropped"]) == sum(dropped.values())
    assert int(decoder["received"]) == int(decoder["published"]) + int(decoder["dropped"])
    for key in (
        "bytes",
        "kbit_per_s",
        "encode_ms",
        "encode_ms_p95",
        "frame_rate_msg",
        "current_delay_from_realtime_ms",
    ):
        assert key in encoder
    assert {"decode_ms", "decode_ms_p95", "kbit_per_s", "lost"} <= set(decoder)


def policy_of(node: str) -> dict[str, set[str]]:
    """What config/security/policy.xml allows a node, as absolute names without the vehicle's namespace."""
    tree = ElementTree.parse(Path(__file__).parents[1] / "config" / "security" / "policy.xml")
    profile = next(p for p in tree.iter("profile") if p.get("node") == node)
    allowed: dict[str, set[str]] = {}
    for group in profile:
        names = {name.text.strip().replace("~", f"/{node}") for name in group}
        absolute = {f"/{name.removeprefix('/vehicle_1').lstrip('/')}" for name in names}
        allowed[next(key for key in group.keys())] = absolute  # noqa: SIM118, an Element is no dictionary
    return allowed


@pytest.mark.parametrize("node", ["encoder", "decoder"])
def test_the_security_policy_allows_what_a_node_uses_and_no_more(pipeline: Pipeline, node: str):
    pipeline.serve_a_good_pair()
    graph, allowed = pipeline.bus.node, policy_of(node)

    def used(names_and_types: list) -> set[str]:
        return {name for name, _ in names_and_types}

    said = used(graph.get_publisher_names_and_types_by_node(node, "/"))
    assert said <= allowed["publish"]
    assert allowed["publish"] - said <= {"/objects", "/tf_static"}  # with Autoware's messages; with publish_tf
    heard = used(graph.get_subscriber_names_and_types_by_node(node, "/"))
    optional = {"/clock", "/tf", "/tf_static", *(f"/{side}/image_rect_color/compressed" for side in ("left", "right"))}
    assert heard <= allowed["subscribe"]
    assert allowed["subscribe"] - heard <= optional | {"/parameter_events"}
    assert used(graph.get_service_names_and_types_by_node(node, "/")) == allowed["reply"]


def test_a_decoder_started_late_gets_the_description_and_serves_the_next_message(
    pipeline: Pipeline, start, model: Path
):
    from vision_msgs.msg import Detection3DArray

    pipeline.serve_a_good_pair()
    announced = len(pipeline.descriptions)
    found = pipeline.bus.listen(Detection3DArray, "late_detections")
    late = start("decoder", "-r", "__node:=late", "-r", "detections:=late_detections", model=model)
    late.wait_for("the encoder uses model")
    assert len(pipeline.descriptions) == announced, "the description was sent again, not latched"
    pipeline.bus.wait(lambda: pipeline.bus.node.count_publishers("late_detections"))
    pipeline.camera.send_until(lambda: found)


def test_a_decoder_of_another_model_says_so(pipeline: Pipeline, start, tmp_path: Path):
    pipeline.serve_a_good_pair()
    config = NetworkConfig(input_width=64, input_height=64, codec=CodecConfig(width=8))
    other = start(
        "decoder", "-r", "__node:=other", "-r", "detections:=no_detections", model=create(tmp_path / "other", config)
    )
    other.wait_for("give both the same `model`")
    pipeline.serve_a_good_pair()


# -- processes of their own -------------------------------------------------------------------------------------------


def test_compressed_pictures_and_a_remap_that_moves_camera_info_too(bus: Peer, start, model: Path):
    from sicm_ros.msg import CompressedStereoFeatures

    topics = {side: f"/kitti/camera_color_{side}/image_raw" for side in ("left", "right")}
    words = itertools.chain.from_iterable(("-r", f"{side}/image_rect_color:={topic}") for side, topic in topics.items())
    features = bus.listen(CompressedStereoFeatures, "/vehicle/features")
    camera = Camera(bus, topics["left"], topics["right"], compressed=True)
    encoder = start(
        "encoder", *words, "-r", "__ns:=/vehicle", model=model, compressed=True, topic_timeout=4.0,
        disparity_offset=0.52,
    )  # fmt: skip
    camera.wait_for_encoder()
    # By then DDS has told it of all topics: what is lost of its discovery is said again, once a second.
    encoder.wait_for("nothing on /kitti/camera_color_left/camera_info, /kitti/camera_color_left/image_raw/compressed")
    encoder.wait_for("/kitti/camera_color_right/image_raw/compressed (sensor_msgs/msg/CompressedImage)")
    stamp = camera.send(*scene())
    bus.wait(lambda: features and nanoseconds(features[-1]) == stamp, what="features of compressed pictures")
    assert unpack(bytes(features[-1].payload)).calibration.disparity_offset == pytest.approx(0.52)
    broken = camera.message(scene()[0], "left", next(STAMPS))
    while len(broken.data) > 40:
        broken.data.pop()
    for publisher in camera.images:
        publisher.publish(broken)
    encoder.wait_for("are not an image that OpenCV can decode")
    stamp = camera.send(*scene())
    bus.wait(lambda: nanoseconds(features[-1]) == stamp, what="features after a broken picture")
    # Then one camera falls silent.
    end = time.monotonic() + 60
    silent = "nothing more on /kitti/camera_color_right/camera_info, /kitti/camera_color_right/image_raw/compressed"
    while silent not in encoder.output and time.monotonic() < end:
        stamp = next(STAMPS)
        camera.infos[0].publish(camera.info(RIG, "left", stamp))
        camera.images[0].publish(camera.message(scene()[0], "left", stamp))
        time.sleep(0.1)
    assert silent in encoder.output


@pytest.mark.parametrize("threads", [1, 2])
def test_jpegs_of_a_large_camera_are_decoded_at_the_size_that_the_network_needs(
    bus: Peer, start, model: Path, diagnostics: Diagnostics, threads: int
):
    from sensor_msgs.msg import CompressedImage
    from sicm_ros.msg import CompressedStereoFeatures

    large, name = RIG.resized(4 * WIDTH, 4 * HEIGHT), f"/jpeg{threads}"
    features = bus.listen(CompressedStereoFeatures, f"{name}/features")
    camera = Camera(bus, *(f"{name}/{side}/image_rect_color" for side in ("left", "right")), compressed=True)
    start("encoder", "-r", f"__ns:={name}", model=model, compressed=True, threads=threads)
    camera.wait_for_encoder()

    def jpeg(view: np.ndarray, rig: StereoCalibration) -> bytes:
        view = cv2.resize(view, (rig.width, rig.height), interpolation=cv2.INTER_CUBIC)
        return cv2.imencode(".jpg", view[..., ::-1])[1].tobytes()

    def send(rig: StereoCalibration, seed: int) -> int:
        stamp = next(STAMPS)
        for side, publisher, info, view in zip(("left", "right"), camera.images, camera.infos, scene(seed)):
            info.publish(camera.info(rig, side, stamp))
            image = CompressedImage(format="jpeg", header=camera.info(rig, side, stamp).header)
            image.data.frombytes(jpeg(view, rig))
            publisher.publish(image)
        return stamp

    def answer(rig: StereoCalibration, seed: int) -> bytes:
        """Packet of the first of some such pairs that arrives."""
        sent, end = [], time.monotonic() + 60
        while not (found := [one for one in features if nanoseconds(one) in sent]):
            assert time.monotonic() < end, "no JPEG of a minute's was answered"
            sent.append(send(rig, seed))
            second = time.monotonic() + 1
            while time.monotonic() < second and not any(nanoseconds(one) in sent for one in features):
                time.sleep(0.01)
        return bytes(found[0].payload)

    for seed in range(6):  # the first ones are decoded whole: their rows are compared
        packet = answer(large, seed)
        assert unpack(packet).calibration == large
    bus.wait(lambda: diagnostics(f"{name[1:]}/encoder").get("decoded_smaller") == "4", what="JPEGs decoded smaller")
    here = sicm_ros.load(model)
    images = [SimpleNamespace(data=jpeg(view, large), format="jpeg") for view in scene(5)]
    symbols = here.symbols(*(rgb_from_compressed(image, reduction=4) for image in images), large)
    assert (here.decode(packet).symbols == [symbols.left, symbols.right]).all()
    # Another camera on the topic is seen whole again.
    assert unpack(answer(RIG, 7)).calibration.width == WIDTH


def test_a_lifecycle_without_autostart(bus: Peer, start, model: Path, diagnostics: Diagnostics):
    from lifecycle_msgs.srv import ChangeState, GetState
    from sicm_ros.msg import CompressedStereoFeatures

    start("encoder", "-r", "__ns:=/managed", model=model, autostart=False)
    features = bus.listen(CompressedStereoFeatures, "/managed/features")
    camera = Camera(bus, "/managed/left/image_rect_color", "/managed/right/image_rect_color")

    def change(transition: int) -> bool:
        request = ChangeState.Request()
        request.transition.id = transition
        return bus.call(ChangeState, "/managed/encoder/change_state", request).success

    def refusal(name: str, value: str) -> str:
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        return bus.call(SetParameters, "/managed/encoder/set_parameters", request).results[0].reason

    def state() -> str:
        return bus.call(GetState, "/managed/encoder/get_state", GetState.Request()).current_state.label

    assert state() == "unconfigured"
    # A model that isn't there: said in /diagnostics for as long as the node waits for another one.
    bus.set_parameters("/managed/encoder", model="/no/such/model")
    assert not change(1)
    assert state() == "unconfigured"
    bus.wait(lambda: "no model '/no/such/model'" in diagnostics("managed/encoder").get("message", ""))
    assert diagnostics("managed/encoder")["level"] == "2"
    bus.set_parameters("/managed/encoder", model=str(model))
    for _ in range(2):  # the second time after a full way down
        assert change(1)  # configure
        assert change(3)  # activate
        assert state() == "active"
        assert "clean the node up first" in refusal("model", "default")
        camera.wait_for_encoder()
        stamp = camera.send(*scene())
        bus.wait(
            lambda stamp=stamp: features and nanoseconds(features[-1]) == stamp, what="features of the active node"
        )
        assert change(4)  # deactivate
        bus.wait(
            lambda: not any(p.get_subscription_count() for p in camera.images), what="the end of the subscriptions"
        )
        assert change(2)  # clean up
    assert state() == "unconfigured"


def test_a_missing_model_ends_the_node_with_one_clear_line(start):
    process = start("decoder", model="/no/such/model")
    assert process.process.wait(100) == 2
    assert "no model '/no/such/model'" in process.output
    assert "Traceback" not in process.output


def catches_sigterm(pid: int) -> bool:
    """Whether a process is past Python's own start and our handlers are in place."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(status["SigCgt"], 16) & 1 << (signal.SIGTERM - 1))


@pytest.mark.parametrize(("node", "number"), [("encoder", signal.SIGINT), ("decoder", signal.SIGTERM)])
def test_signals_end_a_node_in_two_seconds_even_while_it_loads(start, model: Path, node: str, number: int):
    process = start(node, model=model)
    deadline = time.monotonic() + 60
    while not catches_sigterm(process.process.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(1.0)  # somewhere between imports, loading and warming up
    assert process.end(number) == 0


def test_sigterm_ends_running_nodes_in_two_seconds(pipeline: Pipeline):
    pipeline.serve_a_good_pair()
    assert pipeline.encoder.end(signal.SIGTERM) == 0
    assert pipeline.decoder.end(signal.SIGTERM) == 0


def test_both_views_in_one_video_are_rectified_by_a_file_from_the_first_key_frame_on(bus, start, model, tmp_path):
    """A USB camera whose H.264 image holds both views, joined in mid-stream, with Kalibr's calibration."""
    pytest.importorskip("av", reason="PyAV is not installed: pip install 'sicm_ros[video]'")
    import raw_cameras
    from sensor_msgs.msg import CompressedImage
    from sicm_ros.msg import CompressedStereoFeatures
    from test_cameras import kalibr
    from test_video import encode
    from test_video import scene as moving

    pairs = moving(12)
    lenses = [raw_cameras.lens(pairs[0].calibration, side) for side in (0, 1)]
    both = [np.hstack([raw_cameras.through(v, one) for v, one in zip((p.left, p.right), lenses)]) for p in pairs]
    topics = [f"{side}/image_rect_color:=/usb/image_compressed" for side in ("left", "right")]
    remaps = [word for topic in ("__ns:=/usb", *topics) for word in ("-r", topic)]
    encoder = start("encoder", *remaps, model=model, transport="compressed", calibration_file=kalibr(tmp_path, lenses))
    camera, features = (
        bus.publisher(CompressedImage, "/usb/image_compressed"),
        bus.listen(CompressedStereoFeatures, "/usb/features"),
    )
    bus.wait(camera.get_subscription_count, 120, "the encoder's subscription")
    for number, data in encode(both, "h264")[3:]:
        message = CompressedImage(format="h264")
        message.header.stamp.sec, message.header.frame_id = 1000 + number, "usb"
        message.data.frombytes(data)
        camera.publish(message)
        while number == 3 and "waiting for a key frame of the h264 stream" not in encoder.output:
            time.sleep(0.2)  # what comes before the encoder knows of the camera is lost, and not the matter here
            camera.publish(message)
        if number >= 6:
            bus.wait(lambda number=number: features and features[-1].header.stamp.sec == 1000 + number)
        else:
            time.sleep(0.5)  # in a burst, the queue of a busy encoder may lose one, and with it the stream
    assert [f.header.stamp.sec for f in features] == list(range(1006, 1012))
    seen = unpack(bytes(features[0].payload)).calibration
    assert (seen.width, seen.height) == (192, 64)  # straight to what the model looks at
    assert seen.baseline == pytest.approx(pairs[0].calibration.baseline)
    encoder.wait_for("the images are rectified here")
    encoder.wait_for("rows of left and right agree")
