# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Where frames are: /tf and /tf_static, by tf2_ros where that is installed, else by a small buffer of our own."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import Any

import numpy as np
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time

from sicm_ros.errors import InputError
from sicm_ros.geometry.pose import FramePose

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

try:
    import tf2_ros
except ImportError:
    tf2_ros = None

MEMORY = 10.0  # seconds of moving frames that are kept, as tf2 does
# Each of its publishers holds a message of its own.
STATIC = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class FrameError(InputError):
    """A frame that nothing is known of, or not at that time."""

    cause = "no_transform"


class FrameTree:
    """Poses of frames in their parents, fixed ones and moving ones; safe for use by several threads."""

    def __init__(self, memory: float = MEMORY) -> None:
        self._lock = threading.Lock()
        self._memory = memory
        self._fixed: dict[str, tuple[str, FramePose]] = {}
        self._moving: dict[str, list[tuple[float, str, FramePose]]] = {}  # of each child, by stamp

    def put(self, parent: str, child: str, pose: FramePose, stamp: float | None = None) -> None:
        """Note the pose of `child` in `parent`, from now on or at a stamp (seconds)."""
        parent, child = parent.lstrip("/"), child.lstrip("/")
        if not parent or not child or parent == child:
            raise InputError(f"a transform from {child!r} to {parent!r}; expected two frames")
        with self._lock:
            if stamp is None:
                self._fixed[child] = parent, pose
                return
            self._fixed.pop(child, None)
            known = self._moving.setdefault(child, [])
            if known and stamp < known[-1][0] - self._memory:  # a looped bag set the clock back
                known.clear()
            at = bisect_left(known, stamp, key=lambda entry: entry[0])
            known[at : at + (at < len(known) and known[at][0] == stamp)] = [(stamp, parent, pose)]
            while known[0][0] < known[-1][0] - self._memory:
                known.pop(0)

    def find(self, target: str, source: str, stamp: float) -> FramePose:
        """Return the pose of `source` in `target` at a stamp, seconds. Raises FrameError where they
        aren't connected then.
        """
        target, source = target.lstrip("/"), source.lstrip("/")
        with self._lock:
            below, reason = self._up(source, stamp)
            above, other_reason = self._up(target, stamp)
        for frame, pose in above.items():
            if frame in below:
                return pose.inverse() @ below[frame]
        raise reason or other_reason or FrameError(f"no transform from frame {source!r} to {target!r} on /tf")

    def _up(self, frame: str, stamp: float) -> tuple[dict[str, FramePose], FrameError | None]:
        """Return the frame and those above it, in turn, with its pose in each; and why it isn't known
        in any further ones.
        """
        pose, chain = FramePose.identity(), {}
        while frame not in chain:
            chain[frame] = pose
            try:
                step = self._step(frame, stamp)
            except FrameError as error:
                return chain, error
            if step is None:
                break
            frame, pose = step[0], step[1] @ pose
        return chain, None

    def _step(self, frame: str, stamp: float) -> tuple[str, FramePose] | None:
        """Return a frame's parent and its pose there at a stamp; between two that are known, in proportion."""
        if frame in self._fixed:
            return self._fixed[frame]
        known = self._moving.get(frame)
        if not known:
            return None
        at = bisect_left(known, stamp, key=lambda entry: entry[0])
        if at == len(known) or (at == 0 and known[0][0] != stamp):
            raise FrameError(
                f"frame {frame!r} is known from {known[0][0]:.3f} to {known[-1][0]:.3f} s on /tf, not at {stamp:.3f} s"
            )
        later, parent, after = known[at]
        earlier, other, before = known[max(at - 1, 0)]
        if later == stamp or other != parent:
            return parent, after
        return parent, _between(before, after, (stamp - earlier) / (later - earlier))


def _between(a: FramePose, b: FramePose, share: float) -> FramePose:
    """Return a pose on the way from a to b: a straight line, and the shortest turn (slerp)."""
    first, second = a.quaternion, b.quaternion
    cosine = float(first @ second)
    if cosine < 0:
        second, cosine = -second, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        turned = first
    else:
        turned = (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)
    return FramePose.of((1 - share) * a.translation + share * b.translation, turned)


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


def pose_of(transform: Any) -> FramePose:
    """Make one of a geometry_msgs/Transform; ValueError where it is none."""
    t, r = transform.translation, transform.rotation
    return FramePose.of(np.array([t.x, t.y, t.z]), np.array([r.x, r.y, r.z, r.w]))


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
