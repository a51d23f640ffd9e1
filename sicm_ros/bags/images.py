# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Images in ROS messages and as arrays, without ROS: works on any object with the fields of the message.

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
    "rgb16": (3, 2),
    "bgr16": (3, 2),
    "rgba16": (4, 2),
    "bgra16": (4, 2),
    "mono8": (1, 1),
    "8UC1": (1, 1),
    "8UC3": (3, 1),  # what OpenCV calls it carries no order; OpenCV's own is BGR
    "8UC4": (4, 1),
    "mono10": (1, 2),  # the names that drivers made up for what ROS knows as mono16 alone
    "mono12": (1, 2),
    "mono16": (1, 2),
    "16UC1": (1, 2),
    "bayer_rggb8": (1, 1),
    "bayer_bggr8": (1, 1),
    "bayer_gbrg8": (1, 1),
    "bayer_grbg8": (1, 1),
    "bayer_rggb16": (1, 2),
    "bayer_bggr16": (1, 2),
    "bayer_gbrg16": (1, 2),
    "bayer_grbg16": (1, 2),
    "uyvy": (2, 1),
    "yuv422": (2, 1),  # the older name of uyvy
    "yuyv": (2, 1),
    "yuv422_yuy2": (2, 1),  # the older name of yuyv
}
# A plane of brightness, `step` bytes a row, with colour planes behind it -> OpenCV's conversion.
PLANES = {
    "nv12": cv2.COLOR_YUV2RGB_NV12,
    "nv21": cv2.COLOR_YUV2RGB_NV21,
    "yuv420": cv2.COLOR_YUV2RGB_I420,
    "i420": cv2.COLOR_YUV2RGB_I420,
}

_SPELLINGS = {name.lower(): name for name in (*LAYOUTS, *PLANES)}

MOST_PIXELS = 1 << 25  # of a compressed image, 8K: a few bytes may stand for any number
HEADER = 1 << 16  # bytes in which an image says how large it is
# JPEG's blocks of 8 x 8 are decoded to 4 x 4, 2 x 2 or one pixel.
_REDUCED = {
    1: cv2.IMREAD_UNCHANGED,
    2: cv2.IMREAD_REDUCED_COLOR_2 | cv2.IMREAD_IGNORE_ORIENTATION,
    4: cv2.IMREAD_REDUCED_COLOR_4 | cv2.IMREAD_IGNORE_ORIENTATION,
    8: cv2.IMREAD_REDUCED_COLOR_8 | cv2.IMREAD_IGNORE_ORIENTATION,
}

# ROS names the Bayer pattern by its first two rows, OpenCV by the second row's second and third pixel.
_TO_RGB = {
    "bgr": cv2.COLOR_BGR2RGB,
    "8UC3": cv2.COLOR_BGR2RGB,
    "rgba": cv2.COLOR_RGBA2RGB,
    "bgra": cv2.COLOR_BGRA2RGB,
    "8UC4": cv2.COLOR_BGRA2RGB,
    "uyvy": cv2.COLOR_YUV2RGB_UYVY,
    "yuv422": cv2.COLOR_YUV2RGB_UYVY,
    "yuyv": cv2.COLOR_YUV2RGB_YUYV,
    "yuv422_yuy2": cv2.COLOR_YUV2RGB_YUYV,
    "bayer_rggb": cv2.COLOR_BayerBG2RGB,
    "bayer_bggr": cv2.COLOR_BayerRG2RGB,
    "bayer_gbrg": cv2.COLOR_BayerGR2RGB,
    "bayer_grbg": cv2.COLOR_BayerGB2RGB,
}
_BITS = (8, 10, 12, 14, 16)  # what sensors have


class PixelDepth:
    """How many bits of 16-bit pixels count, for all the images of a rig.

    Sensors of 10 or 12 bits leave the upper ones empty, and no message says so: the brightest pixel so far
    decides, so that the two views are treated alike and a dark scene after a bright one stays dark.
    """

    def __init__(self) -> None:
        self.bits = _BITS[0]

    def eight_bits(self, pixels: np.ndarray) -> np.ndarray:
        """The eight upper bits, of those that count, of uint16 pixels; uint8."""
        brightest = int(pixels.max(initial=0))
        self.bits = max(self.bits, next(bits for bits in _BITS if brightest < 1 << bits))
        return (pixels >> (self.bits - 8)).astype(np.uint8)


def known_encoding(encoding: str) -> str:
    """Return an encoding as ROS spells it, where a driver spells it otherwise: "RGB8 " is rgb8; one that is unknown as
    it is.
    """
    return _SPELLINGS.get(encoding.strip().lower(), encoding)


def rgb_from_image(message, topic: str = "image", depth: PixelDepth | None = None) -> np.ndarray:
    """A `sensor_msgs/Image` as uint8 (height, width, 3) RGB.

    Args:
        message: any object with the message's fields.
        topic: named in errors.
        depth: of the rig's images so far; of this one alone if None.

    Raises:
        InputError: an encoding that isn't read, or fewer bytes than height x step.
    """
    encoding = known_encoding(message.encoding)
    if encoding in PLANES:
        return _rgb_from_planes(message, encoding, topic)
    if encoding not in LAYOUTS:
        known = ", ".join(sorted({*LAYOUTS, *PLANES}))
        raise InputError(f"{topic}: encoding {encoding!r} is not supported; convert to one of {known}")
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
        rows = (depth or PixelDepth()).eight_bits(np.ascontiguousarray(rows).view(order))
    if channels == 2 and width % 2:
        raise InputError(f"{topic}: a {encoding} image has two pixels to a pair of colours, but is {width} pixels wide")
    return _to_rgb(np.ascontiguousarray(rows.reshape(height, width, channels)), encoding, topic)


