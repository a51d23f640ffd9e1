# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Where frames are: /tf and /tf_static, by tf2_ros where that is installed, else by a small buffer of our own."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time

from sicm_ros.errors import InputError
from sicm_ros.geometry.frame_tree import FrameError, FrameTree, pose_of
from sicm_ros.geometry.pose import FramePose

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

try:
    import tf2_ros
except ImportError:
    tf2_ros = None

# Each of its publishers holds a message of its own.
STATIC = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Frames:
    """What a node knows of frames, from its start.

    Args:
        node: that listens.
        moving: listen to /tf too; without it, to the fixed frames of /tf_static alone.
    """

    def __init__(self, node: Node, moving: bool = True) -> None:
        self._node, self._tree, self._buffer = node, FrameTree(), None
        self._subscriptions: list[Any] = []
        if tf2_ros is not None and moving:
            self._buffer = tf2_ros.Buffer()
            self._listener = tf2_ros.TransformListener(self._buffer, node)
        elif TFMessage is not None:
            self._subscriptions.append(node.create_subscription(TFMessage, "/tf_static", self._on_fixed, STATIC))
            if moving:
                self._subscriptions.append(node.create_subscription(TFMessage, "/tf", self._on_moving, 100))

    def _on_fixed(self, message: Any) -> None:
        self._take(message, fixed=True)

    def _on_moving(self, message: Any) -> None:
        self._take(message, fixed=False)

    def _take(self, message: Any, fixed: bool) -> None:
        for transform in message.transforms:
            header, stamp = transform.header, transform.header.stamp
            try:
                pose = pose_of(transform.transform)
                seconds = None if fixed else stamp.sec + stamp.nanosec * 1e-9
                self._tree.put(header.frame_id, transform.child_frame_id, pose, seconds)
            except (ValueError, InputError) as error:
                self._node.get_logger().warning(
                    f"{'/tf_static' if fixed else '/tf'}: {error}; it is not used", throttle_duration_sec=5.0
                )

    def find(self, target: str, source: str, stamp: Any) -> FramePose:
        """Return the pose of `source` in `target` at a message's stamp. Raises FrameError where it isn't known."""
        if target == source:
            return FramePose.identity()
        if self._buffer is not None:
            try:
                found = self._buffer.lookup_transform(target, source, Time.from_msg(stamp), Duration(seconds=0))
            except tf2_ros.TransformException as error:
                raise FrameError(str(error)) from None
            return pose_of(found.transform)
        if not self._subscriptions:
            raise FrameError("neither tf2_ros nor tf2_msgs is installed: no transform is known")
        return self._tree.find(target, source, stamp.sec + stamp.nanosec * 1e-9)


class StaticFrames:
    """Says on /tf_static where frames are; whoever comes later hears of all of them."""

    def __init__(self, node: Node) -> None:
        if TFMessage is None:
            raise InputError("publish_tf: tf2_msgs is not installed: sudo apt-get install ros-$ROS_DISTRO-tf2-msgs")
        self._node = node
        self._said: dict[str, TransformStamped] = {}
        self._publisher = node.create_publisher(TFMessage, "/tf_static", LATCHED)

    def put(self, parent: str, child: str, pose: FramePose) -> None:
        """Publish the pose of `child` in `parent`, in place of what was said of `child` before."""
        message = TransformStamped(child_frame_id=child)
        message.header.frame_id = parent
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.transform.translation = Vector3(**dict(zip("xyz", pose.translation.tolist())))
        message.transform.rotation = Quaternion(**dict(zip("xyzw", pose.quaternion.tolist())))
        self._said[child] = message
        self._publisher.publish(TFMessage(transforms=list(self._said.values())))
