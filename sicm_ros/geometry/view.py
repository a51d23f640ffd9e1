# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The window of the image that the network looks at: any image size in, the model's size out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from sicm_ros.geometry.calibration import StereoCalibration

# Share of the window above the horizon: what KITTI keeps of its sky when the top 100 rows are cut off.
HORIZON = 0.27
# Focal length over width up to which an image fills the window: KITTI's (0.576 to 0.581), on which models learn how
# large things look at a distance. An image of a narrower angle keeps that scale, between black bars: of one that fills
# the window, depths come out too small, and the narrower it is, the less is found at all.
FOCAL, KITTI_FOCAL = 0.6, 0.58
WIDE = 0.85  # of KITTI's scale: the smallest that models see in training
ROUNDING = 1e-6  # relative; float32 may move the width of the resized images so far
COARSE = 2.0  # pixels of the window to one of the image


def scaled_width(source: StereoCalibration, width: int) -> int:
    """Return how many of a window's `width` columns a camera's images take: not all where its angle is narrow."""
    # Downwards, so that the window of a window is itself; by the focal length that a packet carries, so that both sides
    # see the same window.
    fx = float(np.float32(source.fx))
    return min(width, max(1, math.floor(FOCAL * width / fx * source.width * (1 + ROUNDING))))


@dataclass(frozen=True)
class ModelView:
    """A resize to the model's scale and a crop, or padding, to its size: all columns, the rows around the horizon.

    Attributes:
        source: calibration of the camera's image.
        calibration: calibration of the model's input, width x height of which are the model's.
        resized_width, resized_height: size of the whole image after the resize, pixels.
        left, top: first column and row of the window in the resized image; negative where zeros are padded before.
    """

    source: StereoCalibration
    calibration: StereoCalibration
    resized_width: int
    resized_height: int
    left: int
    top: int

    @classmethod
    def fit(cls, source: StereoCalibration, width: int, height: int, fill: bool = False) -> ModelView:
        """Return the view of a width x height model on a camera.

        Args:
            fill: a narrow camera's images fill the window as well, as 0.9.0 had it.
        """
        resized_width = width if fill else scaled_width(source, width)
        resized_height = max(1, round(source.height * resized_width / source.width))
        resized = source.resized(resized_width, resized_height)
        left = -((width - resized_width) // 2)
        spare = resized_height - height
        top = round(resized.cy - HORIZON * height)
        top = min(max(top, min(0, spare)), max(0, spare))
        return cls(source, resized.cropped(left, top, width, height), resized_width, resized_height, left, top)

    @property
    def padded(self) -> bool:
        """Whether the images keep the scale that models learn, between black columns, instead of filling the window."""
        return self.resized_width < self.calibration.width

    def reduction(self) -> int:
        """Return how many times smaller images may be, 8, 4, 2 or 1, with no pixel less than `apply` gives."""
        width, height = self.source.width, self.source.height
        return next(
            (
                by
                for by in (8, 4, 2)
                if not (width % by or height % by)
                and width // by >= self.resized_width
                and height // by >= self.resized_height
            ),
            1,
        )

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Cut and resize an image, uint8 (source height, source width, C) or reduced, to uint8 (height, width, C)."""
        width, height = self.calibration.width, self.calibration.height
        shrinks = self.resized_height < image.shape[0]
        resized = cv2.resize(
            image,
            (self.resized_width, self.resized_height),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        )
        window = resized[max(self.top, 0) : max(self.top + height, 0)]
        above, before = max(-self.top, 0), -self.left
        below, behind = height - above - window.shape[0], width - before - window.shape[1]
        if above or below or before or behind:
            window = cv2.copyMakeBorder(window, above, below, before, behind, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        return window

    @property
    def expectation(self) -> str:
        """What to expect of a camera that is unlike those that models learn from; empty of one that isn't."""
        angle = 2 * math.degrees(math.atan(self.source.width / 2 / self.source.fx))
        smaller = self.calibration.fx / (KITTI_FOCAL * self.calibration.width)
        if smaller < WIDE:
            return (
                f"the camera sees {angle:.0f} degrees: things look {1 / smaller:.1f} times smaller than in what models "
                f"learn from, so expect to find them up to {smaller:.0%} of the usual range, and depths less exact"
            )
        finer = self.resized_width / self.source.width
        if finer > COARSE:
            return (
                f"the image has {self.source.width} columns for {angle:.0f} degrees and is drawn {finer:.1f} times "
                "larger: expect to find near things only, and depths less exact"
            )
        return ""
