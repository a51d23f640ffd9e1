# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Real cars cut out of labelled stereo pairs, and set down elsewhere as rigid bodies.

Cutting: GrabCut (Rother et al., SIGGRAPH 2004) in each view, started from the projected 3D box and from the pixels
whose disparity puts them inside that box; kept where the two views agree.

Setting down: each pixel of the car has a depth (disparity, smoothed and held inside the box). The car is turned about
the camera, so that it is seen from the side it was seen from (the observation angle stays), and moved along its ray.
Each view's own pixels are then warped to where the moved surface is seen from that view's camera. So the disparity of
every part is that of a rigid car at the new place, and differences between the cameras stay as real as they were.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import corners, wrap_angle
from sicm_ros.synth.compose.layer import Box, Layer, Sprite, two_views
from sicm_ros.synth.compose.scene import Scene, rays
from sicm_ros.synth.compose.warp import seen

CLASSES = ("Car", "Van", "Truck", "Tram")
MIN_HEIGHT = 40  # pixels: smaller cars have no detail worth moving
MARGIN = 0.15  # metres that a surface may lie outside its labelled box
FEATHER = 0.6  # pixels: sigma of the soft edge
AGREEMENT = 0.88  # intersection over union of the two views' masks, warped onto each other
PADDING = 8  # pixels around the mask that are kept for warping


@dataclass(frozen=True)
class Cutout:
    """A real car, cut from both views of one scene.

    Attributes:
        box: its label.
        calibration: of its scene.
        views: left and right Sprite in their scene's pixels; depth is smooth and defined all over the window.
        source: scene and number of the label.
        ground_light: median brightness of the ground around it, 0 to 255.
        agreement: intersection over union of the two views' masks.
    """

    box: Box
    calibration: StereoCalibration
    views: tuple[Sprite, Sprite]
    source: str
    ground_light: float
    agreement: float

    def standing(self, location: np.ndarray) -> Box:
        """Return its box with the bottom's centre at a new place (3,), turned so that the observation
        angle stays the same.
        """
        turn = np.arctan2(location[0], location[2]) - self.box.bearing
        angle = float(wrap_angle(self.box.rotation_y + turn))
        return Box(self.box.name, np.asarray(location, float), self.box.dimensions, angle)

    def moved(self, location: np.ndarray, calibration: StereoCalibration) -> Layer:
        """Return the car as both cameras of a calibration see it at a new place (3,)."""
        box = self.standing(location)
        turn = box.bearing - self.box.bearing
        views = two_views(
            _warped(sprite, view, self.box.location, box.location, turn, self.calibration, calibration)
            for view, sprite in enumerate(self.views)
        )
        return Layer(box, views, self.source, self.ground_light)

    def mirrored(self) -> Cutout:
        """Return the car in its scene's mirror image, where the views are exchanged."""
        width = self.calibration.width
        x, y, z = self.box.location
        place = np.array([self.calibration.baseline - x, y, z])
        box = Box(self.box.name, place, self.box.dimensions, float(wrap_angle(np.pi - self.box.rotation_y)))
        views = two_views(_flipped(sprite, width) for sprite in self.views[::-1])
        return replace(self, box=box, calibration=self.calibration.mirrored(), views=views)


def _flipped(sprite: Sprite, width: int) -> Sprite:
    """Return a sprite of an image of that width in the image's mirror image."""
    colour, alpha, depth = (np.ascontiguousarray(a[:, ::-1]) for a in (sprite.colour, sprite.alpha, sprite.depth))
    return Sprite(sprite.top, width - sprite.left - alpha.shape[1], colour, alpha, depth)


def cutouts(scene: Scene) -> list[Cutout]:
    """Return every vehicle of a scene that is wholly visible and can be cut out cleanly."""
    found = []
    labels = scene.labels
    for i in np.flatnonzero(labels.has_box):
        tall = labels.image_boxes[i, 3] - labels.image_boxes[i, 1] >= MIN_HEIGHT
        if labels.names[i] not in CLASSES or labels.occluded[i] != 0 or labels.truncated[i] > 0.02 or not tall:
            continue
        car = _cut(scene, int(i))
        if car is not None:
            found.append(car)
    return found


