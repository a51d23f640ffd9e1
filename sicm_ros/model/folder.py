"""A model folder: what is in it, how it is read and written.

    config.yaml            kind, name, licence, and the network's configuration
    weights.safetensors    in half precision
    tables.safetensors     the prior, in integers
    MODEL_CARD.md

No pickle is read, ever.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

from sicm_ros.baseline.network import StereoPictureNetwork
from sicm_ros.entropy import IntegerPrior
from sicm_ros.errors import ModelError
from sicm_ros.network import MVSFCNet, NetworkConfig, PictureCodecConfig

MODELS = Path(__file__).parents[1] / "models"

Network = MVSFCNet | StereoPictureNetwork
# `kind` in config.yaml -> configuration and network. A folder without a kind is one of features.
KINDS = {"features": (NetworkConfig, MVSFCNet), "pictures": (PictureCodecConfig, StereoPictureNetwork)}

_log = logging.getLogger("sicm_ros")


@dataclass(frozen=True)
class StoredModel:
    """A model folder as read.

    Attributes:
        network: in evaluation mode.
        prior: of the network, in integers.
        name, licence: as config.yaml states them.
        fingerprint: bytes (8,), `fingerprint` of the folder.
        card: the text of MODEL_CARD.md, for people.
    """

    network: Network
    prior: IntegerPrior
    name: str
    licence: str
    fingerprint: bytes
    card: str


def find_model(name_or_folder: str | Path) -> Path:
    """The folder of a model, by path or by the name of one that ships."""
    for folder in (Path(name_or_folder), MODELS / name_or_folder):
        if (folder / "config.yaml").is_file():
            return folder
    names = sorted(p.parent.name for p in MODELS.glob("*/config.yaml"))
    raise ModelError(
        f"no model {str(name_or_folder)!r}: neither a folder with config.yaml nor one of {', '.join(names) or 'none'}"
    )


def read_model(name_or_folder: str | Path) -> StoredModel:
    """A model that ships, by name, or of a folder.

    Raises:
        ModelError: there is no such model, or a file of it is missing, broken or of another version.
    """
    folder = find_model(name_or_folder)
    tree = _read_config(folder)
    network = network_of(tree["network"])
    weights = _read(folder / "weights.safetensors", load_file)
    try:
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
    except RuntimeError as error:
        raise ModelError(
            f"{folder}: weights and config.yaml don't belong together ({str(error).splitlines()[-1].strip()})"
        ) from None
    prior = IntegerPrior(network.prior.config, _read(folder / "tables.safetensors", load_arrays))
    if tree["licence"] != "free":
        _log.warning(
            "model %s: licence %s, since it was trained on data under such a licence", tree["name"], tree["licence"]
        )
    card = folder / "MODEL_CARD.md"
    text = card.read_text() if card.is_file() else ""
    return StoredModel(network.eval(), prior, tree["name"], tree["licence"], fingerprint(folder), text)


def licence_of(name_or_folder: str | Path) -> str:
    """What a model's config.yaml states, "free" or "non-commercial"."""
    return _read_config(find_model(name_or_folder))["licence"]


def network_config(name_or_folder: str | Path) -> NetworkConfig | PictureCodecConfig:
    """What a model's network is made of. Raises ModelError as `read_model` does."""
    return _read_config(find_model(name_or_folder))["network"]


def network_of(config: NetworkConfig | PictureCodecConfig) -> Network:
    """An untrained network of a configuration."""
    return KINDS[_kind_of(config)][1](config)


def _kind_of(config: NetworkConfig | PictureCodecConfig) -> str:
    return next(kind for kind, (own, _) in KINDS.items() if isinstance(config, own))


def fingerprint(folder: Path, parts: tuple[str, ...] = ()) -> bytes:
    """8 bytes that stand for a model: SHA-256 of weights, tables and network configuration, shortened.

    Args:
        parts: modules of the network (backbone, reference, ...) that alone count, with the configuration; all of the
            folder by default.
    """
    digest = hashlib.sha256()
    if parts:
        for name, value in sorted(_read(folder / "weights.safetensors", load_arrays).items()):
            if name.split(".")[0] in parts:
                digest.update(name.encode() + value.tobytes())
    else:
        for name in ("weights.safetensors", "tables.safetensors"):
            digest.update((folder / name).read_bytes())
    network = network_config(folder).model_dump(mode="json", exclude_none=True)
    digest.update(json.dumps(network, sort_keys=True).encode())
    return digest.digest()[:8]


def _read(path: Path, reader):
    try:
        return reader(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"{path}: {error}; fetch the model anew") from None


def _read_config(folder: Path) -> dict:
    try:
        tree = yaml.safe_load((folder / "config.yaml").read_text())
        kind = tree.get("kind", "features")
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r}; expected one of {', '.join(KINDS)}")
        return {
            "name": str(tree["name"]),
            "licence": str(tree["licence"]),
            "network": KINDS[kind][0].model_validate(tree["network"]),
        }
    except (OSError, yaml.YAMLError, ValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{folder / 'config.yaml'}: {error}; expected a model of this version") from None


def load_weights(network: Network, name_or_folder: str | Path, parts: tuple[str, ...] | None = None) -> None:
    """Copies a model folder's weights into a network of the same backbone; what has another shape stays as it is.

    Args:
        parts: modules of the network to copy (backbone, encoder, ...); all of them by default.
    """
    path = find_model(name_or_folder) / "weights.safetensors"
    own = network.state_dict()
    fitting = {
        name: value.float() if value.is_floating_point() else value
        for name, value in _read(path, load_file).items()
        if name in own and own[name].shape == value.shape and (parts is None or name.split(".")[0] in parts)
    }
    if isinstance(network, MVSFCNet):
        essential, whose = "backbone.", f"a {network.config.backbone} backbone"
    else:
        essential, whose = "encoder.units.", f"a codec of pictures of width {network.config.width}"
    if not any(name.startswith(essential) for name in fitting):
        raise ModelError(f"{path}: no weights of {whose}; start from another model")
    network.load_state_dict(fitting, strict=False)


def save_model(network: Network, folder: Path, name: str, licence: str, card: str = "") -> Path:
    """Writes a model folder: weights in half precision, the prior exported to integers. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        k: (v.half() if v.is_floating_point() else v).detach().cpu().contiguous().clone()
        for k, v in network.state_dict().items()
    }
    save_file(weights, folder / "weights.safetensors")
    save_arrays(network.prior.export().arrays(), folder / "tables.safetensors")
    config = network.config
    tree = {
        "kind": _kind_of(config),
        "name": name,
        "licence": licence,
        "network": config.model_dump(mode="json", exclude_none=True),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    (folder / "MODEL_CARD.md").write_text(card or f"# {name}\n\nLicence: {licence}. Untrained.\n")
    return folder


def create(folder: Path, config: NetworkConfig | PictureCodecConfig | None = None, seed: int = 0) -> Path:
    """An untrained model folder: random weights, a working bitstream. For tests, and to begin a training with."""
    torch.manual_seed(seed)
    return save_model(network_of(config or NetworkConfig()), folder, name="untrained", licence="free")
