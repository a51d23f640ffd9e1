"""Which detection is which object."""

from __future__ import annotations

import numpy as np


def nearest_free(apart: np.ndarray) -> np.ndarray:
    """Each row in turn, so the best detection first, takes the nearest column that is still free.

    Args:
        apart: (N, M), any measure of distance; inf where two can't be the same.

    Returns:
        int (N,), the column that each row took; -1 where none was left.
    """
    apart = apart.copy()
    taken = np.full(len(apart), -1)
    for row in range(len(apart) if apart.shape[1] else 0):
        column = int(apart[row].argmin())
        if apart[row, column] < np.inf:
            taken[row] = column
            apart[:, column] = np.inf
    return taken
