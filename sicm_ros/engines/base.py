# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What an engine is to a model."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sicm_ros.cores import cores
from sicm_ros.network.maps import Maps, Rigs
from sicm_ros.network.stages import Cost

ENGINES = ("auto", "openvino", "onnxruntime", "torch")
NUMBER_TYPES = ("float32", "bfloat16")
SIDES = ("vehicle", "server")

Features = tuple[Any, Any, Any]
"""At strides 4, 8 and 16, of both views, (2B, C, h, w), left views first: arrays, or PyTorch's tensors."""


def as_array(values: Any) -> np.ndarray:
    """An array, or a tensor on whatever device, as a float32 array."""
    return np.asarray(values.detach().float().cpu() if hasattr(values, "detach") else values, np.float32)


class Clock:
    """Seconds since the last lap, by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = now - self._last
        self._last = now


@dataclass(frozen=True)
class Computes:
    """What really runs, as `/diagnostics`, `sicm info` and logs say it.

    Attributes:
        engine: one of ENGINES, but "auto".
        provider: what of it, such as "CPU" or "CUDAExecutionProvider".
        number_type: one of NUMBER_TYPES.
        device: "cpu" or "cuda".
        threads: of the processor, for one pair.
    """

    engine: str
    provider: str
    number_type: str
    device: str
    threads: int

    def __str__(self) -> str:
        return f"engine {self.engine} ({self.provider}) in {self.number_type} on {self.device}"


class Engine(Protocol):
    """The network of a model, computed by something; several threads may call it at the same time.

    Attributes:
        computes: what really runs.
    """

    computes: Computes

    @property
    def verified(self) -> str:
        """How far what it computes is from PyTorch's float32 on a processor, in words."""

    def latents(self, pictures: np.ndarray, level: int, clock: Clock) -> tuple[np.ndarray, np.ndarray | None]:
        """Vehicle: uint8 (2, H, W, 3) and a level of quality -> latents (2, M, h, w) and the hyper latent (K, ...), not
        yet rounded."""

    def maps(self, symbols: np.ndarray, levels: list[int], rigs: Rigs, clock: Clock) -> tuple[Features, Maps]:
        """Server: int32 (2B, M, h, w), B levels of quality and rigs -> features of both views, and maps as arrays."""

    def costs(self) -> dict[str, Cost]:
        """Stage -> what it costs."""

    def extract(self, pictures: np.ndarray) -> Features:
        """Uint8 (2, H, W, 3) -> features before any coding."""

    def refer(self, features: Features, rigs: Rigs) -> Maps:
        """Features of a pair -> what the uncompressed network's detector says, as arrays."""


_threads = 0


def set_threads(count: int) -> None:
    """Let engines that are made from now on have so many threads, where `load` isn't told; 0: all cores."""
    global _threads
    _threads = count
    if count and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


def explicit_threads(wanted: int) -> int:
    """How many threads somebody asked for: `wanted`, or for 0 what `set_threads` said; 0 if nobody did."""
    return wanted or _threads


def threads_of(wanted: int) -> int:
    """How many threads an engine takes: what was asked for, else all cores."""
    return explicit_threads(wanted) or cores()
