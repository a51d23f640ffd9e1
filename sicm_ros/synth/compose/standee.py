# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Standees: images of single objects with a mask, set up in a scene as slightly curved surfaces.

An image without a second view has no depth of its own. People are thin, so a surface that faces the camera, curved
towards it in its middle, is all that a pair of cameras half a metre apart can tell of them; bicycles that come or go
lean towards the camera at the wheel that is nearer.

A folder of them has one folder for each class (`pedestrian/ cyclist/ person_sitting/`) with RGBA images, and may have
an `index.csv` with the columns `file` and `view`: the side that is seen (`front`, `rear`) or faced (`left`, `right`).
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import wrap_angle
from sicm_ros.synth.compose.layer import Box, Layer, two_views
from sicm_ros.synth.compose.warp import seen

CLASSES = {"pedestrian": "Pedestrian", "person_sitting": "Person_sitting", "cyclist": "Cyclist"}
# Observation angle (KITTI's alpha) of an object of which that side is seen, or which faces that side of the image.
VIEWS = {"front": np.pi / 2, "rear": -np.pi / 2, "right": 0.0, "left": np.pi}
SHARPEST = 1.6  # times as large as it was pictured; more shows that it was enlarged
BULGE = 0.16  # metres that a chest stands out from the outline
PADDING = 6  # pixels around the mask, to be warped

# Mean and standard deviation of KITTI's labels, metres (height, width, length).
SIZES = {
    "Pedestrian": ((1.73, 0.09), (0.64, 0.10), (0.80, 0.20)),
    "Person_sitting": ((1.28, 0.08), (0.60, 0.07), (0.80, 0.10)),
    "Cyclist": ((1.74, 0.08), (0.60, 0.09), (1.76, 0.14)),
}


@dataclass(frozen=True)
class Standee:
    """An image of one object with its mask.

    Attributes:
        name: KITTI's class.
        colour: float32 (h, w, 3), RGB, 0 to 255, continued beyond the mask.
        alpha: float32 (h, w), 0 to 1; PADDING pixels around it are empty.
        facing: its observation angle, radians, as far as its view tells; None if unknown.
        source: where it comes from, for the record.
    """

    name: str
    colour: np.ndarray
    alpha: np.ndarray
    facing: float | None
    source: str

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width of the mask, pixels."""
        h, w = self.alpha.shape
        return h - 2 * PADDING, w - 2 * PADDING

    def mirrored(self) -> Standee:
        facing = None if self.facing is None else float(wrap_angle(np.pi - self.facing))
        colour, alpha = (np.ascontiguousarray(a[:, ::-1]) for a in (self.colour, self.alpha))
        return replace(self, colour=colour, alpha=alpha, facing=facing)

    def nearest(self, height: float, focal: float) -> float:
        """Return the depth, metres, from which on it isn't enlarged more than SHARPEST times if it is
        `height` metres tall.
        """
        return focal * height / (SHARPEST * self.extent[0])

    def standing(self, location: np.ndarray, rng: np.random.Generator) -> Box:
        """Return a box of its class with the bottom's centre at a place (3,), as tall as people are
        and as wide as its mask.

        Where its view is unknown, wide strides are taken for a walk across, anything else may face anywhere.
        """
        height, width, length = (rng.normal(*size) for size in SIZES[self.name])
        height = float(np.clip(height, *(SIZES[self.name][0][0] + 2.2 * SIZES[self.name][0][1] * np.array([-1, 1]))))
        wide = height * self.extent[1] / self.extent[0]  # metres across the line of sight
        facing = self.facing
        if facing is None:
            across = wide > (0.45 if self.name != "Cyclist" else 0.8) * height
            facing = rng.choice([0.0, np.pi]) if across else rng.choice([-np.pi / 2, np.pi / 2])
        facing += rng.normal(0, 0.12)
        sideways = abs(np.cos(facing)) > 0.7
        if sideways:
            length = np.clip(wide, 0.4, 2.0)
        elif self.name == "Cyclist":
            width = np.clip(wide, 0.4, 0.8)
        else:
            width = np.clip(wide, 0.4, 1.0)
        bearing = np.arctan2(location[0], location[2])
        size = np.array([height, max(width, 0.35), max(length, 0.35)])
        return Box(self.name, np.asarray(location, float), size, float(wrap_angle(facing + bearing)))

    def set_up(self, box: Box, calibration: StereoCalibration) -> Layer:
        """Return the object as both cameras of a calibration see it, as tall as its box, its feet on
        the box's bottom.
        """
        points = self._surface(box)
        metres = box.dimensions[0] / self.extent[0]
        shrink = float(box.location[2] / calibration.fx / metres)
        views = two_views(seen(self.colour, self.alpha, points, view, calibration, shrink) for view in (0, 1))
        return Layer(box, views, self.source)

    def _surface(self, box: Box) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return x, y, z (h, w) of each pixel in the left camera's frame."""
        h, w = self.alpha.shape
        metres = box.dimensions[0] / self.extent[0]
        up = (h - PADDING - 0.5 - np.arange(h))[:, None] * metres
        side = (np.arange(w) - (w - 1) / 2)[None] * metres
        ahead = self._relief(metres)
        if self.name == "Cyclist":
            # The wheel that is nearer stands before the rider by half a bicycle, seen from the side it does not.
            end = abs(np.sin(box.rotation_y - box.bearing))
            reach = end * (box.dimensions[2] / 2 - 0.3)
            ahead = ahead + reach * (1 - up / (0.6 * box.dimensions[0])).clip(0, 1)
        sin, cos = np.sin(box.bearing), np.cos(box.bearing)
        x = box.location[0] + cos * side - sin * ahead
        z = box.location[2] - sin * side - cos * ahead
        return x, np.broadcast_to(box.location[1] - up, x.shape), z

    def _relief(self, metres: float) -> np.ndarray:
        """Return how far (h, w) each pixel stands out towards the camera, metres: a half circle from
        outline to outline.
        """
        solid = (self.alpha > 0.5).astype(np.uint8)
        inward = cv2.distanceTransform(solid, cv2.DIST_L2, 5) * metres
        depth = np.minimum(inward, BULGE)
        relief = np.sqrt(np.maximum(BULGE**2 - (BULGE - depth) ** 2, 0))
        return cv2.GaussianBlur(relief.astype(np.float32), (0, 0), max(0.03 / metres, 0.5))


