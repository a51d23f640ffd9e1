"""Where frames are: /tf and /tf_static, by tf2_ros where that is installed, else by a small buffer of our own."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np
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
        """Notes the pose of `child` in `parent`, from now on or at a stamp (seconds)."""
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
        """The pose of `source` in `target` at a stamp, seconds. Raises FrameError where they aren't connected then."""
        target, source = target.lstrip("/"), source.lstrip("/")
        with self._lock:
            below = dict(self._up(source, stamp))
            for frame, pose in self._up(target, stamp):
                if frame in below:
                    return pose.inverse() @ below[frame]
        raise FrameError(f"no transform from frame {source!r} to {target!r} on /tf or /tf_static")

    def _up(self, frame: str, stamp: float) -> Iterator[tuple[str, FramePose]]:
        """The frame and all above it, each with the first one's pose in it."""
        pose, seen = FramePose.identity(), set()
        while frame not in seen:
            yield frame, pose
            seen.add(frame)
            step = self._step(frame, stamp)
            if step is None:
                return
            frame, pose = step[0], step[1] @ pose

    def _step(self, frame: str, stamp: float) -> tuple[str, FramePose] | None:
        """A frame's parent and its pose there at a stamp; between two that are known, in proportion."""
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
    """A pose on the way from a to b: a straight line, and the shortest turn (slerp)."""
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
        """The pose of `source` in `target` at a message's stamp. Raises FrameError where it isn't known."""
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
    """Of a geometry_msgs/Transform; ValueError where it is none."""
    t, r = transform.translation, transform.rotation
    return FramePose.of(np.array([t.x, t.y, t.z]), np.array([r.x, r.y, r.z, r.w]))
