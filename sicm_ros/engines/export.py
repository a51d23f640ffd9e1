# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Makes the graphs of a model folder (`graphs`): needs PyTorch, and `onnx` to take the weights out again."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from sicm_ros.engines.check import LEVEL
from sicm_ros.engines.graphs import CHECK, EXACT, FEATURES, GRAPHS, INPUTS, MAPS, OUTPUTS
from sicm_ros.engines.pytorch import expected_values
from sicm_ros.entropy import IntegerPrior
from sicm_ros.errors import DependencyError, ModelError
from sicm_ros.network.cost import count
from sicm_ros.network.maps import Rigs
from sicm_ros.network.mvsfc import MVSFCNet

OPSET = 17  # of ONNX: what ONNX Runtime of 2022 and later reads, and OpenVINO
WEIGHTS = "weights.safetensors"


class _Graph(nn.Module):
    """One of the graphs, as PyTorch traces it."""

    def __init__(self, network: MVSFCNet) -> None:
        super().__init__()
        self.network = network


class _Vehicle(_Graph):
    def forward(self, pictures: Tensor, quality: Tensor) -> tuple[Tensor, ...]:
        latents = self.network.analyse(self.network.extract(_images(pictures)), quality)
        hyper = self.network.prior.analyse(*latents.chunk(2))
        return (latents,) if hyper is None else (latents, hyper)


class _Server(_Graph):
    def forward(self, symbols: Tensor, quality: Tensor, rig: Tensor) -> tuple[Tensor, ...]:
        features = self.network.synthesise(symbols, quality)
        maps = self.network.detect(features, Rigs(*rig.unbind()))
        return *features, *(getattr(maps, name) for name in MAPS)


class _Extract(_Graph):
    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return self.network.extract(_images(pictures))


class _Reference(_Graph):
    def forward(self, low: Tensor, middle: Tensor, high: Tensor, rig: Tensor) -> tuple[Tensor, ...]:
        maps = self.network.reference((low, middle, high), Rigs(*rig.unbind()))
        return tuple(getattr(maps, name) for name in MAPS)


_MODULES = {"vehicle": _Vehicle, "server": _Server, "extract": _Extract, "reference": _Reference}


def _images(pictures: Tensor) -> Tensor:
    return pictures.permute(0, 3, 1, 2).float()


