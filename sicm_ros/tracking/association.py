# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which box continues which track."""

from __future__ import annotations

import numpy as np

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
    rows, columns = np.flatnonzero(allowed.any(1)), np.flatnonzero(allowed.any(0))
    few = np.where(allowed, costs, FORBIDDEN)[np.ix_(rows, columns)]
    if len(rows) <= len(columns):
        columns = columns[_cheapest(few)]
    else:
        chosen = _cheapest(few.T)
        order = np.argsort(chosen)
        rows, columns = rows[chosen[order]], columns[order]
    kept = allowed[rows, columns]
    return rows[kept], columns[kept]


def _cheapest(costs: np.ndarray) -> np.ndarray:
    """Return the column of each row, int (N,), no column twice, at the least total cost; N <= M.

    Row by row along a shortest path through the rows and columns that are paired already (Jonker and Volgenant,
    Computing 1987; Crouse, IEEE TAES 2016, has the algorithm as SciPy computes it). SciPy would be 110 MB for this.
    """
    count, width = costs.shape
    column_of, row_of = np.full(count, -1), np.full(width, -1)
    of_rows, of_columns = np.zeros(count), np.zeros(width)  # dual variables
    for start in range(count):
        distance, before = np.full(width, np.inf), np.full(width, -1)
        reached = np.zeros(width, bool)
        row, lowest, rows = start, 0.0, []
        while row >= 0:
            rows.append(row)
            path = lowest + costs[row] - of_rows[row] - of_columns
            nearer = ~reached & (path < distance)
            distance[nearer], before[nearer] = path[nearer], row
            column = int(np.where(reached, np.inf, distance).argmin())
            lowest, reached[column] = distance[column], True
            row = int(row_of[column])
        of_rows[start] += lowest
        of_rows[rows[1:]] += lowest - distance[column_of[rows[1:]]]
        of_columns[reached] -= lowest - distance[reached]
        row = -1
        while row != start:
            row = int(before[column])
            row_of[column] = row
            column_of[row], column = column, column_of[row]
    return column_of


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
