# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Boxes drawn into the image and seen from above.

Whatever has `location`, `dimensions` and `rotation_y` (and, for captions, `names`, `ids`, `scores`) can be drawn:
detections, labels, boxes of messages. Images are uint8 (height, width, 3) RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.files import write_bytes
from sicm_ros.geometry import ModelView, StereoCalibration
from sicm_ros.geometry.boxes import EDGES, NEAR, corners, project

DETECTION, LABEL = (228, 40, 44), (38, 112, 255)  # RGB: detections are red, labels blue, everywhere
TRAIL = (200, 200, 204)
_SHIFT = 4  # fractional bits of OpenCV's line coordinates
_FONT = cv2.FONT_HERSHEY_SIMPLEX
FAINT = 25.0  # metres beyond which boxes are drawn in thin lines, not to hide what they hold
_FAR = 1e4  # pixels outside the image beyond which a line isn't followed


class Boxes3D(Protocol):
    """N boxes in the left camera's optical frame, as `geometry.boxes` defines them."""

    @property
    def location(self) -> np.ndarray: ...

    @property
    def dimensions(self) -> np.ndarray: ...

    @property
    def rotation_y(self) -> np.ndarray: ...


def _segment(image: np.ndarray, a: np.ndarray, b: np.ndarray, colour: tuple, thickness: int) -> None:
    (x, y), (u, v) = (np.rint(np.clip(p, -_FAR, _FAR) * (1 << _SHIFT)).astype(int).tolist() for p in (a, b))
    cv2.line(image, (x, y), (u, v), colour, thickness, cv2.LINE_AA, _SHIFT)


