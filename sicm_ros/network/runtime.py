# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How PyTorch is asked to run: memory, types of number, norms folded away."""

from __future__ import annotations

import copy
import ctypes
from contextlib import AbstractContextManager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h


Network = TypeVar("Network", bound=nn.Module)


def keep_memory() -> None:
    """Tell glibc to keep freed pages: giving them back and faulting them in again is half of a training step on a CPU.

    Silently nothing on a C library without mallopt.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    mallopt(_M_TOP_PAD, 64 << 20)


def folded(network: Network) -> Network:
    """Return a copy in evaluation mode whose batch norms are part of the convolutions before them."""
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                convolution, norm = module[i], module[i + 1]
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[i] = fuse_conv_bn_eval(convolution, norm)
                    module[i + 1] = nn.Identity()
    return network.requires_grad_(False)


def images_of(pictures: np.ndarray, device: torch.device) -> Tensor:
    """Return uint8 (2, H, W, 3) as networks take them: (2, 3, H, W), 0 to 255."""
    # An image in memory is channels-last already: the permuted view is what the network wants.
    return torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float()


class Inference:
    """No gradients, in one type of number: float32 is float32 on a GPU too, whose convolutions round to TF32 else."""

    def __init__(self, device: torch.device, number_type: str) -> None:
        self._contexts: list[AbstractContextManager[object]] = [torch.inference_mode()]
        if number_type != "float32":
            self._contexts.append(torch.autocast(device.type, getattr(torch, number_type)))
        elif device.type == "cuda":
            self._contexts.append(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))

    def __enter__(self) -> None:
        for context in self._contexts:
            context.__enter__()

    def __exit__(self, *error) -> None:
        for context in reversed(self._contexts):
            context.__exit__(*error)
