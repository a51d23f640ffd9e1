# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Makes a foreign image look as if the scene's camera had taken it: its light, sharpness, noise, and greyness."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from sicm_ros.synth.compose.layer import Layer, Sprite, two_views

_REBLUR = 1.0  # pixels
MAX_BLUR = 2.0  # pixels
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Look:
    """How a camera draws.

    Attributes:
        blur: sigma of its point spread, pixels, as the sharpest edges show it.
        noise: standard deviation of its noise, grey levels.
        grey: whether it sees no colours.
    """

    blur: float
    noise: float
    grey: bool

    @classmethod
    def of(cls, image: np.ndarray) -> Look:
        """Return the look of an image uint8 (H, W, 3)."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        coloured = np.ptp(image[::4, ::4].astype(np.int16), axis=2).max() > 2
        return cls(blur_of(grey), noise_of(grey), not coloured)


def blur_of(grey: np.ndarray, inside: np.ndarray | None = None) -> float:
    """Return sigma, pixels, of the blur of an image's sharpest edges (Zhuo and Sim, Defocus map estimation, 2011).

    An edge that is blurred once more loses gradient by a ratio that tells how blurred it was. `inside` (H, W) bool is
    where to look. 0 where there are no edges.
    """
    grey = grey.astype(np.float32)
    again = cv2.GaussianBlur(grey, (0, 0), _REBLUR)
    one, other = (np.hypot(cv2.Sobel(a, cv2.CV_32F, 1, 0), cv2.Sobel(a, cv2.CV_32F, 0, 1)) / 8 for a in (grey, again))
    valid = np.ones(grey.shape, bool) if inside is None else inside
    valid = valid & (one >= cv2.dilate(one, np.ones((3, 3))) - 1e-6) & (one > 3.0)
    if valid.sum() < 20:
        return 0.0
    strong = valid & (one > np.percentile(one[valid], 60))
    ratio = np.percentile(one[strong] / np.maximum(other[strong], 1e-3), 75)
    return float(_REBLUR / np.sqrt(max(ratio**2 - 1, 0.05)))


def noise_of(grey: np.ndarray, block: int = 16) -> float:
    """Return standard deviation, grey levels, of an image's noise (Immerkaer, 1996), from its flattest blocks."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    residual = cv2.filter2D(grey, cv2.CV_32F, kernel)
    mean = cv2.blur(residual**2, (block, block))[block // 2 :: block, block // 2 :: block]
    level = cv2.blur(grey, (block, block))[block // 2 :: block, block // 2 :: block]
    mean = mean[(level > 15) & (level < 240)]  # what is saturated shows no noise
    return float(np.sqrt(np.percentile(mean, 15))) if mean.size else 0.0


def graded(layer: Layer, looks: tuple[Look, Look], light: float, rng: np.random.Generator) -> Layer:
    """Return the layer as cameras of these looks would draw it where the ground is `light` bright, 0 to 255.

    People's clothes reflect less than roads, by a factor that varies; half of an image's own brightness is believed.
    """
    mine = layer.views[0]
    solid = mine.alpha > 0.5
    own = float((mine.colour[solid] @ _LUMA).mean()) if solid.any() else 100.0
    wanted = light * np.exp(rng.normal(-0.35, 0.25))
    gain = float(np.clip((wanted / max(own, 5)) ** 0.6, 0.45, 2.2))
    views = two_views(_drawn(sprite, look, gain, rng) for sprite, look in zip(layer.views, looks, strict=True))
    return replace(layer, views=views)


def _drawn(sprite: Sprite, look: Look, gain: float, rng: np.random.Generator) -> Sprite:
    colour = sprite.colour * gain
    inside = cv2.erode((sprite.alpha > 0.9).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    blur = np.sqrt(max(look.blur**2 - blur_of(colour @ _LUMA, inside) ** 2, 0.0))
    if blur > 0.2:
        colour = cv2.GaussianBlur(colour, (0, 0), min(blur, MAX_BLUR))
    alpha = cv2.GaussianBlur(sprite.alpha, (0, 0), max(min(look.blur, 1.0), 0.3))
    grain = rng.normal(0, look.noise, colour.shape[:2])[..., None] + rng.normal(0, 0.5 * look.noise, colour.shape)
    return replace(sprite, colour=(colour + 0.8 * grain).clip(0, 255).astype(np.float32), alpha=alpha)


def greyed(layer: Layer) -> Layer:
    """Return the layer as cameras without colours see it."""
    return replace(
        layer, views=two_views(replace(s, colour=np.repeat((s.colour @ _LUMA)[..., None], 3, 2)) for s in layer.views)
    )
