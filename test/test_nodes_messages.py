# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Detections as ROS messages: the pose against KITTI's corners, markers, clouds, images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="rclpy is not installed: `make setup`, or source a ROS 2 installation")

from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sicm_ros.bags import result_messages
from sicm_ros.bags.images import LAYOUTS, rgb_from_image
from sicm_ros.bags.serialization import Boxes
from sicm_ros.geometry import Detections
from sicm_ros.geometry.boxes import CLASSES, corners
from sicm_ros.geometry.pose import FramePose, rotations
from sicm_ros.nodes import images, messages

HEADER = Header(frame_id="stereo_left_optical")
HEADER.stamp.sec, HEADER.stamp.nanosec = 17, 250


def detections(location, dimensions, rotation_y, classes=None) -> Detections:
    n = len(rotation_y)
    classes = np.zeros(n, int) if classes is None else np.asarray(classes)
    return Detections(
        classes, np.linspace(0.9, 0.4, n), np.array(location, float), np.array(dimensions, float),
        np.array(rotation_y, float), np.zeros((n, 4)),
    )  # fmt: skip


def rotation(q) -> np.ndarray:
    x, y, z, w = q.x, q.y, q.z, q.w
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def message_corners(box) -> np.ndarray:
    """The eight corners of a BoundingBox3D as any reader of the message would compute them, in any order."""
    signs = np.array([[a, b, c] for a in (1, -1) for b in (1, -1) for c in (1, -1)]) / 2
    own = signs * [box.size.x, box.size.y, box.size.z]
    return own @ rotation(box.center.orientation).T + [getattr(box.center.position, k) for k in "xyz"]


def same_points(a: np.ndarray, b: np.ndarray) -> bool:
    return all(np.linalg.norm(b - point, axis=1).min() < 1e-6 for point in a)


@settings(deadline=None)
@given(st.floats(-np.pi, np.pi), st.floats(0.3, 12), st.floats(0.3, 3), st.floats(0.5, 4))
def test_message_boxes_have_the_corners_of_kittis(ry: float, length: float, width: float, height: float):
    found = detections([[3.0, 1.6, 20.0]], [[height, width, length]], [ry])
    box = result_messages.detection_array(messages.placed(found), HEADER).detections[0].bbox
    kitti = corners(found.location, found.dimensions, found.rotation_y)[0]
    assert same_points(message_corners(box), kitti)
    # The box's x axis points to its front (KITTI's first two corners), its z axis up.
    front = rotation(box.center.orientation) @ [1, 0, 0]
    expected = kitti[:2].mean(0) - kitti[2:4].mean(0)
    np.testing.assert_allclose(front, expected / np.linalg.norm(expected), atol=1e-6)
    np.testing.assert_allclose(rotation(box.center.orientation) @ [0, 0, 1], [0, -1, 0], atol=1e-6)


def test_real_labels_keep_their_corners(kitti):
    from sicm_ros.kitti import KittiObjects

    frames = KittiObjects(kitti / "sequence_0056")
    checked = 0
    for index in range(len(frames)):
        labels = frames[index].labels
        labels = labels[labels.has_box]
        found = detections(labels.location, labels.dimensions, labels.rotation_y)
        array = result_messages.detection_array(messages.placed(found), HEADER)
        for detection, box in zip(array.detections, corners(labels.location, labels.dimensions, labels.rotation_y)):
            assert same_points(message_corners(detection.bbox), box)
            checked += 1
        back = Boxes(array)
        np.testing.assert_allclose(back.location, labels.location, atol=1e-6)
        np.testing.assert_allclose(np.cos(back.rotation_y - labels.rotation_y), 1, atol=1e-9)
    assert checked


def test_detections_carry_header_class_and_score():
    found = detections([[0, 1, 10], [2, 1, 12]], [[1.5, 1.6, 4], [1.7, 0.6, 0.8]], [0, 1], [0, 1])
    array = result_messages.detection_array(messages.placed(found), HEADER)
    assert array.header == HEADER
    assert [d.results[0].hypothesis.class_id for d in array.detections] == ["Car", "Pedestrian"]
    assert [d.results[0].hypothesis.score for d in array.detections] == [0.9, 0.4]
    assert all(d.header == HEADER for d in array.detections)


