# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Matching along epipolar lines: in a rectified pair, what is at column u on the left is at u - d on the right."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

TILE = 24  # columns that are matched at once


def windows_of(x: Tensor, size: int) -> Tensor:
    """Map (..., W) to (..., tiles, size): windows of so many columns, one each TILE."""
    if not torch.onnx.is_in_onnx_export():
        return x.unfold(-1, size, TILE)
    starts = range(0, int(x.shape[-1]) - size + 1, TILE)  # ONNX has slices alone
    return torch.stack([x[..., start : start + size] for start in starts], -2)


def correlate(left: Tensor, right: Tensor, disparities: int, groups: int = 1) -> Tensor:
    """Group-wise correlation of (B, C, H, W) features: (B, groups * disparities, H, W), zero where u - d < 0.

    Channel g * disparities + d is the mean over group g's channels of left[u] * right[u - d] (GwcNet, CVPR 2019); those
    lie `groups` apart. Tiles of columns are multiplied with all that they may match, as small matrices, of which a band
    is the result, copied once into channels-last memory.
    """
    b, c, h, w = map(int, left.shape)  # in a graph that is traced, too: numbers and not nodes
    tiles, each, seen = -(-w // TILE), c // groups, TILE + disparities - 1
    beyond = tiles * TILE - w
    left = F.pad(left / each, (0, beyond)).view(b, each, groups, h, tiles, TILE).permute(0, 3, 4, 2, 5, 1)
    right = F.pad(right, (disparities - 1, beyond)).view(b, each, groups, h, -1)
    windows = windows_of(right, seen).permute(0, 3, 4, 2, 1, 5).flip(5)
    products = left.reshape(-1, TILE, each) @ windows.reshape(-1, each, seen)
    # Row i of a tile meets disparity d at column TILE - 1 - i + d of its mirrored window: in rows that are one number
    # shorter, each begins where it should.
    rows = products.flatten(1)[:, TILE - 1 : TILE * seen - 1].unflatten(1, (TILE, seen - 1))[..., :disparities]
    band = rows.view(b, h, tiles, groups, TILE, disparities).transpose(3, 4)
    return band.reshape(b, h, tiles * TILE, groups * disparities)[:, :, :w].permute(0, 3, 1, 2)


def gather_along_rows(weights: Tensor, right: Tensor) -> Tensor:
    """Warp the right view to the left, softly: (B, D, H, W) weights over d, (B, C, H, W) features -> (B, C, H, W)."""
    disparities, w = weights.shape[1], right.shape[3]
    right = F.pad(right, (disparities - 1, 0))
    gathered = weights[:, :1] * right[..., disparities - 1 :]
    for d in range(1, disparities):
        gathered = gathered + weights[:, d : d + 1] * right[..., disparities - 1 - d :][..., :w]
    return gathered


def moved(left: Tensor, disparity: Tensor, most: float) -> Tensor:
    """Warp the left view to the right one, forward: what is at column u goes to u - d, shared between two columns.

    Where several cells of the left view arrive, the nearest surface hides the others; where none does, the result is 0.

    Args:
        left: (B, C, h, w).
        disparity: (B, 1, h, w) of the left view's cells, in cells of this scale.
        most: largest disparity that is looked at.
    """
    b, c, h, w = map(int, left.shape)
    reach = math.ceil(most)
    tiles, seen = -(-w // TILE), TILE + reach
    beyond = tiles * TILE - w + reach
    # Each tile of the right view is a small matrix times all that may arrive in it.
    source = windows_of(F.pad(left, (0, beyond)), seen).permute(0, 2, 3, 4, 1)
    arriving = windows_of(F.pad(disparity, (0, beyond), value=-2.0), seen)[:, 0, :, :, None]
    in_front = windows_of(F.pad(disparity.detach().clamp(0, most).exp(), (0, beyond)), seen)[:, 0, :, :, None]
    columns = torch.arange(TILE, device=left.device)[:, None]
    shifts = torch.arange(seen, device=left.device) - columns
    share = (1 - (arriving - shifts).abs()).clamp(min=0) * in_front
    total = share.to(source.dtype) @ source / share.sum(-1, keepdim=True).clamp(min=0.1)
    return total.permute(0, 4, 1, 2, 3).reshape(b, c, h, -1)[..., :w]


def mirror(x: Tensor) -> Tensor:
    """Mirror the columns: a mirrored right view is matched by a mirrored left one exactly as left is by right."""
    return x.flip(3)
