# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The calibration of a pair of pictures, from what the cameras say of themselves."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import CameraInfo

from sicm_ros.bags.camera_info import SizeError, stereo_calibration
from sicm_ros.bags.pairing import SIDES
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import StereoCalibration

ATTEMPTS, WAIT = 6, 0.01  # looks for a camera_info that is late, and seconds between two of them
KEPT = 32  # camera_info messages of one camera that are kept to find the one with a picture's stamp


class MissingInfo(InputError):
    """No camera_info came yet."""

    cause = "no_calibration"


class BadInfo(InputError):
    """A camera_info that no rectified pair can have."""

    cause = "calibration"


class Rig:
    """Follows the camera_info of both cameras: `put` in the executor's thread, `calibration` in the worker's.

    Args:
        image_topics, info_topics: side -> topic, named in errors.
        remark: told of what was mended in a camera_info, once for each calibration.
    """

    def __init__(
        self, image_topics: dict[str, str], info_topics: dict[str, str], remark: Callable[[str], None]
    ) -> None:
        self._remark = remark
        self._image_topics, self._info_topics = image_topics, info_topics
        self._infos: dict[str, deque[CameraInfo]] = {side: deque(maxlen=KEPT) for side in SIDES}
        self._stamped = False  # the last picture had a camera_info of its own stamp
        self._known: tuple[Any, StereoCalibration] | None = None

    def put(self, side: str, info: CameraInfo) -> None:
        """Takes in a camera_info of the `left` or the `right` camera."""
        self._infos[side].append(info)

    def knows(self, side: str) -> bool:
        """Whether a camera_info of a camera has come."""
        return bool(self._infos[side])

    def calibration(
        self,
        stamps: tuple[Any, Any],
        size: tuple[int, int],
        disparity_offset: float,
        assume_rectified: bool,
        baseline: float,
    ) -> tuple[StereoCalibration, bool]:
        """The calibration of a pair, and whether it is another one than that of the pair before.

        Args:
            stamps: of the left and the right picture; the camera_info of the same stamp is taken, or else the newest.
            size, disparity_offset, assume_rectified, baseline: as for `bags.camera_info.stereo_calibration`.

        Raises:
            MissingInfo, BadInfo: there is none; the text names the topic and the remedy.
        """
        infos = [self._info_of(side, stamp) for side, stamp in zip(SIDES, stamps, strict=True)]
        signature = (*map(_said, infos), size, disparity_offset, assume_rectified, baseline)
        # Compared in words, since a NaN is not equal to itself.
        if self._known is not None and repr(self._known[0]) == repr(signature):
            return self._known[1], False
        try:
            rig = stereo_calibration(
                *infos,
                topics=(self._info_topics["left"], self._info_topics["right"]),
                size=size,
                disparity_offset=disparity_offset,
                assume_rectified=assume_rectified,
                baseline=baseline,
                remark=self._remark,
            )
        except SizeError:
            raise
        except CalibrationError as error:
            raise BadInfo(str(error)) from None
        changed = self._known is not None
        self._known = (signature, rig)
        return rig, changed

    def _info_of(self, side: str, stamp: Any) -> CameraInfo:
        """The camera_info with a picture's stamp, or else the newest one.

        Where the picture before had its own, this one's may be some milliseconds late: a changed calibration must not
        miss the first picture that it belongs to.
        """
        for attempt in range(ATTEMPTS if self._stamped else 1):
            if attempt:
                time.sleep(WAIT)
            known = self._infos[side].copy()
            own = [info for info in known if info.header.stamp == stamp]
            if own:
                break
        self._stamped = bool(own)
        if not known:
            info, image = self._info_topics[side], self._image_topics[side]
            raise MissingInfo(f"nothing on {info} yet; it is needed in addition to {image}")
        return own[-1] if own else known[-1]


def _said(info: CameraInfo) -> tuple:
    """What of a camera_info the calibration depends on."""
    roi = info.roi
    region = roi.x_offset, roi.y_offset, roi.width, roi.height
    return info.width, info.height, tuple(info.d), tuple(info.r), tuple(info.p), info.binning_x, info.binning_y, region
