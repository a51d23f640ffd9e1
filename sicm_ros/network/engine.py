"""The vehicle's network compiled by OpenVINO, where that is installed: on a CPU about two thirds of PyTorch's time.

What it gives differs from PyTorch's by rounding alone, and a packet holds rounded latents: any decoder reads them.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings

import numpy as np
import torch
from torch import Tensor, nn

from sicm_ros.errors import DependencyError
from sicm_ros.network.mvsfc import MVSFCNet

ENGINES = ("torch", "openvino", "auto")


def installed() -> bool:
    """Whether OpenVINO can be imported."""
    return importlib.util.find_spec("openvino") is not None


class _Vehicle(nn.Module):
    """What is compiled, as one graph: pictures as they lie in memory, quality -> latents."""

    def __init__(self, network: MVSFCNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor, quality: Tensor) -> Tensor:
        images = pictures.permute(0, 3, 1, 2).float()
        return self.network.analyse(self.network.extract(images), quality)


class CompiledVehicle:
    """`MVSFCNet.extract` and `analyse` of one pair, in float32, with as many threads as PyTorch has now."""

    def __init__(self, network: MVSFCNet) -> None:
        """`network` on the CPU, in evaluation mode. Raises DependencyError if OpenVINO isn't installed."""
        if not installed():
            raise DependencyError("engine openvino: not installed; pip install 'sicm_ros[openvino]', or engine torch")
        # A vehicle tells nobody that it started: without this module OpenVINO has nothing to send usage figures with.
        sys.modules.setdefault("openvino_telemetry", None)
        import openvino

        config = network.config
        pictures = torch.zeros(2, config.input_height, config.input_width, 3, dtype=torch.uint8)
        example = pictures, torch.tensor([0.5])
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # torch.export, its successor, needs twenty times as long
            traced = torch.jit.trace(_Vehicle(network).eval(), example, check_trace=False)
        graph = openvino.convert_model(traced, example_input=example, input=[part.shape for part in example])
        compiled = openvino.Core().compile_model(
            graph,
            "CPU",
            {
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "INFERENCE_PRECISION_HINT": "f32",  # what names a disparity has to be exact
                "PERFORMANCE_HINT": "LATENCY",
                "ENABLE_CPU_PINNING": False,  # the cores are other nodes' as well
            },
        )
        self._request = compiled.create_infer_request()

    def __call__(self, pictures: np.ndarray, quality: float) -> Tensor:
        """uint8 (2, H, W, 3), RGB, left first, and a quality -> latents (2, M, H / 16, W / 16), not yet rounded."""
        result = self._request.infer([pictures, np.array([quality], np.float32)])
        return torch.from_numpy(result[0].copy())
