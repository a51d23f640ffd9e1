"""Matching along epipolar lines: in a rectified pair, what is at column u on the left is at u - d on the right."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def correlate(left: Tensor, right: Tensor, disparities: int, groups: int = 1) -> Tensor:
    """Group-wise correlation of (B, C, H, W) features: (B, disparities * groups, H, W), zero where u - d < 0.

    Channel d * groups + g is the mean over group g's channels of left[u] * right[u - d] (GwcNet, CVPR 2019). A group's
    channels lie `groups` apart, so that the sum over them adds whole planes: a quarter of the time on a CPU.
    """
    b, c, h, w = left.shape
    left = left.reshape(b, c // groups, groups, h, w)
    right = F.pad(right, (disparities - 1, 0)).reshape(b, c // groups, groups, h, w + disparities - 1)
    planes = [(left * right[..., disparities - 1 - d :][..., :w]).sum(1) for d in range(disparities)]
    return torch.cat(planes, 1) * (groups / c)


def gather_along_rows(weights: Tensor, right: Tensor) -> Tensor:
    """Soft warp of the right view to the left: (B, D, H, W) weights over d, (B, C, H, W) features -> (B, C, H, W)."""
    disparities, w = weights.shape[1], right.shape[3]
    right = F.pad(right, (disparities - 1, 0))
    gathered = weights[:, :1] * right[..., disparities - 1 :]
    for d in range(1, disparities):
        gathered = gathered + weights[:, d : d + 1] * right[..., disparities - 1 - d :][..., :w]
    return gathered


def mirror(x: Tensor) -> Tensor:
    """Mirrored columns: a mirrored right view is matched by a mirrored left one exactly as left is by right."""
    return x.flip(3)