def test_markers_delete_the_old_ones_first_and_name_class_and_score():
    found = detections([[0, 1, 10], [2, 1, 12]], [[1.5, 1.6, 4], [1.7, 0.6, 0.8]], [0, 1], [0, 2])
    array = result_messages.marker_array(messages.placed(found), HEADER, lifetime=0.25)
    first, *rest = array.markers
    assert first.action == first.DELETEALL
    assert [m.ns for m in rest] == ["Car", "Car", "Cyclist", "Cyclist"]
    assert [m.text for m in rest if m.type == m.TEXT_VIEW_FACING] == ["Car 0.90", "Cyclist 0.40"]
    assert {(m.lifetime.sec, m.lifetime.nanosec) for m in rest} == {(0, 250_000_000)}
    boxes = result_messages.detection_array(messages.placed(found), HEADER).detections
    assert [m.pose for m in rest if m.type == m.CUBE] == [d.bbox.center for d in boxes]


def test_a_detection_has_its_number_and_its_other_classes_after_its_own():
    found = detections([[0, 1, 10], [2, 1, 12]], [[1.5, 1.6, 4], [1.7, 0.6, 0.8]], [0, 1], [0, 2])
    found.chances[:] = 0
    found.chances[0, [CLASSES.index(n) for n in ("Car", "Van", "Truck", "Cyclist")]] = 0.9, 0.3, 0.5, 0.05
    array = result_messages.detection_array(messages.placed(found), HEADER, other_classes=0.1)
    assert [d.id for d in array.detections] == ["0", "1"]
    first, second = ([(r.hypothesis.class_id, r.hypothesis.score) for r in d.results] for d in array.detections)
    assert first == [("Car", 0.9), ("Truck", 0.5), ("Van", 0.3)]
    assert second == [("Cyclist", 0.4)]
    assert all(r.pose.pose == array.detections[0].bbox.center for r in array.detections[0].results)


def covariance(message) -> np.ndarray:
    return np.array(message.covariance).reshape(6, 6)


def test_a_covariance_points_along_the_ray_and_is_not_known_where_no_error_is():
    found = detections([[10, 0.75, 20], [0, 0.75, 20]], [[1.5, 1.6, 4]] * 2, [0.3, 0.3])
    found.errors[0] = 0.8, 0.1, 0.05, 0.02
    boxes = messages.placed(found)
    known, unknown = map(covariance, boxes.poses)
    assert not unknown.any()
    assert list(boxes.known) == [True, False]
    ray = np.array([0.5, 0, 1])
    np.testing.assert_allclose(known[:3, :3], 0.8**2 * np.outer(ray, ray) + np.diag([0.1**2, 0.05**2, 0]), atol=1e-12)
    assert known[4, 4] == pytest.approx(0.02**2, rel=1e-6)  # a turn about the camera's y axis
    assert not known[:3, 3:].any()
    np.linalg.cholesky(known)  # symmetric, positive definite: what filters invert
    assert np.sqrt(np.linalg.eigvalsh(known[:3, :3])[-1]) == pytest.approx(0.8 * np.linalg.norm(ray), rel=0.01)


def test_in_another_frame_everything_is_the_same_seen_from_there():
    """base_link: x forward, y left, z up; the camera is 1.5 m ahead, 1.2 m up and looks 10 degrees to the left."""
    random = np.random.default_rng(1)
    found = detections(random.uniform(5, 30, (6, 3)), random.uniform(1, 4, (6, 3)), random.uniform(-3, 3, 6))
    found.errors[:] = random.uniform(0.01, 1, (6, 4))
    optical = rotations(np.array([[-0.5, 0.5, -0.5, 0.5]]))[0]
    left = np.deg2rad(10)
    turn = np.array([[np.cos(left), -np.sin(left), 0], [np.sin(left), np.cos(left), 0], [0, 0, 1]])
    camera = FramePose(turn @ optical, np.array([1.5, 0.0, 1.2]))
    here, there = messages.placed(found), messages.placed(found, camera)
    ours = result_messages.detection_array(here, HEADER).detections
    theirs = result_messages.detection_array(there, HEADER).detections
    both = np.zeros((6, 6))
    both[:3, :3] = both[3:, 3:] = camera.rotation
    for a, b, before, after in zip(ours, theirs, here.poses, there.poses):
        assert same_points(message_corners(b.bbox), camera.points(message_corners(a.bbox)))
        np.testing.assert_allclose(covariance(after), both @ covariance(before) @ both.T, atol=1e-9)
        up = rotation(b.bbox.center.orientation) @ [0, 0, 1]
        np.testing.assert_allclose(up, [0, 0, 1], atol=1e-9)
    texts = [m for m in result_messages.marker_array(there, HEADER, 1.0).markers if m.text]
    boxes = [m for m in result_messages.marker_array(there, HEADER, 1.0).markers if m.type == m.CUBE and m.ns]
    for text, box in zip(texts, boxes):
        assert text.pose.position.z - box.pose.position.z == pytest.approx(
            box.scale.z / 2 + result_messages.TEXT_HEIGHT
        )
        assert text.pose.position.x == pytest.approx(box.pose.position.x)
    cars = detections([[0, 0, 10]], [[1.5, 1.6, 4]], [-np.pi / 2])  # drives away from the camera
    q = messages.placed(cars, camera).poses[0].pose.orientation
    assert 2 * np.arctan2(q.z, q.w) == pytest.approx(left)  # yaw in the body's frame


