# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What runs a side of the network: PyTorch, or OpenVINO where that is installed, on a CPU about two thirds of the time.

Both compute in float32, so what they give differs by rounding alone; a packet holds rounded latents: any decoder reads
them. OpenVINO carries a oneDNN of its own, which heeds ONEDNN_MAX_CPU_ISA as PyTorch's does, and has the same fault in
bfloat16 (`layers.PatchConv`); left alone, it computes in bfloat16 where there is AMX.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor, nn

from sicm_ros.errors import DependencyError, VerificationError
from sicm_ros.network.detector import Maps, Rigs
from sicm_ros.network.disparity import Features, three
from sicm_ros.network.mvsfc import MVSFCNet

ENGINES = ("torch", "openvino", "auto")
SIDES = ("vehicle", "server")
SCALES = 3


def installed() -> bool:
    """Whether OpenVINO can be imported."""
    return importlib.util.find_spec("openvino") is not None


class VehicleGraph(nn.Module):
    """The vehicle's side as one graph: pictures as they lie in memory, quality -> latents."""

    def __init__(self, network: MVSFCNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pictures: Tensor, quality: Tensor) -> Tensor:
        images = pictures.permute(0, 3, 1, 2).float()
        return self.network.analyse(self.network.extract(images), quality)


class ServerGraph(nn.Module):
    """The server's side as one graph: symbols, quality, a rig's numbers as `numbers` orders them -> features, maps."""

    def __init__(self, network: MVSFCNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, symbols: Tensor, quality: Tensor, rig: Tensor) -> tuple[Tensor, ...]:
        features = self.network.synthesise(symbols, quality)
        maps = self.network.detect(features, Rigs(*rig.unbind()))
        return *features, *(getattr(maps, field.name) for field in fields(Maps))


def numbers(rigs: Rigs) -> Tensor:
    """(6, B): the fields of rigs, one below the other."""
    return torch.stack([getattr(rigs, field.name) for field in fields(Rigs)])


class _Compiled:
    """A graph compiled by OpenVINO: float32, with as many threads as PyTorch has now."""

    def __init__(self, graph: nn.Module, *example: Tensor) -> None:
        """`graph` on the CPU, `example` of its inputs' shapes.

        Raises:
            DependencyError: OpenVINO isn't installed.
            VerificationError: it can't be loaded, or can't compile the graph, on this machine.
        """
        if not installed():
            raise DependencyError("engine openvino: not installed; pip install 'sicm_ros[openvino]', or engine torch")
        # A vehicle tells nobody that it started: without this module OpenVINO has nothing to send usage figures with.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        try:
            import openvino
        except (ImportError, OSError) as error:
            raise VerificationError(f"engine openvino cannot be loaded on this machine ({error})") from None

        with torch.no_grad(), warnings.catch_warnings():
            for kind in (DeprecationWarning, torch.jit.TracerWarning):
                warnings.simplefilter("ignore", kind)  # shapes are constant; torch.export needs twenty times as long
            traced = torch.jit.trace(graph.eval(), example, check_trace=False)
        settings = {
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32",  # by itself it takes bfloat16 where that is quicker
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # the cores are other nodes' as well
        }
        try:
            model = openvino.convert_model(traced, example_input=example, input=[part.shape for part in example])
            self._request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise VerificationError(f"engine openvino cannot compile the network on this machine ({reason})") from None

    def _run(self, *inputs: np.ndarray) -> list[Tensor]:
        results = self._request.infer(list(inputs))
        return [torch.from_numpy(results[n].copy()) for n in range(len(results))]


class CompiledVehicle(_Compiled):
    """`MVSFCNet.extract` and `analyse` of one pair."""

    def __init__(self, network: MVSFCNet) -> None:
        config = network.config
        pictures = torch.zeros(2, config.input_height, config.input_width, 3, dtype=torch.uint8)
        super().__init__(VehicleGraph(network), pictures, torch.tensor([0.5]))

    def __call__(self, pictures: np.ndarray, quality: float) -> Tensor:
        """uint8 (2, H, W, 3), RGB, left first, and a quality -> latents (2, M, H / 16, W / 16), not yet rounded."""
        return self._run(pictures, np.array([quality], np.float32))[0]


class CompiledServer(_Compiled):
    """`MVSFCNet.synthesise` and `detect` of one pair."""

    def __init__(self, network: MVSFCNet) -> None:
        config = network.config
        symbols = torch.zeros(2, config.codec.prior.channels, config.input_height // 16, config.input_width // 16)
        super().__init__(ServerGraph(network), symbols, torch.tensor([0.5]), torch.ones(len(fields(Rigs)), 1))

    def __call__(self, symbols: np.ndarray, quality: float, rigs: Rigs) -> tuple[Features, Maps]:
        """Symbols (2, M, H / 16, W / 16), left view first, a quality, one rig -> features of both views, maps."""
        inputs = symbols.astype(np.float32), np.array([quality], np.float32), numbers(rigs).numpy()
        results = self._run(*inputs)
        return three(results[:SCALES]), Maps(*results[SCALES:])
