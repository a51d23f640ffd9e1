# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Where the codec starts from: principal components of the features, weighted by what the task needs of them.

A cell of stride 16 holds 656 numbers of the three scales (lite). Of those, the components with the largest variance are
not the ones that a detector misses most. Its loss falls by g . e for an error e of the features, g its gradient; so
errors are measured by E[g g^T] (the empirical Fisher matrix), with a share of plain squared error, and the components
are those of the features in that metric. The optimum for small errors, as the Karhunen-Loeve transform is for plain
squared error. Rounding all of them with one step is then the best use of bits (reverse water-filling).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sicm_ros.network import MVSFCNet
from sicm_ros.network.disparity import Features, three
from sicm_ros.network.smfc import SIDES
from sicm_ros.training.losses import Weights, task_losses, weighted
from sicm_ros.training.samples import TrainingSamples, rigs_of

PLAIN = 0.3  # squared error of normalised features counts so much, beside a task's share of 1
SMALLEST, LARGEST = 400.0, 14_000.0  # bytes a pair that quality 0 and 1 begin with, before context saves some


@dataclass(frozen=True)
class Components:
    """`analysis` (M, D) and `synthesis` (D, M): latent = analysis (x - mean), x = synthesis latent + mean."""

    analysis: Tensor
    synthesis: Tensor
    mean: Tensor


def cells(features: Features) -> Tensor:
    """Map features of some views to float64 (cells of stride 16, D), scale after scale, each channel
    by row by column.
    """
    gathered = torch.cat([F.pixel_unshuffle(f, side) if side > 1 else f for f, side in zip(features, SIDES)], 1)
    return gathered.permute(0, 2, 3, 1).flatten(0, 2).double()


def components(x: Tensor, gradients: Tensor, count: int) -> Components:
    """Return the `count` components of samples x (N, D), float64, that matter most in the metric of
    `gradients` (N, D).
    """
    mean = x.mean(0)
    centred = x - mean
    root, inverse_root = roots(gradients)
    covariance = root @ (centred.T @ centred / len(x)) @ root
    basis = torch.linalg.eigh(covariance)[1].flip(1)[:, :count]
    return Components((root @ basis).T, inverse_root @ basis, mean)


def roots(gradients: Tensor) -> tuple[Tensor, Tensor]:
    """Return square root (D, D) of the metric of `gradients` (N, D), and its inverse."""
    metric = gradients.T @ gradients
    identity = torch.eye(len(metric), dtype=metric.dtype)
    trace = metric.trace()
    metric = (metric / trace * len(metric) if trace > 0 else 0 * metric) + PLAIN * identity
    values, vectors = torch.linalg.eigh(metric)
    return vectors @ (values.sqrt()[:, None] * vectors.T), vectors @ (values.rsqrt()[:, None] * vectors.T)


def start_codec(network: MVSFCNet, samples: TrainingSamples, count: int) -> None:
    """Measure features of some training pairs, and set the codec's scale, linear transform and gains by them.

    The network's `reference` must be a trained detector. Deterministic: the same samples, the same start.
    """
    _set_transform(network, *cells_and_slopes(network, samples, count, measure=True))


def cells_and_slopes(
    network: MVSFCNet, samples: TrainingSamples, count: int, measure: bool = False
) -> tuple[Tensor, Tensor]:
    """Return cells (N, D) of the normalised features of some training pairs, and the task's gradients there; `measure`:
    the scale is taken of them first.
    """
    device = next(network.parameters()).device
    pairs = [samples[n] for n in range(min(count, len(samples)))]
    with torch.no_grad():
        features = [network.extract(pair["images"].float().to(device)) for pair in pairs]
    if measure:
        network.scale.measure(features)
    # With compensation the right views' features are the left ones', moved: there is nothing else to transform.
    coded = slice(1) if network.config.codec.compensation else slice(None)
    x, gradients = [], []
    for pair, own in zip(pairs, features):
        batch = {name: value[None].to(device) for name, value in pair.items()}
        rigs = rigs_of(batch)
        normalised = three(f.detach().requires_grad_() for f in network.scale.normalised(own))
        training = network.reference.training
        network.reference.eval()
        with torch.enable_grad():
            maps = network.reference(network.scale.restored(normalised), rigs)
            loss = weighted(task_losses(maps, batch, rigs), Weights())
        slopes = torch.autograd.grad(loss, normalised)
        gradients.append(cells(three(g[coded] for g in slopes)).cpu())
        network.reference.train(training)
        x.append(cells(three(f[coded].detach() for f in normalised)).cpu())
    return torch.cat(x), torch.cat(gradients)


@torch.no_grad()
def _set_transform(network: MVSFCNet, x: Tensor, gradients: Tensor) -> None:
    # torch's containers don't say what they hold.
    analysis: Any = network.encoder.linear.scales
    synthesis: Any = network.decoder.linear.scales
    dimensions = [layer.weight[0].numel() for layer in analysis]
    parts = x.split(dimensions, 1)
    slopes = gradients.split(dimensions, 1)
    if network.encoder.jointly:
        whole = components(x, gradients, analysis[0].out_channels)
        each = [
            Components(a, s, m)
            for a, s, m in zip(
                whole.analysis.split(dimensions, 1), whole.synthesis.split(dimensions), whole.mean.split(dimensions)
            )
        ]
        latents = (x - whole.mean) @ whole.analysis.T
    else:
        each = [components(p, g, layer.out_channels) for p, g, layer in zip(parts, slopes, analysis)]
        latents = torch.cat([(p - c.mean) @ c.analysis.T for p, c in zip(parts, each)], 1)
    # Latents of magnitude one: what learns beside them, and from them, has weights of its usual size.
    magnitude = latents.square().mean().sqrt()
    latents = latents / magnitude
    for into, back, own in zip(analysis, synthesis, each):
        into.weight.copy_((own.analysis / magnitude).view_as(into.weight))
        into.bias.copy_(-own.analysis @ own.mean / magnitude)
        back[0].weight.copy_((own.synthesis * magnitude).view_as(back[0].weight))
        back[0].bias.copy_(own.mean)
    config = network.config
    compensation = config.codec.compensation
    views = 1 if compensation else 2
    symbols = views * (config.input_width // 16) * (config.input_height // 16)  # cells of a pair
    coarse, fine = (_step(latents, 8 * size / symbols) for size in (SMALLEST, LARGEST))
    channels = slice(latents.shape[1]) if compensation else slice(None)
    growth = max(math.log(coarse / fine), 1.0)  # of a few cells, any step takes all that there is
    network.gain.start(channels, -math.log(coarse), growth / len(network.gain.steps))


def _step(latents: Tensor, bits: float) -> float:
    """Return the step of rounding at which a cell's latents (N, M) have so many bits, channel by
    channel by their entropy.
    """
    low, high = -12.0, 12.0  # logarithms
    for _ in range(30):
        middle = (low + high) / 2
        rounded = (latents / math.exp(middle)).round()
        entropy = 0.0
        for channel in rounded.T:
            share = channel.unique(return_counts=True)[1] / len(channel)
            entropy -= (share * share.log2()).sum().item()
        low, high = (middle, high) if entropy > bits else (low, middle)
    return math.exp(high)
