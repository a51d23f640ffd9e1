# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What the calibrations of two cameras make of their pictures: a rectified pair, at once or after a rectification."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sicm_ros.bags.camera_info import stereo_calibration
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.rectification import AUTO, Lens, Rectification, must_rectify


@dataclass(frozen=True)
class CameraRig:
    """Two cameras.

    Attributes:
        calibration: of the rectified pair, at the size of the cameras' pictures.
        rectification: what makes one of the pictures; None where they are rectified.
        ignored: the calibration describes a distortion that the pictures no longer have.
    """

    calibration: StereoCalibration
    rectification: Rectification | None = None
    ignored: bool = False


def camera_rig(
    left: Any,
    right: Any,
    *,
    image_topics: tuple[str, str],
    info_topics: tuple[str, str],
    rectify: str = AUTO,
    disparity_offset: float = 0.0,
) -> CameraRig:
    """Return the rig that two CameraInfo messages, or `Lens`es, describe.

    Args:
        left, right: of the two cameras.
        image_topics: of the pictures, whose names may say that they are rectified.
        info_topics: named in errors.
        rectify: auto, always or never.
        disparity_offset: pixels to add to a measured disparity, besides the difference of the principal points.

    Raises:
        CalibrationError: no pair can have them, or a distortion model that isn't known.
    """
    lenses = Lens.of(left), Lens.of(right)
    calibration = stereo_calibration(
        left, right, topics=info_topics, disparity_offset=disparity_offset, assume_rectified=True
    )
    if must_rectify(*lenses, rectify, image_topics):
        # The rectified pair is drawn with one principal point, so their difference doesn't enter.
        calibration = replace(calibration, disparity_offset=disparity_offset)
        return CameraRig(calibration, Rectification(*lenses, calibration, info_topics))
    return CameraRig(calibration, None, any(lens.distorted or lens.turned for lens in lenses))
