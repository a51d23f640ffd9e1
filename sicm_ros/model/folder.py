# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A model folder: what is in it, how it is read and written.

    config.yaml            kind, name, licence, and the network's configuration
    weights.safetensors    in half precision
    tables.safetensors     the prior, in integers
    temporal.safetensors   optional: what lets packets refer to earlier pairs, in integers (`sicm temporal`)
    *.onnx, check.safetensors   graphs for engines other than PyTorch (sicm_ros.engines.graphs)
    SHA256SUMS             of these, as sha256sum writes it
    MODEL_CARD.md

No pickle is read, ever. PyTorch is imported where a network is made, and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from sicm_ros.config import Config
from sicm_ros.engines.graphs import CHECK, GRAPHS, GraphFolder, open_graphs, remove_graphs
from sicm_ros.entropy import IntegerPrior
from sicm_ros.entropy.choice import coder_of
from sicm_ros.entropy.temporal import TemporalPrior
from sicm_ros.errors import DependencyError, ModelError
from sicm_ros.files import TreeError, read_yaml, replaced_folder
from sicm_ros.model.checksums import ModelFiles, write_sums
from sicm_ros.network import NetworkConfig
from sicm_ros.network.config import DetectorConfig

if TYPE_CHECKING:
    from torch import Tensor

MODELS = Path(__file__).parents[1] / "models"
WEIGHTS, TABLES, TEMPORAL = "weights.safetensors", "tables.safetensors", "temporal.safetensors"

Network = Any
"""An nn.Module with `config` and `prior`, of a kind that is registered."""


@dataclass(frozen=True)
class Kind:
    """What a folder may hold.

    Attributes:
        name: `kind` in config.yaml.
        config, network: class of its configuration, and what makes a network from one.
        loader: what a user reads it with.
        essential: weights whose names begin so are in every network of the kind that another one can start from.
    """

    name: str
    config: type[Config]
    network: Callable[[Any], Network]
    loader: str
    essential: str


def _mvsfc(config: NetworkConfig) -> Network:
    from sicm_ros.network.mvsfc import MVSFCNet

    return MVSFCNet(config)


FEATURES = Kind("features", NetworkConfig, _mvsfc, "sicm_ros.load", "backbone.")  # also where a folder names no kind
KINDS = {FEATURES.name: FEATURES}
ELSEWHERE = {"pictures": "sicm_ros.baseline.load"}  # kinds that are registered where they live -> what reads them


def register(kind: Kind) -> Kind:
    """Let folders be of a kind."""
    KINDS[kind.name] = kind
    return kind


# What models of before 0.9, which don't say so, name.
CLASSES_BEFORE = ("Car", "Pedestrian", "Cyclist")

_log = logging.getLogger("sicm_ros")


@dataclass(frozen=True)
class StoredModel:
    """A model folder as read.

    Attributes:
        files: of the folder, each checked when it is read.
        config: what the network is made of.
        prior: of the network, in integers, or one with the same methods (`coder_of`).
        name, licence: as config.yaml states them.
        fingerprint: bytes (8,), `fingerprint` of the folder.
        card: the text of MODEL_CARD.md, for people.
    """

    files: ModelFiles
    config: Any
    prior: IntegerPrior
    name: str
    licence: str
    fingerprint: bytes
    card: str

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.files.folder

    @cached_property
    def network(self) -> Network:
        """The network in PyTorch, in evaluation mode; ModelError if the weights are broken or of another one."""
        network = network_of(self.config)
        weights = _read(self.files, WEIGHTS, _load_tensors)
        try:
            network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
        except RuntimeError as error:
            raise ModelError(
                f"{self.folder}: weights and config.yaml do not match ({str(error).splitlines()[-1].strip()})"
            ) from None
        return network.eval()

    def graphs(self) -> GraphFolder | None:
        """Return its graphs, None if it has none; ModelError if they belong to other weights or are broken."""
        for name in (CHECK, *(f"{graph}.onnx" for graph in GRAPHS)):
            if (self.folder / name).exists():
                self.files.read(name)  # engines read the file themselves
        return open_graphs(self.folder, self.fingerprint)


