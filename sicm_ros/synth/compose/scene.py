# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A real stereo pair as a stage: its disparity, its ground plane, and where something can stand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.sgbm import sgbm_disparities
from sicm_ros.kitti import Labels, StereoFrame
from sicm_ros.synth.compose.grading import Look

GROUND_TOLERANCE = 0.75  # pixels of disparity between a ground pixel and the plane
CAMERA_HEIGHTS = (1.3, 2.1)  # metres; the plane below KITTI's car is sought here (it is 1.65 m there)


@dataclass(frozen=True)
class Scene:
    """A labelled stereo pair and what stereo says of it.

    Attributes:
        name: the frame's name.
        images: uint8 (2, H, W, 3), the left and the right view.
        calibration: of the pair.
        labels: in the left camera's frame.
        disparities: float32 (2, H, W), pixels, of each view, 0 where unknown.
        ground: (4,), n and h of the plane n . X = h in the left camera's frame, n of length 1 pointing down, metres.
    """

    name: str
    images: np.ndarray
    calibration: StereoCalibration
    labels: Labels
    disparities: np.ndarray
    ground: np.ndarray

    @classmethod
    def of(cls, frame: StereoFrame) -> Scene:
        """Return the scene of a labelled frame; InputError where the frame has no labels or no ground is found."""
        if frame.labels is None:
            raise InputError(f"{frame.name} has no labels; cars are added only to labelled frames")
        images = np.stack([frame.left, frame.right])
        disparities = np.stack(sgbm_disparities(*images))
        ground = fit_ground(disparities[0], frame.calibration, frame.labels.image_boxes, frame.name)
        return cls(frame.name, images, frame.calibration, frame.labels, disparities, ground)

    def ground_y(self, x, z):
        """Return the height coordinate y (down) of the ground at x, z, metres."""
        nx, ny, nz, h = self.ground
        return (h - nx * np.asarray(x) - nz * np.asarray(z)) / ny

    @cached_property
    def ground_disparities(self) -> np.ndarray:
        """float32 (2, H, W): disparity of the ground plane at each pixel of each view; negative above the horizon."""
        return np.stack([plane_disparity(self.ground, self.calibration, view) for view in (0, 1)])

    @cached_property
    def looks(self) -> tuple[Look, Look]:
        """How each view's camera draws."""
        return Look.of(self.images[0]), Look.of(self.images[1])

    @cached_property
    def full_disparities(self) -> np.ndarray:
        """float32 (2, H, W): disparities without holes, see `filled`."""
        return np.stack([filled(self.disparities[view], self.ground_disparities[view]) for view in (0, 1)])


def rays(calibration: StereoCalibration, view: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x / z (W,) of columns and y / z (H,) of rows, from that view's own camera."""
    cx = calibration.cx + view * calibration.disparity_offset
    columns = (np.arange(calibration.width, dtype=np.float32) - cx) / calibration.fx
    rows = (np.arange(calibration.height, dtype=np.float32) - calibration.cy) / calibration.fy
    return columns, rows


def plane_disparity(plane: np.ndarray, calibration: StereoCalibration, view: int) -> np.ndarray:
    """Return float32 (H, W): disparity of a plane (4,), n . X = h in the left frame, at each pixel of a view."""
    nx, ny, nz, h = plane
    h = h - view * nx * calibration.baseline  # seen from the right camera, the plane moved
    columns, rows = rays(calibration, view)
    inverse_depth = (nx * columns[None] + ny * rows[:, None] + nz) / h
    return (inverse_depth * calibration.fx * calibration.baseline - calibration.disparity_offset).astype(np.float32)


def fit_ground(
    disparity: np.ndarray, calibration: StereoCalibration, boxes: np.ndarray, name: str = "frame"
) -> np.ndarray:
    """Return the plane (4,), n . X = h, of the road, by RANSAC on disparity.

    Args:
        disparity: float32 (H, W) of the left view, 0 where unknown.
        boxes: (N, 4) image boxes of objects, which are left out.

    A plane is linear in disparity: d + offset = fx b / h (n . ray), so three pixels give one, and the noise of stereo
    is the same everywhere. Raises InputError where there is no road to be seen.
    """
    free = disparity > 0
    for left, top, right, bottom in boxes:
        free[max(int(top), 0) : int(bottom) + 2, max(int(left), 0) : int(right) + 2] = False
    columns, rows = rays(calibration, 0)
    z = calibration.depth(np.maximum(disparity, 0.5))
    x, y = columns[None] * z, rows[:, None] * z
    free &= (np.abs(x) < 10) & (z < 40) & (y > 0.9) & (y < 2.6)
    v, u = np.nonzero(free)
    if len(v) < 500:
        raise InputError(f"{name}: only {len(v)} pixels can be road; expected a street seen from a car")
    rng = np.random.default_rng(0)
    keep = rng.choice(len(v), min(len(v), 4000), replace=False)
    features = np.stack([columns[u[keep]], rows[v[keep]], np.ones(len(keep))], 1).astype(np.float64)
    target = (disparity[v[keep], u[keep]] + calibration.disparity_offset) / (calibration.fx * calibration.baseline)
    tolerance = GROUND_TOLERANCE / (calibration.fx * calibration.baseline)

    best, most = None, 0
    for _ in range(400):
        three = rng.choice(len(keep), 3, replace=False)
        try:
            plane = np.linalg.solve(features[three], target[three])
        except np.linalg.LinAlgError:
            continue
        length = np.linalg.norm(plane)
        upright = plane[1] / length > 0.99
        if not upright or not CAMERA_HEIGHTS[0] < 1 / length < CAMERA_HEIGHTS[1]:
            continue
        inliers = int((np.abs(features @ plane - target) < tolerance).sum())
        if inliers > most:
            best, most = plane, inliers
    if best is None:
        raise InputError(f"{name}: no plane found {CAMERA_HEIGHTS[0]} to {CAMERA_HEIGHTS[1]} m below the camera")
    for _ in range(3):
        inlier = np.abs(features @ best - target) < tolerance
        best = np.linalg.lstsq(features[inlier], target[inlier], rcond=None)[0]
    length = np.linalg.norm(best)
    return np.array([*best / length, 1 / length])


def filled(disparity: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Return the disparity (H, W) without holes: the farther of the nearest known values left and
    right, below it the ground's.

    Holes lie beside what stands in front, and what is seen there is what lies behind.
    """
    known = disparity > 0
    columns = np.arange(disparity.shape[1])[None]
    left = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, columns, disparity.shape[1])[:, ::-1], axis=1)[:, ::-1]
    from_left = np.where(left >= 0, np.take_along_axis(disparity, left.clip(0), 1), np.inf)
    right_known = right < disparity.shape[1]
    from_right = np.where(right_known, np.take_along_axis(disparity, right.clip(0, disparity.shape[1] - 1), 1), np.inf)
    behind = np.minimum(from_left, from_right)
    behind = np.where(np.isfinite(behind), behind, 0)
    full = np.where(known, disparity, np.maximum(behind, np.minimum(ground, behind + 4)))
    return cv2.medianBlur(full.astype(np.float32), 5)
