# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The frames of a data set's folder as a source of stereo pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sicm_ros.bags import serialization as ros
from sicm_ros.bags.bag import BagMessage
from sicm_ros.bags.source import (
    DISPARITY_OFFSET,
    LABELS,
    LEFT_INFO,
    RIGHT_INFO,
    TF_STATIC,
    StereoSource,
    message_of,
    stereo_types,
)
from sicm_ros.errors import InputError

if TYPE_CHECKING:
    from sicm_ros.kitti import StereoFrame

PERIOD = 100_000_000  # nanoseconds: KITTI's 10 Hz
EPOCH = 1_317_000_000 * 10**9  # nanoseconds since 1970, September 2011: where a folder tells no time


class KittiSource(StereoSource):
    """Frames of a KITTI layout, 10 Hz where it tells no times.

    Args:
        path: for errors.
        frames: the frames.
        compress: None for raw images, `jpeg` or `png`.
        quality: of JPEG, 1 to 100.
    """

    def __init__(
        self, path: Path, frames: Sequence[StereoFrame], compress: str | None = None, quality: int = 95
    ) -> None:
        super().__init__()
        if not len(frames):
            raise InputError(f"{path}: no stereo frames found")
        self.period = PERIOD
        self.path, self.layout, self.frames = Path(path), frames[0].layout, frames
        self.compressed, self._format, self._quality = compress is not None, compress, quality
        self.count, self.labelled = len(frames), sum(frame.labelled for frame in frames)
        self.disparity_offset = frames[0].calibration.disparity_offset

    def stamp(self, index: int) -> int:
        """Stamp of a frame's images, nanoseconds."""
        stamp = self.frames[index].stamp
        if stamp is None:
            return EPOCH + index * PERIOD
        return stamp if stamp > EPOCH // 2 else EPOCH + stamp  # odometry counts from the sequence's start

    def types(self, others: bool = False) -> dict[str, str]:
        labels = {LABELS: "vision_msgs/msg/Detection3DArray"} if self.labelled else {}
        return stereo_types(self) | labels | {TF_STATIC: "tf2_msgs/msg/TFMessage"}

    def messages(self, start: float = 0.0, others: bool = False) -> Iterator[BagMessage]:
        first, last = self.stamp(0), 0
        described = False
        for index in range(len(self.frames)):
            stamp = self.stamp(index)
            if stamp <= last:
                raise InputError(
                    f"{self.path}: time goes back at {self.frames[index].name}: the folder has several drives; name one"
                )
            last = stamp
            if stamp < first + start * 1e9:
                continue
            frame = self.frames[index]
            if not described:
                described = True
                yield message_of(TF_STATIC, stamp, ros.camera_frames(frame.calibration.baseline, stamp))
                yield message_of(DISPARITY_OFFSET, stamp, ros.number(frame.calibration.disparity_offset))
            if frame.labels is not None:
                yield message_of(LABELS, stamp, ros.labels_message(frame.labels, stamp, ros.LEFT_FRAME))
            # Both calibrations first: who has both images can go to work.
            for side, topic, frame_id in (("left", LEFT_INFO, ros.LEFT_FRAME), ("right", RIGHT_INFO, ros.RIGHT_FRAME)):
                yield message_of(topic, stamp, ros.camera_info(frame.calibration, side, stamp, frame_id))
            yield message_of(self.topics[0], stamp, self._picture(frame.left, stamp, ros.LEFT_FRAME))
            yield message_of(self.topics[1], stamp, self._picture(frame.right, stamp, ros.RIGHT_FRAME))

    def _picture(self, rgb: np.ndarray, stamp: int, frame_id: str) -> Any:
        if self._format is None:
            return ros.image(rgb, stamp, frame_id)
        return ros.compressed_image(rgb, stamp, frame_id, self._format, self._quality)