def _cut(scene: Scene, index: int) -> Cutout | None:
    labels, calibration = scene.labels, scene.calibration
    box = Box(
        str(labels.names[index]),
        labels.location[index],
        labels.dimensions[index],
        float(labels.rotation_y[index]),
    )
    points = corners(box.location[None], box.dimensions[None], np.array([box.rotation_y]))[0]
    if points[:, 2].min() < 2:
        return None
    sprites, masks = [], []
    for view in (0, 1):
        sprite = _segment(scene, view, box, points)
        if sprite is None:
            return None
        sprites.append(sprite)
        masks.append(sprite.alpha > 0.5)

    # Each view's mask as the other view sees it.
    from_right = _seen_from_other(sprites[1], sprites[0], calibration, 1)
    from_left = _seen_from_other(sprites[0], sprites[1], calibration, 0)
    both = masks[0] & from_right
    agreement = both.sum() / max((masks[0] | from_right).sum(), 1)
    if agreement < AGREEMENT:
        return None
    agreed = (_tidy(both), _tidy(masks[1] & from_left))

    # A mask that misses a part of the car or takes in its surroundings does not fill the labelled box as cars do.
    v, u = np.nonzero(agreed[0])
    if len(v) == 0:
        return None
    mine = [u.min() + sprites[0].left, v.min() + sprites[0].top, u.max() + sprites[0].left, v.max() + sprites[0].top]
    if _overlap(mine, labels.image_boxes[index]) < 0.82:
        return None
    hull = cv2.convexHull(np.stack(_project(points, calibration, 0), 1).astype(np.float32))
    if not 0.6 < agreed[0].sum() / cv2.contourArea(hull) < 1.0:
        return None
    views = two_views(
        Sprite(s.top, s.left, s.colour, _soft(mask), s.depth) for s, mask in zip(sprites, agreed, strict=True)
    )
    light = ground_light(scene, box.location)
    return Cutout(box, calibration, views, f"{scene.name}:{index}", light, float(agreement))


def ground_light(scene: Scene, location: np.ndarray) -> float:
    """Return the median brightness, 0 to 255, of the left view's ground near a place, or of all
    ground where that is hidden.
    """
    disparity, ground = scene.disparities[0], scene.ground_disparities[0]
    is_ground = (disparity > 0) & (np.abs(disparity - ground) < 1)
    grey = cv2.cvtColor(scene.images[0], cv2.COLOR_RGB2GRAY)
    depth = scene.calibration.depth(np.maximum(ground, 0.5))
    columns, _ = rays(scene.calibration, 0)
    near = is_ground & (np.abs(depth - location[2]) < 0.3 * location[2])
    near &= np.abs(columns[None] * depth - location[0]) < 5
    if near.sum() < 50:
        near = is_ground
    return float(np.median(grey[near])) if near.any() else 100.0


