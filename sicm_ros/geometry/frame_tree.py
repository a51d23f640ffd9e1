# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Frames and their poses in each other, as transforms tell them: a small buffer, for nodes without tf2 and for bags."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import Any

import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.geometry.pose import FramePose

MEMORY = 10.0  # seconds of moving frames that are kept, as tf2 does


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


def pose_of(transform: Any) -> FramePose:
    """Make one of a geometry_msgs/Transform; ValueError where it is none."""
    t, r = transform.translation, transform.rotation
    return FramePose.of(np.array([t.x, t.y, t.z]), np.array([r.x, r.y, r.z, r.w]))
