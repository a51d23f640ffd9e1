# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a rectified stereo rig is: one pinhole camera, seen twice, a baseline apart."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np

from sicm_ros.errors import CalibrationError

MAX_IMAGE_SIDE = 1 << 14  # pixels; larger than any camera, small enough that no allocation can hurt


Numbers = TypeVar("Numbers", float, np.ndarray)


@dataclass(frozen=True)
class StereoCalibration:
    """A rectified stereo pair.

    The frame is the left camera's optical frame: x right, y down, z forward, metres. A point (x, y, z) is seen at
    u = fx x / z + cx, v = fy y / z + cy in the left image and, in the right one, in the same row, `disparity` pixels
    further left:

        z = fx * baseline / (disparity + disparity_offset)

    Pixel centres have integer coordinates (KITTI, OpenCV, ROS).

    Attributes:
        fx, fy: focal lengths, pixels.
        cx, cy: principal point of the left image, pixels.
        baseline: distance between the cameras, metres, positive.
        width, height: image size, pixels.
        disparity_offset: pixels to add to a measured disparity. It is cx_right - cx_left for rigs whose views were
            rectified with different principal points; for KITTI it also holds the 0.5 px between labels and images.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    baseline: float
    width: int
    height: int
    disparity_offset: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value):
                raise CalibrationError(f"calibration: {field.name} is {value}; expected a finite number")
        for name in ("fx", "fy", "baseline"):
            if getattr(self, name) <= 0:
                raise CalibrationError(f"calibration: {name} is {getattr(self, name)}; expected a positive number")
        for name in ("width", "height"):
            value = getattr(self, name)
            if not 1 <= value <= MAX_IMAGE_SIDE:
                raise CalibrationError(f"calibration: {name} is {value}; expected 1 to {MAX_IMAGE_SIDE} pixels")

    def depth(self, disparity: Numbers) -> Numbers:
        """Return the depth in metres of a disparity in pixels (number or array); disparities of nothing give infinity
        or less.
        """
        return self.fx * self.baseline / (disparity + self.disparity_offset)

    def disparity(self, depth: Numbers) -> Numbers:
        """Return the disparity in pixels, as the images show it, of a depth in metres (number or array)."""
        return self.fx * self.baseline / depth - self.disparity_offset

    def resized(self, width: int, height: int) -> StereoCalibration:
        """Return the calibration after the image was resized to width x height (corner-aligned, as cv2.resize does)."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
            disparity_offset=self.disparity_offset * sx,
            width=width,
            height=height,
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> StereoCalibration:
        """Return the calibration of the window that starts at (left, top); negative starts mean padding."""
        return replace(self, cx=self.cx - left, cy=self.cy - top, width=width, height=height)

    def mirrored(self) -> StereoCalibration:
        """Return the calibration after both images were mirrored and exchanged, so that left is left again.

        The left view of the mirrored pair is the mirrored right view, whose principal point lies disparity_offset to
        the right of the left one's.
        """
        return replace(self, cx=self.width - 1 - (self.cx + self.disparity_offset))
