# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""OpenVINO, on x86 processors: the quickest that we know there.

It carries a oneDNN of its own, which heeds ONEDNN_MAX_CPU_ISA as PyTorch's does, and has the same fault in bfloat16
(network.layers.PatchConv); left alone, it computes in bfloat16 where there is AMX, and all of a graph (`exact`).

Compiling takes seconds, so what was compiled is kept in the user's cache (~/.cache/sicm_ros, or XDG_CACHE_HOME), by
everything that it depends on; where nothing can be written there, each start compiles.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import math
import os
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sicm_ros.engines.base import Computes, threads_of
from sicm_ros.engines.compiled import CompiledEngine, Run
from sicm_ros.engines.exact import keep_exact
from sicm_ros.engines.graphs import OUTPUTS, GraphFolder
from sicm_ros.entropy import IntegerPrior
from sicm_ros.errors import DependencyError, InputError, VerificationError
from sicm_ros.network.config import NetworkConfig

_log = logging.getLogger("sicm_ros")


def installed() -> bool:
    """Whether OpenVINO can be imported."""
    return importlib.util.find_spec("openvino") is not None


def cache_folder() -> Path:
    """Where compiled graphs are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(root) / "sicm_ros"


class OpenVinoEngine(CompiledEngine):
    """Graphs compiled by OpenVINO for the processor, in float32, or in bfloat16 but for what is exact."""

    def __init__(
        self,
        graphs: GraphFolder,
        config: NetworkConfig,
        prior: IntegerPrior,
        threads: int = 0,
        number_type: str = "float32",
        callers: int = 1,
    ) -> None:
        if not installed():
            raise DependencyError("engine openvino: not installed; pip install openvino, or use another engine")
        # A vehicle tells nobody that it started: without this module OpenVINO has nothing to send usage figures with.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        try:
            import openvino
        except (ImportError, OSError) as error:
            raise VerificationError(f"engine openvino cannot be loaded on this machine ({error})") from None
        self._openvino: Any = openvino
        self._core = openvino.Core()
        if number_type == "bfloat16" and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise InputError("number_type is bfloat16, which this processor has not; expected float32")
        threads = threads_of(threads)
        super().__init__(graphs, config, prior, Computes("openvino", "CPU", number_type, "cpu", threads))
        self._settings = {
            "INFERENCE_NUM_THREADS": threads * callers,
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[
                number_type
            ],  # by itself it takes bfloat16 where that is quicker
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # the cores are other nodes' as well
        } | ({"NUM_STREAMS": callers} if callers > 1 else {})

    def compile(self, graph: str) -> Run:
        kept = self._kept(graph)
        model = _imported(self._core, kept, self._settings)
        try:
            if model is None:
                model = self._core.compile_model(self._read(graph), "CPU", self._settings)
                _keep(model, kept)
            requests = _Requests(model)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise VerificationError(f"engine openvino cannot compile the network on this machine ({reason})") from None
        names = [name for name in OUTPUTS[graph] if any(name in port.get_names() for port in model.outputs)]

        def run(inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
            results = requests.own.infer(dict(inputs), share_outputs=True)  # copied once, below
            return [results[name].copy() for name in names]

        return run

    def operations(self, graph: str, repeats: int) -> dict[str, float]:
        """Return kind of operation -> seconds in one pass of a graph, by OpenVINO's own clock.

        Each operation counts with the least time of so many passes; together they take somewhat less than a pass.
        """
        model = self._core.compile_model(self._read(graph), "CPU", self._settings | {"PERF_COUNT": True})
        request, inputs = model.create_infer_request(), self._probe(graph)
        least: dict[tuple[str, str], float] = {}
        for _ in range(repeats):
            request.infer(inputs)
            for one in request.get_profiling_info():
                key = one.node_type, one.node_name
                least[key] = min(least.get(key, math.inf), one.real_time.total_seconds())
        kinds: dict[str, float] = {}
        for (kind, _), seconds in least.items():
            kinds[kind] = kinds.get(kind, 0.0) + seconds
        return kinds

    def _read(self, graph: str) -> Any:
        """A graph as it is compiled."""
        model = self._core.read_model(str(self._graphs.path(graph)))
        if self.computes.number_type != "float32":
            keep_exact(model, self._core)
        return model

    def _kept(self, graph: str) -> Path:
        """The file of a compiled graph, named after all that it depends on."""
        depends = {
            "graph": hashlib.sha256(self._graphs.path(graph).read_bytes()).hexdigest(),
            "weights": self._graphs.fingerprint,
            "openvino": self._openvino.get_version(),
            "processor": self._core.get_property("CPU", "FULL_DEVICE_NAME"),
            "abilities": self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
            "limit": os.environ.get("ONEDNN_MAX_CPU_ISA", ""),
            "settings": self._settings,
        }
        key = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:24]
        return cache_folder() / f"{graph}-{key}.blob"


class _Requests(threading.local):
    """A compiled graph's request of each thread: it holds what one pass computes with."""

    def __init__(self, model: Any) -> None:
        self.own = model.create_infer_request()


def _imported(core: Any, kept: Path, settings: dict) -> Any:
    """The compiled graph in a file; None if there is none, or none that can be read."""
    try:
        return core.import_model(kept.read_bytes(), "CPU", settings)
    except OSError:
        return None
    except Exception as error:  # whatever a broken file makes it raise: compile anew
        _log.info("%s can't be read (%s); compiled again", kept, str(error).strip().splitlines()[-1:])
        return None


def _keep(model: Any, kept: Path) -> None:
    """Write a compiled graph, whole or not at all; nothing where that can't be done."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".part", delete=False) as file:
            part = Path(file.name)
            try:
                data = model.export_model()
                file.write(data if isinstance(data, bytes) else data.getbuffer())
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        part.replace(kept)
    except (OSError, RuntimeError) as error:
        _log.info("compiled graphs are not kept in %s (%s); each start compiles", kept.parent, error)
