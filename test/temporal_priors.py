# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Temporal priors for tests, untrained."""

from __future__ import annotations

import numpy as np


def networks(prior, seed: int = 0):
    """Networks that correct something everywhere, and gains that differ."""
    import torch

    from sicm_ros.entropy.temporal_network import TemporalNetworks
    from sicm_ros.training.temporal import gains

    torch.manual_seed(seed)
    channels = prior.config.coded(0) + prior.config.coded(1)
    made = TemporalNetworks(prior, gains(lambda level: np.linspace(1, 2, channels) * (1 + level / 64)))
    with torch.no_grad():
        for network in made.passes.values():
            network.output.weight.normal_(0, 0.05)
            network.output.bias.normal_(0, 1)
    return made
