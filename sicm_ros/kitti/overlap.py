# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How much boxes overlap: in the image, from above, and in space, as KITTI's evaluation measures it."""

from __future__ import annotations

import numpy as np

CHUNK = 1 << 14  # pairs clipped at a time: keeps the intermediate polygons in the processor's cache


def image_intersections(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the areas (N,) of the intersections of boxes (N, 4), (N, 4) left, top, right, bottom, pixels squared."""
    width = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    return np.where((width > 0) & (height > 0), width * height, 0.0)


def image_areas(boxes: np.ndarray) -> np.ndarray:
    """Return the areas (N,) of boxes (N, 4), pixels squared."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def ground_intersections(
    a_location: np.ndarray,
    a_dimensions: np.ndarray,
    a_rotation: np.ndarray,
    b_location: np.ndarray,
    b_dimensions: np.ndarray,
    b_rotation: np.ndarray,
) -> np.ndarray:
    """Return the areas (N,) that the footprints of N pairs of boxes (geometry.boxes' convention) share, square metres,
    exact.

    Seen from box a, b's outline is clipped to a's rectangle. What lies outside of a side is not cut off but moved
    straight onto that side's line, where it encloses nothing: the outline keeps a fixed number of corners and the
    shoelace formula gives the area of the intersection. Boxes without a size share nothing.
    """
    area = np.zeros(len(a_location))
    reach = (np.hypot(a_dimensions[:, 1], a_dimensions[:, 2]) + np.hypot(b_dimensions[:, 1], b_dimensions[:, 2])) / 2
    delta = b_location - a_location
    near = np.hypot(delta[:, 0], delta[:, 2]) < reach
    near &= (a_dimensions[:, 1:] > 0).all(1) & (b_dimensions[:, 1:] > 0).all(1)
    near = np.flatnonzero(near)
    for start in range(0, len(near), CHUNK):
        i = near[start : start + CHUNK]
        cos, sin = np.cos(a_rotation[i]), np.sin(a_rotation[i])
        x, z = delta[i, 0], delta[i, 2]
        centre = np.stack([cos * x - sin * z, sin * x + cos * z], 1)  # along a's length and width
        turn = b_rotation[i] - a_rotation[i]
        cos, sin = np.cos(turn)[:, None], np.sin(turn)[:, None]
        length = b_dimensions[i, 2, None] / 2 * np.array([1, 1, -1, -1])
        width = b_dimensions[i, 1, None] / 2 * np.array([1, -1, -1, 1])
        outline = np.stack([cos * length + sin * width, -sin * length + cos * width], 2) + centre[:, None]
        outline = _clip(outline, 0, a_dimensions[i, 2] / 2)
        outline = _clip(outline, 1, a_dimensions[i, 1] / 2)
        u, v = outline[..., 0], outline[..., 1]
        area[i] = np.abs((u * np.roll(v, -1, 1) - v * np.roll(u, -1, 1)).sum(1)) / 2
    return area


def _clip(outline: np.ndarray, axis: int, half: np.ndarray) -> np.ndarray:
    """Clip (N, V, 2) closed outlines to |coordinate `axis`| at most (N,) half widths; return (N, 3 V, 2).

    Each edge gets a corner where it crosses either side's line, then corners outside are moved onto that line.
    """
    step = np.roll(outline, -1, 1) - outline
    start, slope = outline[..., axis], step[..., axis]
    flat = slope == 0
    divisor = np.where(flat, 1.0, slope)
    enter, leave = ((side * half[:, None] - start) / divisor for side in (-1.0, 1.0))
    first = np.where(flat, 0.0, np.minimum(enter, leave)).clip(0, 1)
    second = np.where(flat, 0.0, np.maximum(enter, leave)).clip(0, 1)
    points = np.stack([outline, outline + first[..., None] * step, outline + second[..., None] * step], 2)
    points[..., axis] = points[..., axis].clip(-half[:, None, None], half[:, None, None])
    return points.reshape(len(outline), -1, 2)


def height_overlaps(
    a_location: np.ndarray, a_dimensions: np.ndarray, b_location: np.ndarray, b_dimensions: np.ndarray
) -> np.ndarray:
    """Return (N,) metres of height that N pairs of boxes share: y is a box's bottom, y - h its top."""
    bottom = np.minimum(a_location[:, 1], b_location[:, 1])
    top = np.maximum(a_location[:, 1] - a_dimensions[:, 0], b_location[:, 1] - b_dimensions[:, 0])
    return np.maximum(bottom - top, 0.0)