def find_model(name_or_folder: str | Path) -> Path:
    """Return the folder of a model, by path or by the name of one that ships."""
    for folder in (Path(name_or_folder), MODELS / name_or_folder):
        if (folder / "config.yaml").is_file():
            return folder
    names = sorted(p.parent.name for p in MODELS.glob("*/config.yaml"))
    raise ModelError(
        f"no model {str(name_or_folder)!r}; expected a folder with config.yaml or one of {', '.join(names) or 'none'}"
    )


def open_model(name_or_folder: str | Path, kind: Kind | None = None) -> StoredModel:
    """Read all of a model but its network, which is made when it is asked for; as `read_model` otherwise."""
    folder = find_model(name_or_folder)
    if kind is not None:
        _check_kind(folder, kind)
    files = ModelFiles(folder)
    files.warn_if_unsummed()
    tree = _read_config(files)
    # All that is read comes before anything that is made of it.
    tables, weights = _read(files, TABLES, load_arrays), _read(files, WEIGHTS, load_arrays)
    broken = next((name for name, value in weights.items() if not np.isfinite(value).all()), None)
    if broken is not None:
        raise ModelError(f"{folder / WEIGHTS}: {broken} has numbers that are not finite; train it again")
    config = tree["network"]
    priors = config.codec.prior if isinstance(config, NetworkConfig) else config.prior
    prior = coder_of(priors, tables)
    if tree["licence"] != "free":
        _log.warning(
            "model %s: licence %s, since it was trained on data under such a licence", tree["name"], tree["licence"]
        )
    own = _fingerprint(files)
    prior.temporal = _temporal(files, prior, own)
    return StoredModel(files, config, prior, tree["name"], tree["licence"], own, files.page("MODEL_CARD.md"))


def _temporal(files: ModelFiles, prior: IntegerPrior, own: bytes) -> TemporalPrior | None:
    """Return the temporal prior of a folder, None if it has none."""
    path = files.folder / TEMPORAL
    if not path.exists():
        return None
    arrays = _read(files, TEMPORAL, load_arrays)
    if arrays.pop("model", np.zeros(0, np.uint8)).tobytes() != own:
        raise ModelError(f"{path}: belongs to another model; remove it, or train it again with sicm temporal")
    return TemporalPrior(prior.config, arrays)


def read_model(name_or_folder: str | Path, kind: Kind | None = None) -> StoredModel:
    """Read a model that ships, by name, or of a folder, with its network.

    Args:
        kind: that it must be of; None takes any.

    Raises:
        ModelError: there is no such model, it is of another kind, or a file of it is missing, broken or of another
            version.
    """
    stored = open_model(name_or_folder, kind)
    _ = stored.network
    return stored


def licence_of(name_or_folder: str | Path) -> str:
    """Return what a model's config.yaml states, "free" or "non-commercial"."""
    return _read_config(ModelFiles(find_model(name_or_folder)))["licence"]


def network_config(name_or_folder: str | Path) -> Any:
    """Return what a model's network is made of. Raises ModelError as `read_model` does."""
    return _read_config(ModelFiles(find_model(name_or_folder)))["network"]


def network_of(config: Config) -> Network:
    """Return an untrained network of a configuration."""
    return _kind_of(config).network(config)


def _kind_of(config: Config) -> Kind:
    return next(kind for kind in KINDS.values() if isinstance(config, kind.config))


def kind_of(name_or_folder: str | Path) -> str:
    """Return the kind that a model's config.yaml names."""
    return str(_read_tree(ModelFiles(find_model(name_or_folder))).get("kind", FEATURES.name))


def name_of(name_or_folder: str | Path) -> str:
    """Return the name that a model's config.yaml states."""
    return str(_read_tree(ModelFiles(find_model(name_or_folder))).get("name", ""))


def _check_kind(folder: Path, wanted: Kind) -> None:
    there = kind_of(folder)
    if there != wanted.name:
        loader = KINDS[there].loader if there in KINDS else ELSEWHERE.get(there)
        remedy = f"load it with {loader}" if loader else f"expected a model of {wanted.name}"
        raise ModelError(f"{folder}: a model of {there}, not of {wanted.name}; {remedy}")


