# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What each side of the network costs: multiply-accumulates and parameters, counted on a real pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sicm_ros.geometry import StereoCalibration
from sicm_ros.network.config import NetworkConfig
from sicm_ros.network.disparity import StereoMatching
from sicm_ros.network.maps import Rigs
from sicm_ros.network.mvsfc import MVSFCNet
from sicm_ros.network.smfc import ContextualTransform
from sicm_ros.network.stages import REMOTE, VEHICLE, Cost

__all__ = ["REMOTE", "VEHICLE", "Cost", "count"]


def _macs(module: nn.Module, output: Any) -> int:
    """Count those of one pass of a convolution (output: Tensor), of matching (Matched), or of a
    contextual transform (Tensor).
    """
    if isinstance(module, nn.Conv2d):
        return output.numel() * module.in_channels // module.groups * module.kernel_size[0] * module.kernel_size[1]
    if isinstance(module, StereoMatching):  # besides its convolutions: the correlation
        disparity = output.disparity
        return disparity.numel() * module.config.disparities * module.config.matching_width
    assert isinstance(module, ContextualTransform)
    cells = output.numel() // output.shape[1]
    return cells * module.disparities * 2 * module.KEYS  # scores, and what attention gathers


@torch.no_grad()
def count(config: NetworkConfig) -> dict[str, Cost]:
    """Return stage -> Cost of one stereo pair at the configuration's size; stages as in VEHICLE and REMOTE.

    The prior's integer products, some tens of millions on either side, are not counted.
    """
    network = MVSFCNet(config).eval()
    passed = 0

    def hook(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal passed
        passed += _macs(module, output)

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, ContextualTransform, StereoMatching)):
            module.register_forward_hook(hook)

    def stage(run: Callable[[], Any]) -> tuple[Any, int]:
        nonlocal passed
        passed = 0
        return run(), passed

    width, height = config.input_width, config.input_height
    quality = torch.zeros(1)
    rigs = Rigs.of([StereoCalibration(700.0, 700.0, width / 2, height / 2, 0.5, width, height)]).to("cpu")
    features, backbone = stage(lambda: network.extract(torch.zeros(2, 3, height, width)))
    latents, encoder = stage(lambda: network.analyse(features, quality))
    rebuilt, decoder = stage(lambda: network.synthesise(latents, quality))
    _, detector = stage(lambda: network.detect(rebuilt, rigs))

    def parameters(*modules: nn.Module) -> int:
        return sum(p.numel() for module in modules for p in module.parameters())

    return {
        "backbone": Cost(backbone, parameters(network.backbone)),
        "feature encoder": Cost(encoder, parameters(network.encoder, network.gain, network.prior)),
        "feature decoder": Cost(decoder, parameters(network.decoder)),
        "detector": Cost(detector, parameters(network.detector)),
    }
