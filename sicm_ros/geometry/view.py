# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The window of the picture that the network looks at: any image size in, the model's size out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sicm_ros.geometry.calibration import StereoCalibration

# Share of the window above the horizon: what KITTI keeps of its sky when the top 100 rows are cut off.
HORIZON = 0.27


@dataclass(frozen=True)
class ModelView:
    """A resize to the model's width and a crop, or padding, to its height, around the horizon.

    Attributes:
        source: calibration of the camera's picture.
        calibration: calibration of the model's input, width x height of which are the model's.
        resized_height: height of the whole picture after the resize, pixels.
        top: first row of the window in the resized picture; negative where rows of zeros are padded above.
    """

    source: StereoCalibration
    calibration: StereoCalibration
    resized_height: int
    top: int

    @classmethod
    def fit(cls, source: StereoCalibration, width: int, height: int) -> ModelView:
        """Return the view of a width x height model on a camera: full width, and the rows around the horizon."""
        resized_height = max(1, round(source.height * width / source.width))
        resized = source.resized(width, resized_height)
        spare = resized_height - height
        top = round(resized.cy - HORIZON * height)
        top = min(max(top, min(0, spare)), max(0, spare))
        return cls(source, resized.cropped(0, top, width, height), resized_height, top)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Cut and resize an image, uint8 (source height, source width, C), to uint8 (height, width, C)."""
        width, height = self.calibration.width, self.calibration.height
        shrinks = self.resized_height < image.shape[0]
        resized = cv2.resize(
            image, (width, self.resized_height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        window = resized[max(self.top, 0) : max(self.top + height, 0)]
        above = max(-self.top, 0)
        below = height - above - window.shape[0]
        if above or below:
            window = cv2.copyMakeBorder(window, above, below, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0))
        return window
