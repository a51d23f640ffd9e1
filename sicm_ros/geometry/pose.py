"""KITTI's box and ROS's pose of it: one convention, stated here.

KITTI: bottom-face centre (x, y, z) in the optical frame (x right, y down, z forward), dimensions (h, w, l), rotation_y.
ROS (`vision_msgs/BoundingBox3D`): the box's centre, a quaternion (x, y, z, w) and the size along the box's own axes,
which point forward (x, along the length), left (y, along the width) and up (z): size = (l, w, h), and a body frame's
yaw is -rotation_y - pi/2. With a = rotation_y / 2 and r = sqrt(1/2) the quaternion is
(r cos a, r sin a, -r sin a, r cos a).
"""

from __future__ import annotations

import math

import numpy as np

_R = math.sqrt(0.5)


def to_pose(
    location: np.ndarray, dimensions: np.ndarray, rotation_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """KITTI boxes (N, 3), (N, 3), (N,) -> centres (N, 3), quaternions x, y, z, w (N, 4), sizes l, w, h (N, 3)."""
    location, dimensions = np.asarray(location, np.float64), np.asarray(dimensions, np.float64)
    half = np.asarray(rotation_y, np.float64) / 2
    centre = location.copy()
    centre[:, 1] -= dimensions[:, 0] / 2
    cos, sin = _R * np.cos(half), _R * np.sin(half)
    return centre, np.stack([cos, sin, -sin, cos], 1), dimensions[:, ::-1].copy()


def from_pose(
    centre: np.ndarray, quaternion: np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The inverse: location (N, 3), dimensions h, w, l (N, 3), rotation_y (N,) in [-pi, pi].

    A box that doesn't stand upright in the camera's frame keeps the direction of its length as seen from above.
    """
    centre, size = np.asarray(centre, np.float64), np.asarray(size, np.float64)
    x, y, z, w = np.asarray(quaternion, np.float64).reshape(-1, 4).T
    # The box's x axis, rotated, seen in the x-z plane: rotation_y takes x towards -z.
    forward_x, forward_z = 1 - 2 * (y * y + z * z), 2 * (x * z - w * y)
    location = centre.copy()
    location[:, 1] += size[:, 2] / 2
    return location, size[:, ::-1].copy(), np.arctan2(-forward_z, forward_x)
