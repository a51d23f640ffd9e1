# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One training sample: a window of a pair, with everything that geometry moves moved along.

What is augmented is what differs between rigs and days: zoom, window, mirror (with the views exchanged), light and
noise (mostly alike, slightly unlike in the two views), a vertical misalignment, and a horizontal shift of the right
view, which is a change of the rig's disparity offset and therefore told to the network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import CLASSES, PEOPLE, class_of, image_boxes
from sicm_ros.geometry.view import HORIZON
from sicm_ros.kitti import Labels
from sicm_ros.training.pack import PackedPair

EDGE = 3.0  # pixels: an image box that ends nearer to the image's border is cut by it
BUMPER = 0.5  # metres: of what has its centre nearer, no window is drawn around
CLOSE = 10.0  # metres: nearer objects are few, and matter most
REACH = -0.08, 1.08  # where in a window the centre lies of what it is drawn around: sometimes outside
RARE = 2.5  # how much more often a window is drawn around people, large vehicles, and what is close


@dataclass(frozen=True)
class Augmentation:
    """Ranges of what is drawn."""

    zoom: tuple[float, float] = (0.85, 1.25)
    mirror: float = 0.5
    on_object: float = 0.75
    vertical: float = 0.6  # pixels, standard deviation of the right view's misalignment
    shift: float = 2.0  # pixels, range of the right view's horizontal shift
    light: float = 1.0
    coded: float = 0.0  # share of pairs whose images go through an image codec at a low rate


@dataclass
class Sample:
    """A window: left, right uint8 (H, W, 3); disparity float32 (H, W), 0 unknown; labels in the left camera's frame."""

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray
    calibration: StereoCalibration
    labels: Labels


def _mirrored_labels(labels: Labels, calibration: StereoCalibration) -> Labels:
    """Return the labels of the mirrored pair, in the frame of its left camera, which is the mirrored right one."""
    location = labels.location.copy()
    boxes = labels.image_boxes.copy()
    has_box = labels.has_box
    location[has_box, 0] = calibration.baseline - location[has_box, 0]
    # Image boxes as the right view shows them: each side moves as that of the box in space does. Where the image's
    # border cut one, the box in space says how much the other view shows.
    projected = [
        image_boxes(place, labels.dimensions, labels.rotation_y, calibration, clip=False)[:, [0, 2]]
        for place in (labels.location, labels.location - [calibration.baseline, 0, 0])
    ]
    seen = has_box & (projected[0] != 0).any(1) & (projected[1] != 0).any(1)
    elsewhere = -calibration.disparity(np.where(has_box, np.maximum(labels.location[:, 2], 1), 30.0))[:, None]
    shifted = boxes[:, [0, 2]] + np.where(seen[:, None], projected[1] - projected[0], elsewhere)
    border = (boxes[:, 0] < EDGE, boxes[:, 2] > calibration.width - 1 - EDGE)
    whole = projected[1].clip(0, calibration.width - 1)
    for side in (0, 1):
        shifted[:, side] = np.where(seen & border[side], whole[:, side], shifted[:, side])
    boxes[:, [0, 2]] = calibration.width - 1 - shifted[:, ::-1]
    rotation = np.where(labels.rotation_y > -9, np.pi - labels.rotation_y, labels.rotation_y)
    return replace(labels, location=location, image_boxes=boxes, rotation_y=rotation)


def draw(
    pair: PackedPair, size: tuple[int, int], base_scale: float, augmentation: Augmentation, rng: np.random.Generator
) -> Sample:
    """Return a window of `size` (width, height) of a packed pair.

    Args:
        base_scale: from packed pixels to the network's input.
    """
    left, right, calibration = pair.left, pair.right, pair.calibration
    disparity = np.zeros(left.shape[:2], np.float32) if pair.disparity is None else pair.disparity
    labels = Labels.empty() if pair.labels is None else pair.labels
    labels = replace(labels, image_boxes=labels.image_boxes * pair.scale)

    if rng.random() < augmentation.mirror:
        # The mirrored right view becomes the left one. Its disparity is not known pixel by pixel: warp the left view's.
        disparity = _right_disparity(disparity)[:, ::-1]
        labels = _mirrored_labels(labels, calibration)
        left, right = np.ascontiguousarray(right[:, ::-1]), np.ascontiguousarray(left[:, ::-1])
        calibration = calibration.mirrored()

    zoom = base_scale * np.exp(rng.uniform(*np.log(augmentation.zoom)))
    width, height = size
    start_x, start_y = _window(labels, calibration, zoom, width, height, augmentation, rng)
    shift = rng.uniform(-augmentation.shift, augmentation.shift) if augmentation.shift else 0.0
    lift = rng.normal(0, augmentation.vertical) if augmentation.vertical else 0.0

    def window(image: np.ndarray, dx: float, dy: float, flags: int) -> np.ndarray:
        # Corner-aligned zoom, as StereoCalibration.resized has it.
        edge = 0.5 * zoom - 0.5
        matrix = np.array([[zoom, 0, edge - start_x + dx], [0, zoom, edge - start_y + dy]])
        return cv2.warpAffine(image, matrix, (width, height), flags=flags)

    left_window = window(left, 0, 0, cv2.INTER_LINEAR)
    right_window = window(right, -shift, lift, cv2.INTER_LINEAR)
    near = window(disparity, 0, 0, cv2.INTER_NEAREST)
    known = near > 0
    disparity = np.where(known, near * zoom + shift, 0).astype(np.float32)
    resized = replace(
        calibration,
        fx=calibration.fx * zoom,
        fy=calibration.fy * zoom,
        cx=(calibration.cx + 0.5) * zoom - 0.5,
        cy=(calibration.cy + 0.5) * zoom - 0.5,
        disparity_offset=calibration.disparity_offset * zoom - shift,
    )
    calibration = resized.cropped(start_x, start_y, width, height)
    boxes = (labels.image_boxes + 0.5) * zoom - 0.5 - np.array([start_x, start_y, start_x, start_y])
    if augmentation.light:
        left_window, right_window = _light(left_window, right_window, augmentation.light, rng)
    if rng.random() < augmentation.coded:
        left_window, right_window = _coded(left_window, right_window, rng)
    return Sample(left_window, right_window, disparity, calibration, replace(labels, image_boxes=boxes))


