# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Frames: what the buffer of our own says against poses that are known, in time and out of it."""

from __future__ import annotations

import math
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="rclpy is not installed: `make setup`, or source a ROS 2 installation")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Transform

from sicm_ros.errors import InputError
from sicm_ros.geometry.pose import FramePose
from sicm_ros.nodes import transforms
from sicm_ros.nodes.transforms import FrameError, Frames, FrameTree


def turned(yaw: float, *translation: float) -> FramePose:
    return FramePose.of(
        np.array(translation or (0.0, 0.0, 0.0)), np.array([0, 0, math.sin(yaw / 2), math.cos(yaw / 2)])
    )


def same(a: FramePose, b: FramePose) -> None:
    np.testing.assert_allclose(a.rotation, b.rotation, atol=1e-9)
    np.testing.assert_allclose(a.translation, b.translation, atol=1e-9)


def tree() -> FrameTree:
    """map -> odom -> base_link, which moves; base_link -> mast -> camera; base_link -> lidar."""
    tree = FrameTree()
    tree.put("map", "odom", turned(math.pi / 2, 100, 0, 0))
    for second in range(5):
        tree.put("odom", "base_link", turned(0.2 * second, 10.0 * second, 0, 0), 50.0 + second)
    tree.put("base_link", "mast", turned(0.0, 1, 0, 2))
    tree.put("mast", "camera", turned(math.pi, 0.5, 0, 0))
    tree.put("/base_link", "/lidar", turned(0.0, 0, 0, 3))
    return tree


def test_fixed_frames_chain_both_ways_and_to_siblings():
    same(tree().find("base_link", "camera", 0.0), turned(math.pi, 1.5, 0, 2))
    same(tree().find("camera", "base_link", 0.0), turned(math.pi, 1.5, 0, 2).inverse())
    same(tree().find("lidar", "camera", 0.0), turned(math.pi, 1.5, 0, -1))
    same(tree().find("camera", "/camera", 0.0), FramePose.identity())


def test_moving_frames_are_taken_at_the_stamp_and_between_two_in_proportion():
    same(tree().find("odom", "base_link", 52.0), turned(0.4, 20, 0, 0))
    same(tree().find("odom", "base_link", 52.25), turned(0.45, 22.5, 0, 0))
    # In the map x of odom is y: the car has gone 22.5 m that way.
    np.testing.assert_allclose(tree().find("map", "base_link", 52.25).translation, [100, 22.5, 0], atol=1e-9)


@pytest.mark.parametrize("stamp", [49.9, 54.1, 0.0])
def test_nothing_is_made_up_outside_of_the_time_that_is_known(stamp: float):
    with pytest.raises(FrameError, match=r"'base_link' is known from 50\.000 to 54\.000 s"):
        tree().find("odom", "camera", stamp)


def test_frames_that_are_not_connected_are_named():
    with pytest.raises(FrameError, match="no transform from frame 'camera' to 'moon'"):
        tree().find("moon", "camera", 52.0)


def test_a_circle_ends():
    circle = FrameTree()
    circle.put("a", "b", turned(0.0))
    circle.put("b", "a", turned(0.0))
    with pytest.raises(FrameError):
        circle.find("c", "a", 0.0)
    for parent, child in (("a", "a"), ("", "a"), ("a", "")):
        with pytest.raises(InputError, match="expected two frames"):
            circle.put(parent, child, turned(0.0))


def test_old_poses_are_forgotten_and_a_looped_bag_begins_anew():
    moving = FrameTree(memory=10.0)
    for second in range(1000):
        moving.put("odom", "base", turned(0.0, second, 0, 0), float(second))
    assert len(moving._moving["base"]) <= 11
    moving.put("odom", "base", turned(0.0, 7, 0, 0), 3.0)
    same(moving.find("odom", "base", 3.0), turned(0.0, 7, 0, 0))
    with pytest.raises(FrameError):
        moving.find("odom", "base", 995.0)


@given(st.permutations(range(8)))
def test_poses_may_come_in_any_order(order):
    moving = FrameTree()
    for second in order:
        moving.put("odom", "base", turned(0.1 * second, second, 0, 0), float(second))
    same(moving.find("odom", "base", 4.5), turned(0.45, 4.5, 0, 0))


@given(st.lists(st.floats(-1, 1), min_size=7, max_size=7), st.lists(st.floats(-1, 1), min_size=7, max_size=7))
def test_poses_chain_as_their_points_do(a, b):
    try:
        first, second = (FramePose.of(np.array(v[:3]), np.array(v[3:])) for v in (a, b))
    except ValueError:
        return
    point = np.array([[1.0, -2.0, 3.0]])
    np.testing.assert_allclose((first @ second).points(point), first.points(second.points(point)), atol=1e-9)
    same(FramePose.of(first.translation, first.quaternion), first)
    same(first @ first.inverse(), FramePose.identity())


@pytest.mark.parametrize("text", ["", "1 2 3", "0 0 0 0 0 0 0", "1 2 3 nan 0 0 1", "a b c d e f g", "1 2 3 0 0 0 1 9"])
def test_words_that_are_no_pose_are_refused(text: str):
    with pytest.raises(ValueError):
        FramePose.parse(text)
    same(FramePose.parse("1, 2, 3, 0, 0, 0, 2"), turned(0.0, 1, 2, 3))


class Tf2(types.ModuleType):
    """As much of tf2_ros as is used."""

    class TransformException(Exception):
        pass

    class Buffer:
        def lookup_transform(self, target, source, time, timeout):
            if target != "base_link":
                raise Tf2.TransformException(f"{target} does not exist")
            transform = Transform()
            transform.translation.x, transform.rotation.w = time.nanoseconds * 1e-9, 1.0
            return types.SimpleNamespace(transform=transform)

    class TransformListener:
        def __init__(self, buffer, node) -> None:
            self.buffer = buffer


def test_tf2_ros_answers_where_it_is_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transforms, "tf2_ros", Tf2("tf2_ros"))
    known = Frames(node=None)
    same(known.find("base_link", "camera", Time(sec=3, nanosec=500_000_000)), turned(0.0, 3.5, 0, 0))
    same(known.find("camera", "camera", Time()), FramePose.identity())
    with pytest.raises(FrameError, match="moon does not exist"):
        known.find("moon", "camera", Time())


def test_without_any_tf_it_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transforms, "tf2_ros", None)
    monkeypatch.setattr(transforms, "TFMessage", None)
    with pytest.raises(FrameError, match="neither tf2_ros nor tf2_msgs"):
        Frames(node=None).find("base_link", "camera", Time())
