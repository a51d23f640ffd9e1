# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Images of image messages as arrays, and back: through cv_bridge where that is installed and does it right.

Our own reader is what cv_bridge is measured by: a build of it for another NumPy fails or worse, and rows whose padding
is no whole number of pixels come out sheared. So each encoding is tried once, on a small image; what cv_bridge reads
as we do goes through it from then on, and what only it knows (packed YUV, 16-bit Bayer patterns) as well.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

import numpy as np
from sensor_msgs.msg import Image

from sicm_ros.bags.images import LAYOUTS, PLANES, PixelDepth, known_encoding, rgb_from_compressed, rgb_from_image
from sicm_ros.bags.video import VideoPicture
from sicm_ros.errors import InputError


class ImageError(InputError):
    """An image that can't be read."""

    cause = "image"


@lru_cache(maxsize=1)
def bridge() -> Any:
    """Return cv_bridge's converter; None where it isn't installed, or was built for another NumPy or OpenCV."""
    try:
        from cv_bridge import CvBridge

        return CvBridge()
    except Exception:  # whatever a module raises that doesn't fit the libraries it meets
        return None


@cache
def through_bridge(encoding: str, big_endian: bool = False) -> bool:
    """Return whether cv_bridge reads an encoding that we know as we do."""
    channels, size = LAYOUTS[encoding]
    if bridge() is None or size != 1:
        return False
    height, width = 6, 10
    message = Image(height=height, width=width, encoding=encoding, is_bigendian=int(big_endian))
    message.step = width * channels * size
    message.data.frombytes(np.random.default_rng(0).integers(0, 256, height * message.step, np.uint8).tobytes())
    try:
        return np.array_equal(bridge().imgmsg_to_cv2(message, "rgb8"), rgb_from_image(message))
    except Exception:
        return False


def rgb(message: Any, topic: str, depth: PixelDepth | None = None, reduction: int = 1) -> np.ndarray:
    """Map sensor_msgs/Image, CompressedImage or a video's image to uint8 (height, width, 3) RGB; a CompressedImage
    reduced where `reducible` says that it can be.

    Raises:
        ImageError: the encoding is unknown, or the bytes are not such an image; names the topic.
    """
    try:
        if isinstance(message, VideoPicture):
            return message.rgb()
        if hasattr(message, "format"):  # cv_bridge would hand it to OpenCV as well, and stumble over grey ones
            return rgb_from_compressed(message, topic, depth, reduction)
        known = known_encoding(message.encoding)
        if known not in LAYOUTS and known not in PLANES and bridge() is not None:
            return _bridged(message, topic)
        if message.encoding in LAYOUTS and through_bridge(message.encoding, bool(message.is_bigendian)):
            channels, size = LAYOUTS[message.encoding]
            tight = message.step == message.width * channels * size
            if tight and 0 < message.height * message.step <= len(message.data):
                return _bridged(message, topic)
        return rgb_from_image(message, topic, depth)
    except InputError as error:
        raise ImageError(str(error)) from None


def _bridged(message: Any, topic: str) -> np.ndarray:
    try:
        picture = bridge().imgmsg_to_cv2(message, "rgb8")
    except Exception as error:  # its own, OpenCV's, NumPy's
        text = " ".join(str(error).split()) or repr(error)
        raise InputError(f"{topic}: encoding {message.encoding!r} is not supported: {text}") from None
    if picture.dtype != np.uint8 or picture.shape != (message.height, message.width, 3):
        raise InputError(f"{topic}: cv_bridge made {picture.dtype} {picture.shape} of encoding {message.encoding!r}")
    return picture


def picture(rgb: np.ndarray, header: Any) -> Image:
    """Return sensor_msgs/Image, rgb8, of uint8 (height, width, 3)."""
    rgb = np.ascontiguousarray(rgb)
    if through_bridge("rgb8"):
        return bridge().cv2_to_imgmsg(rgb, "rgb8", header)
    return own_picture(rgb, header)


def own_picture(rgb: np.ndarray, header: Any) -> Image:
    """Return what cv_bridge makes of uint8 (height, width, 3) RGB, for where it isn't installed."""
    height, width = rgb.shape[:2]
    image = Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width)
    image.data.frombytes(rgb.data.cast("B"))
    return image
