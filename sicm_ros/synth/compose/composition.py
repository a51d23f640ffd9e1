# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Puts layers into a scene: shadows first, then cars from far to near, each hidden by what stands before it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sicm_ros.geometry.boxes import corners, wrap_angle
from sicm_ros.kitti import Labels
from sicm_ros.synth.compose.layer import Box, Layer
from sicm_ros.synth.compose.placement import outline, project, truncation
from sicm_ros.synth.compose.scene import Scene, rays

SHADOW_REACH = 0.35  # metres beyond the footprint where the shade of the car's body has faded to a third
# Visible shares at which KITTI's annotators seem to pass from "visible" to "partly" to "largely occluded"; what shows
# less than the last is no object to be found.
VISIBLE_SHARES = (0.9, 0.5, 0.15)


@dataclass(frozen=True)
class Composition:
    """A composed pair.

    Attributes:
        images: uint8 (2, H, W, 3).
        labels: Labels in the left camera's frame: the scene's, with what is newly covered, then the new cars'.
        disparity: float32 (H, W), pixels, left view, 0 where unknown.
        sources: one line for each car that was put in.
    """

    images: np.ndarray
    labels: Labels
    disparity: np.ndarray
    sources: list[str]


def compose(scene: Scene, layers: list[Layer], shade: float = 0.55) -> Composition:
    """Return the scene with layers put in; shade is the darkness, 0 to 1, of the ground right below a car."""
    calibration = scene.calibration
    order = sorted(range(len(layers)), key=lambda i: -np.linalg.norm(layers[i].box.location))
    images, owners, silhouettes = [], [], np.zeros(len(layers))
    disparity = scene.disparities[0].copy()
    for view in (0, 1):
        plane = scene.ground_disparities[view]
        behind = scene.full_disparities[view]
        on_ground = np.abs(behind - plane) < 1.5
        image = scene.images[view].astype(np.float32)
        for layer in layers:
            _contact_shadow(image, layer.box, scene, view, plane, on_ground, shade)
            sprite = layer.views[view]
            if sprite.shade is not None:
                place, own = sprite.window(*plane.shape)
                image[place] *= np.where(on_ground[place], sprite.shade[own], 1)[..., None]
        owner = np.full(plane.shape, -1, np.int32)
        for i in order:
            sprite = layers[i].views[view]
            place, own = sprite.window(*plane.shape)
            alpha = sprite.alpha[own]
            if not alpha.size:
                continue  # the other camera alone sees it
            hidden = _hidden(behind[place], plane[place], calibration.disparity(sprite.depth[own]))
            cover = alpha * (1 - hidden)
            image[place] += cover[..., None] * (sprite.colour[own] - image[place])
            drawn = cover > 0.5
            owner[place][drawn] = i
            if view == 0:
                silhouettes[i] = (alpha > 0.5).sum()
                disparity[place][drawn] = calibration.disparity(sprite.depth[own][drawn])
        images.append(np.rint(image).clip(0, 255).astype(np.uint8))
        owners.append(owner)
    labels, sources = _labels(scene, layers, owners[0], silhouettes)
    return Composition(np.stack(images), labels, disparity, sources)


def _hidden(behind: np.ndarray, plane: np.ndarray, disparity: np.ndarray) -> np.ndarray:
    """Return float32 (h, w), 0 to 1: how far the scene hides a car of that disparity.

    It does where its own disparity is clearly larger, unless that is the ground, which no car sinks into. Cars that are
    put in don't ask: they don't touch, and come from far to near.
    """
    nearer = (behind > disparity + np.maximum(1.0, 0.04 * disparity)) & (behind - plane > 1.0)
    size = np.ones((3, 3), np.uint8)
    clean = cv2.morphologyEx(nearer.astype(np.uint8), cv2.MORPH_OPEN, size)
    return cv2.GaussianBlur(clean.astype(np.float32), (0, 0), 0.7)


def _contact_shadow(
    image: np.ndarray, box: Box, scene: Scene, view: int, plane: np.ndarray, on_ground: np.ndarray, shade: float
) -> None:
    """Darken the ground below and around a box, in place."""
    calibration = scene.calibration
    reach = 3 * SHADOW_REACH
    grown = box.dimensions + np.array([0, 2 * reach, 2 * reach])
    points = corners(box.location[None], grown[None], np.array([box.rotation_y]))[0, :4]
    if points[:, 2].min() < 1:
        return
    pixels = project(points, calibration, view)
    left, top = np.floor(pixels.min(0)).astype(int).clip(0)
    right, bottom = np.ceil(pixels.max(0)).astype(int) + 1
    window = (slice(top, max(bottom, top)), slice(left, max(right, left)))
    z = calibration.depth(np.maximum(plane[window], 0.5))
    columns, _ = rays(calibration, view)
    x = columns[None, window[1]] * z + view * calibration.baseline
    cos, sin = np.cos(box.rotation_y), np.sin(box.rotation_y)
    dx, dz = x - box.location[0], z - box.location[2]
    _, width, length = box.dimensions
    outside_length = np.maximum(np.abs(cos * dx - sin * dz) - length / 2 + 0.1, 0)
    outside_width = np.maximum(np.abs(sin * dx + cos * dz) - width / 2 + 0.1, 0)
    dark = shade * np.exp(-np.hypot(outside_length, outside_width) / SHADOW_REACH)
    dark = cv2.GaussianBlur((dark * on_ground[window]).astype(np.float32), (0, 0), 1.0) if dark.size else dark
    image[window] *= 1 - dark[..., None]