def _segment(scene: Scene, view: int, box: Box, points: np.ndarray) -> Sprite | None:
    """Return the car's window in one view with a hard mask and a smooth depth."""
    calibration = scene.calibration
    height, width = calibration.height, calibration.width
    u, v = _project(points, calibration, view)
    pad = PADDING + int(0.12 * (v.max() - v.min()))
    left, right = int(max(u.min() - pad, 0)), int(min(u.max() + pad + 1, width))
    top, bottom = int(max(v.min() - pad, 0)), int(min(v.max() + pad + 1, height))
    if u.min() < -2 or u.max() > width + 1 or right - left < 20 or bottom - top < 20:
        return None
    window = (slice(top, bottom), slice(left, right))
    image = scene.images[view][window]
    disparity = scene.disparities[view][window]
    hull = cv2.convexHull(np.stack([u - left, v - top], 1).astype(np.float32)).astype(np.int32)
    inside = np.zeros(disparity.shape, np.uint8)
    cv2.fillConvexPoly(inside, hull, 1)

    columns, rows = rays(calibration, view)
    z = calibration.depth(np.maximum(disparity, 0.5)).astype(np.float32)
    x = columns[None, left:right] * z + view * calibration.baseline
    y = rows[top:bottom, None] * z
    along, across = _in_box(x, z, box)
    _, box_width, length = box.dimensions
    above = box.location[1] - y
    known = disparity > 0
    # Stereo smears the car's edge over its surroundings along the ray, so depth is judged more loosely than the rest.
    on_car = known & (np.abs(along) < length / 2 + 0.4) & (np.abs(across) < box_width / 2 + 0.4) & (above > 0.2)
    elsewhere = known & ((z < points[:, 2].min() - 0.6) | (z > points[:, 2].max() + 0.6))
    on_ground = known & (above < 0.08)

    grown = cv2.dilate(inside, np.ones((7, 7), np.uint8))
    core = cv2.erode(inside, np.ones((5, 5), np.uint8), iterations=max(1, (bottom - top) // 40))
    trimap = np.full(disparity.shape, cv2.GC_PR_BGD, np.uint8)
    trimap[(inside > 0) & ~known] = cv2.GC_PR_FGD
    trimap[(inside > 0) & on_car] = cv2.GC_PR_FGD
    trimap[(core > 0) & on_car] = cv2.GC_FGD
    trimap[elsewhere & (core == 0)] = cv2.GC_BGD
    trimap[on_ground & (core == 0)] = cv2.GC_PR_BGD
    trimap[grown == 0] = cv2.GC_BGD
    if not (trimap == cv2.GC_FGD).any() or not (trimap == cv2.GC_BGD).any():
        return None
    cv2.setRNGSeed(0)
    cv2.grabCut(
        np.ascontiguousarray(image[..., ::-1]),
        trimap,
        None,
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        5,
        cv2.GC_INIT_WITH_MASK,
    )
    mask = _tidy((trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD))
    if not mask.any():
        return None
    depth = _smooth_depth(disparity, on_car & mask, calibration, points)
    return Sprite(top, left, image.astype(np.float32), mask.astype(np.float32), depth)


def _project(points: np.ndarray, calibration: StereoCalibration, view: int) -> tuple[np.ndarray, np.ndarray]:
    """Return columns and rows (N,) where a view sees points (N, 3) of the left frame."""
    x, y, z = points.T
    u = calibration.fx * (x - view * calibration.baseline) / z + calibration.cx + view * calibration.disparity_offset
    return u, calibration.fy * y / z + calibration.cy


def _in_box(x: np.ndarray, z: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates along the box's length and width, metres from its centre."""
    cos, sin = np.cos(box.rotation_y), np.sin(box.rotation_y)
    dx, dz = x - box.location[0], z - box.location[2]
    return cos * dx - sin * dz, sin * dx + cos * dz


def _tidy(mask: np.ndarray) -> np.ndarray:
    """Return the largest piece without frays; columns filled from roof to sill, since windows let the
    background through.
    """
    size = max(5, int(0.11 * mask.shape[0])) | 1
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, brush, borderValue=0)
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(opened)
    if count < 2:
        return np.zeros(mask.shape, bool)
    piece = pieces == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    below_top = np.maximum.accumulate(piece, axis=0)
    above_bottom = np.maximum.accumulate(piece[::-1], axis=0)[::-1]
    return below_top & above_bottom


def _soft(mask: np.ndarray) -> np.ndarray:
    """Return a mask with soft edges, drawn in a little so that no rim of the old background comes along."""
    inner = cv2.erode(mask.astype(np.float32), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    return cv2.GaussianBlur(inner, (0, 0), FEATHER)


def _smooth_depth(
    disparity: np.ndarray, valid: np.ndarray, calibration: StereoCalibration, points: np.ndarray
) -> np.ndarray:
    """Return the depth (h, w) of the car's surface, continued beyond its edge: known disparities
    inside the box, averaged.

    Averages over ever larger neighbourhoods fill what the smaller ones leave open.
    """
    nearest, farthest = points[:, 2].min() - MARGIN, points[:, 2].max() + MARGIN
    held = disparity.clip(calibration.disparity(farthest), calibration.disparity(nearest))
    weight = valid.astype(np.float32) * 1e3
    total, mass = np.zeros_like(held), np.full_like(held, 1e-9)
    for sigma in (0.03, 0.06, 0.12, 0.25, 0.5):
        size = sigma * disparity.shape[0]
        blurred_weight = cv2.GaussianBlur(weight, (0, 0), size, borderType=cv2.BORDER_CONSTANT)
        blurred = cv2.GaussianBlur(weight * held, (0, 0), size, borderType=cv2.BORDER_CONSTANT)
        share = np.exp(-mass) if sigma > 0.03 else 1.0
        total += share * blurred
        mass += share * blurred_weight
    return calibration.depth(total / mass).astype(np.float32)


def _seen_from_other(sprite: Sprite, other: Sprite, calibration: StereoCalibration, view: int) -> np.ndarray:
    """Return bool: the mask of `sprite` (in `view`) as it lies in the window of the other view's sprite."""
    h, w = other.alpha.shape
    disparity = calibration.disparity(other.depth)
    side = -1 if view == 1 else 1  # from a left pixel to the right one: further left
    columns = np.arange(w, dtype=np.float32)[None] + other.left + side * disparity - sprite.left
    rows = np.broadcast_to(np.arange(h, dtype=np.float32)[:, None] + other.top - sprite.top, (h, w))
    mask = cv2.remap(sprite.alpha, columns.astype(np.float32), np.ascontiguousarray(rows), cv2.INTER_LINEAR)
    return mask > 0.5


def _overlap(a, b) -> float:
    """Return intersection over union of two image boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def _warped(
    sprite: Sprite,
    view: int,
    old: np.ndarray,
    new: np.ndarray,
    turn: float,
    source: StereoCalibration,
    target: StereoCalibration,
) -> Sprite:
    """Return the sprite of a car that was at `old`, turned about the camera and moved to `new`, in
    the target's image.
    """
    h, w = sprite.alpha.shape
    cos, sin = np.cos(turn), np.sin(turn)
    columns, rows = np.arange(w, dtype=np.float32) + sprite.left, np.arange(h, dtype=np.float32) + sprite.top
    z = sprite.depth
    x = (columns[None] - source.cx - view * source.disparity_offset) / source.fx * z + view * source.baseline - old[0]
    y = (rows[:, None] - source.cy) / source.fy * z - old[1]
    dz = z - old[2]
    # Turning to the right takes z towards x.
    moved_x, moved_z, moved_y = cos * x + sin * dz + new[0], -sin * x + cos * dz + new[2], y + new[1]
    shrink = float(np.linalg.norm(new) / np.linalg.norm(old)) * source.fx / target.fx
    return seen(sprite.colour, sprite.alpha, (moved_x, moved_y, moved_z), view, target, shrink)
