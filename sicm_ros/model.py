"""A model as users meet it: a folder in, packets and detections out.

A folder holds `config.yaml` (the network, the name, the licence), `weights.safetensors`, `tables.safetensors` (the integer
prior) and `MODEL_CARD.md`. No pickle is read, ever.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file

from sicm_ros.errors import ModelError
from sicm_ros.network import MVSFCNet, NetworkConfig

MODELS = Path(__file__).parent / "models"


def find_model(name_or_folder: str) -> Path:
    """The folder of a model, by path or by the name of one that ships."""
    for folder in (Path(name_or_folder), MODELS / name_or_folder):
        if (folder / "config.yaml").is_file():
            return folder
    names = sorted(p.parent.name for p in MODELS.glob("*/config.yaml"))
    raise ModelError(f"no model {name_or_folder!r}: neither a folder with config.yaml nor one of {', '.join(names) or 'none'}")


def load_weights(network: MVSFCNet, name_or_folder: str) -> None:
    """Copies a model folder's weights into a network of the same backbone; parts of another shape stay as they are."""
    path = find_model(name_or_folder) / "weights.safetensors"
    try:
        source = load_file(path)
    except Exception as error:
        raise ModelError(f"{path}: {error}; fetch the model anew") from None
    own = network.state_dict()
    fitting = {k: v.float() if v.is_floating_point() else v for k, v in source.items() if k in own and own[k].shape == v.shape}
    if not any(k.startswith("backbone.") for k in fitting):
        raise ModelError(f"{path}: no weights of a {network.config.backbone} backbone; start from another model")
    network.load_state_dict(fitting, strict=False)


def save_model(network: MVSFCNet, folder: Path, name: str, licence: str, trained: dict) -> Path:
    """Writes a model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        k: (v.half() if v.is_floating_point() and not k.startswith("prior.") else v).detach().cpu().contiguous().clone()
        for k, v in network.state_dict().items()
    }
    save_file(weights, folder / "weights.safetensors")
    tree = {"name": name, "licence": licence, "trained": trained, "network": json.loads(network.config.model_dump_json())}
    (folder / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    return folder
