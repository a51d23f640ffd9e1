# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Weights of several trainings that began alike, averaged: better than each of them (model soups, Wortsman et al., ICML
2022), most of all on streets that none of them saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sicm_ros.config import Config
from sicm_ros.errors import InputError
from sicm_ros.model.folder import find_model, read_model, save_model


def _sizes(config: Config) -> dict:
    """Return a network's configuration but for how its scores become chances, which is fitted anew to a mean."""
    tree = config.tree()
    tree.get("detector", {}).pop("scores", None)
    return tree


def average(models: Sequence[str | Path], shares: Sequence[float], out: Path) -> Path:
    """Write the model folder whose weights are the weighted mean of those of `models`.

    Args:
        models: names or folders, of one network configuration; trainings of one another's weights, or the mean is
            no good.
        shares: of each, positive; they are made to sum to 1.
        out: new folder. It takes the name and the calibration of the last model, and the strictest licence.

    Raises:
        InputError: fewer than two models, a share missing or not positive, or networks that differ.
    """
    if len(models) < 2 or len(shares) != len(models) or min(shares) <= 0:
        raise InputError(
            f"{len(models)} models, shares {list(shares)}; expected at least two models, each with a positive share"
        )
    if out.exists():
        raise InputError(f"{out} already exists; expected a new folder")
    stored = [read_model(model) for model in models]
    network = stored[-1].network
    for model, other in zip(models, stored):
        if _sizes(other.network.config) != _sizes(network.config):
            raise InputError(f"{model} and {models[-1]} are different networks; expected trainings of the same network")
    states = [other.network.state_dict() for other in stored]
    total = sum(shares)
    mean = {
        name: sum(state[name] * (share / total) for state, share in zip(states, shares))
        if value.is_floating_point()
        else value
        for name, value in states[-1].items()
    }
    network.load_state_dict(mean)
    licence = next((each.licence for each in stored if each.licence != "free"), "free")
    parts = ", ".join(f"{share / total:.0%} {find_model(model)}" for model, share in zip(models, shares))
    card = f"# {stored[-1].name}\n\nLicence of the weights: {licence}.\n\nMean of weights: {parts}.\n"
    return save_model(network, out, stored[-1].name, licence, card)
