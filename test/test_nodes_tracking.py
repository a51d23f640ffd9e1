# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Tracks as ROS messages: identities, velocities along the objects' own axes, frames and times."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: `make setup`, or source a ROS 2 installation")

import sicm_ros.msg as own
from std_msgs.msg import Header

from sicm_ros.bags import result_messages
from sicm_ros.geometry import Detections
from sicm_ros.geometry.pose import FramePose
from sicm_ros.nodes import messages, tracking
from sicm_ros.tracking import Followed, Follower

OPTICAL = FramePose.of(np.array([1.5, 0, 1.2]), np.array([-0.5, 0.5, -0.5, 0.5]))  # in base_link: x forward, z up


def car(place, heading: float = -np.pi / 2, score: float = 0.9) -> Detections:
    return Detections(
        np.array([0]), np.array([score]), np.array([place], float), np.array([[1.5, 1.6, 4.0]]), np.array([heading]),
        np.zeros((1, 4)), np.array([[0.5, 0.1, 0.1, 0.1]]),
    )  # fmt: skip


def followed(pairs: int = 20, speed: float = 6.0, **options) -> tuple[Follower, Followed]:
    """A car ahead that draws away."""
    follower = Follower()
    for index in range(pairs):
        result = follower.follow(car([1, 1.5, 15 + 0.1 * speed * index]), 0.1 * index, least=0.5, **options)
    return follower, result


@pytest.mark.parametrize("speech", ["autoware", "own"])
def test_tracks_have_identity_pose_and_velocity_in_the_frame_of_the_results(speech: str, monkeypatch):
    if speech == "autoware" and not hasattr(messages.autoware, "TrackedObjects"):
        pytest.skip("autoware_perception_msgs is not installed: `make test` builds a stand-in")
    monkeypatch.setattr(tracking, "SPEECH", messages.autoware if speech == "autoware" else own)
    follower, result = followed(camera=FramePose.identity())
    header = Header(frame_id="base_link")
    message = tracking.tracked_objects(result.tracks, OPTICAL, follower.session, header)
    assert message.header == header
    (thing,) = message.objects
    assert bytes(thing.object_id.uuid) == follower.session + (1).to_bytes(8, "big")
    assert thing.classification[0].label == tracking.SPEECH.ObjectClassification.CAR
    assert thing.existence_probability == pytest.approx(result.tracks.boxes.scores[0])
    position = thing.kinematics.pose_with_covariance.pose.position
    assert (position.x, position.y) == pytest.approx((15 + 0.6 * 19 + 1.5, -1), abs=0.3)
    twist = thing.kinematics.twist_with_covariance
    assert (twist.twist.linear.x, twist.twist.linear.y) == pytest.approx((6, 0), abs=0.3)  # forward, along its own axis
    spread = np.array(twist.covariance).reshape(6, 6)
    assert (np.linalg.eigvalsh(spread[:3, :3]) > 0).all()
    assert not thing.kinematics.is_stationary
    assert thing.shape.dimensions.x == pytest.approx(4)


def test_what_stands_is_said_to_only_where_velocities_are_over_ground():
    for camera, stands in ((FramePose.identity(), True), (None, False)):
        follower, result = followed(speed=0.0, camera=camera)
        message = tracking.tracked_objects(result.tracks, OPTICAL, follower.session, Header())
        assert message.objects[0].kinematics.is_stationary is stands


def test_our_messages_have_autowares_fields():
    if not hasattr(messages.autoware, "TrackedObjects"):
        pytest.skip("autoware_perception_msgs is not installed: `make test` builds a stand-in")
    for name in ("TrackedObjects", "TrackedObject", "TrackedObjectKinematics", "ObjectClassification", "Shape"):
        ours, theirs = (getattr(package, name) for package in (own, messages.autoware))
        plain = {
            k: v.replace("sicm_ros/", "autoware_perception_msgs/") for k, v in ours.get_fields_and_field_types().items()
        }
        assert plain == theirs.get_fields_and_field_types()


def test_numbers_that_bags_are_written_with_are_those_of_the_messages():
    kinds, labels = own.ObjectClassification, result_messages.LABELS
    known = {"Car": kinds.CAR, "Van": kinds.CAR, "Truck": kinds.TRUCK, "Cyclist": kinds.BICYCLE}
    assert labels == known | {"Pedestrian": kinds.PEDESTRIAN}
    assert result_messages.UNKNOWN == kinds.UNKNOWN
    assert result_messages.AVAILABLE == own.TrackedObjectKinematics.AVAILABLE
    assert result_messages.BOUNDING_BOX == own.Shape.BOUNDING_BOX


def test_ids_are_those_of_tracks_and_rescoring_brings_what_continues_one():
    follower, result = followed(camera=None)
    assert result.ids == ["1"]
    array = result_messages.detection_array(messages.placed(result.detections, None, result.ids), Header())
    assert [d.id for d in array.detections] == ["1"]
    weak = car([1, 1.5, 15 + 0.6 * 20], score=0.4)
    assert follower.follow(weak, 2.0, None, 0.5, rescore=True).ids == ["1"]
    follower, _ = followed(camera=None)
    assert follower.follow(weak, 2.0, None, 0.5).ids == []


def test_a_camera_goes_on_in_a_frame_that_stands_and_not_in_its_own():
    follower = Follower()
    for index in range(3):
        moving = FramePose(np.eye(3), np.array([0, 0, 1.0 * index]))
        later = follower.placed(moving, 0.1 * index, 0.2)
    np.testing.assert_allclose(later.translation, [0, 0, 2 + 2], atol=1e-9)
    for index in range(3, 5):
        fixed = follower.placed(OPTICAL, 0.1 * index, 0.2)
    np.testing.assert_allclose(fixed.translation, OPTICAL.translation)


def test_markers_show_ids_and_trails():
    _, result = followed(pairs=5, camera=None)
    boxes = messages.placed(result.detections, None, result.ids)
    array = result_messages.marker_array(boxes, Header(), 0.5, trails=result.tracks.trails)
    (text,) = (m.text for m in array.markers if m.type == m.TEXT_VIEW_FACING)
    assert text == "Car 1 0.90"
    (line,) = (m for m in array.markers if m.ns == "trails")
    assert len(line.points) == 5
    assert line.points[0].z == pytest.approx(15, abs=0.1)