def fingerprint(folder: Path, parts: tuple[str, ...] = ()) -> bytes:
    """Return 8 bytes that stand for a model: SHA-256 of weights, tables and network configuration, shortened.

    Args:
        parts: modules of the network (backbone, reference, ...) that alone count, with the configuration; all of the
            folder by default.
    """
    return _fingerprint(ModelFiles(folder), parts)


def _fingerprint(files: ModelFiles, parts: tuple[str, ...] = ()) -> bytes:
    digest = hashlib.sha256()
    if parts:
        for name, value in sorted(_read(files, WEIGHTS, load_arrays).items()):
            if name.split(".")[0] in parts:
                digest.update(name.encode() + value.tobytes())
    else:
        for name in (WEIGHTS, TABLES):
            digest.update(files.read(name))
    network = _read_config(files)["network"].tree(exclude_none=True)
    for name in ("classes", "scores", "errors"):  # what boxes are made with concerns neither packets nor weights
        network.get("detector", {}).pop(name, None)
    if network.get("detector", {}).get("head") == "centre":  # as all of before 0.9, which don't say so
        del network["detector"]["head"]
    digest.update(json.dumps(network, sort_keys=True).encode())
    return digest.digest()[:8]


def _load_tensors(data: bytes) -> dict[str, Tensor]:
    from safetensors.torch import load

    return load(data)


def _read(files: ModelFiles, name: str, reader: Callable[[bytes], dict]) -> dict:
    data = files.read(name)
    try:
        return reader(data)
    except (SafetensorError, ValueError, KeyError) as error:
        text = " ".join(str(error).split())[:200]
        raise ModelError(f"{files.folder / name}: {text}; fetch the model again") from None


def _read_tree(files: ModelFiles) -> dict:
    path = files.folder / "config.yaml"
    try:
        tree = read_yaml(files.read(path.name))
    except TreeError as error:
        raise ModelError(f"{path}: {error}; expected a model of this version") from None
    if not isinstance(tree, dict):
        raise ModelError(f"{path}: no mapping; expected a model of this version")
    return tree


