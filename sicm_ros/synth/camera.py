# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""From rendered light to what a cheap industrial camera delivers: contrast, colour cast, blur, noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np


@dataclass(frozen=True)
class Camera:
    """A camera's response; the two of a rig differ a little.

    gamma: exponent upon the rendered square root of light; contrast: 0 none, 1 a full smoothstep; black: level cut off;
    gains: of red, green, blue; blur: sigma of a Gaussian, pixels; noise: deviation, grey levels;
    vignette: loss in the corners.
    """

    gamma: float = 1.0
    contrast: float = 0.4
    black: float = 0.02
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur: float = 0.5
    noise: float = 2.0
    vignette: float = 0.1

    @classmethod
    def any(cls, rng: np.random.Generator) -> Camera:
        return cls(
            gamma=float(rng.uniform(0.85, 1.1)),
            contrast=float(rng.uniform(0.5, 1.0)),
            black=float(rng.uniform(0.0, 0.04)),
            gains=tuple(np.array([0.98, 1.0, 1.1]) * np.exp(rng.normal(0, 0.035, 3))),
            blur=float(rng.uniform(0.5, 0.85)),
            noise=float(rng.uniform(1.0, 4.0)),
            vignette=float(rng.uniform(0, 0.25)),
        )

    def twin(self, rng: np.random.Generator) -> Camera:
        """Return the other camera of the rig."""
        return replace(
            self,
            gamma=self.gamma * float(np.exp(rng.normal(0, 0.01))),
            gains=tuple(np.asarray(self.gains) * np.exp(rng.normal(0, 0.015, 3) + rng.normal(0, 0.02))),
            blur=float(np.clip(self.blur + rng.normal(0, 0.08), 0.3, 1.0)),
        )

    def develop(self, picture: np.ndarray, rng: np.random.Generator, exposure: float = 1.0) -> np.ndarray:
        """Map uint8 (H, W, 3) square root of light to uint8 (H, W, 3) image; `exposure` multiplies the former."""
        level = np.linspace(0, 1, 256)
        curves = []
        for gain in self.gains:
            c = np.clip((level * exposure * np.sqrt(gain) - self.black) / (1 - self.black), 0, 1) ** self.gamma
            curves.append((1 - self.contrast) * c + self.contrast * c * c * (3 - 2 * c))
        table = np.rint(np.stack(curves, -1) * 255).astype(np.uint8)[None]
        picture = cv2.LUT(np.ascontiguousarray(picture), table)
        picture = cv2.GaussianBlur(picture, (5, 5), self.blur)
        height, width = picture.shape[:2]
        y, x = rng.integers(0, 64, 2)
        noise = np.tile(_noise(), (height // 256 + 2, width // 256 + 2, 1))[y : y + height, x : x + width]
        if rng.random() < 0.5:
            noise = noise[::-1]
        if rng.random() < 0.5:
            noise = noise[:, ::-1]
        result = picture.astype(np.float32)
        result *= 1 - self.vignette * _radius(height, width)
        result += np.float32(self.noise / 32) * noise
        return np.rint(result).clip(0, 255).astype(np.uint8)


@cache
def _noise() -> np.ndarray:
    """Return int8 (256, 256, 3), deviation 32, a little smoothed as by demosaicking."""
    rng = np.random.default_rng(4)
    field = rng.normal(size=(256, 256, 3)) + 0.7 * rng.normal(size=(256, 256, 1))
    field = field + 0.5 * np.roll(field, 1, 0) + 0.5 * np.roll(field, 1, 1)
    return np.clip(32 * field / field.std(), -127, 127).astype(np.int8)


@cache
def _radius(height: int, width: int) -> np.ndarray:
    """Return float32 (height, width, 1): squared distance from the middle, 1 in the corners."""
    y, x = np.mgrid[0:height, 0:width]
    r = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / (width**2 / 4 + height**2 / 4)
    return r[..., None].astype(np.float32)
