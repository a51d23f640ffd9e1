# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""3D boxes as KITTI defines them, in the left camera's optical frame.

A box stands on its bottom face: `location` is that face's centre (x right, y down, z forward, metres), `dimensions` are
(height, width, length) in metres, `rotation_y` turns about the y axis: 0 when the length lies along x, and a turn by
rotation_y takes x towards -z. The convention of the KITTI object devkit, but measured from the left colour camera.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from sicm_ros.geometry.calibration import StereoCalibration

# Every class that a detector may name. A class travels as its place in here, so new ones come last.
CLASSES = ("Car", "Pedestrian", "Cyclist", "Van", "Truck")
VEHICLES = ("Car", "Van", "Truck")
PEOPLE = ("Pedestrian", "Cyclist")

# KITTI's other classes that are learnt, and counted, as one of these: what moves, and is as large, alike.
_COUNTED_AS = {"Tram": "Truck", "Bus": "Truck", "Person_sitting": "Pedestrian"}

# Score from which a detection MIDWAY metres away is worth a planner's attention, see `least_score`.
LIKELY = 0.5
MIDWAY = 20.0
CLOSEST = 5.0  # metres: what is nearer counts as if it were there


def class_of(name: str) -> str:
    """Return the class that a label's class counts as: itself, for most."""
    return _COUNTED_AS.get(name, name)


def least_score(distance: ArrayLike, likely: float = LIKELY) -> np.ndarray:
    """Return the score from which a detection is worth attention at a distance (...,), metres: `likely` at MIDWAY.

    The nearer an object is, the less time there is to react, and the more it costs to miss it. Where the cost falls as
    one over the distance, the odds to ask for grow with the distance (Bayes' decision); they do from CLOSEST on.
    """
    distance = np.maximum(np.asarray(distance, np.float64), CLOSEST)
    return likely * distance / (likely * distance + (1 - likely) * MIDWAY)


def from_above(location: np.ndarray) -> np.ndarray:
    """Return the distance from the camera (...,), metres, of places (..., 3), seen from above."""
    location = np.asarray(location, np.float64)
    return np.hypot(location[..., 0], location[..., 2])


@dataclass(frozen=True)
class Detections:
    """N detected objects, best first.

    Attributes:
        classes: int (N,), index into CLASSES.
        scores: float (N,), chances of being right, 0 to 1.
        location: float (N, 3), centre of the bottom face, left optical frame, metres.
        dimensions: float (N, 3), height, width, length, metres.
        rotation_y: float (N,), radians, -pi to pi.
        image_boxes: float (N, 4), left, top, right, bottom of the projection in the source image, pixels.
        errors: float (N, 4), standard deviations of the centre's depth, of where its ray meets that depth, sideways and
            vertically (metres), and of rotation_y (radians); NaN where nobody knows.
        chances: float (N, len(CLASSES)), score of each class at the object's place; that of its own where nothing else
            is said.
    """

    classes: np.ndarray
    scores: np.ndarray
    location: np.ndarray
    dimensions: np.ndarray
    rotation_y: np.ndarray
    image_boxes: np.ndarray
    errors: np.ndarray = None  # type: ignore[assignment]
    chances: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        count = len(self.scores)
        if self.errors is None:
            object.__setattr__(self, "errors", np.full((count, 4), np.nan))
        if self.chances is None:
            chances = np.zeros((count, len(CLASSES)))
            chances[np.arange(count), np.asarray(self.classes, np.int64)] = self.scores
            object.__setattr__(self, "chances", chances)

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> Detections:
        """Return those whose score is at least `score`."""
        return self.take(np.asarray(self.scores) >= score)

    def likely(self, score: float = LIKELY) -> np.ndarray:
        """Return bool (N,): those worth attention, by `least_score`."""
        return np.asarray(self.scores) >= least_score(from_above(self.location), score)

    def finite(self) -> Detections:
        """Return those whose place and size are numbers: a calibration that is absurd gives others."""
        columns = (self.location, self.dimensions, np.asarray(self.rotation_y)[:, None])
        numbers = np.concatenate([np.asarray(column) for column in columns], 1)
        return self.take(np.isfinite(numbers).all(1))

    def take(self, chosen: np.ndarray) -> Detections:
        """Return those that a mask (N,) or an array of indices chooses, in its order."""
        return Detections(**{field.name: np.asarray(getattr(self, field.name))[chosen] for field in fields(self)})

    @classmethod
    def empty(cls) -> Detections:
        return cls(
            np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros((0, 4))
        )

    @property
    def names(self) -> list[str]:
        """Class name of each detection."""
        return [CLASSES[index] for index in self.classes]


