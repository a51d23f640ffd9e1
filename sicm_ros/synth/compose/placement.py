# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Where an object may stand in a scene: on ground that is seen to be free, and in nobody's way."""

from __future__ import annotations

import cv2
import numpy as np

from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import corners, image_boxes
from sicm_ros.synth.compose.layer import Box
from sicm_ros.synth.compose.scene import Scene, rays
from sicm_ros.synth.labels import BESIDE, hidden_angle

CLEARANCE = 0.3  # metres between footprints
FREE_SHARE = 0.8  # of the visible footprint must look like the ground plane
SEEN_SHARE = 0.35  # of the footprint must be visible at all
MAX_TRUNCATION = 0.4
PATCH = 1.6  # metres: a smaller footprint's surroundings are looked at as well
STEP = 0.25  # metres that a pavement may lie above or below the road
MAX_COVER = 0.6  # share of a car's outline that nearer ones may cover, so that there is something left to find


class Stage:
    """A scene with the cars that are put into it so far, asked whether one more fits."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        boxed = scene.labels.has_box
        labels = scene.labels
        self._boxes: list[Box] = []
        self._outlines: list[np.ndarray] = []
        for i in np.flatnonzero(boxed):
            angle = float(labels.rotation_y[i])
            self.add(Box(str(labels.names[i]), labels.location[i], labels.dimensions[i], angle))
        self._vague = labels.image_boxes[~boxed]
        self._disparity = scene.disparities[0]
        self._ground = scene.ground_disparities[0]
        columns, rows = rays(scene.calibration, 0)
        self._z = scene.calibration.depth(np.maximum(self._disparity, 0.5))
        self._x, self._y = columns[None] * self._z, rows[:, None] * self._z
        self._height = scene.ground_y(self._x, self._z) - self._y

    def add(self, box: Box) -> None:
        """Take the place of a box."""
        self._boxes.append(box)
        self._outlines.append(outline(box, self.scene.calibration))

    def fits(self, box: Box, max_truncation: float = MAX_TRUNCATION) -> bool:
        """Return whether an object can stand there: in the image, on free ground, touching nothing."""
        return (
            truncation(box, self.scene.calibration) <= max_truncation
            and not self._collides(box)
            and not self._covers(box)
            and self._ground_is_free(box)
        )

    def level(self, x: float, z: float) -> float:
        """Return the height coordinate y (down) of what can be stood on at x, z: the road's plane, or
        a pavement beside it.
        """
        y = float(self.scene.ground_y(x, z))
        patch, window = self._footprint(Box("", np.array([x, y, z]), np.array([0.0, PATCH, PATCH]), 0.0))
        heights = self._height[window][patch & (np.abs(self._height[window]) < 2 * STEP)]
        if len(heights) < 12:
            return y
        step = float(np.median(heights))
        flat = np.median(np.abs(heights - step)) < 0.05
        return y - step if flat and 0.04 < abs(step) < STEP else y

    def _footprint(self, box: Box) -> tuple[np.ndarray, tuple[slice, slice]]:
        """Return bool (h, w): pixels of known disparity where a box's base, grown to PATCH, is drawn;
        and their window.
        """
        calibration = self.scene.calibration
        size = np.maximum(box.dimensions, [0, PATCH, PATCH])
        base = corners(box.location[None], size[None], np.array([box.rotation_y]))[0, :4]
        if base[:, 2].min() < 1:
            base = _clipped(base, 1.0)
        if not len(base):
            return np.zeros((0, 0), bool), (slice(0, 0), slice(0, 0))
        polygon = project(base, calibration, 0)
        left, top = np.floor(polygon.min(0)).astype(int).clip(0, [calibration.width, calibration.height])
        right, bottom = np.ceil(polygon.max(0)).astype(int).clip(0, [calibration.width, calibration.height])
        window = slice(top, max(bottom, top)), slice(left, max(right, left))
        patch = np.zeros((window[0].stop - top, window[1].stop - left), np.uint8)
        if patch.size:
            cv2.fillConvexPoly(patch, np.rint(polygon - [left, top]).astype(np.int32), 1)
        return (patch > 0) & (self._disparity[window] > 0), window

    def _covers(self, box: Box) -> bool:
        """Return whether the box would leave too little to be seen of another one, or another one of it."""
        mine, distance = outline(box, self.scene.calibration), np.linalg.norm(box.location)
        for other, theirs in zip(self._boxes, self._outlines, strict=True):
            farther = theirs if np.linalg.norm(other.location) > distance else mine
            area = (farther[2] - farther[0]) * (farther[3] - farther[1])
            shared = np.minimum(mine[2:], theirs[2:]) - np.maximum(mine[:2], theirs[:2])
            if shared.min() > 0 and shared.prod() > MAX_COVER * area:
                return True
        return False

    def _collides(self, box: Box) -> bool:
        mine = footprint(box, CLEARANCE)
        for other in self._boxes:
            reach = (np.hypot(*box.dimensions[1:]) + np.hypot(*other.dimensions[1:])) / 2 + CLEARANCE
            if np.hypot(*(box.location - other.location)[[0, 2]]) < reach:
                area, _ = cv2.intersectConvexConvex(mine, footprint(other, 0.0))
                if area > 0:
                    return True
        return False

    def _ground_is_free(self, box: Box) -> bool:
        calibration = self.scene.calibration
        whole = outline(box, calibration)
        middle = (whole[:2] + whole[2:]) / 2
        for left, top, right, bottom in self._vague:  # an unlabelled object may stand there
            if left <= middle[0] <= right and top <= middle[1] <= bottom:
                return False
        left, top, right, bottom = whole.astype(int)
        window = (slice(top, bottom + 1), slice(left, right + 1))
        x, z, known = self._x[window], self._z[window], self._disparity[window] > 0
        # Nothing of the scene inside the box.
        cos, sin = np.cos(box.rotation_y), np.sin(box.rotation_y)
        dx, dz = x - box.location[0], z - box.location[2]
        _, width, length = box.dimensions
        along, across = np.abs(cos * dx - sin * dz), np.abs(sin * dx + cos * dz)
        slack = 0.02 * box.location[2]  # stereo's depth is that uncertain
        within = known & (along < length / 2 + slack) & (across < width / 2 + slack)
        height = self._height[window]
        if (within & (height > 0.35)).sum() > 0.02 * within.size:
            return False
        # The footprint, as far as it can be seen, lies on the plane through the box's bottom.
        patch, window = self._footprint(box)
        if not patch.size:
            return True  # so near that the ground it stands on lies below the image
        if patch.sum() < 12:
            return False
        up = float(self.scene.ground_y(box.location[0], box.location[2]) - box.location[1])
        lift = self.scene.ground[3] / (self.scene.ground[3] - up)
        expected = lift * (self._ground[window] + calibration.disparity_offset) - calibration.disparity_offset
        difference = (self._disparity[window] - expected)[patch]
        hidden = difference > 1.5
        ground = np.abs(difference) < 1.0
        return (~hidden).mean() >= SEEN_SHARE and ground.sum() >= FREE_SHARE * (~hidden).sum()


def _clipped(polygon: np.ndarray, near: float) -> np.ndarray:
    """Return corners (M, 3) of the part of a convex polygon (N, 3) that lies farther than z = near."""
    kept = []
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if a[2] >= near:
            kept.append(a)
        if (a[2] >= near) != (b[2] >= near):
            kept.append(a + (near - a[2]) / (b[2] - a[2]) * (b - a))
    return np.array(kept).reshape(-1, 3)


def footprint(box: Box, margin: float) -> np.ndarray:
    """Return float32 (4, 2): x, z of the corners of the box's base, grown by a margin, metres."""
    grown = box.dimensions + np.array([0, 2, 2]) * margin
    points = corners(box.location[None], grown[None], np.array([box.rotation_y]))[0, :4]
    return points[:, [0, 2]].astype(np.float32)