def _caption(image: np.ndarray, text: str, at: tuple[int, int], colour: tuple, scale: float) -> None:
    cv2.putText(image, text, at, _FONT, scale, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(image, text, at, _FONT, scale, tuple(min(255, c + 90) for c in colour), 1, cv2.LINE_AA)


def draw_boxes(
    picture: np.ndarray,
    boxes: Boxes3D,
    calibration: StereoCalibration,
    colour: tuple[int, int, int] = DETECTION,
    captions: bool = False,
    thickness: int = 2,
) -> np.ndarray:
    """Draw the boxes' edges, their front faces crossed, on a copy of the left image.

    Args:
        picture: the left image, of the calibration's size or any other (the calibration is scaled to it).
        boxes: in the left optical frame; what lies behind the camera isn't drawn.
        captions: class, id and score above each box.
    """
    drawn = np.ascontiguousarray(picture).copy()
    height, width = drawn.shape[:2]
    if (width, height) != (calibration.width, calibration.height):
        calibration = calibration.resized(width, height)
    if not len(boxes.location):
        return drawn
    order = np.argsort(-np.asarray(boxes.location)[:, 2])
    points = corners(boxes.location, boxes.dimensions, boxes.rotation_y)
    for index in order:  # nearest last
        box = points[index]
        weight = thickness if box[:, 2].min() < FAINT else 1
        lines = [(box[a], box[b], weight) for a, b in EDGES]
        lines += [(box[0], box[5], 1), (box[1], box[4], 1)]  # the front: corners 0, 1 and above them 4, 5
        for a, b, weight in lines:
            if max(a[2], b[2]) < NEAR:
                continue
            if min(a[2], b[2]) < NEAR:  # cut at the plane just ahead of the camera
                near, far = (a, b) if a[2] < b[2] else (b, a)
                a, b = far + (far[2] - NEAR) / (far[2] - near[2]) * (near - far), far
            _segment(drawn, project(a, calibration), project(b, calibration), colour, weight)
        if captions and box[:, 2].min() > NEAR:
            pixels = project(box, calibration)
            at = (int(np.clip(pixels[:, 0].min(), 0, width - 40)), int(np.clip(pixels[:, 1].min() - 5, 10, height - 4)))
            names, ids, scores = (getattr(boxes, part, None) for part in ("names", "ids", "scores"))
            words = ["" if part is None else part[index] for part in (names, ids)]
            words += [] if scores is None else [f"{scores[index]:.2f}"]
            _caption(drawn, " ".join(word for word in words if word), at, colour, 0.4)
    return drawn


def birds_eye(
    layers: Sequence[tuple[Boxes3D, tuple[int, int, int]]],
    calibration: StereoCalibration | None = None,
    size: tuple[int, int] = (400, 600),
    depth: float = 60.0,
    points: np.ndarray | None = None,
    trails: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Draw boxes seen from above: the camera at the bottom, looking up, rings every 10 m.

    Args:
        layers: boxes with their colours, drawn in this order.
        calibration: to show the field of view, or None.
        size: width and height of the image, pixels.
        depth: metres from the bottom to the top.
        points: (N, 3) of the left optical frame, drawn as dots below the boxes, or None.
        trails: (M, 3) each, where objects have been, drawn as lines below the boxes.
    """
    width, height = size
    scale = height / depth  # pixels per metre
    canvas = np.full((height, width, 3), 24, np.uint8)

    def at(x: float, z: float) -> np.ndarray:
        return np.array([width / 2 + x * scale, height - 1 - z * scale])

    if calibration is not None:
        left = -calibration.cx / calibration.fx
        right = (calibration.width - 1 - calibration.cx) / calibration.fx
        cone = np.array([at(0, 0), at(left * depth, depth), at(right * depth, depth)])
        cv2.fillPoly(canvas, [cone.round().astype(np.int32)], (40, 42, 46), cv2.LINE_AA)
    centre = tuple(int(v) for v in at(0, 0))
    for ring in range(10, int(depth) + 1, 10):
        cv2.circle(canvas, centre, round(ring * scale), (74, 76, 82), 1, cv2.LINE_AA)
        row = int(at(0, ring)[1]) + 12
        cv2.putText(canvas, f"{ring} m", (width // 2 + 4, row), _FONT, 0.36, (140, 142, 150), 1, cv2.LINE_AA)
    if points is not None and len(points):
        columns = np.round(width / 2 + points[:, 0] * scale).astype(int)
        rows = np.round(height - 1 - points[:, 2] * scale).astype(int)
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        canvas[rows[inside], columns[inside]] = (120, 150, 130)
    for trail in trails:
        for a, b in pairwise(trail):
            _segment(canvas, at(a[0], a[2]), at(b[0], b[2]), TRAIL, 1)
    for boxes, colour in layers:
        if not len(boxes.location):
            continue
        for ground in corners(boxes.location, boxes.dimensions, boxes.rotation_y)[:, :4]:
            outline = [at(p[0], p[2]) for p in ground]
            for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
                _segment(canvas, outline[a], outline[b], colour, 2)
            middle = (outline[0] + outline[2]) / 2
            _segment(canvas, middle, (outline[0] + outline[1]) / 2, colour, 2)  # from the middle to the front
    return canvas


def read_picture(path: str | Path) -> np.ndarray:
    """Read an image file as uint8 (height, width, 3), RGB; InputError if there is none that OpenCV can read."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if Path(path).is_file() else None
    if picture is None:
        raise InputError(f"{path}: not an image that can be read; expected a PNG or JPEG file")
    return picture[..., ::-1].copy()


def write_picture(path: str | Path, picture: np.ndarray) -> None:
    """Write uint8 (height, width, 3), RGB, in the format of the path's suffix."""
    write_image(path, picture[..., ::-1])


def write_image(path: str | Path, values: np.ndarray, options: Sequence[int] = ()) -> None:
    """Write what OpenCV writes (BGR, BGRA, grey; 8 or 16 bits) in the format of the path's suffix.

    Args:
        options: OpenCV's, such as IMWRITE_PNG_COMPRESSION and its value.

    Raises:
        InputError: OpenCV knows no such format.
        OSError: the file can't be written; names it.
    """
    try:
        done, data = cv2.imencode(Path(path).suffix, np.ascontiguousarray(values), list(options))
    except cv2.error:
        done = False
    if not done:
        raise InputError(f"{path}: unknown format; expected a suffix such as .png or .jpg")
    write_bytes(path, data.data)


def heat_map(values: np.ndarray, most: float | None = None) -> np.ndarray:
    """Draw values (h, w), 0 to `most` (default: the largest), as colours, uint8 (h, w, 3): dark for
    0, yellow for most.
    """
    most = float(values.max()) if most is None else most
    scaled = np.clip(values / most, 0, 1) if most > 0 else np.zeros(values.shape)
    return cv2.applyColorMap((scaled * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1].copy()


def window_overlay(picture: np.ndarray, values: np.ndarray, view: ModelView, most: float | None = None) -> np.ndarray:
    """Draw what the network says of each cell of its window (bits, disparity) over a greyed copy of the image.

    Args:
        picture: source image, uint8 (height, width, 3).
        values: (h, w), one for each cell of the window, shown in the colours of `heat_map`.
        view: where the window lies in the image.
        most: what the brightest colour stands for (default: the largest value).
    """
    drawn = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB) // 2
    height, width = picture.shape[:2]
    scale = height / view.resized_height
    top, bottom = (round(row * scale) for row in (view.top, view.top + view.calibration.height))
    scale = width / view.resized_width
    left, right = (round(column * scale) for column in (view.left, view.left + view.calibration.width))
    size = max(right - left, 1), max(bottom - top, 1)
    colours = cv2.resize(heat_map(values, most), size, interpolation=cv2.INTER_NEAREST)
    first, last = max(top, 0), min(bottom, height)
    window = colours[first - top : last - top, -left : width - left]
    drawn[first:last] = np.clip(drawn[first:last].astype(np.int32) + window * 2 // 3, 0, 255)
    return drawn