def _to_rgb(pixels: np.ndarray, encoding: str, topic: str) -> np.ndarray:
    """uint8 (height, width, channels) of an encoding as (height, width, 3) RGB."""
    height, width, channels = pixels.shape
    order = encoding.removesuffix("16" if encoding.endswith("16") else "8")
    if order == "rgb":
        return pixels
    if order.startswith("bayer"):
        if height < 3 or width < 3:
            raise InputError(f"{topic}: a {width} x {height} Bayer image is too small to interpolate colours")
        return cv2.cvtColor(pixels[..., 0], _TO_RGB[order])
    if channels == 1:
        return np.repeat(pixels, 3, axis=2)
    return cv2.cvtColor(pixels, _TO_RGB[order])


def _rgb_from_planes(message, encoding: str, topic: str) -> np.ndarray:
    """An image whose colours lie, at a quarter of its resolution, behind its brightness; of odd sides, rounded up."""
    height, width = int(message.height), int(message.width)
    step = int(message.step) or width + width % 2
    data = np.frombuffer(message.data, np.uint8)
    down, across = (height + 1) // 2, (width + 1) // 2  # of a plane of colour
    interleaved = encoding in ("nv12", "nv21")
    # Bytes of a row of colours: of both in turn, or of one.
    colour_step, least = (step, 2 * across) if interleaved else ((step + 1) // 2, width)
    sizes = (height * step, down * colour_step) if interleaved else (height * step, *[down * colour_step] * 2)
    if height < 1 or width < 1 or step < max(width, least) or len(data) < sum(sizes):
        raise InputError(
            f"{topic}: {len(data)} bytes are not a {width} x {height} {encoding} image with {step} bytes per row"
        )
    light, *colours = np.split(data[: sum(sizes)], np.cumsum(sizes)[:-1])
    light = light.reshape(height, step)[:, :width]
    light = np.pad(light, ((0, height % 2), (0, width % 2)), "edge")
    used = 2 * across if interleaved else across
    rows = [light, *(plane.reshape(down, colour_step)[:, :used] for plane in colours)]
    whole = np.concatenate([plane.reshape(-1) for plane in rows]).reshape(3 * down, 2 * across)
    return np.ascontiguousarray(cv2.cvtColor(whole, PLANES[encoding])[:height, :width])


def reducible(message) -> tuple[int, int] | None:
    """Width and height of a message that `rgb_from_compressed` can reduce, a JPEG of grey or colour; None of others."""
    head = bytes(message.data[:HEADER]) if hasattr(message, "format") else b""
    if not head.startswith(b"\xff\xd8") or message.format.startswith("bayer_"):
        return None
    return announced_size(head)


def rgb_from_compressed(
    message, topic: str = "image", depth: PixelDepth | None = None, reduction: int = 1
) -> np.ndarray:
    """A `sensor_msgs/CompressedImage` (JPEG, PNG, whatever OpenCV decodes) as uint8 (height, width, 3) RGB.

    The format is read as image_transport writes it: "bayer_rggb8; png compressed " holds a mosaic, "compressed rgb8"
    its channels in that order. A camera that is mounted the wrong way round and says so in EXIF is left as it is: its
    calibration is of the image as it was taken.

    Args:
        message, topic, depth: as for `rgb_from_image`.
        reduction: 2, 4 or 8 for an image of `reducible` so many times smaller each way, sides rounded up.

    Raises:
        InputError: the bytes are no image.
    """
    data = np.frombuffer(message.data, np.uint8)
    width, height = announced_size(data[:HEADER].tobytes()) or (0, 0)
    if width * height > MOST_PIXELS:
        raise InputError(
            f"{topic}: {len(data)} bytes that announce {width} x {height} pixels, more than any camera has"
        )
    # Of a JPEG that is cut off, some builds of OpenCV decode the upper part, and fill the rest with grey.
    cut_off = data[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in data.tobytes()
    try:
        pixels = cv2.imdecode(data, _REDUCED[reduction]) if len(data) and not cut_off else None
    except cv2.error:  # more pixels than OpenCV accepts in any format (sicm_ros/__init__.py)
        pixels = None
    if pixels is None:
        raise InputError(
            f"{topic}: {len(data)} bytes of format {message.format!r} are not an image that OpenCV can decode"
        )
    if pixels.dtype == np.uint16:
        pixels = (depth or PixelDepth()).eight_bits(pixels)
    elif pixels.dtype != np.uint8:
        raise InputError(f"{topic}: pixels of type {pixels.dtype}; expected 8 or 16 bits")
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    before = message.format.partition(";")[0].strip()
    if pixels.shape[2] == 1:
        return _to_rgb(pixels, before if before.startswith("bayer_") and before in LAYOUTS else "mono8", topic)
    swapped = "compressed rgb" in message.format
    return _to_rgb(pixels, ("rgb" if swapped else "bgr") + ("a8" if pixels.shape[2] == 4 else "8"), topic)


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
