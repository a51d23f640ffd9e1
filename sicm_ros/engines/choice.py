# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Which engine a model gets.

"auto" goes by what is installed, what the folder holds and what computes rightly, never by time: so the same drive
gives the same bytes on the same machine, whatever else runs there.
"""

from __future__ import annotations

import importlib.util
import logging
import platform
from collections.abc import Callable
from typing import Any

from sicm_ros.engines import onnxruntime, openvino
from sicm_ros.engines.base import ENGINES, NUMBER_TYPES, Engine, threads_of
from sicm_ros.engines.compiled import CompiledEngine
from sicm_ros.engines.graphs import GraphFolder
from sicm_ros.entropy import IntegerPrior
from sicm_ros.errors import DependencyError, InputError, ModelError, VerificationError
from sicm_ros.network.config import NetworkConfig

_log = logging.getLogger("sicm_ros")
_GRAPHS_OF = {"uncompressed": ("extract", "reference")}  # a side of one graph is called as that is


def torch_installed() -> bool:
    """Whether PyTorch can be imported."""
    return importlib.util.find_spec("torch") is not None


def make_engine(
    name: str,
    graphs: Callable[[], GraphFolder | None],
    network: Callable[[], Any],
    config: NetworkConfig,
    prior: IntegerPrior,
    device: str,
    number_type: str,
    sides: tuple[str, ...],
    threads: int,
    callers: int = 1,
) -> Engine:
    """Return the engine that was asked for, checked.

    Args:
        name: one of ENGINES.
        graphs: opens those of the model's folder, None if it has none; raises ModelError.
        network: makes the network for PyTorch.
        threads: of the processor, which the callers share.
        callers: threads that may call the engine at the same time.

    Raises:
        InputError: there is no such engine or type, or the engine can't have that device or type.
        DependencyError: it isn't installed, or with "auto" none is.
        ModelError: the folder has no graphs, or those of other weights.
        VerificationError: it computes wrongly on this machine.
    """
    if name not in ENGINES:
        raise InputError(f"engine is {name!r}; expected one of {', '.join(ENGINES)}")
    if number_type not in NUMBER_TYPES:
        raise InputError(f"number_type is {number_type!r}; expected one of {', '.join(NUMBER_TYPES)}")
    if callers > 1:
        threads = max(1, threads_of(threads) // callers)

    def torch_engine() -> Engine:
        if not torch_installed():
            raise DependencyError("engine torch: not installed; pip install 'sicm_ros[torch]', or use engine auto")
        from sicm_ros.engines.pytorch import TorchEngine

        return TorchEngine(network(), device, number_type, sides, threads)

    def of_graphs(name: str) -> Engine:
        if name == "onnxruntime" and number_type != "float32":
            raise InputError(f"engine {name} computes in float32; expected engine torch for number_type {number_type}")
        if name == "openvino" and device != "cpu":
            raise InputError(f"engine {name} computes on the cpu; expected engine torch for device {device}")
        found = graphs()
        if found is None:
            raise ModelError(f"the model has no graphs for engine {name}; make them with `sicm export FOLDER`")
        engine: CompiledEngine
        if name == "openvino":
            engine = openvino.OpenVinoEngine(found, config, prior, threads, number_type, callers)
        else:
            engine = onnxruntime.OnnxRuntimeEngine(found, config, prior, threads, device)
        for side in sides:
            for graph in _GRAPHS_OF.get(side, (side,)):
                engine.prepare(graph)
        return engine

    if name == "torch":
        return torch_engine()
    if name != "auto":
        try:
            return of_graphs(name)
        except VerificationError as error:
            raise VerificationError(f"{error}; use another engine") from None
    return _first_right(_candidates(device, number_type), of_graphs, torch_engine, graphs)


def _candidates(device: str, number_type: str) -> list[str]:
    """Engines of graphs that are installed and may have the device and the type, quickest first."""
    if number_type != "float32":  # torch keeps in float32 what names a disparity, and checks layer by layer
        return []
    there = {"openvino": openvino.installed() and device == "cpu", "onnxruntime": onnxruntime.installed()}
    if device != "cpu" and torch_installed():
        return []
    # OpenVINO was measured on x86 alone.
    order = ["openvino", "onnxruntime"] if platform.machine() in ("x86_64", "AMD64") else ["onnxruntime", "openvino"]
    return [name for name in order if there[name]]


def _first_right(
    names: list[str],
    of_graphs: Callable[[str], Engine],
    torch_engine: Callable[[], Engine],
    graphs: Callable[[], GraphFolder | None],
) -> Engine:
    """The first engine that computes rightly; PyTorch where none does or there are no graphs."""
    problem = ""
    try:
        if names and graphs() is None:
            names, problem = [], "the model has no graphs; make them with `sicm export FOLDER`, where PyTorch is"
    except ModelError as error:
        if not torch_installed():
            raise
        _log.warning("%s; engine torch takes its place", error)
        names = []
    for place, name in enumerate(names):
        try:
            return of_graphs(name)
        except VerificationError as error:
            problem = str(error)
            later = [*names[place + 1 :], *(["torch"] if torch_installed() else [])]
            if later:
                _log.warning("%s; engine %s takes its place", error, later[0])
    if not torch_installed():
        problem = problem or "no engine is installed"
        raise DependencyError(f"{problem}; pip install openvino, onnxruntime or 'sicm_ros[torch]'")
    return torch_engine()