def _window(
    labels: Labels,
    calibration: StereoCalibration,
    zoom: float,
    width: int,
    height: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Return the upper left corner of the window in the zoomed picture: its rows around the horizon,
    its columns often on an object.
    """
    cx, cy = (calibration.cx + 0.5) * zoom - 0.5, (calibration.cy + 0.5) * zoom - 0.5
    full_width = calibration.width * zoom
    spare = full_width - width
    names = [class_of(str(name)) for name in labels.names]
    wanted = np.isin(names, CLASSES) & (labels.location[:, 2] > BUMPER)
    if wanted.any() and rng.random() < augmentation.on_object:
        rare = np.isin(names, (*PEOPLE, "Truck")) | (labels.location[:, 2] < CLOSE)
        chance = wanted * np.where(rare, RARE, 1.0)
        i = rng.choice(len(names), p=chance / chance.sum())
        x = labels.location[i, 0] / labels.location[i, 2] * calibration.fx * zoom + cx
        start_x = x - rng.uniform(*REACH) * width
    else:
        start_x = rng.uniform(min(0, spare), max(0, spare))
    start_x = np.clip(start_x, min(0, spare), max(0, spare))
    jitter = 0.06 * height if augmentation.light else 0
    start_y = cy - HORIZON * height + rng.uniform(-jitter, jitter)
    spare_y = calibration.height * zoom - height
    start_y = np.clip(start_y, min(0, spare_y), max(0, spare_y))
    return round(start_x), round(start_y)


def _right_disparity(disparity: np.ndarray) -> np.ndarray:
    """Return the disparity as the right view sees it: every pixel of the left one moved to its match,
    the nearest surface winning.
    """
    width = disparity.shape[1]
    cells = np.flatnonzero(disparity > 0)
    values = disparity.ravel()[cells]
    columns = cells % width
    matches = np.rint(columns - values).astype(np.int64)
    inside = matches >= 0
    out = np.zeros_like(disparity)
    np.maximum.at(out.ravel(), (cells - columns + matches)[inside], values[inside])
    return out


def _light(left: np.ndarray, right: np.ndarray, strength: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Change exposure, contrast, gamma, colour and noise: drawn for the pair, and again, a tenth as
    strong, for each view.
    """
    shared = rng.normal(0, 1, 6) * strength
    out = []
    for image in (left, right):
        gain, contrast, gamma, *colour = shared + rng.normal(0, 0.12, 6) * strength
        table = np.linspace(0, 1, 256) ** np.exp(0.18 * gamma)
        table = (table - 0.4) * np.exp(0.15 * contrast) + 0.4
        tables = np.stack([table * np.exp(0.18 * gain + 0.05 * c) for c in colour], 1)
        tables = (tables * 255).clip(0, 255).astype(np.uint8)[None]
        image = cv2.LUT(image, tables)
        out.append(image)
    if rng.random() < 0.3:
        sigma = rng.uniform(1, 5) * strength
        # A slice of a field of noise made once costs a tenth of drawing it anew.
        out = [cv2.add(image, _noise(image.shape, sigma, rng), dtype=cv2.CV_8U) for image in out]
    if rng.random() < 0.15:
        sigma = rng.uniform(0.3, 0.9)
        out = [cv2.GaussianBlur(image, (0, 0), sigma) for image in out]
    return out


def _coded(left: np.ndarray, right: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return both views, RGB, as WebP (blocks that predict each other, smoothed, as in AV1 and VVC)
    or JPEG leaves them.
    """
    extension, parameter, best = (
        (".webp", cv2.IMWRITE_WEBP_QUALITY, 70) if rng.random() < 0.8 else (".jpg", cv2.IMWRITE_JPEG_QUALITY, 40)
    )
    quality = 1 + int(best * rng.random() ** 2)  # mostly low, where images suffer
    views = []
    for image in (left, right):
        _, data = cv2.imencode(extension, image[..., ::-1], [parameter, quality])
        views.append(np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]))
    return views


_FIELD = np.random.default_rng(0).normal(0, 1, (1 << 21,)).astype(np.float32)


def _noise(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> np.ndarray:
    count = int(np.prod(shape))
    start = int(rng.integers(0, len(_FIELD) - count)) if count < len(_FIELD) else 0
    return np.resize(_FIELD[start : start + count], shape) * np.float32(sigma)
