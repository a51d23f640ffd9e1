# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""From the images that a bag holds to rectified ones of one view each: videos, views side by side, raw lenses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sicm_ros.bags.images import PixelDepth, rgb_from_compressed, rgb_from_image
from sicm_ros.bags.video import VideoError, VideoPicture, VideoStream, codec_of
from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.rectification import Rectification

SIDES = ("left", "right")


@dataclass(frozen=True)
class View:
    """An image of one camera.

    Attributes:
        side: 0 for the left, 1 for the right one.
        header: stamp and frame_id of the message that it came with.
        rgb: uint8 (height, width, 3).
    """

    side: int
    header: Any
    rgb: np.ndarray


def rgb_of(message: Any, topic: str, depth: PixelDepth | None = None) -> np.ndarray:
    """The image of an Image, a CompressedImage or a VideoPicture as uint8 (height, width, 3) RGB."""
    if isinstance(message, VideoPicture):
        return message.rgb()
    read = rgb_from_compressed if hasattr(message, "format") else rgb_from_image
    return read(message, topic, depth)


def half(picture: np.ndarray, side: int) -> np.ndarray:
    """The left (0) or the right (1) view of an image that holds both."""
    width = picture.shape[1] // 2
    return np.ascontiguousarray(picture[:, width : 2 * width] if side else picture[:, :width])


class Conversion:
    """Makes views of the image messages of a pair of topics.

    Args:
        left, right: topics; one for both where its images hold both views.
        rectification: None where the images are rectified.
        window: what of the rectified image is wanted; all of it if None.

    Attributes:
        skipped: how many messages gave no image, by cause.
        complaints: the first text of each cause.
    """

    def __init__(
        self,
        left: str,
        right: str,
        rectification: Callable[[], Rectification | None],
        window: StereoCalibration | None = None,
    ) -> None:
        self.topics = (left, right)
        self.skipped: Counter[str] = Counter()
        self.complaints: dict[str, str] = {}
        self._rectification, self._window = rectification, window
        self._streams: dict[str, VideoStream] = {}
        self._depth = PixelDepth()

    @property
    def delay(self) -> int:
        """Images that the video's decoder holds back."""
        return max((stream.delay for stream in self._streams.values()), default=0)

    def take(self, topic: str, message: Any) -> Iterator[View]:
        """Yield the views that are there with a message; none where it is skipped."""
        try:
            pictures = self._stream(topic).take(message) if codec_of(message) else [message]
            for picture in pictures:
                yield from self._views(topic, picture)
        except InputError as error:
            cause = error.cause if isinstance(error, VideoError) else "picture"
            self.skipped[cause] += 1
            self.complaints.setdefault(cause, str(error))

    def end(self) -> Iterator[View]:
        """Yield what is still held back."""
        for topic, stream in self._streams.items():
            for picture in stream.flush():
                yield from self._views(topic, picture)

    def _stream(self, topic: str) -> VideoStream:
        if topic not in self._streams:
            self._streams[topic] = VideoStream(topic)
        return self._streams[topic]

    def _views(self, topic: str, picture: Any) -> Iterator[View]:
        rgb = rgb_of(picture, topic, self._depth)
        both = self.topics[0] == self.topics[1]
        for side in range(2):
            if self.topics[side] == topic:
                view = half(rgb, side) if both else rgb
                yield View(side, picture.header, self._rectified(view, side))

    def _rectified(self, rgb: np.ndarray, side: int) -> np.ndarray:
        rectification = self._rectification()
        if rectification is None:
            return rgb
        lens = rectification.lenses[side]
        if rgb.shape[:2] != (lens.height, lens.width):
            raise InputError(
                f"{self.topics[side]}: the {SIDES[side]} image has {rgb.shape[1]} x {rgb.shape[0]} pixels, its "
                f"calibration is of {lens.width} x {lens.height}"
            )
        return rectification.view(side, rgb, self._window)
