# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression from above: two cars can overlap in the image, never on the ground."""

from __future__ import annotations

import cv2
import numpy as np

OVERLAP = 0.15  # of the smaller box's ground: more is the same object named twice
CLOSE = 0.6  # metres between centres: the same object whatever its box


def suppress(location: np.ndarray, dimensions: np.ndarray, rotation_y: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return indices of the boxes to keep, best first, of N boxes (N, 3), (N, 3), (N,), (N,)."""
    order = np.argsort(-scores, kind="stable")
    rectangles = [
        ((float(x), float(z)), (float(length), float(width)), float(-np.degrees(angle)))
        for (x, _, z), (_, width, length), angle in zip(location, dimensions, rotation_y)
    ]
    reach = np.hypot(dimensions[:, 1], dimensions[:, 2]) / 2
    kept: list[int] = []
    for i in order:
        for k in kept:
            distance = np.hypot(*(location[i, [0, 2]] - location[k, [0, 2]]))
            if distance < CLOSE:
                break
            if distance < reach[i] + reach[k]:
                shape = cv2.rotatedRectangleIntersection(rectangles[i], rectangles[k])[1]
                shared = 0.0 if shape is None else cv2.contourArea(cv2.convexHull(shape))
                ground = min(dimensions[j, 1] * dimensions[j, 2] for j in (i, k))
                if shared > OVERLAP * ground:
                    break
        else:
            kept.append(int(i))
    return np.array(kept, np.int64)
