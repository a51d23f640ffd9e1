# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Losses: task (the boxes), matching (disparity), distillation (features of the uncompressed network), rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from sicm_ros.network.detector import (
    HEADING_BINS,
    Maps,
    Rigs,
    take,
)
from sicm_ros.network.disparity import Matched

CROSSING = math.radians(30)  # a heading further than this off the road's direction counts double: such cars are few


@dataclass(frozen=True)
class Weights:
    """What each term counts."""

    heat: float = 1.0
    offset: float = 1.0
    face: float = 4.0
    extent: float = 0.5
    depth: float = 8.0
    sigma: float = 0.2
    dimensions: float = 2.0
    heading: float = 0.7
    residual: float = 2.0
    front: float = 0.2
    corners: float = 0.3
    matching: float = 0.5


def focal(logits: Tensor, heat: Tensor, considered: Tensor, urgency: Tensor) -> Tensor:
    """Return penalty-reduced focal loss (CornerNet, ECCV 2018) per object; empty cells count only where considered,
    centres by their urgency.
    """
    p = logits.sigmoid().clamp(1e-4, 1 - 1e-4)
    positive = (heat >= 1).to(p.dtype)
    hit = -((1 - p) ** 2) * p.log() * positive * urgency[:, None]
    miss = -(p**2) * (1 - p).log() * (1 - heat) ** 4 * (1 - positive) * considered[:, None]
    return (hit.sum() + miss.sum()) / positive.sum().clamp(min=1)


def task_losses(maps: Maps, target: dict[str, Tensor], rigs: Rigs) -> dict[str, Tensor]:
    """Return each term unweighted; values at cells are means over objects."""
    weight = target["weight"]
    total = weight.sum().clamp(min=1)

    def mean(values: Tensor, extra: Tensor | float = 1.0) -> Tensor:
        return (values * weight * extra).sum() / total

    cell = target["cell"]
    losses = {"heat": focal(maps.heat, target["heat"], target["considered"], target["urgency"])}
    losses["offset"] = mean(_logarithmic(take(maps.offset, cell) - target["offset"]).sum(-1))

    known = target["face_known"]
    log_face = take(maps.face, cell)[..., 0]
    losses["face"] = mean((log_face - target["face"]).abs().clamp(max=1.0), known)

    extent = F.softplus(take(maps.depth_extent, cell)[..., 0])
    losses["extent"] = mean((extent - target["extent"]).abs())
    z_true = target["location"][..., 2]
    z = rigs.depth(log_face.exp()) + extent
    error = (z.log() - z_true.log()).abs().clamp(max=0.5)
    losses["depth"] = mean(error, known)
    log_sigma = take(maps.log_sigma, cell)[..., 0].clamp(-6, 1)
    losses["sigma"] = mean(error.detach() / log_sigma.exp() + log_sigma, known)

    mean_size = target["mean"]
    log_size = take(maps.dimensions, cell)
    losses["dimensions"] = mean((log_size - (target["dimensions"] / mean_size).log()).abs().sum(-1))

    # Heading: the axis modulo pi, in bins; the residual is learnt at the true bin and its neighbours.
    rotation = target["rotation_y"]
    step = math.pi / HEADING_BINS
    axis = torch.remainder(rotation, math.pi)
    bins = torch.arange(HEADING_BINS, device=cell.device) * step
    difference = torch.remainder(axis[..., None] - bins + math.pi / 2, math.pi) - math.pi / 2
    soft = (1 - difference.abs() / step).clamp(min=0)
    off_road = (torch.remainder(rotation, math.pi) - math.pi / 2).abs() > CROSSING
    stress = 1 + off_road.to(weight.dtype)
    heading_logits = take(maps.heading_logits, cell)
    losses["heading"] = mean(-(soft * heading_logits.log_softmax(-1)).sum(-1), stress)
    residuals = take(maps.heading_residuals, cell)
    losses["residual"] = mean(((residuals - difference).abs() * soft).sum(-1), stress)
    nearest = soft.argmax(-1, keepdim=True)
    chosen_axis = (nearest * step)[..., 0] + residuals.gather(-1, nearest)[..., 0]
    same_way = (torch.cos(rotation - (nearest * step)[..., 0]) > 0).to(weight.dtype)
    front = take(maps.front, cell)[..., 0]
    losses["front"] = mean(F.binary_cross_entropy_with_logits(front, same_way, reduction="none"))

    # Corners from above, in metres: depth, size and heading pull together where they must agree.
    size = mean_size * log_size.clamp(-1, 1).exp()
    x_true = target["location"][..., 0]
    x = x_true * z / z_true
    true_axis = (
        chosen_axis.detach() + torch.remainder(rotation - chosen_axis.detach() + math.pi / 2, math.pi) - math.pi / 2
    )
    predicted = _ground_corners(x, z, size[..., 2], size[..., 1], chosen_axis)
    truth = _ground_corners(x_true, z_true, target["dimensions"][..., 2], target["dimensions"][..., 1], true_axis)
    losses["corners"] = mean((predicted - truth).abs().mean((-1, -2)).clamp(max=2.0), known)

    losses["matching"] = matching_loss(maps.matching, maps.disparity, target["matching"])
    return losses


