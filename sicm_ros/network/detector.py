# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Visual analysis: rebuilt features of both views to 3D boxes.

    features -> stereo matching (sicm_ros.network.disparity) -> centre head (CenterNet) -> boxes

Depth is never regressed from appearance alone: the head names a disparity, and fx, the baseline and the disparity
offset of the rig that took the pair turn it into metres. What matching sees is the face of a car that looks at the
camera, so the head names that face's disparity, and how far behind it the centre lies.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sicm_ros.network.config import DetectorConfig
from sicm_ros.network.disparity import Features, StereoMatching
from sicm_ros.network.layers import bias_of, block, exact, up
from sicm_ros.network.maps import HEADING_BINS, STRIDE, Maps, Rigs

# What a near face's disparity is supervised within, in pixels of the network's input. KITTI's cameras see 220 at 1.2 m;
# what is nearer than matching reaches is told from how much nearer it looks than what matching found.
MIN_DISPARITY, MAX_DISPARITY = 2.0, 220.0

# The near face's disparity is a weighted mean of what matching found in POOL x POOL cells around the centre.
POOL = 5

UNSEEN = -3.5  # logit of a class that nothing is known of: few cells hold a centre (focal loss's prior)


def rays(rigs: Rigs, height: int, width: int) -> Tensor:
    """Return (B, 2, height, width): x / z and y / z of the ray through each cell's centre at stride
    4; `rigs` as tensors.
    """
    device = rigs.fx.device
    u = (torch.arange(width, device=device) + 0.5) * STRIDE - 0.5
    v = (torch.arange(height, device=device) + 0.5) * STRIDE - 0.5
    x = (u[None] - rigs.cx[:, None]) / rigs.fx[:, None]
    y = (v[None] - rigs.cy[:, None]) / rigs.fy[:, None]
    return torch.stack([x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], 1)


class Hourglass(nn.Module):
    """Context at strides 8 and 16, added to what came in at stride 4."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down1 = nn.Sequential(block(width, width, 2), block(width, width))
        self.down2 = nn.Sequential(block(width, 2 * width, 2), block(2 * width, 2 * width), block(2 * width, width))
        self.up1 = block(width, width)

    def forward(self, x: Tensor) -> Tensor:
        half = self.down1(x)
        half = self.up1(half + up(self.down2(half), half))
        return x + up(half, x)


class StereoDetector(nn.Module):
    """Features of both views, and the rig, to `Maps`."""

    def __init__(self, channels: tuple[int, int, int], config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        width, head = config.width, config.head_width
        self.stereo = StereoMatching(channels, config)
        self.join = block(2 * width + 4, head, kernel=1)
        self.hourglass = Hourglass(head)
        outputs = {
            "heat": len(config.classes),
            "offset": 2,
            "pool": POOL * POOL,
            "face_residual": 1,
            "depth_extent": 1,
            "log_sigma": 1,
            "dimensions": 3,
            "heading_logits": HEADING_BINS,
            "heading_residuals": HEADING_BINS,
            "front": 1,
        }
        self.outputs = outputs
        # Two towers: where objects are and what they look like; how far away they are.
        self.appearance = block(head, head)
        self.depth = block(head + width, head)
        self.appearance_out = nn.Conv2d(head, sum(n for k, n in outputs.items() if k not in self._DEPTH), 1)
        self.depth_out = nn.Conv2d(head, sum(outputs[k] for k in self._DEPTH), 1)
        nn.init.normal_(self.appearance_out.weight, std=0.01)
        nn.init.zeros_(bias_of(self.appearance_out))
        with torch.no_grad():
            bias_of(self.appearance_out)[: len(config.classes)] = UNSEEN
        nn.init.normal_(self.depth_out.weight, std=0.01)
        nn.init.zeros_(bias_of(self.depth_out))

    _DEPTH = ("pool", "face_residual", "depth_extent", "log_sigma")

    def forward(self, features: Features, rigs: Rigs) -> Maps:
        """Map three tensors (2B, C, ...), left views first, and B rigs to maps of the left view."""
        matched = self.stereo(features)
        left, cost, disparity = matched.appearance, matched.cost, matched.disparity
        surface = rigs.depth(STRIDE * disparity[:, 0])
        directions = rays(rigs, *map(int, left.shape[2:])).to(left.dtype)
        geometry = torch.cat([directions, surface.log()[:, None], 10 / surface[:, None]], 1).to(left.dtype)
        x = self.hourglass(self.join(torch.cat([left, cost, geometry], 1)))
        seen = exact(self.appearance_out, self.appearance(x))
        far = exact(self.depth_out, self.depth(torch.cat([x, cost], 1)))
        names = [k for k in self.outputs if k not in self._DEPTH]
        maps = dict(zip(names, seen.split([self.outputs[k] for k in names], 1)))
        maps |= dict(zip(self._DEPTH, far.split([self.outputs[k] for k in self._DEPTH], 1)))
        face = pooled(disparity, maps.pop("pool")).log() + maps.pop("face_residual")
        return Maps(matching=matched.logits, disparity=disparity, face=face, **maps)


def pooled(disparity: Tensor, logits: Tensor) -> Tensor:
    """Average (B, POOL * POOL, H, W) over the cells around each of (B, 1, H, W): (B, 1, H, W), in pixels."""
    b, _, h, w = map(int, disparity.shape)
    around = F.unfold(F.pad(disparity, (POOL // 2,) * 4, mode="replicate"), POOL).view(b, -1, h, w)
    return (logits.softmax(1) * around).sum(1, keepdim=True).clamp(min=0.25) * STRIDE


def take(maps: Tensor, index: Tensor) -> Tensor:
    """Map (B, C, H, W) at flat cells (B, K) to (B, K, C)."""
    return maps.flatten(2).gather(2, index[:, None].expand(-1, maps.shape[1], -1)).transpose(1, 2)