def write_graphs(folder: Path, network: MVSFCNet, prior: IntegerPrior, fingerprint: bytes) -> list[Path]:
    """Write the graphs of a model folder and what they should compute; return the files.

    Args:
        network, prior: of the folder. fingerprint: of the folder, which the graphs are for.

    Raises:
        DependencyError: onnx isn't installed.
        ModelError: a part of the network has no counterpart in ONNX.
    """
    try:
        import onnx
    except ImportError:
        raise DependencyError("exporting graphs needs onnx: pip install 'sicm_ros[torch]'") from None

    folder = folder.resolve()
    network = network.eval().requires_grad_(False)
    places = _places(folder / WEIGHTS)
    written = []
    for name in GRAPHS:
        model = _traced(name, network, onnx)
        _without_weights(model, places, onnx)
        path = folder / f"{name}.onnx"
        path.write_bytes(model.SerializeToString(deterministic=True))
        written.append(path)
    expected, symbols = expected_values(network)
    hyper = None
    if network.config.codec.prior.hyperprior:  # any will do: the symbols come back exactly
        height, width = symbols.shape[2:]
        hyper = np.zeros((network.config.codec.prior.hyper_channels, -(-height // 4), -(-width // 4)), np.int32)
    payload = prior.compress(symbols[0], symbols[1], hyper, LEVEL)
    arrays = {f"{graph}.{name}": value for graph, outputs in expected.items() for name, value in outputs.items()}
    costs = {stage: [cost.macs, cost.parameters] for stage, cost in count(network.config).items()}
    about = {"fingerprint": fingerprint.hex(), "costs": json.dumps(costs)}
    save_file(arrays | {"payload": np.frombuffer(payload, np.uint8)}, folder / CHECK, about)
    return [*written, folder / CHECK]


def _traced(name: str, network: MVSFCNet, onnx: Any) -> Any:
    """A graph with its weights, as an onnx.ModelProto."""
    config = network.config
    width, height = config.input_width, config.input_height
    channels = network.backbone.channels
    examples: dict[str, Tensor] = {
        "pictures": torch.zeros(2, height, width, 3, dtype=torch.uint8),
        "quality": torch.tensor([0.5]),
        "symbols": torch.zeros(2, config.codec.prior.channels, height // 16, width // 16),
        "rig": torch.ones(6, 1),
    } | {n: torch.zeros(2, c, height // s, width // s) for n, c, s in zip(FEATURES, channels, (4, 8, 16))}
    outputs = OUTPUTS[name] if config.codec.prior.hyperprior or name != "vehicle" else ("latents",)
    module, inputs = _MODULES[name](network).eval(), tuple(examples[i] for i in INPUTS[name])
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # shapes are constant, and the exporter that is to come needs a minute
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                torch.onnx.export(
                    module,
                    inputs,
                    file.name,
                    input_names=list(INPUTS[name]),
                    output_names=list(outputs),
                    opset_version=OPSET,
                    dynamo=False,
                    do_constant_folding=False,  # so that weights stay those of the folder, by name
                    training=torch.onnx.TrainingMode.PRESERVE,
                )
        except Exception as error:  # of many kinds
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"graph {name}: ONNX cannot represent the network ({reason}); use engine torch") from None
        model = onnx.load(file.name)
    _name_exact(model, _exact_layers(module, inputs))
    return model


def _exact_layers(module: nn.Module, inputs: tuple[Tensor, ...]) -> set[str]:
    """Names of the layers that compute in float32 even under autocast."""
    exact: set[str] = set()

    def note(name: str) -> None:
        if not torch.is_autocast_enabled("cpu"):
            exact.add(name)

    handles = [
        layer.register_forward_pre_hook(lambda *_, name=name: note(name))
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        module(*inputs)
    for handle in handles:
        handle.remove()
    return exact


def _name_exact(model: Any, layers: set[str]) -> None:
    """Let the names of exact layers say so."""
    named: set[str] = set()
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            called = _module_of(node.name)  # without the modules around it that were not called
            if found := {name for name in layers if f".{name}".endswith(f".{called}")}:
                node.name += EXACT
                named |= found
    if named != layers:
        raise ModelError(f"no node is named after {', '.join(sorted(layers - named))}; use engine torch")


def _module_of(node: str) -> str:
    """Name of the module that a node comes from: "/look/look.0/Conv" -> "look.0"."""
    path: list[str] = []
    for part in node.split("/")[1:-1]:
        if path and part.startswith(f"{path[-1]}."):
            path.pop()
        path.append(part)
    return ".".join(path)


def _places(weights: Path) -> dict[str, tuple[str, tuple[int, ...], int, int]]:
    """Name -> type, shape, and where its bytes begin and end in a file of weights."""
    data = weights.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    return {
        name: (about["dtype"], tuple(about["shape"]), *(8 + length + at for at in about["data_offsets"]))
        for name, about in header.items()
    }


def _without_weights(model: Any, places: dict[str, tuple[str, tuple[int, ...], int, int]], onnx: Any) -> None:
    """Let a graph's weights be those in the file beside it, which hold half the bits."""
    kinds = {"F16": onnx.TensorProto.FLOAT16, "F32": onnx.TensorProto.FLOAT}
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        name = tensor.name.removeprefix("network.")
        if name not in places:
            continue
        kind, shape, start, end = places[name]
        if kind not in kinds or shape != tuple(tensor.dims):
            raise ModelError(f"{WEIGHTS}: {name} is {kind} {shape}; expected the weights that `save_model` writes")
        kept = onnx.TensorProto(name=f"{tensor.name}.stored", dims=tensor.dims, data_type=kinds[kind])
        kept.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS), ("offset", start), ("length", end - start)):
            kept.external_data.add(key=key, value=str(value))
        casts.append(
            onnx.helper.make_node("Cast", [kept.name], [tensor.name], f"{tensor.name}.cast", to=onnx.TensorProto.FLOAT)
        )
        tensor.CopyFrom(kept)
    nodes = list(graph.node)
    for node in nodes:
        node.doc_string = ""  # places in the source, of the machine that made it
    del graph.node[:]
    graph.node.extend([*casts, *nodes])
    del graph.value_info[:]