def read_standees(folder: str | Path) -> list[Standee]:
    """Read every standee of a folder, sorted by class and name. InputError where none is, or one is unreadable."""
    root = Path(folder)
    views = _views(root / "index.csv")
    found = []
    for part in sorted(p for p in root.iterdir() if p.is_dir()) if root.is_dir() else []:
        name = CLASSES.get(part.name.lower())
        if name is None:
            continue
        for path in sorted(part.glob("*.png")):
            view = views.get(f"{part.name}/{path.name}", "unknown")
            found.append(_read(path, name, VIEWS.get(view)))
    if not found:
        raise InputError(f"{root} has no cut-outs; expected PNG with alpha in {', '.join(f'{c}/' for c in CLASSES)}")
    return found


def _views(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        if not {"file", "view"} <= set(rows.fieldnames or ()):
            raise InputError(f"{path}: expected the columns file and view")
        return {row["file"]: row["view"] for row in rows}


def _read(path: Path, name: str, facing: float | None) -> Standee:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4 or picture.dtype != np.uint8:
        raise InputError(f"{path}: expected an 8-bit PNG with red, green, blue and alpha")
    return standee(picture[..., 2::-1], picture[..., 3].astype(np.float32) / 255, name, facing, path.stem)


def standee(colour: np.ndarray, alpha: np.ndarray, name: str, facing: float | None, source: str) -> Standee:
    """Return a standee from RGB uint8 (h, w, 3) and mask float32 (h, w), trimmed to the mask.
    InputError if that is empty.
    """
    v, u = np.nonzero(alpha > 0.5)
    if len(v) == 0:
        raise InputError(f"{source}: its mask is empty; expected an object")
    window = slice(v.min(), v.max() + 1), slice(u.min(), u.max() + 1)
    alpha = np.pad(alpha[window], PADDING)
    pad = ((PADDING, PADDING), (PADDING, PADDING), (0, 0))
    colour = bled(np.pad(colour[window], pad).astype(np.float32), alpha)
    return Standee(name, colour, alpha.astype(np.float32), facing, source)


def bled(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return float32 (h, w, 3): the image with the mask's own colours continued beyond its edge."""
    weight = np.where(alpha > 0.9, alpha, 0).astype(np.float32)
    if not weight.any():
        return colour
    total, mass = np.zeros_like(colour), np.zeros_like(weight)
    for sigma in (1.0, 3.0, 9.0, 27.0):
        share = np.exp(-1e4 * mass)
        mass_here = cv2.GaussianBlur(weight, (0, 0), sigma)
        total += share[..., None] * cv2.GaussianBlur(colour * weight[..., None], (0, 0), sigma)
        mass += share * mass_here
    around = total / np.maximum(mass, 1e-9)[..., None]
    return np.where((weight > 0)[..., None], colour, around)
