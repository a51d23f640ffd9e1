# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Boxes of nine degrees of freedom, as other data sets have them, as KITTI's labels of one image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import image_boxes, wrap_angle
from sicm_ros.kitti import Labels

MOST_TRUNCATED = 0.95  # share of a box outside the image, above which it isn't in it
SMALLEST = 4.0  # pixels of a box's height, below which nobody sees it
NEAREST = 0.5  # metres from the camera to the middle of a box
UNKNOWN = 3  # KITTI's grade of occlusion that is never asked for


@dataclass(frozen=True)
class Cuboid:
    """A box.

    Attributes:
        name: its class in the data set's own words.
        centre: (3,) its middle in the left optical frame, metres.
        axes: (3, 3), columns: directions of length (forward), width (left) and height (up) in that frame.
        size: length, width, height, metres.
        occluded: KITTI's grade: 0 visible, 1 partly, 2 largely hidden, 3 unknown.
    """

    name: str
    centre: np.ndarray
    axes: np.ndarray
    size: tuple[float, float, float]
    occluded: int = 0


def labels_of(
    cuboids: Iterable[Cuboid],
    classes: Mapping[str, str],
    calibration: StereoCalibration,
    ignored: Iterable[tuple[float, float, float, float]] = (),
) -> Labels:
    """Return the boxes that are in the image as KITTI's labels, in the left optical frame.

    KITTI's boxes stand upright: of the rotation the turn about the vertical axis is kept.

    Args:
        cuboids: of one frame.
        classes: the data set's class -> KITTI's; boxes of others are left out.
        calibration: of the images.
        ignored: left, top, right, bottom (pixels) of regions in which nothing counts: KITTI's DontCare.
    """
    boxes = [box for box in cuboids if box.name in classes and box.centre[2] > NEAREST]
    size = np.array([box.size for box in boxes], np.float64).reshape(-1, 3)
    middle = np.array([box.centre for box in boxes], np.float64).reshape(-1, 3)
    axes = np.array([box.axes for box in boxes], np.float64).reshape(-1, 3, 3)
    dimensions = size[:, [2, 1, 0]]
    location = middle - axes[:, :, 2] * size[:, 2:] / 2
    turn = np.arctan2(-axes[:, 2, 0], axes[:, 0, 0])
    whole = image_boxes(location, dimensions, turn, calibration, clip=False)
    seen = image_boxes(location, dimensions, turn, calibration)
    truncated = 1 - _area(seen) / np.maximum(_area(whole), 1e-9)
    kept = np.flatnonzero((truncated <= MOST_TRUNCATED) & (seen[:, 3] - seen[:, 1] >= SMALLEST))
    regions = np.array(list(ignored), np.float64).reshape(-1, 4)
    count, more = len(kept), len(regions)
    names = [classes[boxes[i].name] for i in kept] + ["DontCare"] * more
    bearing = np.arctan2(location[kept, 0], location[kept, 2])

    def column(values: np.ndarray, rest: float) -> np.ndarray:
        return np.concatenate([values, np.full((more, *values.shape[1:]), rest)])

    return Labels(
        names=np.array(names, np.str_) if count + more else np.zeros(0, np.str_),
        truncated=column(np.clip(truncated[kept], 0, 1), -1),
        occluded=column(np.array([boxes[i].occluded for i in kept], np.int64), -1).astype(np.int64),
        alpha=column(wrap_angle(turn[kept] - bearing), -10),
        image_boxes=np.concatenate([seen[kept], regions]),
        dimensions=column(dimensions[kept], -1),
        location=column(location[kept], -1000),
        rotation_y=column(turn[kept], -10),
    )


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def nearest(stamps: np.ndarray, stamp: int, most: int) -> int | None:
    """Return the index of the stamp (sorted, nanoseconds) nearest to another one; None where it is farther than `most`.

    Stamps of recordings are about 2^60, so that differences are taken in integers.
    """
    if not len(stamps):
        return None
    after = int(np.searchsorted(stamps, stamp))
    around = [index for index in (after - 1, after) if 0 <= index < len(stamps)]
    best = min(around, key=lambda index: abs(int(stamps[index]) - stamp))
    return best if abs(int(stamps[best]) - stamp) <= most else None
