# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Visual analysis: rebuilt features of both views to 3D boxes.

    features -> stereo matching (sicm_ros.network.disparity) -> centre head (CenterNet) -> boxes

Depth is never regressed from appearance alone: the head names a disparity, and fx, the baseline and the disparity
offset of the rig that took the pair turn it into metres. What matching sees is the face of a car that looks at the
camera, so the head names that face's disparity, and how far behind it the centre lies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sicm_ros.geometry import StereoCalibration
from sicm_ros.network.config import DetectorConfig, ScoreConfig
from sicm_ros.network.disparity import Features, StereoMatching
from sicm_ros.network.layers import bias_of, block, exact, up

STRIDE = 4

# What a near face's disparity is supervised within, in pixels of the network's input. KITTI's cameras see 220 at 1.2 m;
# what is nearer than matching reaches is told from how much nearer it looks than what matching found.
MIN_DISPARITY, MAX_DISPARITY = 2.0, 220.0

# The near face's disparity is a weighted mean of what matching found in POOL x POOL cells around the centre.
POOL = 5

UNSEEN = -3.5  # logit of a class that nothing is known of: few cells hold a centre (focal loss's prior)

# Heading: the axis of the box (modulo pi) in bins with a residual each, and apart from it which end is the front.
HEADING_BINS = 8


@dataclass(frozen=True)
class Rigs:
    """Calibration of a batch, each field a float tensor (B,), in pixels of the network's input."""

    fx: Tensor
    fy: Tensor
    cx: Tensor
    cy: Tensor
    baseline: Tensor
    disparity_offset: Tensor

    @classmethod
    def of(cls, calibrations: list[StereoCalibration], device="cpu") -> Rigs:
        return cls(
            *(
                torch.tensor([getattr(c, field.name) for c in calibrations], dtype=torch.float32, device=device)
                for field in fields(cls)
            )
        )

    def to(self, device) -> Rigs:
        return Rigs(*(getattr(self, field.name).to(device) for field in fields(self)))

    def depth(self, disparity: Tensor) -> Tensor:
        """Metres from a disparity (B, ...) in pixels of the network's input."""
        shape = (-1,) + (1,) * (disparity.dim() - 1)
        scaled = (self.fx * self.baseline).view(shape)
        return scaled / (disparity + self.disparity_offset.view(shape)).clamp(min=0.1)

    def rays(self, height: int, width: int) -> Tensor:
        """(B, 2, height, width): x / z and y / z of the ray through each cell's centre at stride 4."""
        device = self.fx.device
        u = (torch.arange(width, device=device) + 0.5) * STRIDE - 0.5
        v = (torch.arange(height, device=device) + 0.5) * STRIDE - 0.5
        x = (u[None] - self.cx[:, None]) / self.fx[:, None]
        y = (v[None] - self.cy[:, None]) / self.fy[:, None]
        return torch.stack([x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], 1)


@dataclass(frozen=True)
class Maps:
    """What the head says at each cell of stride 4, all (B, ..., H / 4, W / 4).

    Attributes:
        heat: logits of a centre of each class of the model.
        offset: from the cell's centre to the projected centre of the box, in cells (2: right, down).
        face: log of the near face's disparity, pixels of the network's input (1).
        depth_extent: metres from the near face to the centre along z (1).
        log_sigma: log of the expected relative error of the depth (1).
        dimensions: log of height, width, length over their class's mean (3).
        heading_logits, heading_residuals: axis bins (8), and each one's residual, radians.
        front: logit that the front looks along the axis (1).
        matching: logits over the disparities of the correlation volume, in cells.
        disparity: of the surface that each cell sees, in cells (1).
    """

    heat: Tensor
    offset: Tensor
    face: Tensor
    depth_extent: Tensor
    log_sigma: Tensor
    dimensions: Tensor
    heading_logits: Tensor
    heading_residuals: Tensor
    front: Tensor
    matching: Tensor
    disparity: Tensor


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
        """Three tensors (2B, C, ...), left views first, and B rigs -> maps of the left view."""
        matched = self.stereo(features)
        left, cost, disparity = matched.appearance, matched.cost, matched.disparity
        surface = rigs.depth(STRIDE * disparity[:, 0])
        rays = rigs.rays(*left.shape[2:]).to(left.dtype)
        geometry = torch.cat([rays, surface.log()[:, None], 10 / surface[:, None]], 1).to(left.dtype)
        x = self.hourglass(self.join(torch.cat([left, cost, geometry], 1)))
        seen = exact(self.appearance_out, self.appearance(x))
        far = exact(self.depth_out, self.depth(torch.cat([x, cost], 1)))
        names = [k for k in self.outputs if k not in self._DEPTH]
        maps = dict(zip(names, seen.split([self.outputs[k] for k in names], 1)))
        maps |= dict(zip(self._DEPTH, far.split([self.outputs[k] for k in self._DEPTH], 1)))
        face = pooled(disparity, maps.pop("pool")).log() + maps.pop("face_residual")
        return Maps(matching=matched.logits, disparity=disparity, face=face, **maps)


