# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Cells of a latent's grid: the checkerboard, and windows around cells."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

Array = np.ndarray
Window = tuple[int, int, int, int]  # rows above, rows below, columns before, columns after


def offsets(window: Window, parity: int | None = None, visible: int | None = None) -> list[tuple[int, int]]:
    """Return (row, column) offsets in a window, row by row; of cells of colour `visible` alone, seen
    from colour `parity`.
    """
    above, below, before, after = window
    every = [(row, column) for row in range(-above, below + 1) for column in range(-before, after + 1)]
    if visible is None or parity is None:
        return every
    return [(row, column) for row, column in every if (row + column + parity - visible) % 2 == 0]


@lru_cache(maxsize=64)
def cell_indices(height: int, width: int, parity: int | None) -> Array:
    """Return indices into the flattened grid of the checkerboard's cells of one colour, or of all: row by row."""
    rows, columns = np.mgrid[:height, :width]
    chosen = np.ones((height, width), bool) if parity is None else (rows + columns) % 2 == parity
    return np.flatnonzero(chosen)


@lru_cache(maxsize=64)
def window_indices(height: int, width: int, window: Window, parity: int | None, visible: int | None) -> Array:
    """Return (cells, offsets): indices into the flattened rows and columns of `padded_grid` that each cell sees."""
    above, _, before, after = window
    padded_width = width + before + after
    rows, columns = np.divmod(cell_indices(height, width, parity), width)
    corner = (rows + above) * padded_width + columns + before
    return corner[:, None] + [row * padded_width + column for row, column in offsets(window, parity, visible)]


def padded_grid(grid: Array, window: Window) -> Array:
    """Return (h, w, C) with the zeros around it that a window reaches."""
    height, width, channels = grid.shape
    above, below, before, after = window
    padded = np.zeros((height + above + below, width + before + after, channels), grid.dtype)
    padded[above : above + height, before : before + width] = grid
    return padded


def gather(grid: Array, window: Window, parity: int | None = None, visible: int | None = None) -> Array:
    """Map (h, w, C) to (cells, offsets * C): what each cell of colour `parity` sees through its
    window; zeros outside.
    """
    height, width, channels = grid.shape
    indices = window_indices(height, width, window, parity, visible)
    cells, taps = indices.shape
    padded = padded_grid(grid, window)
    flat = padded.reshape(padded.shape[0] * padded.shape[1], channels)
    return np.take(flat, indices.ravel(), axis=0).reshape(cells, taps * channels)
