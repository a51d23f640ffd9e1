# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One car ready to be put into a scene: what each camera sees of it, how far each of its pixels is, and its 3D box."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sprite:
    """What one camera sees of a car: a window of its image.

    Attributes:
        top, left: row and column of the window's first pixel in the image; may lie outside.
        colour: float32 (h, w, 3), RGB, 0 to 255.
        alpha: float32 (h, w), share of the pixel that the car covers.
        depth: float32 (h, w), metres along the optical axis; meaningful where alpha > 0.
        shade: float32 (h, w), share of its light that the ground keeps in the car's cast shadow; None for none.
    """

    top: int
    left: int
    colour: np.ndarray
    alpha: np.ndarray
    depth: np.ndarray
    shade: np.ndarray | None = None

    def window(self, height: int, width: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return where the sprite lies in an image of that size, and which part of the sprite that
        is (both may be empty).
        """
        h, w = self.alpha.shape
        rows = slice(min(max(self.top, 0), height), min(max(self.top + h, 0), height))
        columns = slice(min(max(self.left, 0), width), min(max(self.left + w, 0), width))
        own = (
            slice(rows.start - self.top, rows.stop - self.top),
            slice(columns.start - self.left, columns.stop - self.left),
        )
        return (rows, columns), own


@dataclass(frozen=True)
class Box:
    """A labelled 3D box in the left camera's frame; fields as in sicm_ros.kitti.Labels. One without a name has no
    label.
    """

    name: str
    location: np.ndarray
    dimensions: np.ndarray
    rotation_y: float

    @property
    def bearing(self) -> float:
        """Angle of the box's place to the right of straight ahead, radians."""
        return float(np.arctan2(self.location[0], self.location[2]))


def two_views(views: Iterable[Sprite]) -> tuple[Sprite, Sprite]:
    """Return the left and the right view of two."""
    left, right = views
    return left, right


@dataclass(frozen=True)
class Layer:
    """A car with its box, seen by the left and the right camera.

    Attributes:
        box: where it stands.
        views: left and right Sprite.
        source: where it comes from, for the record.
        ground_light: brightness of the ground under the light that fell on the car, 0 to 255; None if unknown.
    """

    box: Box
    views: tuple[Sprite, Sprite]
    source: str
    ground_light: float | None = None
