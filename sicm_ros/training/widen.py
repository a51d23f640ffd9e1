# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A codec whose latents have other channels than those of the model that it starts from.

What both have is taken over, so that nothing is forgotten. Channels that are new in the left latent begin with what the
old ones can't say: of the features, less what a linear function of the old channels knows of them, the components that
matter most to the task (sicm_ros.training.transform).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sicm_ros.entropy import LEFT, RIGHT, PriorConfig
from sicm_ros.entropy.config import CROSS_WINDOW, OWN_WINDOW
from sicm_ros.errors import InputError
from sicm_ros.model.folder import network_config, read_model
from sicm_ros.network import MVSFCNet
from sicm_ros.training.samples import TrainingSamples
from sicm_ros.training.transform import cells_and_slopes, components, roots

_SIZES = ("channels", "right_channels")


def differs(network: MVSFCNet, start: str | Path) -> bool:
    """Return whether the latents of the model that a codec starts from have other channels than the network's."""
    theirs = network_config(start).codec.prior
    return any(theirs.coded(view) != network.config.codec.prior.coded(view) for view in (LEFT, RIGHT))


def widen_codec(network: MVSFCNet, start: str | Path, samples: TrainingSamples, count: int) -> None:
    """Take what knows the latents' channels over from `start`, whose other weights the network has already.

    Channels that are new begin with what the old ones miss in `count` of the samples.

    Raises:
        InputError: the two differ in more than the channels of their latents, or the left latent would lose some.
    """
    old = read_model(start).network
    _check(network, old)
    with torch.no_grad():
        _carry(network, old)
    before, after = (n.config.codec.prior.channels for n in (old, network))
    if after > before:
        _fill(network, before, *cells_and_slopes(network, samples, count))


def _check(network: MVSFCNet, old: MVSFCNet) -> None:
    codecs = [n.config.codec.tree() for n in (network, old)]
    (now, _), (before, _) = ([codec["prior"].pop(name) for name in _SIZES] for codec in codecs)
    if codecs[0] != codecs[1]:
        raise InputError("start has another codec: only the channels of its latents may differ from those of network")
    if not network.config.codec.compensation or now < before:
        raise InputError(
            f"start's left latent has {before} channels, network's {now}: expected at least as many, and compensation; "
            "or train a codec from principal components (lite_codec with its own start_parts)"
        )


def _axes(network: MVSFCNet) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Return, for parameters that know a latent's channels: the axis, and how its entries are shared out."""
    prior: PriorConfig = network.config.codec.prior
    left, right = prior.coded(LEFT), prior.coded(RIGHT)
    axes: dict[str, tuple[int, tuple[int, ...]]] = {
        "gain.coarsest": (0, (left, right)),
        "gain.steps": (1, (left, right)),
        "decoder.enter.weight": (1, (left, 1, right)),
        "decoder.patch.weight": (1, (right,)),
        "prior.analysis.0.weight": (1, (left, right)),
    }
    layers = {"to_latent": (left,), "to_geometry": (right,), "patch": (right,), "gate": (left, right)}
    layers |= {f"linear.scales.{scale}": (left,) for scale in range(3)}
    for name, shares in layers.items():
        axes |= {f"encoder.{name}.{kind}": (0, shares) for kind in ("weight", "bias")}
    axes |= {f"decoder.linear.scales.{scale}.0.weight": (1, (left,)) for scale in range(3)}
    networks: Any = network.prior.networks
    for number, context in enumerate(networks):
        path = f"prior.networks.{number}"
        own = (prior.coded(context.step.view),)
        for output in ("mean", "scale"):
            axes |= {f"{path}.{output}.{kind}": (0, own) for kind in ("weights.0", "bias")}
        for n, window in enumerate(context.first.windows):
            if window in (OWN_WINDOW, CROSS_WINDOW):
                axes[f"{path}.first.weights.{n}"] = (1, own if window == OWN_WINDOW else (left,))
    return axes


def _carry(network: MVSFCNet, old: MVSFCNet) -> None:
    """Copy the weights of channels that both have. What a new one brings to a layer is nothing yet."""
    ours_all, theirs, old_axes = network.state_dict(), old.state_dict(), _axes(old)
    for name, (axis, shares) in _axes(network).items():
        ours = ours_all[name]
        if axis == 1 and name != "gain.steps":
            ours.zero_()
        for into, given in zip(ours.split(shares, axis), theirs[name].split(old_axes[name][1], axis)):
            kept = min(into.shape[axis], given.shape[axis])
            into.narrow(axis, 0, kept).copy_(given.narrow(axis, 0, kept))


@torch.no_grad()
def _fill(network: MVSFCNet, before: int, x: Tensor, gradients: Tensor) -> None:
    """Set the left latent's channels from `before` on, for cells x (N, D) and the task's gradients there."""
    # torch's containers don't say what they hold.
    analysis: Any = network.encoder.linear.scales
    synthesis: Any = network.decoder.linear.scales
    into = torch.cat([layer.weight.flatten(1) for layer in analysis], 1).double()
    back = torch.cat([layer[0].weight[..., 0, 0] for layer in synthesis]).double()
    count = len(into) - before
    new = slice(before, before + count)  # the right latent's come after these in what knows both
    centred = x - x.mean(0)
    known = centred @ into[:before].T
    told = torch.linalg.lstsq(known, centred).solution  # (before, D): what the old channels know of each number
    missed = components(centred - known @ told, gradients, count)
    # A step of a new channel, in the task's metric, is as large as one of the old ones at every quality. There a
    # component's is one.
    magnitude = (roots(gradients)[0] @ back[:, :before]).norm(dim=0).log().mean().exp()
    # x -> what the old channels miss of it -> components.
    rows = (missed.analysis - missed.analysis @ told.T @ into[:before]) / magnitude
    dimensions = [layer.weight[0].numel() for layer in analysis]
    for n, (layer, own) in enumerate(zip(analysis, rows.split(dimensions, 1))):
        layer.weight[before:] = own.view_as(layer.weight[before:]).float()
        layer.bias[before:] = (-(rows @ x.mean(0))).float() if n == 0 else 0.0
    for layer, own in zip(synthesis, (missed.synthesis * magnitude).split(dimensions)):
        layer[0].weight[:, before:, 0, 0] = own.float()
    # The gate has learnt where nothing is missed, whichever channel it is.
    gate: Any = network.encoder.gate
    for parameter in gate.parameters():
        parameter[new] = parameter[:before].mean(0)
    network.gain.coarsest[new] = network.gain.coarsest[:before].mean()
    network.gain.steps[:, new] = network.gain.steps[:, :before].mean(1, keepdim=True)
