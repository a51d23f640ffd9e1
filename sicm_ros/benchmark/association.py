# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which detection is which object."""

from __future__ import annotations

import numpy as np

from sicm_ros.kitti.overlap import image_areas, image_intersections

LEAST_OVERLAP = 0.5  # intersection over union in the image, above which two boxes are of one object


def nearest_free(apart: np.ndarray) -> np.ndarray:
    """Let each row in turn, so the best detection first, take the nearest column that is still free.

    Args:
        apart: (N, M), any measure of distance; inf where two can't be the same.

    Returns:
        int (N,), the column that each row took; -1 where none was left.
    """
    apart = apart.copy()
    taken = np.full(len(apart), -1)
    for row in range(len(apart) if apart.shape[1] else 0):
        column = int(apart[row].argmin())
        if apart[row, column] < np.inf:
            taken[row] = column
            apart[:, column] = np.inf
    return taken


def overlapping(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Let each image box (N, 4), best first, take the free one of the others (M, 4) that it overlaps most.

    Depth itself has no say in what is what, then. int (N,): the other one's row, -1 where none overlaps by more than
    LEAST_OVERLAP.
    """
    a, b = np.repeat(boxes, len(others), axis=0), np.tile(others, (len(boxes), 1))
    shared = image_intersections(a, b)
    union = image_areas(a) + image_areas(b) - shared
    ratio = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0).reshape(len(boxes), len(others))
    return nearest_free(np.where(ratio > LEAST_OVERLAP, -ratio, np.inf))
