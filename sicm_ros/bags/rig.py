# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What the calibrations of two cameras make of their pictures: a rectified pair, at once or after a rectification."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sicm_ros.bags.camera_info import stereo_calibration
from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.rectification import ALWAYS, AUTO, NEVER, RECTIFY, Lens, Rectification, must_rectify

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CameraRig:
    """Two cameras.

    Attributes:
        calibration: of the rectified pair, at the size of the cameras' images.
        rectification: what makes one of the images; None where they are rectified.
        ignored: the calibration describes a distortion that the images no longer have.
    """

    calibration: StereoCalibration
    rectification: Rectification | None = None
    ignored: bool = False


def how_to_rectify(rectify: str, assume_rectified: bool = False, rectified: bool = False) -> str:
    """Return auto, always or never, of all that says so: the one rule of nodes, replay and tools.

    Args:
        rectify: as the user asks.
        assume_rectified: as the user says; short for `never`.
        rectified: as the layout of the camera says; `always` overrules it.

    Raises:
        InputError: another word, or what the user says contradicts itself.
    """
    if rectify not in RECTIFY:
        raise InputError(f"rectify is {rectify!r}; expected {', '.join(RECTIFY)}")
    if assume_rectified and rectify == ALWAYS:
        raise InputError(
            "rectify is always, but assume_rectified (--assume-rectified) says that the images are; give one of them"
        )
    return NEVER if assume_rectified or (rectified and rectify == AUTO) else rectify


def camera_rig(
    left: Any,
    right: Any,
    *,
    image_topics: tuple[str, str],
    info_topics: tuple[str, str],
    rectify: str = AUTO,
    disparity_offset: float = 0.0,
    size: tuple[int, int] | None = None,
    baseline: float = 0.0,
    remark: Callable[[str], None] = _log.warning,
) -> CameraRig:
    """Return the rig that two CameraInfo messages, or `Lens`es, describe.

    Args:
        left, right: of the two cameras.
        image_topics: of the images, whose names may say that they are rectified.
        info_topics: named in errors.
        rectify: auto, always or never.
        disparity_offset, size, baseline, remark: as for `camera_info.stereo_calibration`.

    Raises:
        CalibrationError: no pair can have them, or a distortion model that isn't known.
    """
    lenses = Lens.of(left), Lens.of(right)
    rectifies = must_rectify(*lenses, rectify, image_topics)
    bent = any(lens.distorted or lens.turned for lens in lenses)
    calibration = stereo_calibration(
        left,
        right,
        topics=info_topics,
        size=size,
        disparity_offset=disparity_offset,
        assume_rectified=bent or rectify == NEVER,
        baseline=baseline,
        remark=remark,
    )
    if not rectifies:
        return CameraRig(calibration, None, bent)
    seen = _seen(lenses[0], calibration), _seen(lenses[1], calibration, lenses[0])
    # The rectified pair is drawn with one principal point, so their difference doesn't enter.
    calibration = replace(calibration, disparity_offset=disparity_offset)
    return CameraRig(calibration, Rectification(*seen, calibration, info_topics))


def _seen(lens: Lens, calibration: StereoCalibration, same: Lens | None = None) -> Lens:
    """A lens in pixels of the images as they are sent: after binning, and within the region of interest.

    Args:
        lens: in pixels of the whole sensor.
        calibration: of the rectified images as they are sent.
        same: the left camera, if `lens` is the right one: binning and region are the same.
    """
    p, k = (same or lens).p, lens.k
    across, down = p[0] / calibration.fx, p[5] / calibration.fy
    left, top = p[2] - calibration.cx * across, p[6] - calibration.cy * down
    camera = (k[0] / across, k[1], (k[2] - left) / across, k[3], k[4] / down, (k[5] - top) / down, *k[6:])
    return replace(lens, width=calibration.width, height=calibration.height, k=camera)
