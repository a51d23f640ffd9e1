# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Images as lenses make them, of a pair that is rectified, and bags of them as cameras' drivers write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sicm_ros.bags import BagWriter, open_stereo
from sicm_ros.bags import serialization as ros
from sicm_ros.cli.options import SHIPPED
from sicm_ros.geometry import ImagePair, StereoCalibration
from sicm_ros.geometry.rectification import Lens

START, STEP = 1_700_000_000 * 10**9, 10**8  # nanoseconds
LENSES = {
    "plumb_bob": (-0.2, 0.05, 0.001, -0.0005),
    "rational_polynomial": (-0.3, 0.1, 0.001, 0.0005, 0.01, 0.1, 0.02, 0.005),
    "equidistant": (-0.05, 0.01, -0.005, 0.001),
}
_pairs: list[ImagePair] = []


def street(count: int = 3) -> list[ImagePair]:
    """The first pairs of the rendered drive that ships, at half their size."""
    if len(_pairs) < count:
        _pairs.clear()
        with open_stereo(SHIPPED) as source:
            for pair, _ in zip(source.pairs(), range(count)):
                small = pair.calibration.resized(620, 186)
                views = (cv2.resize(view, (620, 186), interpolation=cv2.INTER_AREA) for view in (pair.left, pair.right))
                _pairs.append(ImagePair(*views, small))
    return _pairs[:count]


def turn(side: int) -> np.ndarray:
    """The rotation from a camera that is mounted askew to the rectified pair."""
    return cv2.Rodrigues(np.array([0.01, -0.02, 0.015]) * (-0.7 if side else 1.0))[0]


def lens(calibration: StereoCalibration, side: int, model: str = "plumb_bob") -> Lens:
    """A lens that a rectified pair of this calibration might come from."""
    c = calibration
    k = (0.97 * c.fx, 0.0, c.cx + 5, 0.0, 0.98 * c.fx, c.cy - 4, 0.0, 0.0, 1.0)
    p = (c.fx, 0.0, c.cx, -c.fx * c.baseline * side, 0.0, c.fy, c.cy, 0.0, 0.0, 0.0, 1.0, 0.0)
    return Lens(c.width, c.height, model, LENSES[model], k, tuple(turn(side).reshape(-1).tolist()), p)


def through(view: np.ndarray, one: Lens) -> np.ndarray:
    """A rectified image as a lens would have made it."""
    seen = _seen(one)
    return cv2.remap(view, seen[..., 0], seen[..., 1], cv2.INTER_CUBIC)


@cache
def _seen(one: Lens) -> np.ndarray:
    """Where in the rectified image each pixel of a lens's image is: float32 (height, width, 2)."""
    k, d = np.array(one.k).reshape(3, 3), np.array(one.d)
    grid = np.stack(np.meshgrid(np.arange(one.width), np.arange(one.height)), -1).reshape(-1, 1, 2).astype(np.float64)
    if one.distortion_model == "equidistant":
        rays = cv2.fisheye.undistortPoints(grid, k, d)
    else:
        enough = (cv2.TERM_CRITERIA_COUNT, 40, 1e-9)
        rays = cv2.undistortPointsIter(grid, k, d, np.eye(3), np.eye(3), enough)
    rays = cv2.convertPointsToHomogeneous(rays.reshape(-1, 2)).reshape(-1, 3) @ np.array(one.r).reshape(3, 3).T
    seen = rays @ np.array(one.p).reshape(3, 4)[:, :3].T
    return (seen[:, :2] / seen[:, 2:]).astype(np.float32).reshape(one.height, one.width, 2)


def image(pixels: np.ndarray, encoding: str, stamp: int, width: int, height: int, step: int | None = None) -> Any:
    """sensor_msgs/Image of bytes in any encoding."""
    data = np.ascontiguousarray(pixels).view(np.uint8).reshape(-1)
    made = ros.image(np.zeros((height, width, 3), np.uint8), stamp, "camera")
    made.encoding, made.data, made.step = encoding, data, step or len(data) // height
    return made


def grey(view: np.ndarray, stamp: int) -> Any:
    """mono8."""
    return image(cv2.cvtColor(view, cv2.COLOR_RGB2GRAY), "mono8", stamp, view.shape[1], view.shape[0])


def bgra(view: np.ndarray, stamp: int) -> Any:
    """bgra8, as ZED has it."""
    return image(cv2.cvtColor(view, cv2.COLOR_RGB2BGRA), "bgra8", stamp, view.shape[1], view.shape[0])


def rgb(view: np.ndarray, stamp: int) -> Any:
    """rgb8."""
    return ros.image(view, stamp, "camera")


def jpeg(view: np.ndarray, stamp: int) -> Any:
    """CompressedImage."""
    return ros.compressed_image(view, stamp, "camera", "jpeg", 95)


def info(one: Lens, stamp: int, **changes: Any) -> Any:
    """CameraInfo of a lens."""
    c = StereoCalibration(1.0, 1.0, 0.0, 0.0, 1.0, one.width, one.height)
    message = ros.camera_info(c, "left", stamp, "camera")
    message.distortion_model = one.distortion_model
    for name in "dkrp":
        setattr(message, name, np.array(getattr(one, name)))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def write(path: Path, rows: Iterable[tuple[str, int, Any]]) -> Path:
    """A bag of (topic, time, message)."""
    with BagWriter(path) as bag:
        for topic, stamp, message in rows:
            bag.write(topic, message.__msgtype__, stamp, ros.serialize(message))
    return path


Make = Callable[[np.ndarray, int], Any]


def rows(
    left: str,
    right: str,
    make: Make | tuple[Make, Make] = rgb,
    *,
    infos: Callable[[str], str] | None = lambda topic: topic.rpartition("/")[0] + "/camera_info",
    raw: str = "",
    leftover: bool = False,
    pairs: list[ImagePair] | None = None,
) -> list[tuple[str, int, Any]]:
    """What a driver publishes of the street.

    Args:
        left, right: image topics.
        make: message of an image and a stamp, for both or for each.
        infos: topic of the camera_info of an image topic; None for none.
        raw: distortion model of images that aren't rectified; empty for rectified ones.
        leftover: camera_info describes the images before their rectification, though they are rectified.
        pairs: of images, if not of the street.
    """
    made = []
    makes = make if isinstance(make, tuple) else (make, make)
    for index, pair in enumerate(pairs or street()):
        stamp = START + index * STEP
        for side, topic in enumerate((left, right)):
            one = lens(pair.calibration, side, raw or "plumb_bob")
            view = (pair.left, pair.right)[side]
            if infos is not None:
                said = one if raw or leftover else _rectified(one)
                made.append((infos(topic), stamp, info(said, stamp)))
            made.append((topic, stamp, makes[side](through(view, one) if raw else view, stamp)))
    return made


def _rectified(one: Lens) -> Lens:
    p = np.array(one.p).reshape(3, 4)
    k = tuple(p[:, :3].reshape(-1).tolist())
    return Lens(one.width, one.height, "plumb_bob", (0.0,) * 5, k, tuple(np.eye(3).reshape(-1).tolist()), one.p)
