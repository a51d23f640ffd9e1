# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The depth that the network matched, as points."""

from __future__ import annotations

import numpy as np

from sicm_ros.geometry.view import ModelView

NEAREST = 1.0  # metres; nearer is no road user but the car's own bonnet, or a wrong match


def matched_points(disparity: np.ndarray, view: ModelView, max_depth: float) -> np.ndarray:
    """Return points (N, 3) of the left optical frame, metres.

    Args:
        disparity: float (h, w), pixels of the source image; covers the model's input evenly (one value per stride).
        view: the model's window on the source image.
        max_depth: metres; what lies beyond, or has no disparity, is left out.
    """
    height, width = disparity.shape
    c = view.calibration
    # Centre of each cell in pixels of the model's input, whose pixel centres have integer coordinates.
    u = (np.arange(width) + 0.5) * (c.width / width) - 0.5
    v = (np.arange(height) + 0.5) * (c.height / height) - 0.5
    with np.errstate(divide="ignore", invalid="ignore"):
        z = view.source.depth(disparity.astype(np.float64))
    # Rows and columns that were padded around the image show nothing.
    rows = (v + view.top > -0.5) & (v + view.top < view.resized_height - 0.5)
    columns = (u + view.left > -0.5) & (u + view.left < view.resized_width - 0.5)
    keep = (z >= NEAREST) & (z <= max_depth) & np.isfinite(disparity) & rows[:, None] & columns
    row, column = np.nonzero(keep)
    z = z[keep]
    return np.stack([(u[column] - c.cx) / c.fx * z, (v[row] - c.cy) / c.fy * z, z], axis=1)