def test_a_class_without_a_colour_is_grey(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(result_messages.COLOURS, "Cyclist")
    found = detections([[2, 1, 12]], [[1.7, 0.6, 0.8]], [1], [2])
    _, box, _ = result_messages.marker_array(messages.placed(found), HEADER, 1.0).markers
    assert (box.color.r, box.color.g, box.color.b) == result_messages.OTHER


def test_autoware_gets_label_chance_shape_and_covariance():
    if messages.autoware is None:
        pytest.skip("autoware_perception_msgs is not installed: `make test` builds a stand-in")
    kinds = messages.autoware.ObjectClassification
    found = detections([[0, 1, 10], [2, 1, 12]], [[1.5, 1.6, 4], [1.7, 0.6, 0.8]], [0, 1], [3, 1])
    found.chances[0] = 0
    found.chances[0, [CLASSES.index(n) for n in ("Van", "Car", "Truck")]] = 0.9, 0.6, 0.5
    found.errors[0] = 0.8, 0.1, 0.05, 0.02
    boxes = messages.placed(found)
    message = messages.detected_objects(boxes, HEADER, other_classes=0.1)
    first, second = message.objects
    assert message.header == HEADER
    labels = [(c.label, pytest.approx(c.probability)) for c in first.classification]
    assert labels == [(kinds.CAR, 0.9), (kinds.TRUCK, 0.5)]  # a van is a car to Autoware
    assert [c.label for c in second.classification] == [kinds.PEDESTRIAN]
    assert first.existence_probability == pytest.approx(0.9)
    assert (first.shape.type, first.shape.dimensions.x) == (messages.autoware.Shape.BOUNDING_BOX, 4)
    assert first.kinematics.pose_with_covariance == boxes.poses[0]
    assert [o.kinematics.has_position_covariance for o in message.objects] == [True, False]
    assert first.kinematics.orientation_availability == messages.autoware.DetectedObjectKinematics.AVAILABLE
    assert not first.kinematics.has_twist
    assert set(result_messages.LABELS) == set(CLASSES)


def test_a_stand_in_has_the_fields_that_bags_are_read_with():
    """The definitions in without_ros/ and those of sicm_ros.bags.types are of the same messages."""
    from pathlib import Path

    from rosbags.typesys import get_types_from_msg

    from sicm_ros.bags.types import typestore

    known = typestore().fielddefs
    for path in (Path(__file__).parents[1] / "without_ros").glob("*/msg/*.msg"):
        name = f"{path.parents[1].name}/msg/{path.stem}"
        if name in known:
            assert get_types_from_msg(path.read_text(), name)[name] == known[name], name


def test_no_detections_make_an_empty_array_with_a_header():
    assert result_messages.detection_array(messages.placed(Detections.empty()), HEADER).header == HEADER
    assert len(result_messages.marker_array(messages.placed(Detections.empty()), HEADER, 1.0).markers) == 1


def test_clouds_hold_the_points_as_float32():
    points = np.random.default_rng(0).normal(size=(50, 3))
    cloud = messages.point_cloud(points, HEADER)
    assert (cloud.width, cloud.height, cloud.point_step, [f.name for f in cloud.fields]) == (50, 1, 12, ["x", "y", "z"])
    np.testing.assert_allclose(np.frombuffer(cloud.data, np.float32).reshape(-1, 3), points, rtol=1e-6)
    assert messages.point_cloud(np.zeros((0, 3)), HEADER).width == 0


def test_pictures_come_back_as_they_went():
    sent = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    message = images.picture(sent, HEADER)
    np.testing.assert_array_equal(images.rgb(message, "bev_image"), sent)
    assert (message.header, message.encoding, message.step) == (HEADER, "rgb8", 90)


def test_clouds_are_those_of_sensor_msgs_py():
    if messages.point_cloud2 is None:
        pytest.skip("sensor_msgs_py is not installed (no wheel has it; a ROS installation does)")
    points = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    assert messages.point_cloud(points, HEADER) == messages.own_point_cloud(points, HEADER)
    read = messages.point_cloud2.read_points_numpy(messages.own_point_cloud(points, HEADER), ("x", "y", "z"))
    np.testing.assert_array_equal(read, points)
    assert messages.point_cloud(points[:0], HEADER).width == 0


def test_pictures_are_those_of_cv_bridge():
    if images.bridge() is None:
        pytest.skip("cv_bridge is not installed (no wheel has ROS 2's; a ROS installation does), or not for this NumPy")
    assert images.through_bridge("rgb8")
    sent = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert images.picture(sent, HEADER) == images.own_picture(sent, HEADER)
    through = [name for name in LAYOUTS if images.through_bridge(name)]
    assert {"rgb8", "bgr8", "mono8"} <= set(through)
    for name in through:
        channels, size = LAYOUTS[name]
        message = Image(height=20, width=30, encoding=name, step=30 * channels * size)
        data = np.random.default_rng(2).integers(0, 256, 20 * message.step, np.uint8)
        message.data.frombytes(data.tobytes())
        np.testing.assert_array_equal(images._bridged(message, "t"), rgb_from_image(message), err_msg=name)


class Bridge:
    """A cv_bridge with the flaws that builds of it have had."""

    def imgmsg_to_cv2(self, message: Image, encoding: str) -> np.ndarray:
        match message.encoding:
            case "rgb8":
                raise AttributeError("_ARRAY_API not found")
            case "nv24":
                return np.full((message.height, message.width, 3), 7, np.uint8)
            case "yuv444":
                raise RuntimeError("unknown\nconversion")
        return np.zeros((message.height, message.width, 3), np.uint8)


def test_a_cv_bridge_that_does_worse_is_not_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(images, "bridge", lambda: Bridge())
    images.through_bridge.cache_clear()
    try:
        sent = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
        for encoding in ("rgb8", "bgr8"):  # fails; reads black
            message = images.own_picture(sent, HEADER)
            message.encoding = encoding
            expected = sent if encoding == "rgb8" else sent[..., ::-1]
            np.testing.assert_array_equal(images.rgb(message, "left"), expected)
        assert images.picture(sent, HEADER) == images.own_picture(sent, HEADER)
        message.encoding = "nv24"  # only cv_bridge knows it
        assert (images.rgb(message, "left") == 7).all()
        message.encoding = "yuv444"
        with pytest.raises(images.ImageError, match="left: encoding 'yuv444' is not supported: unknown conversion"):
            images.rgb(message, "left")
    finally:
        images.through_bridge.cache_clear()


def test_what_detections_are_made_by_and_their_classes():
    info = messages.vision_info("lite", bytes(range(8)), "/van/label_info", HEADER)
    assert (info.method, info.database_location) == ("sicm_ros lite 0001020304050607", "/van/label_info")
    labels = messages.label_info(["Car", "Van"], 0.25, HEADER)
    assert [(c.class_id, c.class_name) for c in labels.class_map] == [(0, "Car"), (1, "Van")]
    assert labels.threshold == 0.25


def test_the_fixed_part_of_a_feature_message_is_small():
    from rclpy.serialization import serialize_message

    pytest.importorskip("sicm_ros.msg", reason="messages are not built: `make setup`")
    from sicm_ros.msg import CompressedStereoFeatures

    message = CompressedStereoFeatures(header=HEADER)
    message.payload.frombytes(bytes(300))
    header = len(serialize_message(HEADER))
    assert len(serialize_message(message)) - header - 300 <= 64
