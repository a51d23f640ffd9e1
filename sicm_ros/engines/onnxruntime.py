# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: processors that aren't x86, and GPUs by its providers (CUDA, TensorRT), which are untried here."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

import numpy as np

from sicm_ros.engines.base import Computes, threads_of
from sicm_ros.engines.compiled import CompiledEngine, Run
from sicm_ros.engines.graphs import OUTPUTS, GraphFolder
from sicm_ros.entropy import IntegerPrior
from sicm_ros.errors import DependencyError, InputError, VerificationError
from sicm_ros.network.config import NetworkConfig

# What a device may be computed by, best first.
PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider",),
    "tensorrt": ("TensorrtExecutionProvider",),
}


def installed() -> bool:
    """Whether ONNX Runtime can be imported."""
    return importlib.util.find_spec("onnxruntime") is not None


class OnnxRuntimeEngine(CompiledEngine):
    """Graphs run by ONNX Runtime, in float32."""

    def __init__(
        self, graphs: GraphFolder, config: NetworkConfig, prior: IntegerPrior, threads: int = 0, device: str = "cpu"
    ) -> None:
        if not installed():
            raise DependencyError("engine onnxruntime: not installed; pip install onnxruntime, or use another engine")
        try:
            import onnxruntime
        except (ImportError, OSError) as error:
            raise VerificationError(f"engine onnxruntime cannot be loaded on this machine ({error})") from None
        if device not in PROVIDERS:
            raise InputError(f"device is {device!r}; engine onnxruntime knows {', '.join(PROVIDERS)}")
        provider = PROVIDERS[device][0]
        if provider not in onnxruntime.get_available_providers():
            raise DependencyError(f"device {device}: this ONNX Runtime has no {provider}; install onnxruntime-gpu")
        super().__init__(
            graphs, config, prior, Computes("onnxruntime", provider, "float32", device, threads_of(threads))
        )
        self._onnxruntime = onnxruntime

    def compile(self, graph: str) -> Run:
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.computes.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that wait for work sleep: the cores are other nodes' as well.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = self._onnxruntime.InferenceSession(
                str(self._graphs.path(graph)), options, providers=[self.computes.provider]
            )
            session.disable_fallback()
        except Exception as error:  # its own kinds, which derive from nothing narrower
            reason = str(error).strip().splitlines()[-1]
            raise VerificationError(f"engine onnxruntime cannot load the network on this machine ({reason})") from None
        if session.get_providers()[0] != self.computes.provider:
            raise VerificationError(f"{self.computes.provider} does not work on this machine; use device cpu")
        known = [output.name for output in session.get_outputs()]
        names = [name for name in OUTPUTS[graph] if name in known]

        def run(inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
            return session.run(names, {name: np.ascontiguousarray(value) for name, value in inputs.items()})

        return run
