# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sensor_msgs/CameraInfo` and our calibration, in both directions; works on any object with the message's fields.

ROS stereo (REP 104, image_pipeline): both projection matrices are relative to the left camera, so that P_left[3] = 0
and P_right[3] = -fx * baseline. KITTI's own matrices, and the bags that copy them, are relative to its camera 0
instead; the difference P_left[3] - P_right[3] = fx * baseline holds for both.
"""

from __future__ import annotations

import math

import numpy as np

from sicm_ros.errors import CalibrationError
from sicm_ros.geometry import StereoCalibration


def _projection(info, topic: str) -> np.ndarray:
    values = np.asarray(info.p, np.float64).reshape(-1)
    if values.size != 12:
        raise CalibrationError(f"{topic}: the projection matrix p has {values.size} numbers; expected 12")
    if not np.isfinite(values).all():
        raise CalibrationError(
            f"{topic}: the projection matrix p contains {values[~np.isfinite(values)][0]}; calibrate again"
        )
    return values.reshape(3, 4)


def stereo_calibration(
    left,
    right,
    *,
    topics: tuple[str, str] = ("left/camera_info", "right/camera_info"),
    disparity_offset: float = 0.0,
    assume_rectified: bool = False,
) -> StereoCalibration:
    """The rig that two CameraInfo messages describe.

    Args:
        left, right: the messages of the two cameras, of rectified pictures.
        topics: names used in errors.
        disparity_offset: pixels to add to a measured disparity, besides the difference of the principal points.
        assume_rectified: ignore the distortion and rotation that describe the pictures before their rectification
            (KITTI bags copy them beside rectified pictures).

    Raises:
        CalibrationError: not rectified, no baseline, sizes that differ, numbers that aren't finite.
    """
    if (left.width, left.height) != (right.width, right.height):
        raise CalibrationError(
            f"{topics[0]} says {left.width} x {left.height}, {topics[1]} {right.width} x {right.height} pixels: "
            "both images of a rectified pair must have the same size; rectify with stereo_image_proc"
        )
    p_left, p_right = _projection(left, topics[0]), _projection(right, topics[1])
    for info, topic in ((left, topics[0]), (right, topics[1])):
        if not assume_rectified and np.any(np.abs(np.asarray(info.d, np.float64)) > 1e-9):
            raise CalibrationError(
                f"{topic}: distortion {[round(float(d), 6) for d in info.d]} is not zero: not rectified; "
                "rectify with stereo_image_proc (image_proc's RectifyNode) and remap to its image_rect_color"
            )
    if not (p_left[0, 0] > 0 and p_left[1, 1] > 0):
        raise CalibrationError(
            f"{topics[0]}: focal lengths {p_left[0, 0]}, {p_left[1, 1]}: the camera is not calibrated"
        )
    if not math.isclose(p_left[0, 0], p_right[0, 0], rel_tol=1e-3):
        raise CalibrationError(
            f"{topics[0]} has focal length {p_left[0, 0]:.3f}, {topics[1]} {p_right[0, 0]:.3f}: not rectified"
        )
    baseline = (p_left[0, 3] - p_right[0, 3]) / p_left[0, 0]
    if not baseline > 0:
        raise CalibrationError(
            f"{topics[1]}: p[3] = {p_right[0, 3]:g} gives a baseline of {baseline:.3f} m; expected -fx * baseline: "
            "the pair is not calibrated as stereo, or left and right are exchanged"
        )
    return StereoCalibration(
        fx=float(p_left[0, 0]),
        fy=float(p_left[1, 1]),
        cx=float(p_left[0, 2]),
        cy=float(p_left[1, 2]),
        baseline=float(baseline),
        width=int(left.width),
        height=int(left.height),
        disparity_offset=float(p_right[0, 2] - p_left[0, 2]) + disparity_offset,
    )


def camera_info_fields(calibration: StereoCalibration, side: str) -> dict:
    """Fields of the conformant CameraInfo of the `left` or the `right` camera, but for its header.

    Both cameras get the same principal point: `disparity_offset`, which in KITTI is no difference of principal points,
    does not enter (readers add it: `stereo_calibration`).
    """
    c = calibration
    shift = -c.fx * c.baseline if side == "right" else 0.0
    return {
        "height": c.height,
        "width": c.width,
        "distortion_model": "plumb_bob",
        "d": [0.0] * 5,
        "k": [c.fx, 0.0, c.cx, 0.0, c.fy, c.cy, 0.0, 0.0, 1.0],
        "r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "p": [c.fx, 0.0, c.cx, shift, 0.0, c.fy, c.cy, 0.0, 0.0, 0.0, 1.0, 0.0],
    }
