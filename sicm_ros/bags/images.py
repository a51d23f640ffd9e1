# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Pictures in ROS messages and as arrays, without ROS: works on any object with the fields of the message.

`sensor_msgs/Image` as its comments define it: `step` bytes a row, which may be padded; `is_bigendian` for 16 bits.
"""

from __future__ import annotations

import cv2
import numpy as np

from sicm_ros.errors import InputError

# Channels and bytes per channel of what we read.
LAYOUTS = {
    "rgb8": (3, 1),
    "bgr8": (3, 1),
    "rgba8": (4, 1),
    "bgra8": (4, 1),
    "mono8": (1, 1),
    "8UC1": (1, 1),
    "8UC3": (3, 1),  # what OpenCV calls it carries no order; OpenCV's own is BGR
    "8UC4": (4, 1),
    "mono16": (1, 2),
    "16UC1": (1, 2),
    "bayer_rggb8": (1, 1),
    "bayer_bggr8": (1, 1),
    "bayer_gbrg8": (1, 1),
    "bayer_grbg8": (1, 1),
}

MOST_PIXELS = 1 << 25  # of a compressed picture, 8K: a few bytes may stand for any number
HEADER = 1 << 16  # bytes in which a picture says how large it is

# ROS names the Bayer pattern by its first two rows, OpenCV by the second row's second and third pixel.
_TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "8UC3": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "8UC4": cv2.COLOR_BGRA2RGB,
    "bayer_rggb8": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr8": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg8": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGB2RGB,
}


def rgb_from_image(message, topic: str = "image") -> np.ndarray:
    """A `sensor_msgs/Image` as uint8 (height, width, 3) RGB.

    mono16 keeps its eight upper bits. `topic` is named in errors.

    Raises:
        InputError: an encoding that isn't read, or fewer bytes than height x step.
    """
    encoding = message.encoding
    if encoding not in LAYOUTS:
        raise InputError(
            f"{topic}: encoding {encoding!r} is not supported; convert to one of {', '.join(sorted(LAYOUTS))}"
        )
    channels, size = LAYOUTS[encoding]
    height, width = int(message.height), int(message.width)
    step = int(message.step) or width * channels * size
    data = np.frombuffer(message.data, np.uint8)
    if height < 1 or width < 1 or step < width * channels * size or len(data) < height * step:
        raise InputError(
            f"{topic}: {len(data)} bytes are not a {width} x {height} {encoding} image with {step} bytes per row"
        )
    rows = data[: height * step].reshape(height, step)[:, : width * channels * size]
    if size == 2:
        order = ">u2" if message.is_bigendian else "<u2"
        pixels = (np.ascontiguousarray(rows).view(order) >> 8).astype(np.uint8)
    else:
        pixels = rows.reshape(height, width, channels)
    if channels == 1 and not encoding.startswith("bayer"):
        return np.repeat(pixels.reshape(height, width, 1), 3, axis=2)
    if encoding == "rgb8":
        return np.ascontiguousarray(pixels)
    if encoding.startswith("bayer"):
        if height < 3 or width < 3:
            raise InputError(f"{topic}: a {width} x {height} Bayer image is too small to interpolate colours")
        return cv2.cvtColor(np.ascontiguousarray(pixels.reshape(height, width)), _TO_RGB[encoding])
    return cv2.cvtColor(np.ascontiguousarray(pixels), _TO_RGB[encoding])


def rgb_from_compressed(message, topic: str = "image") -> np.ndarray:
    """A `sensor_msgs/CompressedImage` (JPEG, PNG, whatever OpenCV decodes) as uint8 (height, width, 3) RGB.

    Raises:
        InputError: the bytes are no picture.
    """
    data = np.frombuffer(message.data, np.uint8)
    width, height = announced_size(data[:HEADER].tobytes()) or (0, 0)
    if width * height > MOST_PIXELS:
        raise InputError(f"{topic}: {len(data)} bytes that announce {width} x {height} pixels; no camera has as many")
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:  # more pixels than OpenCV takes in any format (sicm_ros/__init__.py)
        image = None
    if image is None:
        raise InputError(
            f"{topic}: {len(data)} bytes of format {message.format!r} are not an image that OpenCV can decode"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def announced_size(head: bytes) -> tuple[int, int] | None:
    """Width and height that a PNG or JPEG file says it has, from its first bytes; None where they don't say."""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    at = 2
    while head.startswith(b"\xff\xd8") and at + 9 <= len(head) and head[at] == 0xFF:
        kind = head[at + 1]
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # a start of frame
            return int.from_bytes(head[at + 7 : at + 9], "big"), int.from_bytes(head[at + 5 : at + 7], "big")
        at += 1 if kind == 0xFF else 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return None


def compress(rgb: np.ndarray, format: str, quality: int = 95) -> bytes:
    """uint8 (height, width, 3) RGB as the bytes of a `jpeg` (of that quality, 1 to 100) or a `png`."""
    if format not in ("jpeg", "png"):
        raise InputError(f"compressed image format {format!r}; expected jpeg or png")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if format == "jpeg" else []
    done, data = cv2.imencode(".jpg" if format == "jpeg" else ".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise InputError(f"a {rgb.shape} image can't be written as {format}")
    return data.tobytes()