def _labels(scene: Scene, layers: list[Layer], owner: np.ndarray, silhouettes: np.ndarray) -> tuple[Labels, list[str]]:
    """Return the scene's labels with what is newly covered, then the new cars'."""
    calibration, old = scene.calibration, scene.labels
    names, truncated, occluded = list(old.names), list(old.truncated), list(old.occluded)
    boxes, dimensions, location = list(old.image_boxes), list(old.dimensions), list(old.location)
    angles, alphas = list(old.rotation_y), list(old.alpha)
    covered = owner >= 0
    for i in np.flatnonzero(old.has_box):
        visible = 1 - _covered_share(scene, int(i), covered)
        if visible >= VISIBLE_SHARES[0]:
            continue
        if visible < VISIBLE_SHARES[2] or (occluded[i] >= 2 and visible < VISIBLE_SHARES[1]):
            names[i], truncated[i], occluded[i], alphas[i], angles[i] = "DontCare", -1, -1, -10, -10
            dimensions[i], location[i] = np.full(3, -1.0), np.full(3, -1000.0)
        elif occluded[i] in (0, 1, 2):
            occluded[i] = max(occluded[i], 1 if visible >= VISIBLE_SHARES[1] else 2)
    sources = []
    for i, layer in enumerate(layers):
        box = layer.box
        seen = (owner == i).sum()
        share = seen / max(silhouettes[i], 1)
        if seen == 0:
            continue
        x, _, z = box.location
        sources.append(f"{layer.source} at x {x:.1f} z {z:.1f} m, visible {share:.2f}")
        if not box.name:
            continue
        found = share >= VISIBLE_SHARES[2]
        grade = 0 if share >= VISIBLE_SHARES[0] else 1 if share >= VISIBLE_SHARES[1] else 2
        silhouette = _silhouette_box(layer, calibration.height, calibration.width)
        names.append(box.name if found else "DontCare")
        truncated.append(round(truncation(box, calibration), 2) if found else -1)
        occluded.append(grade if found else -1)
        alphas.append(float(wrap_angle(box.rotation_y - box.bearing)) if found else -10)
        boxes.append(outline(box, calibration) if silhouette is None else silhouette)
        dimensions.append(box.dimensions if found else np.full(3, -1.0))
        location.append(box.location if found else np.full(3, -1000.0))
        angles.append(box.rotation_y if found else -10)
    labels = Labels(
        np.array(names, np.str_),
        np.array(truncated, float),
        np.array(occluded, np.int64),
        np.array(alphas, float),
        np.array(boxes, float).reshape(-1, 4),
        np.array(dimensions, float).reshape(-1, 3),
        np.array(location, float).reshape(-1, 3),
        np.array(angles, float),
    )
    return labels, sources


def _silhouette_box(layer: Layer, height: int, width: int) -> np.ndarray | None:
    """Return left, top, right, bottom of what the left camera would see of a car that nothing hides."""
    sprite = layer.views[0]
    (rows, columns), own = sprite.window(height, width)
    v, u = np.nonzero(sprite.alpha[own] > 0.5)
    if len(v) == 0:
        return None
    return np.array([u.min(), v.min(), u.max(), v.max()], float) + [columns.start, rows.start] * 2


def _covered_share(scene: Scene, index: int, covered: np.ndarray) -> float:
    """Return the share of a labelled object's visible pixels that new cars cover."""
    labels, calibration = scene.labels, scene.calibration
    box = labels.location[index : index + 1], labels.dimensions[index : index + 1], labels.rotation_y[index : index + 1]
    left, top, right, bottom = np.rint(labels.image_boxes[index]).astype(int)
    window = (slice(max(top, 0), bottom + 1), slice(max(left, 0), right + 1))
    if not covered[window].any():
        return 0.0
    z = corners(*box)[0, :, 2]
    disparity = scene.disparities[0][window]
    depth = calibration.depth(np.maximum(disparity, 0.5))
    own = (disparity > 0) & (depth > z.min() - 0.7) & (depth < z.max() + 0.7)
    own &= disparity - scene.ground_disparities[0][window] > 0.5
    if own.sum() < 0.1 * own.size:
        own[:] = True
    return float(covered[window][own].mean())
