# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The graphs in a model folder: structure alone, as ONNX, whose weights are those of weights.safetensors.

    vehicle.onnx     images, quality -> latents, hyper
    server.onnx      symbols, quality, rig -> features, maps
    extract.onnx     images -> features
    reference.onnx   features, rig -> maps
    check.safetensors   what PyTorch computes of one pair in float32, and whose graphs these are

ONNX names a file, a place and a length for data that lies elsewhere, and safetensors is plain bytes at such places. So
graphs are some hundred kB, and other weights of the same shapes need no other graphs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from sicm_ros.errors import ModelError
from sicm_ros.network.maps import Maps
from sicm_ros.network.stages import Cost

GRAPHS = ("vehicle", "server", "extract", "reference")
CHECK = "check.safetensors"
EXACT = ".exact"  # ends the names of layers that the network computes in float32 even under autocast
FEATURES = ("features4", "features8", "features16")
MAPS = tuple(field.name for field in fields(Maps))
# Graph -> names of what goes in and of what comes out.
INPUTS = {
    "vehicle": ("pictures", "quality"),
    "server": ("symbols", "quality", "rig"),
    "extract": ("pictures",),
    "reference": (*FEATURES, "rig"),
}
OUTPUTS = {
    "vehicle": ("latents", "hyper"),
    "server": (*FEATURES, *MAPS),
    "extract": FEATURES,
    "reference": MAPS,
}


@dataclass(frozen=True)
class GraphFolder:
    """The graphs of a model, and what they should compute.

    Attributes:
        folder: real, with no link in its path: engines read weights only beside the graph.
        fingerprint: of the model, in hexadecimal.
        costs: stage -> what it costs.
        payload: of the pair whose maps are expected, as the prior wrote it.
        expected: graph -> name -> float32 (at most SAMPLES,), evenly taken (`sampled`).
    """

    folder: Path
    fingerprint: str
    costs: dict[str, Cost]
    payload: bytes
    expected: dict[str, dict[str, np.ndarray]]

    def path(self, graph: str) -> Path:
        return self.folder / f"{graph}.onnx"


def open_graphs(folder: Path, fingerprint: bytes) -> GraphFolder | None:
    """Return the graphs of a model folder; None if it has none.

    Raises:
        ModelError: they belong to other weights, or a file is missing or broken.
    """
    path = folder / CHECK
    if not path.is_file():
        return None
    remedy = f"make them again with `sicm export {folder}`"
    try:
        with safe_open(path, "numpy") as file:
            about = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
        costs = {stage: Cost(int(a), int(b)) for stage, (a, b) in json.loads(about["costs"]).items()}
        made_for = about["fingerprint"]
        payload = arrays.pop("payload").tobytes()
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: {error}; {remedy}") from None
    if made_for != fingerprint.hex():
        raise ModelError(
            f"{folder}: graphs for other weights ({made_for}, but these are {fingerprint.hex()}); {remedy}"
        )
    expected: dict[str, dict[str, np.ndarray]] = {graph: {} for graph in GRAPHS}
    for name, array in arrays.items():
        graph, _, output = name.partition(".")
        expected.setdefault(graph, {})[output] = array
    for graph in GRAPHS:
        if not (folder / f"{graph}.onnx").is_file() or not expected[graph]:
            raise ModelError(f"{folder / graph}.onnx is missing; {remedy}")
    return GraphFolder(folder.resolve(), made_for, costs, payload, expected)


def remove_graphs(folder: Path) -> None:
    """Remove the graphs of a model folder."""
    for name in (CHECK, *(f"{graph}.onnx" for graph in GRAPHS)):
        (folder / name).unlink(missing_ok=True)