def outline(box: Box, calibration: StereoCalibration) -> np.ndarray:
    """Return left, top, right, bottom (4,) of the box's projection in the left image, pixels."""
    return image_boxes(box.location[None], box.dimensions[None], np.array([box.rotation_y]), calibration)[0]


def project(points: np.ndarray, calibration: StereoCalibration, view: int) -> np.ndarray:
    """Return pixels (N, 2) where a view sees points (N, 3) of the left frame."""
    x, y, z = np.asarray(points, float).T
    u = calibration.fx * (x - view * calibration.baseline) / z + calibration.cx + view * calibration.disparity_offset
    return np.stack([u, calibration.fy * y / z + calibration.cy], 1)


def truncation(box: Box, calibration: StereoCalibration) -> float:
    """Return the share of the box's projection outside the left image, 0 to 1; 1 for what stands behind the camera or
    around it.
    """
    arguments = (box.location[None], box.dimensions[None], np.array([box.rotation_y]), calibration)
    points = corners(*arguments[:3])[0]
    behind = points[points[:, 2] < 0, 0]
    if len(behind) and behind.min() <= 0 <= behind.max():
        return 1.0
    if points[:, 2].min() < BESIDE:
        return hidden_angle(points, calibration)
    whole, seen = image_boxes(*arguments, clip=False)[0], image_boxes(*arguments)[0]
    area = (whole[2] - whole[0]) * (whole[3] - whole[1])
    return float(1 - (seen[2] - seen[0]) * (seen[3] - seen[1]) / max(area, 1e-6))
