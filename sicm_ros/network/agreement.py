# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How far two computations of the same thing are apart. NumPy alone: engines without PyTorch ask, too."""

from __future__ import annotations

import numpy as np


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean error as a share of the mean magnitude; infinite where what was found isn't finite."""
    found, expected = np.asarray(found, np.float32), np.asarray(expected, np.float32)
    if found.shape != expected.shape or not np.isfinite(found).all():
        return float("inf")
    error, magnitude = float(np.abs(found - expected).mean()), float(np.abs(expected).mean())
    return error / magnitude if magnitude > 1e-6 else error
