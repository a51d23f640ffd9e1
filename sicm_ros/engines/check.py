# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Whether an engine computes here what PyTorch does in float32: asked once, before it is used.

A library can be right on one processor and wrong on the next, and a wrong layer only looks like a worse network. So
nothing but PyTorch's float32 on a processor is taken on trust. What that computes of one pair is kept beside the graphs
as numbers: two engines that agree could share a fault (OpenVINO and PyTorch carry the same oneDNN), and an install
without PyTorch has nothing else to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sicm_ros.entropy.config import QUALITY_LEVELS
from sicm_ros.errors import VerificationError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.network.agreement import difference
from sicm_ros.network.config import NetworkConfig
from sicm_ros.network.maps import Rigs

# Largest mean error of what the network says, as a share of its mean magnitude. Rounding to bfloat16 adds up over sixty
# layers, and where two disparities match alike it may prefer the other one: 3 % with the model that ships, 10 % with an
# untrained one.
TOLERANCE = {"float32": 2e-3, "bfloat16": 0.25}
LEVEL = QUALITY_LEVELS // 2 - 1  # of quality
SAMPLES = 1024  # of each output


def sampled(values: Any) -> np.ndarray:
    """At most SAMPLES of an output's values, evenly taken, float32."""
    flat = np.asarray(values, np.float32).ravel()
    return flat if flat.size <= SAMPLES else flat[np.arange(SAMPLES) * flat.size // SAMPLES]


def probe_rigs(config: NetworkConfig) -> Rigs:
    """One rig like KITTI's, of images of the network's size."""
    width, height = config.input_width, config.input_height
    return Rigs.of([StereoCalibration(0.58 * width, 0.58 * width, width / 2, height / 3, 0.54, width, height)])


def probe_pictures(config: NetworkConfig) -> np.ndarray:
    """uint8 (2, H, W, 3), left first, always the same: texture of all scales on a road and a wall behind it."""
    width, height = config.input_width, config.input_height
    most = width // 16
    texture = np.zeros((height, width + most, 3))
    for size in (64, 32, 16, 8, 4, 2, 1):
        patches = _noise((-(-height // size), -(-(width + most) // size), 3), size)
        texture += size**0.5 * patches.repeat(size, 0).repeat(size, 1)[:height, : width + most]
    texture = np.clip(110 + 12 * texture, 0, 255).astype(np.uint8)
    # From the wall down, surfaces come nearer row by row.
    nearness = np.clip((np.arange(height) / height - 0.4) / 0.6, 0.1, 1)
    shifts = np.round(most * nearness).astype(int)
    columns = np.arange(width)
    right = np.stack([row[columns + shift] for row, shift in zip(texture, shifts)])
    return np.stack([texture[:, :width], right])


def _noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Numbers of mean 0 and deviation 1 that look random and are the same in any release of NumPy."""
    x = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):  # MurmurHash3's last steps
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return (x.reshape(shape) / 2**32 - 0.5) * 12**0.5


def compare(what: str, found: Mapping[str, Any], expected: Mapping[str, np.ndarray], tolerance: float) -> float:
    """The largest difference of named outputs, `found` whole, `expected` as `sampled`.

    Raises:
        VerificationError: `what`, an engine or a type of number, is off by more than the tolerance.
    """
    differences = {name: difference(sampled(found[name]), value) for name, value in expected.items()}
    if not differences:
        return 0.0
    worst = max(differences, key=differences.__getitem__)
    if not differences[worst] <= tolerance:
        raise VerificationError(
            f"{what} gives wrong results on this machine: {worst} differs from float32's by {differences[worst]:.1%}"
        )
    return differences[worst]
