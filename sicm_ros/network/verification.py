# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Whether each layer computes in bfloat16 what it does in float32: a wrong one only looks like a worse network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sicm_ros.errors import VerificationError
from sicm_ros.network.agreement import difference

LAYER_TOLERANCE = 0.03  # of one layer in bfloat16; rounding makes 0.003


def _apart(found: Tensor, expected: Tensor) -> float:
    return difference(*(x.detach().float().cpu().numpy() for x in (found, expected)))


@contextmanager
def checked_layers(network: nn.Module, gradients: bool = False) -> Iterator[None]:
    """While this lasts, compute each layer that autocast runs in bfloat16 in float32 as well, and compare.

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
            worst = _apart(output, layer.forward(x.float()))
        if gradients and worst <= LAYER_TOLERANCE:
            worst = max(map(_apart, _gradients(layer, x, True), _gradients(layer, x, False)))
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
    """Return the gradients of a sum of the layer's output, signs alternating, by its input and by its
    parameters that learn.
    """
    x = x.float().requires_grad_()
    learning = [p for p in layer.parameters() if p.requires_grad]
    with torch.autocast(x.device.type, torch.bfloat16, enabled=autocast, cache_enabled=False):
        output = layer.forward(x)
    upstream = torch.ones_like(output).flatten()
    upstream[::2] = -0.5
    return torch.autograd.grad(output, [x, *learning], upstream.view_as(output))
