# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""KITTI's box and ROS's pose of it, with its covariance, and poses of frames: one convention, stated here.

KITTI: bottom-face centre (x, y, z) in the optical frame (x right, y down, z forward), dimensions (h, w, l), rotation_y.
ROS (`vision_msgs/BoundingBox3D`): the box's centre, a quaternion (x, y, z, w) and the size along the box's own axes,
which point forward (x, along the length), left (y, along the width) and up (z): size = (l, w, h), and a body frame's
yaw is -rotation_y - pi/2. With a = rotation_y / 2 and r = sqrt(1/2) the quaternion is
(r cos a, r sin a, -r sin a, r cos a).

ROS's covariance (`geometry_msgs/PoseWithCovariance`): 6 x 6, of x, y, z (metres) and of small turns about the fixed
axes x, y, z of the frame that the pose is in (radians). A frame's pose takes coordinates in it to its parent's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.geometry.boxes import centres

_R = math.sqrt(0.5)


@dataclass(frozen=True)
class FramePose:
    """A frame's pose in another one: rotation (3, 3), translation (3,), metres. `pose @ other` chains two."""

    rotation: np.ndarray
    translation: np.ndarray

    @classmethod
    def of(cls, translation: np.ndarray, quaternion: np.ndarray) -> FramePose:
        """Make one of a translation (3,) and a quaternion x, y, z, w of any length. Raises ValueError where it is no
        pose.
        """
        quaternion = np.asarray(quaternion, np.float64)
        length = np.linalg.norm(quaternion)
        if not (np.isfinite(length) and length > 1e-6 and np.isfinite(translation).all()):
            raise ValueError(f"{list(translation)}, {quaternion.tolist()} is no pose")
        return cls(rotations(quaternion[None] / length)[0], np.asarray(translation, np.float64))

    @classmethod
    def parse(cls, text: str) -> FramePose:
        """Make one of the words x y z qx qy qz qw. Raises ValueError where they aren't those of a pose."""
        numbers = np.array([float(word) for word in text.replace(",", " ").split()])
        if numbers.shape != (7,):
            raise ValueError(f"{text!r} has {len(numbers)} numbers; expected seven, x y z qx qy qz qw")
        return cls.of(numbers[:3], numbers[3:])

    @classmethod
    def identity(cls) -> FramePose:
        return cls(np.eye(3), np.zeros(3))

    def __matmul__(self, other: FramePose) -> FramePose:
        return FramePose(self.rotation @ other.rotation, self.rotation @ other.translation + self.translation)

    def inverse(self) -> FramePose:
        """Return the other frame's pose in this one."""
        return FramePose(self.rotation.T, -self.rotation.T @ self.translation)

    def points(self, points: np.ndarray) -> np.ndarray:
        """Return points (..., 3) of the frame in its parent's coordinates."""
        return points @ self.rotation.T + self.translation

    def quaternions(self, quaternions: np.ndarray) -> np.ndarray:
        """Return orientations (N, 4) x, y, z, w in the frame, as they are in its parent."""
        x, y, z, w = self.quaternion
        left = np.array([[w, -z, y, x], [z, w, -x, y], [-y, x, w, z], [-x, -y, -z, w]])
        return quaternions @ left.T

    def covariances(self, covariances: np.ndarray) -> np.ndarray:
        """Return covariances (N, 6, 6) in the frame, as they are in its parent."""
        turn = np.zeros((6, 6))
        turn[:3, :3] = turn[3:, 3:] = self.rotation
        return turn @ covariances @ turn.T

    @property
    def quaternion(self) -> np.ndarray:
        """x, y, z, w of the rotation, w not negative."""
        r = self.rotation
        # The largest of the four is computed first: no small number is divided by (Shepperd, 1978).
        squares = np.array(
            [
                1 + r[0, 0] - r[1, 1] - r[2, 2],
                1 - r[0, 0] + r[1, 1] - r[2, 2],
                1 - r[0, 0] - r[1, 1] + r[2, 2],
                1 + r[0, 0] + r[1, 1] + r[2, 2],
            ]
        )
        products = np.array(
            [
                [squares[0], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0], r[2, 1] - r[1, 2]],
                [r[0, 1] + r[1, 0], squares[1], r[1, 2] + r[2, 1], r[0, 2] - r[2, 0]],
                [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], squares[2], r[1, 0] - r[0, 1]],
                [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], squares[3]],
            ]
        )
        quaternion = products[int(squares.argmax())]
        quaternion = quaternion / np.linalg.norm(quaternion)
        return -quaternion if quaternion[3] < 0 else quaternion