def _read_config(files: ModelFiles) -> dict:
    tree = _read_tree(files)
    try:
        kind = tree.get("kind", "features")
        if kind in ELSEWHERE and kind not in KINDS:
            raise ValueError(f"kind {kind!r}, which {ELSEWHERE[kind]} reads")
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r}; expected one of {', '.join(KINDS)}")
        if kind == "features":
            known = DetectorConfig().classes
            detector = tree["network"].setdefault("detector", {})
            detector.setdefault("classes", {name: known[name] for name in CLASSES_BEFORE})
        return {
            "name": str(tree["name"]),
            "licence": str(tree["licence"]),
            "network": KINDS[kind].config.parse(tree["network"]),
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{files.folder / 'config.yaml'}: {error}; expected a model of this version") from None


def load_weights(network: Network, name_or_folder: str | Path, parts: tuple[str, ...] | None = None) -> None:
    """Copy a model folder's weights into a network of the same backbone; what has another shape stays as it is.

    Args:
        parts: modules of the network to copy (backbone, encoder, ...); all of them by default.
    """
    files = ModelFiles(find_model(name_or_folder))
    own = network.state_dict()
    weights = _read(files, WEIGHTS, _load_tensors)
    if _kind_of(network.config) is FEATURES:
        _name_classes(weights, network_config(name_or_folder), network.config)
    fitting = {
        name: value.float() if value.is_floating_point() else value
        for name, value in weights.items()
        if name in own and own[name].shape == value.shape and (parts is None or name.split(".")[0] in parts)
    }
    kind = _kind_of(network.config)
    if not any(name.startswith(kind.essential) for name in fitting):
        what = f"a {network.config.backbone} backbone" if kind is FEATURES else f"a model of {kind.name} of this width"
        raise ModelError(f"{files.folder / WEIGHTS}: no weights of {what}; start from another model")
    network.load_state_dict(fitting, strict=False)


# What a class that is new to a model begins as.
_LIKE = {"Van": "Car", "Truck": "Car"}


def _name_classes(weights: dict[str, Tensor], before: NetworkConfig, after: NetworkConfig) -> None:
    """Let the weights of detectors that name some classes name others: those that are known as they were, new ones as
    what they are like, or as nothing.
    """
    import torch

    from sicm_ros.network.detector import UNSEEN

    names, wanted = list(before.detector.classes), list(after.detector.classes)
    if names == wanted:
        return
    rows = [names.index(name) if name in names else names.index(_LIKE.get(name, names[0])) for name in wanted]
    new = [name not in names and name not in _LIKE for name in wanted]
    for part in ("detector", "reference"):
        for kind in ("weight", "bias"):
            heads = f"{part}.appearance_out.{kind}"
            if heads in weights:
                value = weights[heads]
                heat = value[rows]
                heat[new] = 0 if kind == "weight" else UNSEEN
                weights[heads] = torch.cat([heat, value[len(names) :]])


def save_model(
    network: Network, folder: Path, name: str, licence: str, card: str = "", prior: IntegerPrior | None = None
) -> Path:
    """Write a model folder: weights in half precision, the prior exported to integers. Returns the folder.

    `prior`, where it is given, is written as it is: that of a folder was exported from weights in full precision.
    It has no graphs then (`sicm export` makes them), and no temporal prior (`sicm temporal`); those of weights that
    were there before are removed.
    """
    from safetensors.torch import save as save_tensors

    weights = {
        k: (v.half() if v.is_floating_point() else v).detach().cpu().contiguous().clone()
        for k, v in network.state_dict().items()
    }
    config = network.config
    tree = {
        "kind": _kind_of(config).name,
        "name": name,
        "licence": licence,
        "network": config.tree(exclude_none=True),
    }
    with replaced_folder(folder) as part:
        (part / WEIGHTS).write_bytes(save_tensors(weights))
        remove_graphs(part)
        (part / TEMPORAL).unlink(missing_ok=True)
        (part / TABLES).write_bytes(save_arrays((prior or network.prior.export()).arrays()))
        (part / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
        (part / "MODEL_CARD.md").write_text(card or f"# {name}\n\nLicence: {licence}. Untrained.\n")
        write_sums(part)
    return folder


def change_config(folder: Path, change: Callable[[dict], None]) -> None:
    """Changes a model folder's config.yaml: `change` is given its tree, and alters it."""
    tree = _read_tree(ModelFiles(folder))
    change(tree)
    with replaced_folder(folder) as part:
        (part / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
        write_sums(part)


def export(name_or_folder: str | Path) -> list[Path]:
    """Make the graphs of a model folder, for engines other than PyTorch; return the files.

    Raises:
        ModelError: there is no such model of features, or ONNX can't hold its network.
        DependencyError: PyTorch or onnx isn't installed.
    """
    try:
        from sicm_ros.engines.export import write_graphs
    except ImportError as error:
        raise DependencyError(
            f"exporting graphs needs PyTorch and onnx ({error}): pip install 'sicm_ros[torch]'"
        ) from None
    stored = read_model(name_or_folder, FEATURES)
    if stored.config.codec.prior.entropy_models is not None:
        raise ModelError(f"{stored.folder}: its prior rounds around means in PyTorch; only engine torch can run it")
    with replaced_folder(stored.folder) as part:
        written = write_graphs(part, stored.network, stored.prior, stored.fingerprint)
        write_sums(part)
    return [stored.folder / path.name for path in written]


def save_temporal(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write a temporal prior, as `TemporalPrior` takes it, into the folder of its model; return the file."""
    own = np.frombuffer(fingerprint(folder), np.uint8)
    with replaced_folder(folder) as part:
        (part / TEMPORAL).write_bytes(save_arrays(arrays | {"model": own}))
        write_sums(part)
    return folder / TEMPORAL


def create(folder: Path, config: Config | None = None, seed: int = 0) -> Path:
    """Return an untrained model folder: random weights, a working bitstream. For tests, and to begin
    a training with.
    """
    import torch

    torch.manual_seed(seed)
    return save_model(network_of(config or NetworkConfig()), folder, name="untrained", licence="free")
