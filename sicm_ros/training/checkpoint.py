# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Checkpoints: everything that a run needs to go on as if it had not stopped. Safetensors, written atomically, no
pickle.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from sicm_ros.errors import ModelError
from sicm_ros.files import replacing


def save(
    path: Path, step: int, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, best: float
) -> None:
    """Write weights, their moving average, the optimiser's state and the step's number."""
    tensors = {f"network/{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average/{k}": v for k, v in average.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimiser/{index}/{name}"] = torch.as_tensor(value)
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    with replacing(path) as part:
        save_file(tensors, part, metadata={"state": json.dumps({"step": step, "best": best})})


def restore(path: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> tuple[int, float]:
    """Put a checkpoint back; return the step it was made after, and the best validation so far.

    Raises:
        ModelError: it can't be read, or is another network's.
    """
    try:
        with safe_open(path, "pt") as file:
            state = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise ModelError(f"{path}: {error}; remove it to start again") from None

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}

    try:
        network.load_state_dict(part("network/"))
        average.load_state_dict(part("average/"))
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise ModelError(f"{path}: from another network ({first}); choose another out=, or remove it") from None
    states: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in part("optimiser/").items():
        index, name = key.split("/")
        states.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
    return state["step"], state["best"]
