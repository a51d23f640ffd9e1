# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What OpenVINO and ONNX Runtime share: graphs that are compiled when they are first needed, and checked then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sicm_ros.engines.base import Clock, Computes, Features, as_array
from sicm_ros.engines.check import LEVEL, TOLERANCE, compare, probe_pictures, probe_rigs
from sicm_ros.engines.graphs import FEATURES, MAPS, OUTPUTS, GraphFolder
from sicm_ros.entropy import IntegerPrior
from sicm_ros.entropy.config import QUALITY_LEVELS
from sicm_ros.network.config import NetworkConfig
from sicm_ros.network.maps import Maps, Rigs
from sicm_ros.network.stages import Cost

Run = Callable[[Mapping[str, np.ndarray]], list[np.ndarray]]
"""A compiled graph: inputs by name -> outputs in the order of OUTPUTS."""


class CompiledEngine:
    """An engine of graphs (sicm_ros.engines.base.Engine)."""

    def __init__(self, graphs: GraphFolder, config: NetworkConfig, prior: IntegerPrior, computes: Computes) -> None:
        self.computes = computes
        self._graphs, self._config, self._prior = graphs, config, prior
        self._ready: dict[str, Run] = {}
        self._worst = 0.0

    def compile(self, graph: str) -> Run:
        """Return a graph compiled; VerificationError if it can't be."""
        raise NotImplementedError

    @property
    def verified(self) -> str:
        return f"{self._worst:.1e} from torch in float32"

    def prepare(self, graph: str) -> Run:
        """Return a graph that was compiled and compared with what PyTorch computes, the first time; VerificationError
        if it isn't the same.
        """
        if graph not in self._ready:
            run = self.compile(graph)
            found = dict(zip(OUTPUTS[graph], run(self._probe(graph))))
            tolerance = TOLERANCE[self.computes.number_type]
            worst = compare(str(self.computes), found, self._graphs.expected[graph], tolerance)
            self._worst = max(self._worst, worst)
            self._ready[graph] = run
        return self._ready[graph]

    def _probe(self, graph: str) -> dict[str, np.ndarray]:
        """What the expected values were computed of."""
        if graph in ("vehicle", "extract"):
            pictures = probe_pictures(self._config)
            return {"pictures": pictures} | ({"quality": _quality(LEVEL)} if graph == "vehicle" else {})
        rig = {"rig": probe_rigs(self._config).numbers()}
        if graph == "reference":
            return dict(zip(FEATURES, self.extract(probe_pictures(self._config)))) | rig
        height, width = self._config.input_height // 16, self._config.input_width // 16
        left, right, _ = self._prior.decompress(self._graphs.payload, height, width, LEVEL)
        return {"symbols": np.stack([left, right]).astype(np.float32), "quality": _quality(LEVEL)} | rig

    def latents(self, pictures: np.ndarray, level: int, clock: Clock) -> tuple[np.ndarray, np.ndarray | None]:
        outputs = self.prepare("vehicle")({"pictures": pictures, "quality": _quality(level)})
        clock.lap("backbone and feature encoder")
        return outputs[0], outputs[1][0] if len(outputs) > 1 else None

    def maps(self, symbols: np.ndarray, levels: list[int], rigs: Rigs, clock: Clock) -> tuple[Features, Maps]:
        run, symbols, count = self.prepare("server"), symbols.astype(np.float32), len(levels)
        numbers = rigs.numbers()
        each = [
            run({"symbols": symbols[n::count], "quality": _quality(level), "rig": numbers[:, n : n + 1]})
            for n, level in enumerate(levels)
        ]
        low, middle, high, *maps = each[0] if count == 1 else [np.concatenate(parts) for parts in zip(*each)]
        if count > 1:  # left views first, then the right ones
            low, middle, high = (np.concatenate([f[0::2], f[1::2]]) for f in (low, middle, high))
        clock.lap("feature decoder and detector")
        return (low, middle, high), Maps(**dict(zip(MAPS, maps)))

    def costs(self) -> dict[str, Cost]:
        return self._graphs.costs

    def extract(self, pictures: np.ndarray) -> Features:
        low, middle, high = self.prepare("extract")({"pictures": pictures})
        return low, middle, high

    def refer(self, features: Features, rigs: Rigs) -> Maps:
        inputs: dict[str, Any] = {name: as_array(f) for name, f in zip(FEATURES, features)}
        return Maps(**dict(zip(MAPS, self.prepare("reference")(inputs | {"rig": rigs.numbers()}))))


def _quality(level: int) -> np.ndarray:
    return np.array([level / (QUALITY_LEVELS - 1)], np.float32)
