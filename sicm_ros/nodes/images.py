"""Pictures of image messages as arrays: our own reader, and cv_bridge, if installed, for what only that knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from sicm_ros.bags.images import rgb_from_compressed, rgb_from_image
from sicm_ros.errors import InputError


class ImageError(InputError):
    """A picture that can't be read."""

    cause = "image"


def rgb(message: Any, topic: str) -> np.ndarray:
    """sensor_msgs/Image or CompressedImage -> uint8 (height, width, 3) RGB.

    Raises:
        ImageError: the encoding is unknown, or the bytes are not such a picture; names the topic.
    """
    try:
        if hasattr(message, "format"):
            return rgb_from_compressed(message, topic)
        return rgb_from_image(message, topic)
    except InputError as error:
        # Packed YUV, 16-bit Bayer patterns: rare on rectified topics, and cv_bridge knows them.
        try:
            from cv_bridge import CvBridge
        except ImportError:
            raise ImageError(str(error)) from None
        if hasattr(message, "format") or "encoding" not in str(error):
            raise ImageError(str(error)) from None
        try:
            return CvBridge().imgmsg_to_cv2(message, "rgb8")
        except Exception as failure:
            raise ImageError(f"{error}; cv_bridge: {failure}") from None
