# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The images that cameras publish, in whatever messages: which type and topic, and the images in them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from sicm_ros.bags.presets import bare
from sicm_ros.bags.video import FFMPEG_PACKET, FOXGLOVE_VIDEO, VideoStream, codec_of
from sicm_ros.errors import InputError, SicmError
from sicm_ros.nodes.health import Health

VIDEO = {"ffmpeg": FFMPEG_PACKET, "foxglove": FOXGLOVE_VIDEO}  # transport -> type of its messages


class Intake:
    """Images of image messages of one transport; videos are decoded in the order in which they come.

    Args:
        transport: raw, compressed, ffmpeg or foxglove.
        health: told of messages that give no image.

    Attributes:
        kind: type of the messages.

    Raises:
        InputError: the package of the messages isn't installed.
    """

    def __init__(self, transport: str, health: Health) -> None:
        self._suffix = "" if transport == "raw" else f"/{transport}"
        self._health = health
        self._streams: dict[str, VideoStream] = {}
        if transport not in VIDEO:
            self.kind = CompressedImage if self._suffix else Image
            return
        package, _, name = VIDEO[transport].split("/")
        try:
            self.kind = getattr(importlib.import_module(f"{package}.msg"), name)
        except (ImportError, AttributeError):
            raise InputError(
                f"transport is {transport}, but {package} is not installed: apt install "
                f"ros-$ROS_DISTRO-{package.replace('_', '-')}"
            ) from None

    def topic(self, named: str) -> str:
        """Return the topic of the messages of a camera whose images were given this name."""
        # NVIDIA's cameras have their images on image_compressed.
        if self._suffix and named.endswith((self._suffix, self._suffix.replace("/", "_"))):
            return named
        return bare(named) + self._suffix

    @property
    def delay(self) -> int | None:
        """How many images videos are late, since later ones are needed to decode them; None without a video."""
        return max((stream.delay for stream in self._streams.values()), default=None)

    def pictures(self, topic: str, message: Any) -> Iterator[Any]:
        """Yield what is to be paired: the message itself, or the images of a video that are there with it."""
        try:
            if isinstance(message, Image) or codec_of(message) is None:
                yield message
                return
            if topic not in self._streams:
                self._streams[topic] = VideoStream(topic, _header)
            with self._health.tally.timed("decode_video"):
                pictures = self._streams[topic].take(message)
            yield from pictures
        except SicmError as error:
            self._health.refuse(getattr(error, "cause", "video"), str(error))


def _header(message: Any) -> Header:
    """Return the header of a message that carries video, of which Foxglove's has none."""
    if hasattr(message, "header"):
        return message.header
    return Header(stamp=message.timestamp, frame_id=message.frame_id)
