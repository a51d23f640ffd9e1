# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Whether an engine or a type of number computes here what float32 does: asked once, before it is used.

A library can be right on one processor and wrong on the next, and a wrong layer only looks like a worse network. So
nothing but PyTorch's float32 on a processor is taken on trust.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sicm_ros.errors import VerificationError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.network.config import NetworkConfig
from sicm_ros.network.detector import Maps, Rigs
from sicm_ros.network.disparity import Features
from sicm_ros.network.engine import VehicleGraph
from sicm_ros.network.mvsfc import MVSFCNet
from sicm_ros.network.quality import LEVELS

# Largest mean error of what the network says, as a share of its mean magnitude. Rounding to bfloat16 adds up over sixty
# layers, and where two disparities match alike it may prefer the other one: 3 % with the model that ships, 10 % with an
# untrained one.
TOLERANCE = {"float32": 2e-3, "bfloat16": 0.25}
LAYER_TOLERANCE = 0.03  # of one layer in bfloat16; rounding makes 0.003

LEVEL = LEVELS // 2  # of quality


@dataclass(frozen=True)
class Probe:
    """A pair that no camera took, and what PyTorch makes of it in float32 on a processor.

    Attributes:
        pictures: uint8 (2, H, W, 3), left first.
        rigs: one rig.
        symbols: int32 (2, M, H / 16, W / 16), the rounded latents.
        vehicle, server: what each side computes of pictures and of symbols, by name.
    """

    pictures: np.ndarray
    rigs: Rigs
    symbols: np.ndarray
    vehicle: dict[str, Tensor]
    server: dict[str, Tensor]

    @classmethod
    @torch.inference_mode()
    def of(cls, network: MVSFCNet) -> Probe:
        """`network` on the CPU, in evaluation mode."""
        pictures, rigs, quality = _pair(network.config), _rig(network.config), torch.tensor([LEVEL / LEVELS])
        latents = VehicleGraph(network)(torch.from_numpy(pictures), quality)
        symbols = torch.floor(latents + 0.5)
        features = network.synthesise(symbols, quality)
        server = server_values(features, network.detect(features, rigs))
        return cls(pictures, rigs, symbols.to(torch.int32).numpy(), vehicle_values(latents), server)


def vehicle_values(latents: Tensor) -> dict[str, Tensor]:
    """What is compared of the vehicle's side: each view's latent by itself."""
    return dict(zip(("left latent", "right latent"), latents.chunk(2)))


def server_values(features: Features, maps: Maps) -> dict[str, Tensor]:
    """What is compared of the server's side."""
    return {f"features at stride {4 << n}": f for n, f in enumerate(features)} | vars(maps)


def _rig(config: NetworkConfig) -> Rigs:
    """One like KITTI's, of pictures of the network's size."""
    width, height = config.input_width, config.input_height
    return Rigs.of([StereoCalibration(0.58 * width, 0.58 * width, width / 2, height / 3, 0.54, width, height)])


def _pair(config: NetworkConfig) -> np.ndarray:
    """uint8 (2, H, W, 3), left first, always the same: texture of all scales on a road and a wall behind it."""
    width, height = config.input_width, config.input_height
    random = np.random.default_rng(0)
    most = width // 16
    texture = np.zeros((height, width + most, 3))
    for size in (64, 32, 16, 8, 4, 2, 1):
        patches = random.normal(size=(-(-height // size), -(-(width + most) // size), 3))
        texture += size**0.5 * patches.repeat(size, 0).repeat(size, 1)[:height, : width + most]
    texture = np.clip(110 + 12 * texture, 0, 255).astype(np.uint8)
    # From the wall down, surfaces come nearer row by row.
    nearness = np.clip((np.arange(height) / height - 0.4) / 0.6, 0.1, 1)
    shifts = np.round(most * nearness).astype(int)
    columns = np.arange(width)
    right = np.stack([row[columns + shift] for row, shift in zip(texture, shifts)])
    return np.stack([texture[:, :width], right])


def difference(found: Tensor, expected: Tensor) -> float:
    """Mean error as a share of the mean magnitude; infinite where what was found isn't finite."""
    found, expected = found.detach().float().cpu(), expected.detach().float().cpu()
    if found.shape != expected.shape or not torch.isfinite(found).all():
        return float("inf")
    error, magnitude = (found - expected).abs().mean().item(), expected.abs().mean().item()
    return error / magnitude if magnitude > 1e-6 else error


def compare(what: str, found: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerance: float) -> float:
    """The largest difference of named tensors.

    Raises:
        VerificationError: `what`, an engine or a type of number, is off by more than the tolerance.
    """
    differences = {name: difference(found[name], value) for name, value in expected.items()}
    worst = max(differences, key=differences.__getitem__)
    if differences[worst] > tolerance:
        raise VerificationError(
            f"{what} gives wrong results on this machine: {worst} differs from float32's by {differences[worst]:.1%}"
        )
    return differences[worst]


@contextmanager
def checked_layers(network: nn.Module, gradients: bool = False) -> Iterator[None]:
    """While this lasts, each layer that autocast runs in bfloat16 is computed in float32 as well and compared.

    Args:
        gradients: compare those of the layer's input and parameters too.

    Raises:
        VerificationError: on leaving, if a layer is off by more than rounding; it names the layer.
    """
    wrong: dict[str, float] = {}

    def check(name: str, layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        x = inputs[0].detach()
        if not torch.is_autocast_enabled(x.device.type):
            return
        with torch.autocast(x.device.type, enabled=False):
            worst = difference(output, layer.forward(x.float()))
        if gradients and worst <= LAYER_TOLERANCE:
            worst = max(map(difference, _gradients(layer, x, True), _gradients(layer, x, False)))
        if worst > LAYER_TOLERANCE:
            wrong[name] = max(worst, wrong.get(name, 0.0))

    handles = [
        layer.register_forward_hook(lambda *seen, name=name: check(name, *seen))
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    if wrong:
        layers = ", ".join(f"{name} by {share:.0%}" for name, share in wrong.items())
        raise VerificationError(f"bfloat16 gives wrong results on this machine, compared with float32: layer {layers}")


@torch.enable_grad()
def _gradients(layer: nn.Module, x: Tensor, autocast: bool) -> tuple[Tensor, ...]:
    """Of a sum of the layer's output, signs alternating, by its input and by its parameters that learn."""
    x = x.float().requires_grad_()
    learning = [p for p in layer.parameters() if p.requires_grad]
    with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast, cache_enabled=False):
        output = layer.forward(x)
    upstream = torch.ones_like(output).flatten()
    upstream[::2] = -0.5
    return torch.autograd.grad(output, [x, *learning], upstream.view_as(output))
