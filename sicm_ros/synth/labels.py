# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""KITTI's annotations of a rendered frame: boxes, truncation and occlusion from the pixels that are seen."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import corners, project, wrap_angle
from sicm_ros.synth.mesh import Mesh
from sicm_ros.synth.renderer import Pose

# Visible share of the pixels that would be seen if nothing stood before: KITTI's fully visible, partly and largely
# occluded; less is DontCare.
FULLY, PARTLY, LEAST = 0.78, 0.45, 0.12
SMALLEST_HEIGHT, SMALLEST_AREA = 9, 40  # pixels; what is less becomes DontCare
SLIVER = 0.03  # of its 2D box; what shows less at the image's border becomes DontCare
NEAR = 0.3  # metres
BESIDE = 1.0  # metres; what reaches nearer is measured in angles
FARTHEST = 80.0  # metres; what is farther becomes DontCare, as KITTI's laser saw little of it
GRID = 48  # cells


@dataclass(frozen=True)
class Label:
    """One line of label_2; the frame is the left camera's optical frame."""

    kind: str
    truncation: float
    occlusion: int
    alpha: float
    box: tuple[float, float, float, float]
    dimensions: tuple[float, float, float]
    location: tuple[float, float, float]
    rotation_y: float

    def line(self) -> str:
        numbers = [self.alpha, *self.box, *self.dimensions, *self.location, self.rotation_y]
        return f"{self.kind} {self.truncation:.2f} {self.occlusion} " + " ".join(f"{number:.4f}" for number in numbers)


def dont_care(box) -> Label:
    return Label("DontCare", -1, -1, -10, tuple(box), (-1, -1, -1), (-1000, -1000, -1000), -10)


def hidden_angle(points: np.ndarray, calibration: StereoCalibration) -> float:
    """Return the share, 0 to 1, of the bearings of points (N, 3) that lies outside the left image.

    The measure of truncation for what reaches beside the camera, where a projection has no end.
    """
    bearings = np.arctan2(points[:, 0], points[:, 2])
    edges = np.arctan((np.array([0, calibration.width]) - calibration.cx) / calibration.fx)
    inside = min(bearings.max(), edges[1]) - max(bearings.min(), edges[0])
    return float(np.clip(1 - inside / np.ptp(bearings), 0, 1))


def silhouette(mesh: Mesh, pose: Pose, calibration: StereoCalibration) -> tuple[np.ndarray, float] | None:
    """Return a mesh seen alone: its outline's box (left, top, right, bottom; not clipped) and how many pixels it fills.

    The area is counted on a grid of about 48 cells a side: large triangles are filled, small ones dotted in.
    None if it is wholly behind the camera or outside the image.
    """
    points = pose.to_optical(mesh.positions)
    before = points[:, 2] > NEAR
    if not before.any():
        return None
    pixels = project(np.where(before[:, None], points, [0, 0, 1.0]), calibration)
    outline = np.concatenate([pixels[before], project(_cut_edges(points, mesh.triangles), calibration)])
    box = np.concatenate([outline.min(0), outline.max(0)])
    clipped = box.clip([0, 0, 0, 0], [calibration.width - 1, calibration.height - 1] * 2)
    if (clipped[2:] <= clipped[:2]).any():
        return None
    cell = max((clipped[2:] - clipped[:2]).max() / GRID, 0.25)
    triangles = (pixels[mesh.triangles[before[mesh.triangles].all(1)]] - clipped[:2]) / cell
    columns, rows = np.ceil((clipped[2:] - clipped[:2]) / cell).astype(int)
    mask = np.zeros((rows, columns), np.uint8)
    (ax, ay), (bx, by) = (triangles[:, 1] - triangles[:, 0]).T, (triangles[:, 2] - triangles[:, 0]).T
    area = np.abs(ax * by - ay * bx)
    for triangle in np.rint(np.clip(triangles[area > 3.0] - 0.5, -2000, 2000) * 16).astype(np.int32):
        cv2.fillConvexPoly(mask, triangle, 255, cv2.LINE_8, 4)
    small = triangles[(area <= 3.0) & (area > 0.01)]
    dots = np.concatenate([small.mean(1), small[:, 0], small[:, 1], small[:, 2]])
    dots = dots[((dots >= 0) & (dots < [columns, rows])).all(1)].astype(np.int64)
    mask[dots[:, 1], dots[:, 0]] = 255
    # Every cell that is touched was marked, so that those along the outline count half.
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=255)
    return box, float(np.count_nonzero(mask) + np.count_nonzero(inner)) / 2 * cell * cell


