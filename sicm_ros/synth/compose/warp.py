# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A pictured surface as a camera sees it from elsewhere."""

from __future__ import annotations

import cv2
import numpy as np

from sicm_ros.geometry import StereoCalibration
from sicm_ros.synth.compose.layer import Sprite


def seen(
    colour: np.ndarray,
    alpha: np.ndarray,
    points: tuple[np.ndarray, np.ndarray, np.ndarray],
    view: int,
    calibration: StereoCalibration,
    shrink: float,
) -> Sprite:
    """Return what a view of a calibration sees of a surface that carries an image.

    Args:
        colour: float32 (h, w, 3), the image; meaningful a little beyond its mask, too.
        alpha: float32 (h, w), its mask.
        points: x, y, z (h, w) of each of its pixels in the left camera's frame, metres; smooth.
        view: 0 left, 1 right.
        shrink: pixels of the image that fall into one of the view's, each way.
    """
    h, w = alpha.shape
    x, y, z = points
    u = calibration.fx * (x - view * calibration.baseline) / z + calibration.cx + view * calibration.disparity_offset
    v = calibration.fy * y / z + calibration.cy
    inner = alpha > 0.02
    top, bottom = int(np.floor(v[inner].min())) - 2, int(np.ceil(v[inner].max())) + 3
    left, right = int(np.floor(u[inner].min())) - 2, int(np.ceil(u[inner].max())) + 3
    # Where does each pixel of the view come from? Newton's method on a map that is nearly a similarity.
    want_u, want_v = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
    at_u = (want_u - u[inner].mean()) * shrink + np.nonzero(inner)[1].mean()
    at_v = (want_v - v[inner].mean()) * shrink + np.nonzero(inner)[0].mean()
    at_u, at_v = at_u.astype(np.float32), at_v.astype(np.float32)
    u, v = u.astype(np.float32), v.astype(np.float32)
    for _ in range(6):
        inside_u, inside_v = at_u.clip(0, w - 1), at_v.clip(0, h - 1)
        now_u = cv2.remap(u, inside_u, inside_v, cv2.INTER_LINEAR) + (at_u - inside_u) / shrink
        now_v = cv2.remap(v, inside_u, inside_v, cv2.INTER_LINEAR) + (at_v - inside_v) / shrink
        at_u, at_v = at_u + (want_u - now_u) * shrink, at_v + (want_v - now_v) * shrink

    if shrink > 1.05:  # fewer pixels than before: average first, as a sensor would
        sigma = 0.45 * float(np.sqrt(shrink**2 - 1))
        colour, alpha = cv2.GaussianBlur(colour, (0, 0), sigma), cv2.GaussianBlur(alpha, (0, 0), sigma)
    colour = cv2.remap(colour, at_u, at_v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE).clip(0, 255)
    alpha = cv2.remap(alpha, at_u, at_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    depth = cv2.remap(z.astype(np.float32), at_u, at_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Sprite(top, left, colour, alpha, depth)
