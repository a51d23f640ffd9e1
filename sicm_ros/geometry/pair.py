# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A stereo pair, whatever it came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sicm_ros.geometry.calibration import StereoCalibration


class StereoPair(Protocol):
    """Two rectified images and their calibration: what everything that codes or looks at a pair asks for.

    Attributes:
        left, right: uint8 (height, width, 3) RGB.
        calibration: of these images.
    """

    @property
    def left(self) -> np.ndarray: ...

    @property
    def right(self) -> np.ndarray: ...

    @property
    def calibration(self) -> StereoCalibration: ...


@dataclass(frozen=True)
class ImagePair:
    """A StereoPair in memory."""

    left: np.ndarray
    right: np.ndarray
    calibration: StereoCalibration
