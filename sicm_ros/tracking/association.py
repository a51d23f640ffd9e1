# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which box continues which track."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

FORBIDDEN = 1e6  # larger than any cost that is allowed


def assign(costs: np.ndarray, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pair rows and columns: as many as are allowed, then at the least cost (Kuhn 1955, the Hungarian method).

    Args:
        costs: (N, M), any finite numbers well below FORBIDDEN.
        allowed: bool (N, M).

    Returns:
        Rows and columns, int (K,) each.
    """
    if not allowed.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    rows, columns = linear_sum_assignment(np.where(allowed, costs, FORBIDDEN))
    kept = allowed[rows, columns]
    return rows[kept], columns[kept]


def crowded(
    location: np.ndarray, widths: np.ndarray, others: np.ndarray, other_widths: np.ndarray, share: float
) -> np.ndarray:
    """bool (N,): boxes whose centre is nearer to one of the others' than two bodies can be, seen from above.

    Args:
        location, others: (N, 3), (M, 3), metres.
        widths, other_widths: (N,), (M,), metres.
        share: of the mean width of the two.
    """
    apart = np.linalg.norm(location[:, None, [0, 2]] - others[None][:, :, [0, 2]], axis=2)
    return (apart < share * (widths[:, None] + other_widths[None]) / 2).any(1)
