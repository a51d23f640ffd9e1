# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What the head should have said: maps and values at the cells around each object's centre."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import class_of
from sicm_ros.network.detector import MAX_DISPARITY, MIN_DISPARITY, STRIDE
from sicm_ros.training.augment import Sample

SLOTS = 160  # supervised cells of a sample, at most
MIN_MATCHED_DISPARITY = 0.8  # pixels of the network's input; less is noise (and its logarithm worse)
# Metres that a box may be learnt further ahead than it is. The centre of what is beside us lies ahead by little or
# nothing, where a projection has no end: it is learnt at the nearest place whose disparity the head can name.
HELD = 1.25
NEAREST_FACE = 1.2  # metres, of the face that the camera sees
URGENT, URGENCY = 10.0, 3.0  # metres: objects nearer than this that the border cuts are few, and count so much more
LEAST_SEEN = 2.0  # cells, of either side of an image box: of less, nobody could say what it is
_REACH = (
    (0, 0, 1.0),
    (-1, 0, 0.4),
    (1, 0, 0.4),
    (0, -1, 0.4),
    (0, 1, 0.4),
)  # cells beside the centre, and their weight


def depth_extent(location: np.ndarray, dimensions: np.ndarray, rotation_y: np.ndarray) -> np.ndarray:
    """Return metres along z from the face that the camera sees to the centre, for N boxes, on the ray
    through the centre.
    """
    distance = np.hypot(location[:, 0], location[:, 2]).clip(1e-3)
    ray_x, ray_z = location[:, 0] / distance, location[:, 2] / distance
    along = np.abs(ray_x * np.cos(rotation_y) - ray_z * np.sin(rotation_y)).clip(1e-6)
    across = np.abs(ray_x * np.sin(rotation_y) + ray_z * np.cos(rotation_y)).clip(1e-6)
    return np.minimum(dimensions[:, 2] / 2 / along, dimensions[:, 1] / 2 / across) * ray_z


