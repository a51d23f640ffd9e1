# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The calibration of a pair of images, from what the cameras say of themselves."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from sensor_msgs.msg import CameraInfo

from sicm_ros.bags.camera_info import SizeError
from sicm_ros.bags.pairing import SIDES
from sicm_ros.bags.rig import CameraRig, camera_rig
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry.calibration_file import read_calibration_file

ATTEMPTS, WAIT = 6, 0.01  # looks for a camera_info that is late, and seconds between two of them
KEPT = 32  # camera_info messages of one camera that are kept to find the one with an image's stamp


class MissingInfo(InputError):
    """No camera_info came yet."""

    cause = "no_calibration"


class BadInfo(InputError):
    """A camera_info that no rectified pair can have."""

    cause = "calibration"


class Rig:
    """Follows the camera_info of both cameras: `put` in the executor's thread, `calibration` in the worker's.

    Args:
        image_topics, info_topics: side -> topic, named in errors; the images' names may say that they are rectified.
        remark: told of what was mended in a camera_info, once for each calibration.
        rectify: auto, always or never.
        calibration_file: taken instead of camera_info where it is not empty.
        baseline: metres; overrules what these say, where it is not 0.
    """

    def __init__(
        self,
        image_topics: dict[str, str],
        info_topics: dict[str, str],
        remark: Callable[[str], None],
        rectify: str = "auto",
        calibration_file: str = "",
        baseline: float = 0.0,
    ) -> None:
        self._remark, self._baseline = remark, baseline
        self._image_topics, self._info_topics = image_topics, info_topics
        self._rectify, self._file = rectify, calibration_file
        self._infos: dict[str, deque[CameraInfo]] = {side: deque(maxlen=KEPT) for side in SIDES}
        self._stamped = False  # the last image had a camera_info of its own stamp
        self._known: tuple[Any, CameraRig] | None = None

    def put(self, side: str, info: CameraInfo) -> None:
        """Take in a camera_info of the `left` or the `right` camera."""
        self._infos[side].append(info)

    def knows(self, side: str) -> bool:
        """Return whether a camera_info of a camera has come, or is not needed."""
        return bool(self._file or self._infos[side])

    def cameras(
        self, stamps: tuple[Any, Any], size: tuple[int, int], disparity_offset: float
    ) -> tuple[CameraRig, bool]:
        """Return the cameras of a pair, and whether they are others than those of the pair before.

        Args:
            stamps: of the left and the right image; the camera_info of the same stamp is taken, or else the newest.
            size: width and height of the images.
            disparity_offset: as for `bags.rig.camera_rig`.

        Raises:
            MissingInfo, BadInfo: there is none; the text names the topic and the remedy.
        """
        infos: list[Any] = []
        if not self._file:
            infos = [self._info_of(side, stamp) for side, stamp in zip(SIDES, stamps, strict=True)]
        signature = (*map(_said, infos), size, disparity_offset)
        # Compared in words, since a NaN is not equal to itself.
        if self._known is not None and repr(self._known[0]) == repr(signature):
            return self._known[1], False
        try:
            rig = camera_rig(
                *(infos or read_calibration_file(self._file, size)),
                image_topics=(self._image_topics["left"], self._image_topics["right"]),
                info_topics=(self._file or self._info_topics["left"], self._file or self._info_topics["right"]),
                rectify=self._rectify,
                size=size,
                disparity_offset=disparity_offset,
                baseline=self._baseline,
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
        """Return the camera_info with an image's stamp, or else the newest one.

        Where the image before had its own, this one's may be some milliseconds late: a changed calibration must not
        miss the first image that it belongs to.
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
    """Return what of a camera_info the calibration depends on."""
    roi = info.roi
    region = roi.x_offset, roi.y_offset, roi.width, roi.height
    matrices = (tuple(matrix) for matrix in (info.d, info.k, info.r, info.p))
    return info.width, info.height, info.distortion_model, *matrices, info.binning_x, info.binning_y, region