def _logarithmic(error: Tensor) -> Tensor:
    """Return the error's size up to a cell, then its logarithm: centres outside of the window are tens of cells away,
    and need no more than a share of that.
    """
    size = error.abs()
    return torch.where(size > 1, 1 + size.clamp(min=1).log(), size)


def _ground_corners(x: Tensor, z: Tensor, length: Tensor, width: Tensor, angle: Tensor) -> Tensor:
    """Return the corners (..., 4, 2) of boxes (...,), seen from above."""
    forward = torch.stack([length, length, -length, -length], -1) / 2
    side = torch.stack([width, -width, -width, width], -1) / 2
    cos, sin = angle.cos()[..., None], angle.sin()[..., None]
    return torch.stack([x[..., None] + cos * forward + sin * side, z[..., None] - sin * forward + cos * side], -1)


def matching_loss(logits: Tensor, found: Tensor, disparity: Tensor) -> Tensor:
    """Cross-entropy of the volume's disparities (B, D, h, w) against the known one (B, h, w), and the distance of the
    one found between the cells (B, 1, h, w).
    """
    known = ((disparity > 0) & (disparity < logits.shape[1] - 1)).to(logits.dtype)
    cells = torch.arange(logits.shape[1], device=logits.device, dtype=logits.dtype)
    labels = (1 - (disparity[:, None] - cells.view(1, -1, 1, 1)).abs()).clamp(min=0)
    entropy = -(labels * logits.log_softmax(1)).sum(1)
    distance = (found[:, 0] - disparity).abs()
    # A hundredth of a cell counts where the best cell is right; a wrong one is the entropy's business.
    distance = distance.clamp(max=1) + 2 * distance.clamp(max=0.25)
    return ((entropy + distance) * known).sum() / known.sum().clamp(min=1)


def weighted(losses: dict[str, Tensor], weights: Weights) -> Tensor:
    """Sum of the terms as they count."""
    return sum(getattr(weights, name) * value for name, value in losses.items())


def distillation(rebuilt: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
    """Return squared error of each scale's rebuilt features over that of naming each channel's mean
    (1 = nothing known).
    """
    total = rebuilt[0].new_zeros(())
    for ours, theirs in zip(rebuilt, teacher):
        power = theirs.var((0, 2, 3), keepdim=True)
        power = torch.maximum(power, 0.1 * power.mean())  # channels that hardly vary say hardly anything
        total = total + ((ours - theirs) ** 2 / power).mean()
    return total / len(rebuilt)


def map_distillation(student: Maps, teacher: Maps) -> Tensor:
    """Return what the uncompressed network sees in this pair, matched cell by cell: its heat, and
    where its matching is sure.
    """
    heat = teacher.heat.sigmoid()
    attention = heat.amax(1, keepdim=True)
    seen = F.binary_cross_entropy_with_logits(student.heat, heat, reduction="none")
    seen = (seen * (0.05 + attention)).sum() / attention.sum().clamp(min=1)
    soft = teacher.matching.softmax(1)
    match = (soft * (soft.clamp(min=1e-6).log() - student.matching.log_softmax(1))).sum(1)
    certain = soft.amax(1) * (0.2 + attention[:, 0])
    far = 4 * ((student.face - teacher.face).abs().clamp(max=1) * attention)[:, 0]
    return seen + (match * certain).sum() / certain.sum().clamp(min=1) + far.sum() / attention.sum().clamp(min=1)


AROUND = 9  # cells of stride 4, of a square around what may be an object's centre


def disparity_distillation(disparity: Tensor, teacher: Maps) -> Tensor:
    """Return relative error of the disparity (B, 1, h, w) that moves the left view, where the teacher sees objects:
    about that of their depth.
    """
    attention = F.max_pool2d(teacher.heat.sigmoid().amax(1, keepdim=True), AROUND, 1, AROUND // 2)
    weight = 0.02 + attention
    error = (disparity.clamp(min=0).log1p() - teacher.disparity.clamp(min=0).log1p()).abs().clamp(max=0.5)
    return (error * weight).sum() / weight.sum()


def vehicle_matching(matched: Matched, known: Tensor, teacher: Maps) -> Tensor:
    """Return what the vehicle's matching has to learn: the known disparity (B, h, w); the teacher's,
    at objects above all.
    """
    return matching_loss(matched.logits, matched.disparity, known) + disparity_distillation(matched.disparity, teacher)
