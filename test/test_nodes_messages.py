"""Detections as ROS messages: the pose against KITTI's corners, markers, clouds, pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="rclpy is not installed: `make setup`, or source a ROS 2 installation")

from std_msgs.msg import Header

from sicm_ros.bags.serialization import Boxes
from sicm_ros.geometry import Detections
from sicm_ros.geometry.boxes import corners
from sicm_ros.nodes import messages

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
    box = messages.detection_array(found, HEADER).detections[0].bbox
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
        array = messages.detection_array(found, HEADER)
        for detection, box in zip(array.detections, corners(labels.location, labels.dimensions, labels.rotation_y)):
            assert same_points(message_corners(detection.bbox), box)
            checked += 1
        back = Boxes(array)
        np.testing.assert_allclose(back.location, labels.location, atol=1e-6)
        np.testing.assert_allclose(np.cos(back.rotation_y - labels.rotation_y), 1, atol=1e-9)
    assert checked


def test_detections_carry_header_class_and_score():
    found = detections([[0, 1, 10], [2, 1, 12]], [[1.5, 1.6, 4], [1.7, 0.6, 0.8]], [0, 1], [0, 1])
    array = messages.detection_array(found, HEADER)
    assert array.header == HEADER
    assert [d.results[0].hypothesis.class_id for d in array.detections] == ["Car", "Pedestrian"]
    assert [d.results[0].hypothesis.score for d in array.detections] == [0.9, 0.4]
    assert all(d.header == HEADER for d in array.detections)


def test_markers_delete_the_old_ones_first_and_name_class_and_score():
    found = detections([[0, 1, 10], [2, 1, 12]], [[1.5, 1.6, 4], [1.7, 0.6, 0.8]], [0, 1], [0, 2])
    array = messages.marker_array(found, HEADER, lifetime=0.25)
    first, *rest = array.markers
    assert first.action == first.DELETEALL
    assert [m.ns for m in rest] == ["Car", "Car", "Cyclist", "Cyclist"]
    assert [m.text for m in rest if m.type == m.TEXT_VIEW_FACING] == ["Car 0.90", "Cyclist 0.40"]
    assert {(m.lifetime.sec, m.lifetime.nanosec) for m in rest} == {(0, 250_000_000)}
    boxes = messages.detection_array(found, HEADER).detections
    assert [m.pose for m in rest if m.type == m.CUBE] == [d.bbox.center for d in boxes]


def test_no_detections_make_an_empty_array_with_a_header():
    assert messages.detection_array(Detections.empty(), HEADER).header == HEADER
    assert len(messages.marker_array(Detections.empty(), HEADER, 1.0).markers) == 1


def test_clouds_hold_the_points_as_float32():
    points = np.random.default_rng(0).normal(size=(50, 3))
    cloud = messages.point_cloud(points, HEADER)
    assert (cloud.width, cloud.height, cloud.point_step, [f.name for f in cloud.fields]) == (50, 1, 12, ["x", "y", "z"])
    np.testing.assert_allclose(np.frombuffer(cloud.data, np.float32).reshape(-1, 3), points, rtol=1e-6)
    assert messages.point_cloud(np.zeros((0, 3)), HEADER).width == 0


def test_pictures_come_back_as_they_went():
    from sicm_ros.nodes.images import rgb

    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(rgb(messages.picture(picture, HEADER), "bev_image"), picture)


def test_the_fixed_part_of_a_feature_message_is_small():
    from rclpy.serialization import serialize_message

    pytest.importorskip("sicm_ros.msg", reason="messages are not built: `make setup`")
    from sicm_ros.msg import CompressedStereoFeatures

    message = CompressedStereoFeatures(header=HEADER)
    message.payload.frombytes(bytes(300))
    header = len(serialize_message(HEADER))
    assert len(serialize_message(message)) - header - 300 <= 64
