# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sensor_msgs/CameraInfo` and our calibration, in both directions; works on any object with the message's fields.

ROS stereo (REP 104, image_pipeline): both projection matrices are relative to the left camera, so that P_left[3] = 0
and P_right[3] = -fx * baseline. KITTI's own matrices, and the bags that copy them, are relative to its camera 0
instead; the difference P_left[3] - P_right[3] = fx * baseline holds for both.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import StereoCalibration

SHORTEST, LONGEST = 0.003, 10.0  # metres of a baseline: an endoscope's, and more than any vehicle is wide
ROWS = 1.0  # pixels that the principal points of a rectified pair may differ in y
TURN = math.radians(0.1)  # of a rectifying rotation that is none
SMALLEST = 32  # pixels of an image's side: below it there is nothing to see
SAME = 1e-3  # share that two focal lengths of a rectified pair may differ by

_log = logging.getLogger(__name__)


class SizeError(CalibrationError):
    """An image of another size than its camera_info's, or too small."""

    cause = "size"


class PairSizeError(InputError):
    """Two images that are no pair by their sizes, or too small to show anything."""

    cause = "size"


def check_sizes(sizes: Sequence[tuple[int, int]], topics: Sequence[str]) -> None:
    """Raise PairSizeError where no pair can have images of these widths and heights, pixels."""
    for topic, (width, height) in zip(topics, sizes):
        if min(width, height) < SMALLEST:
            raise PairSizeError(f"{topic} is {width} x {height} pixels; at least {SMALLEST} are needed on each side")
    if sizes[0] != sizes[1]:
        raise PairSizeError(
            f"{topics[0]} is {sizes[0][0]} x {sizes[0][1]} pixels, {topics[1]} is {sizes[1][0]} x {sizes[1][1]}; both "
            "images of a rectified pair must have the same size"
        )


@dataclass(frozen=True)
class _Camera:
    """What one camera_info says of the images as they are: after its binning, within its region of interest."""

    topic: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    tx: float  # p[3]: minus focal length times the distance from the origin, pixels times metres


def stereo_calibration(
    left: Any,
    right: Any,
    *,
    topics: tuple[str, str] = ("left/camera_info", "right/camera_info"),
    size: tuple[int, int] | None = None,
    disparity_offset: float = 0.0,
    assume_rectified: bool = False,
    baseline: float = 0.0,
    remark: Callable[[str], None] = _log.warning,
) -> StereoCalibration:
    """Return the rig that two CameraInfo messages describe: the one check of nodes, replay and tools.

    Args:
        left, right: the messages of the two cameras, of rectified images.
        topics: names used in errors.
        size: width and height of the images, pixels; None where they aren't known.
        disparity_offset: pixels to add to a measured disparity, besides the difference of the principal points.
        assume_rectified: ignore the distortion and rotation that describe the images before their rectification
            (image_proc's outputs and KITTI bags have them beside rectified images).
        baseline: metres; overrules what the projections say, where it is not 0.
        remark: told of each thing that was mended.

    Raises:
        CalibrationError: not rectified, no plausible baseline, sizes that differ, numbers that aren't finite.
    """
    infos = (left, topics[0]), (right, topics[1])
    if (left.width, left.height) != (right.width, right.height):
        raise CalibrationError(
            f"{topics[0]} says {left.width} x {left.height}, {topics[1]} {right.width} x {right.height} pixels: "
            "both images of a rectified pair must have the same size; rectify with stereo_image_proc"
        )
    a, b = (_camera(info, topic, size, remark) for info, topic in infos)
    if not assume_rectified:
        for info, topic in infos:
            _check_rectified(info, topic)
    if not math.isclose(a.fx, b.fx, rel_tol=SAME):
        raise CalibrationError(
            f"{a.topic} has focal length {a.fx:.3f}, {b.topic} {b.fx:.3f} pixels: not rectified; rectify with "
            "stereo_image_proc, whose outputs share one"
        )
    if abs(a.cy - b.cy) > ROWS:
        text = f"{a.topic} has its principal point at row {a.cy:.2f}, {b.topic} at {b.cy:.2f}"
        if not assume_rectified:
            raise CalibrationError(
                f"{text}: the rows of a rectified pair are the same; rectify with stereo_image_proc, or say "
                "assume_rectified (--assume-rectified) if the images are"
            )
        remark(f"{text}; assumed rectified, the left one's is used")
    return StereoCalibration(
        fx=a.fx,
        fy=a.fy,
        cx=a.cx,
        cy=a.cy,
        baseline=baseline or _baseline(a, b, remark),
        width=a.width,
        height=a.height,
        disparity_offset=b.cx - a.cx + disparity_offset,
    )


