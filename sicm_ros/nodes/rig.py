# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The calibration of a pair of pictures, from what the cameras say of themselves."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from sensor_msgs.msg import CameraInfo

from sicm_ros.bags.camera_info import stereo_calibration
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.nodes.pairing import SIDES

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
    """

    def __init__(self, image_topics: dict[str, str], info_topics: dict[str, str]) -> None:
        self._image_topics, self._info_topics = image_topics, info_topics
        self._infos: dict[str, deque[CameraInfo]] = {side: deque(maxlen=KEPT) for side in SIDES}
        self._stamped = False  # the last picture had a camera_info of its own stamp
        self._known: tuple[Any, StereoCalibration] | None = None

    def put(self, side: str, info: CameraInfo) -> None:
        """Takes in a camera_info of the `left` or the `right` camera."""
        self._infos[side].append(info)

    def calibration(
        self, stamps: tuple[Any, Any], disparity_offset: float, assume_rectified: bool
    ) -> tuple[StereoCalibration, bool]:
        """The calibration of a pair, and whether it is another one than that of the pair before.

        Args:
            stamps: of the left and the right picture; the camera_info of the same stamp is taken, or else the newest.
            disparity_offset, assume_rectified: as for `bags.camera_info.stereo_calibration`.

        Raises:
            MissingInfo, BadInfo: there is none; the text names the topic and the remedy.
        """
        infos = [self._info_of(side, stamp) for side, stamp in zip(SIDES, stamps, strict=True)]
        signature = (*((i.width, i.height, tuple(i.d), tuple(i.p)) for i in infos), disparity_offset, assume_rectified)
        # Compared in words, since a NaN is not equal to itself.
        if self._known is not None and repr(self._known[0]) == repr(signature):
            return self._known[1], False
        try:
            rig = stereo_calibration(
                *infos,
                topics=(self._info_topics["left"], self._info_topics["right"]),
                disparity_offset=disparity_offset,
                assume_rectified=assume_rectified,
            )
        except CalibrationError as error:
            raise BadInfo(f"{error} (or set assume_rectified, if the images are)") from None
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