def mounted(base_frame: str, text: str) -> FramePose | None:
    """Return a camera's pose in a vehicle's body frame, x y z qx qy qz qw; None of an empty text.

    Raises:
        InputError: it is no pose, or no frame is named that it is in.
    """
    if not text.strip():
        return None
    if not base_frame:
        raise InputError("optical_pose is set, base_frame is empty; set base_frame to the frame of the pose")
    try:
        return FramePose.parse(text)
    except ValueError as error:
        raise InputError(f"optical_pose: {error}") from None


def rotations(quaternions: np.ndarray) -> np.ndarray:
    """Return rotations (N, 3, 3) of unit quaternions x, y, z, w (N, 4)."""
    x, y, z, w = np.asarray(quaternions, np.float64).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(rows).transpose(2, 0, 1)


def covariances(centres: np.ndarray, quaternions: np.ndarray, sizes: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Return covariances (N, 6, 6) of boxes as `to_pose` returns them; zeros, ROS's "unknown", where an error is not
    known.

    Along the viewing ray the error is the depth's, across it that of the centre in the image. The boxes stand upright
    in the camera's frame, and how far the road leans is not measured: each end of a box is taken to be as uncertain in
    height as its middle, which bounds roll and pitch by its width and length.

    Args:
        errors: (N, 4), `Detections.errors`.
    """
    depth, across, vertical, heading = np.asarray(errors, np.float64).T
    full = np.zeros((len(centres), 6, 6))
    with np.errstate(divide="ignore", invalid="ignore"):
        rays = centres / centres[:, 2:]
        roll, pitch = (math.sqrt(2) * vertical / sizes[:, side] for side in (1, 0))
    full[:, :3, :3] = depth[:, None, None] ** 2 * rays[:, :, None] * rays[:, None]
    full[:, 0, 0] += across**2
    full[:, 1, 1] += vertical**2
    # About the box's own axes: forward, left, up.
    turns = np.stack([roll, pitch, heading], 1)
    axes = rotations(quaternions)
    with np.errstate(invalid="ignore"):
        full[:, 3:, 3:] = axes * turns[:, None] ** 2 @ axes.transpose(0, 2, 1)
    full[~np.isfinite(full).all((1, 2))] = 0.0
    return full


def to_pose(
    location: np.ndarray, dimensions: np.ndarray, rotation_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn KITTI boxes (N, 3), (N, 3), (N,) into centres (N, 3), quaternions xyzw (N, 4), sizes l, w, h (N, 3)."""
    location, dimensions = np.asarray(location, np.float64), np.asarray(dimensions, np.float64)
    half = np.asarray(rotation_y, np.float64) / 2
    cos, sin = _R * np.cos(half), _R * np.sin(half)
    return centres(location, dimensions), np.stack([cos, sin, -sin, cos], 1), dimensions[:, ::-1].copy()


def from_pose(
    centre: np.ndarray, quaternion: np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Undo `to_pose`: return location (N, 3), dimensions h, w, l (N, 3) and rotation_y (N,) in [-pi, pi].

    A box that doesn't stand upright in the camera's frame keeps the direction of its length as seen from above.
    """
    centre, size = np.asarray(centre, np.float64), np.asarray(size, np.float64)
    # The box's x axis, rotated, seen in the x-z plane: rotation_y takes x towards -z.
    forward_x, _, forward_z = rotations(np.asarray(quaternion, np.float64).reshape(-1, 4))[:, :, 0].T
    location = centre.copy()
    location[:, 1] += size[:, 2] / 2
    return location, size[:, ::-1].copy(), np.arctan2(-forward_z, forward_x)