def corners(location: np.ndarray, dimensions: np.ndarray, rotation_y: np.ndarray) -> np.ndarray:
    """Return the corners (N, 8, 3) of boxes (N, 3), (N, 3), (N,): four of the bottom face in turn,
    then those above them.

    The first two corners are the front's.
    """
    location, dimensions, rotation_y = (np.asarray(a, np.float64) for a in (location, dimensions, rotation_y))
    height, width, length = dimensions[:, 0, None], dimensions[:, 1, None], dimensions[:, 2, None]
    forward = length / 2 * np.array([1, 1, -1, -1, 1, 1, -1, -1])
    side = width / 2 * np.array([1, -1, -1, 1, 1, -1, -1, 1])
    up = -height * np.array([0, 0, 0, 0, 1, 1, 1, 1])
    cos, sin = np.cos(rotation_y)[:, None], np.sin(rotation_y)[:, None]
    offsets = np.stack([cos * forward + sin * side, up, -sin * forward + cos * side], axis=2)
    return location[:, None] + offsets


def centres(location: np.ndarray, dimensions: np.ndarray) -> np.ndarray:
    """Return the centres (N, 3) of boxes; `location` (N, 3) are those of their bottom faces, all in metres."""
    middle = location.copy()
    middle[:, 1] -= dimensions[:, 0] / 2
    return middle


def project(points: np.ndarray, calibration: StereoCalibration) -> np.ndarray:
    """Project points (..., 3) of the left optical frame to pixels (..., 2) of the left image; z must be positive."""
    z = points[..., 2]
    return np.stack(
        [calibration.fx * points[..., 0] / z + calibration.cx, calibration.fy * points[..., 1] / z + calibration.cy], -1
    )


# Of a box, as pairs of its `corners`.
EDGES = ((0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (5, 6), (6, 7), (7, 4), (0, 4), (1, 5), (2, 6), (3, 7))
NEAR = 0.1  # metres: what lies nearer is cut off before it is projected


def image_boxes(
    location: np.ndarray,
    dimensions: np.ndarray,
    rotation_y: np.ndarray,
    calibration: StereoCalibration,
    clip: bool = True,
) -> np.ndarray:
    """Return left, top, right, bottom (N, 4) of the boxes' projections, pixels, clipped to the image
    unless told not to.

    Boxes that cross the image plane are cut at NEAR first; those wholly behind it give an empty box of zeros.
    """
    points = corners(location, dimensions, rotation_y)
    boxes = np.zeros((len(points), 4))
    for i, box in enumerate(points):
        visible = [p for p in box if p[2] >= NEAR]
        for a, b in EDGES:
            za, zb = box[a, 2], box[b, 2]
            if (za < NEAR) != (zb < NEAR):
                visible.append(box[a] + (NEAR - za) / (zb - za) * (box[b] - box[a]))
        if not visible:
            continue
        pixels = project(np.array(visible), calibration)
        boxes[i] = [*pixels.min(0), *pixels.max(0)]
    if clip:
        boxes[:, 0::2] = boxes[:, 0::2].clip(0, calibration.width - 1)
        boxes[:, 1::2] = boxes[:, 1::2].clip(0, calibration.height - 1)
    return boxes


def wrap_angle(angle: ArrayLike) -> np.ndarray:
    """Return an angle in [-pi, pi)."""
    return (np.asarray(angle) + np.pi) % (2 * np.pi) - np.pi
