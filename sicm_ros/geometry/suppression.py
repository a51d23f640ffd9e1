# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which boxes are one object: two cars can overlap in the image, never on the ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

OVERLAP = 0.15  # of the smaller box's ground: more is the same object named twice
CLOSE = 0.6  # metres between centres: the same object whatever its box


@dataclass(frozen=True)
class Grounds:
    """What N boxes stand on, seen from above.

    Attributes:
        location, dimensions, rotation_y: (N, 3), (N, 3), (N,) of the boxes.
    """

    location: np.ndarray
    dimensions: np.ndarray
    rotation_y: np.ndarray

    def meeting(self) -> np.ndarray:
        """Return pairs of boxes (P, 2), the lower index first, that could touch, whichever way they are turned."""
        reach = np.hypot(self.dimensions[:, 1], self.dimensions[:, 2]) / 2
        apart = np.linalg.norm(self.location[:, None, [0, 2]] - self.location[None][:, :, [0, 2]], axis=2)
        return np.argwhere(np.triu(apart < np.maximum(reach[:, None] + reach[None], CLOSE), 1))

    def shared(self, one: int, other: int) -> bool:
        """Return whether two boxes stand where only one body can."""
        if np.hypot(*(self.location[one, [0, 2]] - self.location[other, [0, 2]])) < CLOSE:
            return True
        sides = self.dimensions[[one, other], 1:]
        shape = cv2.rotatedRectangleIntersection(self._rectangle(one), self._rectangle(other))[1]
        common = 0.0 if shape is None else cv2.contourArea(cv2.convexHull(shape))
        return bool(common > OVERLAP * sides.prod(1).min())

    def _rectangle(self, box: int) -> tuple[tuple[float, float], tuple[float, float], float]:
        x, _, z = self.location[box]
        _, width, length = self.dimensions[box]
        return (float(x), float(z)), (float(length), float(width)), float(-np.degrees(self.rotation_y[box]))


def suppress(location: np.ndarray, dimensions: np.ndarray, rotation_y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return indices of the boxes to keep, best first, of N boxes (N, 3), (N, 3), (N,), (N,): non-maximum suppression
    from above.
    """
    order = np.argsort(-scores, kind="stable")
    grounds = Grounds(location[order], dimensions[order], rotation_y[order])
    kept = np.ones(len(order), bool)
    for better, box in grounds.meeting():  # in the order of the better ones
        kept[box] &= not (kept[better] and grounds.shared(better, box))
    return order[kept]