def pooled(disparity: Tensor, logits: Tensor) -> Tensor:
    """(B, 1, H, W) cells, (B, POOL * POOL, H, W) -> (B, 1, H, W): mean over the cells around each, in pixels."""
    b, _, h, w = disparity.shape
    around = F.unfold(F.pad(disparity, (POOL // 2,) * 4, mode="replicate"), POOL).view(b, -1, h, w)
    return (logits.softmax(1) * around).sum(1, keepdim=True).clamp(min=0.25) * STRIDE


@dataclass(frozen=True)
class Candidates:
    """Boxes of a batch at K centres each, in the left camera's frame, tensors (B, K, ...).

    Attributes:
        classes, scores: of each candidate; a class is a place in the model's own list.
        location: (B, K, 3) centre of the bottom face, metres.
        dimensions: (B, K, 3) height, width, length, metres.
        rotation_y: (B, K) radians.
        sigma: (B, K) expected relative error of the depth, the scale of a Laplace distribution.
        turn: (B, K) how far apart the bins of the heading's axis are that may be true, radians (`spread`).
        chances: (B, K, C) score of each of the model's classes at the candidate's place; its own class has the largest.
    """

    classes: Tensor
    scores: Tensor
    location: Tensor
    dimensions: Tensor
    rotation_y: Tensor
    sigma: Tensor
    turn: Tensor
    chances: Tensor


def take(maps: Tensor, index: Tensor) -> Tensor:
    """(B, C, H, W) at flat cells (B, K) -> (B, K, C)."""
    return maps.flatten(2).gather(2, index[:, None].expand(-1, maps.shape[1], -1)).transpose(1, 2)


def boxes_at(maps: Maps, index: Tensor, mean: Tensor, rigs: Rigs) -> dict[str, Tensor]:
    """The boxes of flat cells (B, K); mean (B, K, 3) are the dimensions of their classes, metres."""
    width = maps.heat.shape[3]
    offset = take(maps.offset, index)
    u = ((index % width) + 0.5 + offset[..., 0]) * STRIDE - 0.5
    v = ((index // width) + 0.5 + offset[..., 1]) * STRIDE - 0.5
    face = rigs.depth(take(maps.face, index)[..., 0].exp())
    z = face + F.softplus(take(maps.depth_extent, index)[..., 0])
    x = (u - rigs.cx[:, None]) / rigs.fx[:, None] * z
    y = (v - rigs.cy[:, None]) / rigs.fy[:, None] * z
    dimensions = mean * take(maps.dimensions, index).clamp(-1, 1).exp()
    location = torch.stack([x, y + dimensions[..., 0] / 2, z], -1)
    logits, residuals = take(maps.heading_logits, index), take(maps.heading_residuals, index)
    axes = torch.arange(HEADING_BINS, device=z.device) * (math.pi / HEADING_BINS) + residuals
    axis = axes.gather(-1, logits.argmax(-1, keepdim=True))[..., 0]
    front = take(maps.front, index)[..., 0] > 0
    heading = torch.where(front, axis, axis + math.pi)
    rotation_y = torch.remainder(heading + math.pi, 2 * math.pi) - math.pi
    sigma = take(maps.log_sigma, index)[..., 0].clamp(-6, 1).exp()
    return {
        "location": location,
        "dimensions": dimensions,
        "rotation_y": rotation_y,
        "sigma": sigma,
        "turn": spread(axes, logits),
        "face": face,
    }


def spread(axes: Tensor, logits: Tensor) -> Tensor:
    """Circular standard deviation (Mardia) of axes modulo pi, radians: (..., N) angles and their logits -> (...)."""
    chances = logits.float().softmax(-1)
    mean = torch.stack([(chances * f(2 * axes)).sum(-1) for f in (torch.cos, torch.sin)]).norm(dim=0)
    return (-2 * mean.clamp(1e-6, 1).log()).sqrt() / 2  # of the doubled angles, halved


# A box whose depth is off by this share of the object's length overlaps it by 0.7 at best, KITTI's stricter limit for
# cars; its score falls accordingly.
TOLERANCE = 0.18


def calibrated(scores: Tensor, config: ScoreConfig, cut: Tensor, added: Tensor) -> Tensor:
    """Scores to chances.

    Args:
        cut: bool, objects that reach out of the picture. added: what is added to the logits for their classes.
    """
    return torch.sigmoid(config.slope * torch.logit(scores, eps=1e-6) + config.shift + config.cut * cut + added)


def reaches_out(
    location: Tensor, dimensions: Tensor, rotation_y: Tensor, fx: Tensor | float, cx: Tensor | float, width: int
) -> Tensor:
    """bool (...,): boxes (..., 3), (..., 3), (...,) that reach out of a picture's left or right border."""
    length, wide = dimensions[..., 2], dimensions[..., 1]
    reach = (length * rotation_y.cos().abs() + wide * rotation_y.sin().abs()) / 2
    x, z = location[..., 0], location[..., 2]
    return (cx + fx * (x - reach) / z < 0) | (cx + fx * (x + reach) / z > width - 1)


# What a cell beside a peak says of the object counts if that is nearer to what the peak says than this share of the
# length: what is further away is another object.
SAME = 0.5
MIDDLE = 4  # of nine cells


def _nine(index: Tensor, height: int, width: int) -> Tensor:
    """Flat cells (B, K) -> (B, K, 9): with those around them, row by row; what lies outside is moved to the border."""
    steps = torch.arange(-1, 2, device=index.device)
    rows = (index[..., None] // width + steps.repeat_interleave(3)).clamp(0, height - 1)
    return rows * width + (index[..., None] % width + steps.repeat(3)).clamp(0, width - 1)


@torch.no_grad()
def candidates(maps: Maps, rigs: Rigs, config: DetectorConfig, count: int = 60) -> Candidates:
    """The `count` strongest local maxima of the heat maps as boxes, best first.

    They are chosen by the heat; what they score is the heat times the chance that the depth is within TOLERANCE, if its
    error is Laplacian, as `calibrated`, and that orders them. A box lies where its cell and those around it say in the
    mean, weighted by the same: they see the object as well, and their errors are not quite the same.
    """
    heat = maps.heat.float().sigmoid()
    peaks = heat * (F.max_pool2d(heat, 3, 1, 1) == heat)
    _, c, h, w = peaks.shape
    flat = peaks.flatten(1).topk(min(count, c * h * w)).indices
    classes, index = flat // (h * w), flat % (h * w)
    cells = _nine(index, h, w)
    mean = torch.tensor(list(config.classes.values()), device=heat.device)[classes]
    said = boxes_at(maps, cells.flatten(1), mean.repeat_interleave(9, 1), rigs)
    said = {name: values.unflatten(1, cells.shape[1:]) for name, values in said.items()}
    boxes = {name: values[:, :, MIDDLE] for name, values in said.items()}

    length = boxes["dimensions"][..., None, 2]
    certainty = 1 - torch.exp(-TOLERANCE * length / (said["sigma"] * said["location"][..., 2]))
    likely = heat.flatten(1).gather(1, (classes[..., None] * (h * w) + cells).flatten(1)).view_as(certainty) * certainty
    apart = (said["location"] - boxes["location"][:, :, None])[..., [0, 2]].norm(dim=-1)
    weight = (likely * (apart < SAME * length))[..., None]
    boxes["location"] = (said["location"] * weight).sum(2) / weight.sum(2)
    cut = reaches_out(
        boxes["location"], boxes["dimensions"], boxes["rotation_y"], rigs.fx[:, None], rigs.cx[:, None], w * STRIDE
    )
    of_class = torch.tensor([config.scores.of.get(name, 0.0) for name in config.classes], device=heat.device)
    scores = calibrated(likely[:, :, MIDDLE], config.scores, cut, of_class[classes])
    chances = calibrated(take(heat, index) * certainty[:, :, MIDDLE, None], config.scores, cut[..., None], of_class)
    order = scores.argsort(dim=1, descending=True, stable=True)

    def sort(t: Tensor) -> Tensor:
        return t.gather(1, order if t.dim() == 2 else order[..., None].expand(-1, -1, t.shape[2]))

    return Candidates(
        sort(classes),
        sort(scores),
        sort(boxes["location"]),
        sort(boxes["dimensions"]),
        sort(boxes["rotation_y"]),
        sort(boxes["sigma"]),
        sort(boxes["turn"]),
        sort(torch.minimum(chances, scores[..., None])),  # a class that peaks in the next cell is a candidate there
    )