def _cut_edges(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return (M, 3): where the edges of triangles cross the plane z = NEAR."""
    a, b = _cut(*_edges(points, triangles), np.array([0, 0, 1.0]), NEAR, crossing=True)
    return np.concatenate([a, b])


def _edges(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both ends (E, 3) of every edge of triangles."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    return points[edges[:, 0]], points[edges[:, 1]]


def _cut(a: np.ndarray, b: np.ndarray, normal: np.ndarray, least: float = 0.0, crossing: bool = False):
    """Return segments a, b (E, 3) without what lies before the plane normal . X = least; or,
    crossing, only new ends.
    """
    over_a, over_b = a @ normal - least, b @ normal - least
    keep = (over_a < 0) != (over_b < 0) if crossing else (over_a >= 0) | (over_b >= 0)
    a, b, over_a, over_b = a[keep], b[keep], over_a[keep, None], over_b[keep, None]
    span = over_a - over_b
    at = a + np.where(span == 0, 0, over_a / np.where(span == 0, 1, span)) * (b - a)
    return (at, at) if crossing else (np.where(over_a < 0, at, a), np.where(over_b < 0, at, b))


def _box_inside(points: np.ndarray, triangles: np.ndarray, calibration: StereoCalibration) -> np.ndarray | None:
    """Return left, top, right, bottom (4,) of the edges of triangles, as far as they lie in the
    image; None if none does.
    """
    k = calibration
    a, b = _cut(*_edges(points, triangles), np.array([0, 0, 1.0]), NEAR)
    for normal in ([k.fx, 0, k.cx], [-k.fx, 0, k.width - 1 - k.cx], [0, k.fy, k.cy], [0, -k.fy, k.height - 1 - k.cy]):
        a, b = _cut(a, b, np.array(normal, float))
    if not len(a):
        return None
    pixels = project(np.concatenate([a, b]), calibration)
    return np.concatenate([pixels.min(0), pixels.max(0)])


def annotate(
    kind: str,
    size,
    position,
    yaw: float,
    identity: int,
    mesh: Mesh,
    seen: np.ndarray,
    pose: Pose,
    calibration: StereoCalibration,
) -> Label | None:
    """Return the label of one object, DontCare if too little of it is seen, None if nothing is.

    Args:
        size: height, width, length; position (3,) of its ground point and yaw: in the world.
        identity: its number in `seen`, int (H, W): whose pixel is whose in the left image.
        mesh: as placed in the world.
    """
    mine = seen == identity
    visible = int(np.count_nonzero(mine))
    if visible < 12:
        return None
    outline = silhouette(mesh, pose, calibration)
    if outline is None:
        return None
    whole, alone = outline
    width, height = calibration.width, calibration.height
    box = np.array([max(whole[0], 0), max(whole[1], 0), min(whole[2], width - 1), min(whole[3], height - 1)])
    rows, columns = np.where(mine)
    if (box != whole).any():  # of what the border cuts, the part inside counts: edges, and seen faces
        part = _box_inside(pose.to_optical(mesh.positions), mesh.triangles, calibration)
        pixels = np.array([columns.min(), rows.min(), columns.max(), rows.max()], float)
        part = pixels if part is None else part
        box = np.concatenate([np.minimum(part[:2], pixels[:2]), np.maximum(part[2:], pixels[2:])])
        box = box.clip(0, [width - 1, height - 1] * 2)
    location = pose.to_optical(np.asarray(position))
    share = visible / max(alone, visible)
    if (
        share < LEAST
        or visible < max(SMALLEST_AREA, SLIVER * (box[2] - box[0]) * (box[3] - box[1]))
        or box[3] - box[1] < SMALLEST_HEIGHT
        or not 0.5 < location[2] < FARTHEST
    ):
        return dont_care((columns.min(), rows.min(), columns.max(), rows.max()))
    forward = pose.rotation() @ [np.cos(yaw), np.sin(yaw), 0]
    rotation_y = float(np.arctan2(-forward[2], forward[0]))
    area = (whole[2] - whole[0]) * (whole[3] - whole[1])
    left, top, right, bottom = np.minimum(np.maximum(whole, 0), [width - 1, height - 1] * 2)
    truncation = float(np.clip(1 - (right - left) * (bottom - top) / max(area, 1e-6), 0, 1))
    points = corners(location[None], np.asarray(size)[None], np.array([rotation_y]))[0]
    if points[:, 2].min() < BESIDE:
        truncation = hidden_angle(points, calibration)
    high, wide, long = (float(v) for v in size)
    x, y, z = (float(v) for v in location)
    return Label(
        kind=kind,
        truncation=truncation,
        occlusion=0 if share > FULLY else 1 if share > PARTLY else 2,
        alpha=float(wrap_angle(rotation_y - np.arctan2(location[0], location[2]))),
        box=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        dimensions=(high, wide, long),
        location=(x, y, z),
        rotation_y=rotation_y,
    )
