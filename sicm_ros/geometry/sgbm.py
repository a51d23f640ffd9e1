# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Disparity of a rectified pair by semi-global matching, kept where both views agree.

Classical, so it needs no training: it tells the road and what stands before it when cars are put into real pairs, and
is the target of the network's auxiliary loss on real frames.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.geometry.drawing import write_image

BLOCK = 5  # pixels; a side of the matched window
PNG_SCALE = 256  # KITTI's disparity PNGs: uint16, disparity * 256, 0 where there is none


def sgbm_disparity(left: np.ndarray, right: np.ndarray, maximum: int = 192, tolerance: float = 1.0) -> np.ndarray:
    """Return the disparity of the left view alone, float32 (H, W); see sgbm_disparities."""
    return sgbm_disparities(left, right, maximum, tolerance)[0]


def sgbm_disparities(
    left: np.ndarray, right: np.ndarray, maximum: int = 192, tolerance: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the disparity of each view, as the images show it (no calibration's offset added).

    Args:
        left, right: uint8 (H, W, 3) RGB, rectified.
        maximum: largest disparity that is searched, pixels, rounded up to a multiple of 16.
        tolerance: a pixel is kept where the other view's own disparity differs by no more than this, pixels.

    Returns:
        Two float32 (H, W), pixels, 0 where nothing certain was found: point (u, v) of the left view is seen at
        (u - disparity, v) in the right one, and the other way round.

    Source: Hirschmueller, "Stereo Processing by Semiglobal Matching and Mutual Information", PAMI 2008, as in OpenCV.
    """
    if left.shape != right.shape or left.ndim != 3:
        raise InputError(
            f"disparity: views of shapes {left.shape} and {right.shape}; expected two equal (H, W, 3) images"
        )
    maximum = -(-maximum // 16) * 16
    matcher = cv2.StereoSGBM.create(
        minDisparity=0,
        numDisparities=maximum,
        blockSize=BLOCK,
        P1=8 * 3 * BLOCK**2,
        P2=32 * 3 * BLOCK**2,
        preFilterCap=31,
        uniquenessRatio=5,
        speckleWindowSize=100,
        speckleRange=2,
        mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )

    def match(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        # Padded, since the matcher leaves the first `maximum` columns out.
        pad = [cv2.copyMakeBorder(image, 0, 0, maximum, 0, cv2.BORDER_REPLICATE) for image in (a, b)]
        return matcher.compute(*pad)[:, maximum:].astype(np.float32) / 16

    ours = match(left, right)
    theirs = match(np.ascontiguousarray(right[:, ::-1]), np.ascontiguousarray(left[:, ::-1]))[:, ::-1]
    return _agreeing(ours, theirs, -1, tolerance), _agreeing(theirs, ours, 1, tolerance)


def _agreeing(ours: np.ndarray, theirs: np.ndarray, side: int, tolerance: float) -> np.ndarray:
    """Return ours (H, W) where the pixel that it points to, side * disparity away, points back."""
    width = ours.shape[1]
    seen_at = np.rint(np.arange(width)[None] + side * ours).astype(np.int64)
    inside = (ours > 0) & (seen_at >= 0) & (seen_at < width)
    back = np.take_along_axis(theirs, seen_at.clip(0, width - 1), axis=1)
    return np.where(inside & (np.abs(back - ours) <= tolerance), ours, 0).astype(np.float32)


def write_disparity(path: Path, disparity: np.ndarray) -> None:
    """Write float (H, W) pixels as KITTI's 16-bit PNG: disparity * 256, 0 where there is none."""
    values = np.rint(disparity * PNG_SCALE).clip(0, 65535).astype(np.uint16)
    write_image(path, values)
