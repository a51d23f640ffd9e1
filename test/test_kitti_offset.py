# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The half pixel between KITTI's labels and its images, measured on real cars (docs/kitti.md)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sicm_ros.kitti import KittiObjects
from sicm_ros.kitti.calibration import LABEL_DISPARITY_OFFSET


def depth_of_surface(location, dimensions, rotation_y, rays) -> np.ndarray:
    """Depth at which rays (N, 3) with z = 1 meet a box, NaN where they don't."""
    cos, sin = np.cos(rotation_y), np.sin(rotation_y)
    turn = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    origin = -turn @ (location - [0, dimensions[0] / 2, 0])
    half = np.array([dimensions[2], dimensions[0], dimensions[1]]) / 2
    with np.errstate(divide="ignore"):
        ends = np.stack([(side * half - origin) / (rays @ turn.T) for side in (-1, 1)])
    enter, leave = ends.min(0).max(1), ends.max(0).min(1)
    return np.where(enter < leave, enter, np.nan)


def test_labels_disparity_is_half_a_pixel_larger_than_the_pictures(kitti: Path):
    matcher = cv2.StereoSGBM_create(0, 64, 5, P1=600, P2=2400, uniquenessRatio=10, mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY)
    differences = []
    for frame in KittiObjects(kitti, labelled=True)[::4]:
        labels, rig = frame.labels, frame.calibration
        depth = labels.location[:, 2]
        chosen = (
            (labels.names == "Car") & (labels.occluded == 0) & (labels.truncated <= 0) & (depth > 15) & (depth < 35)
        )
        if not chosen.any():
            continue
        measured = matcher.compute(frame.left, frame.right) / 16
        for car in np.flatnonzero(chosen):
            left, top, right, bottom = labels.image_boxes[car]
            width, height = right - left, bottom - top  # below the windows and beside the edges a car is nearly its box
            u, v = np.meshgrid(
                np.arange(left + 0.2 * width, right - 0.2 * width),
                np.arange(top + 0.5 * height, bottom - 0.15 * height),
            )
            u, v = u.astype(int).ravel(), v.astype(int).ravel()
            rays = np.stack([(u - rig.cx) / rig.fx, (v - rig.cy) / rig.fy, np.ones(len(u))], 1)
            surface = depth_of_surface(labels.location[car], labels.dimensions[car], labels.rotation_y[car], rays)
            seen = np.isfinite(surface) & (measured[v, u] > 1)
            if seen.sum() > 50:
                differences.append(np.median(rig.fx * rig.baseline / surface[seen] - measured[v, u][seen]))
    assert len(differences) > 15
    assert np.median(differences) == pytest.approx(LABEL_DISPARITY_OFFSET, abs=0.15)