def _camera(info: Any, topic: str, size: tuple[int, int] | None, remark: Callable[[str], None]) -> _Camera:
    """Return a camera's projection and size in pixels of the images as they are sent."""
    p = np.asarray(info.p, np.float64).reshape(-1)
    if p.size != 12:
        raise CalibrationError(f"{topic}: the projection matrix p has {p.size} numbers; expected 12")
    if not np.isfinite(p).all():
        raise CalibrationError(f"{topic}: the projection matrix p contains {p[~np.isfinite(p)][0]}; calibrate again")
    fx, fy, cx, cy, tx = (float(p[i]) for i in (0, 5, 2, 6, 3))
    if not (fx > 0 and fy > 0):
        raise CalibrationError(
            f"{topic}: focal lengths {fx:g}, {fy:g} in p: the camera is not calibrated; calibrate it"
        )
    width, height = int(info.width), int(info.height)
    # As image_geometry has it: K and P are those of the whole sensor, without binning.
    roi = getattr(info, "roi", None)
    left, top, roi_width, roi_height = (
        (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)) if roi is not None else (0, 0, 0, 0)
    )
    across, down = (max(int(getattr(info, f"binning_{axis}", 0)), 1) for axis in "xy")
    seen = ((roi_width or width) // across, (roi_height or height) // down)
    if size is None or seen == size:
        cx, cy = (cx - left) / across, (cy - top) / down
        return _Camera(topic, *seen, fx / across, fy / down, cx, cy, tx / across)
    if (width, height) in (size, size[::-1], (0, 0)):
        if (width, height) != size:
            what = "width and height exchanged" if width else "no size"
            remark(f"{topic} has {what} ({width} x {height}); the images' {size[0]} x {size[1]} pixels are used")
        elif (across, down) != (1, 1) or (roi_width, roi_height) not in ((0, 0), size):
            remark(f"{topic} names a binning or a region, but the images are whole; both are ignored")
        return _Camera(topic, *size, fx, fy, cx, cy, tx)
    told = f"{width} x {height}" + (
        f", {seen[0]} x {seen[1]} after binning and region" if seen != (width, height) else ""
    )
    raise SizeError(
        f"{topic} says {told} pixels, the images are {size[0]} x {size[1]}; publish the camera_info of these images"
    )


def _check_rectified(info: Any, topic: str) -> None:
    """Raise CalibrationError where a camera_info describes images that are still to be rectified."""
    remedy = (
        "not rectified; rectify with stereo_image_proc (image_proc's RectifyNode) and remap to its image_rect_color, "
        "or say assume_rectified (--assume-rectified) if the images are"
    )
    if np.any(np.abs(np.asarray(info.d, np.float64)) > 1e-9):
        raise CalibrationError(f"{topic}: distortion {[round(float(d), 6) for d in info.d]} is not zero: {remedy}")
    r = np.asarray(info.r, np.float64).reshape(-1)
    if r.size == 9 and np.any(r):  # all zero: not filled in
        turn = math.acos(min(1.0, max(-1.0, (float(r[0] + r[4] + r[8]) - 1) / 2)))
        if not turn <= TURN:
            raise CalibrationError(f"{topic}: r turns by {math.degrees(turn):.2f} degrees: {remedy}")


def _baseline(a: _Camera, b: _Camera, remark: Callable[[str], None]) -> float:
    """Return the distance of the cameras, metres, from p[3] of both; mended where it is clear what was meant."""
    said = f"p[3] is {a.tx:g} in {a.topic} and {b.tx:g} in {b.topic}"
    by_hand = "set `baseline` (--baseline, metres) if you know it"
    product = a.tx - b.tx
    if not product:
        if a.tx:
            raise CalibrationError(f"{said}: both are the same, so the cameras are in one place; {by_hand}")
        raise CalibrationError(
            f"{said}: a baseline of 0.000 m; expected -fx * baseline on the right: not calibrated as stereo; {by_hand}"
        )
    if product < 0:
        if a.tx:
            raise CalibrationError(
                f"{said}: a baseline of {product / a.fx:.3f} m: left and right are swapped; swap the topics"
            )
        remark(f"{said}: wrong sign (expected -fx * baseline on the right); corrected")
        product = -product
    baseline = product / a.fx
    if SHORTEST <= baseline <= LONGEST:
        return baseline
    if baseline < SHORTEST <= product <= LONGEST:
        remark(f"{said}: the focal length is missing; a baseline of {product:.4f} m is used")
        return product
    if baseline > LONGEST and SHORTEST <= baseline / 1000 <= LONGEST:
        remark(f"{said}: millimetres; a baseline of {baseline / 1000:.4f} m is used")
        return baseline / 1000
    raise CalibrationError(f"{said}: a baseline of {baseline:.4g} m; expected {SHORTEST} to {LONGEST:g} m; {by_hand}")


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