def _splat(heat: np.ndarray, u: int, v: int, radius_u: float, radius_v: float) -> None:
    """Add a Gaussian of the object's extent; the maximum with what is there stays."""
    h, w = heat.shape
    reach_u, reach_v = math.ceil(2.5 * radius_u), math.ceil(2.5 * radius_v)
    x = np.arange(max(0, u - reach_u), min(w, u + reach_u + 1))
    y = np.arange(max(0, v - reach_v), min(h, v + reach_v + 1))
    blob = np.exp(-(((x - u) / radius_u) ** 2)[None] / 2 - (((y - v) / radius_v) ** 2)[:, None] / 2)
    patch = heat[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
    np.maximum(patch, blob, out=patch)


def _peak(centre: float, low: float, high: float, end: int) -> float | None:
    """Return where an object peaks along one side of the map, in cells: its projected centre; where the map's border
    cuts it, the nearest place to that in the middle third of what is to be seen of it. None if too little is.

    Args:
        centre: projected centre. low, high: of the image box; all in cells. end: cells of that side.
    """
    seen_low, seen_high = max(low, 0.0), min(high, float(end))
    seen = seen_high - seen_low
    if seen < LEAST_SEEN:
        return None
    if low < 1 or high > end - 1:
        centre = min(max(centre, seen_low + seen / 3), seen_high - seen / 3)
    return centre if 0 <= centre < end else None


def nearest_face(calibration: StereoCalibration) -> float:
    """Return the metres ahead of the nearest face whose disparity the head can name, and of the nearest centre."""
    return max(NEAREST_FACE, float(calibration.depth(MAX_DISPARITY)))


def targets(sample: Sample, classes: Mapping[str, tuple[float, float, float]]) -> dict[str, np.ndarray]:
    """Return arrays for the losses.

    heat (classes, h, w); considered (h, w), 0 where nothing may be learnt from an empty cell (classes that aren't
    learnt, DontCare, hidden objects); urgency (h, w), what a missed centre counts; matching (h, w), disparity in cells
    of stride 4, 0 unknown; and, for SLOTS cells: cell, class_id, weight (0 unused), offset (2), face (log disparity,
    pixels), face_known, extent (m), location (3), dimensions (3), mean (3: dimensions of the class), rotation_y.

    An object that reaches out of the window peaks on what is to be seen of it, and its offset reaches outside
    (MonoFlex, CVPR 2021). One whose centre is nearer than `nearest_face`, by no more than HELD, is learnt there.

    Args:
        classes: that the network names, and their mean dimensions.
    """
    names = list(classes)
    calibration, labels = sample.calibration, sample.labels
    h, w = calibration.height // STRIDE, calibration.width // STRIDE
    heat = np.zeros((len(classes), h, w), np.float32)
    considered = np.ones((h, w), np.float32)
    urgency = np.ones((h, w), np.float32)
    matching = sample.disparity[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE][:h, :w]
    matching = np.where(matching > MIN_MATCHED_DISPARITY, matching / STRIDE, 0).astype(np.float32)

    slots: dict[str, np.ndarray] = {
        "cell": np.zeros(SLOTS, np.int64),
        "class_id": np.zeros(SLOTS, np.int64),
        "weight": np.zeros(SLOTS, np.float32),
        "offset": np.zeros((SLOTS, 2), np.float32),
        "face": np.zeros(SLOTS, np.float32),
        "face_known": np.zeros(SLOTS, np.float32),
        "extent": np.zeros(SLOTS, np.float32),
        "location": np.ones((SLOTS, 3), np.float32),
        "dimensions": np.ones((SLOTS, 3), np.float32),
        "mean": np.ones((SLOTS, 3), np.float32),
        "rotation_y": np.zeros(SLOTS, np.float32),
    }
    extents = depth_extent(labels.location, labels.dimensions, labels.rotation_y) if len(labels) else np.zeros(0)
    used = 0
    nearest = nearest_face(calibration)
    order = np.argsort(-labels.location[:, 2])  # the nearest last: its cells win
    for i in order:
        box = labels.image_boxes[i]
        name = class_of(str(labels.names[i]))
        left, top, right, bottom = box / STRIDE
        span = (slice(max(0, int(top)), max(0, math.ceil(bottom))), slice(max(0, int(left)), max(0, math.ceil(right))))
        x, y, z = labels.location[i]
        peak_u = peak_v = None
        if name in classes and labels.occluded[i] <= 2 and z > nearest - HELD and labels.has_box[i]:
            z = max(z, nearest)
            height = labels.dimensions[i, 0]
            u = (calibration.fx * x / z + calibration.cx + 0.5) / STRIDE
            v = (calibration.fy * (y - height / 2) / z + calibration.cy + 0.5) / STRIDE
            peak_u, peak_v = _peak(u, left, right, w), _peak(v, top, bottom, h)
        if peak_u is None or peak_v is None:
            considered[span] = 0
            continue
        column, row = math.floor(peak_u), math.floor(peak_v)
        class_id = names.index(name)
        radius_u = max(0.8, (min(right, w) - max(left, 0)) / 10)
        radius_v = max(0.8, (min(bottom, h) - max(top, 0)) / 10)
        _splat(heat[class_id], column, row, radius_u, radius_v)
        heat[class_id, row, column] = 1
        if z < URGENT and (left < 1 or right > w - 1):
            urgency[row, column] = URGENCY
        near = max(z - extents[i], nearest)
        face = calibration.disparity(near)
        for du, dv, weight in _REACH:
            inside = 0 <= column + du < w and 0 <= row + dv < h
            if not inside or used == SLOTS:
                continue
            slots["cell"][used] = (row + dv) * w + column + du
            slots["class_id"][used] = class_id
            slots["weight"][used] = weight
            slots["offset"][used] = (u - (column + du) - 0.5, v - (row + dv) - 0.5)
            slots["face"][used] = np.log(np.clip(face, MIN_DISPARITY, MAX_DISPARITY))
            slots["face_known"][used] = face > MIN_DISPARITY
            slots["extent"][used] = z - near
            slots["location"][used] = x, y, z
            slots["dimensions"][used] = labels.dimensions[i]
            slots["mean"][used] = classes[name]
            slots["rotation_y"][used] = labels.rotation_y[i]
            used += 1
    return {"heat": heat, "considered": considered, "urgency": urgency, "matching": matching, **slots}
