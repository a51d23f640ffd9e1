"""How PyTorch is asked to run: memory, number types, norms folded away."""

from __future__ import annotations

import copy
import ctypes
import math
import time
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache, partial

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h


def keep_memory() -> None:
    """Tells glibc to keep freed pages: giving them back and faulting them in again is half of a training step on a CPU.

    Silently nothing on a C library without mallopt.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
    mallopt(_M_TOP_PAD, 64 << 20)


def quickest(ways: Mapping[Hashable, Callable[[], object]], rounds: int) -> dict[Hashable, float]:
    """Seconds that each way takes: in turn, and the best of all rounds, for other processes must not decide it."""
    seconds = dict.fromkeys(ways, math.inf)
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


@lru_cache
def fastest_type(device: torch.device) -> torch.dtype:
    """float32 or bfloat16, whichever a convolution of ours takes less time in on this device, by trying both."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    layer = nn.Conv2d(48, 48, 3, padding=1).to(memory_format=torch.channels_last)
    x = torch.randn(1, 48, 48, 216).to(memory_format=torch.channels_last)

    def in_type(dtype: torch.dtype) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            return layer(x)

    with torch.inference_mode():
        seconds = quickest({dtype: partial(in_type, dtype) for dtype in (torch.float32, torch.bfloat16)}, 12)
    return torch.bfloat16 if seconds[torch.bfloat16] < 0.8 * seconds[torch.float32] else torch.float32


def folded(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose batch norms are part of the convolutions before them."""
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d):
                    module[i] = fuse_conv_bn_eval(module[i], module[i + 1])
                    module[i + 1] = nn.Identity()
    return network.requires_grad_(False)
