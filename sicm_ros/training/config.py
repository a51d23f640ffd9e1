# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A training stage as a configuration: YAML, typed, every field settable from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from sicm_ros.baseline import PictureCodecConfig
from sicm_ros.config import Config, ConfigError, limited
from sicm_ros.errors import InputError, ModelError
from sicm_ros.files import TreeError, read_yaml
from sicm_ros.model.folder import network_config
from sicm_ros.network import NetworkConfig


@dataclass(frozen=True, kw_only=True)
class DataSet(Config):
    """One source of training pairs.

    Attributes:
        path: a KITTI folder (any layout that sicm_ros.kitti.KittiObjects reads).
        split: its split, if not all of it.
        share: how often it is drawn, relative to the others.
        disparities: folder of disparity PNGs for images that have none of their own.
        free: whether weights that saw it may be used freely (KITTI's may not: CC BY-NC-SA).
    """

    path: Path
    split: str | None = None
    share: float = limited(1.0, gt=0)
    disparities: Path | None = None
    free: bool = True


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Config):
    """A stage.

    Attributes:
        stage: detector (uncompressed features), codec (rate, task, distillation; backbone fixed), matching (of the
            codec that part of the vehicle's network alone that names disparities), or joint (everything).
        name: of the model that comes out.
        start: model folder whose weights it starts from, or start_parts of them; ImageNet's backbone without one.
        network: what isn't said of it is as in the model of `start`.
        teacher: model folder whose detector of uncompressed features takes the place of the one that `start` has, with
            the same backbone.
        out: folder of checkpoints, log and the finished model. cache: of packed data.
        data, validation: where pairs come from; validation is never trained on.
        steps, batch, accumulate: how long, how many pairs a pass sees, and passes a step.
        crop_width: columns of a training window, pixels.
        packed_scale: size of packed images over the network's input.
        light: how strongly light, contrast, colours and noise are changed, 1 as usual: more for what was only rendered.
        coded: share of pairs whose images have been through an image codec: a detector that judges such codecs
            should know what they leave.
        learning_rate: at its peak; backbone_rate, detector_rate (of a codec's stage) and codec_rate are shares of it.
            With codec_rate=0 packets stay as they are, and the codec's detector alone follows its teacher.
        rate: bits per pixel are weighted with exp of a line from rate[0] at quality 0 to rate[1] at quality 1.
        fit_transform: a codec's stage begins with principal components (sicm_ros.training.transform); off to go on with
            a trained codec.
        prior_steps: first steps, in which the prior learns alone.
        guided_steps: steps after those, over which the teacher's disparity gives way to the vehicle's own matching.
        distil, distil_maps, distil_disparity, matching: what terms count.
    """

    stage: Literal["detector", "matching", "codec", "joint", "pictures"]
    name: str
    network: NetworkConfig = NetworkConfig()
    start: str | None = None
    start_parts: tuple[str, ...] | None = None
    teacher: str | None = None
    out: Path
    cache: Path = Path("runs/packed")
    data: tuple[DataSet, ...] = limited(min_length=1)
    validation: tuple[DataSet, ...] = ()
    steps: int = limited(gt=0)
    batch: int = limited(4, gt=0)
    accumulate: int = limited(1, gt=0)
    crop_width: int = limited(512, ge=64, multiple_of=16)
    packed_scale: float = limited(1.15, gt=0)
    light: float = limited(1.0, ge=0, le=4)
    coded: float = limited(0.0, ge=0, le=1)
    learning_rate: float = limited(1e-3, gt=0)
    backbone_rate: float = limited(0.2, ge=0)
    detector_rate: float = limited(0.3, ge=0)
    codec_rate: float = limited(1.0, ge=0)
    weight_decay: float = limited(1e-2, ge=0)
    warmup: int = limited(200, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    clip: float = limited(5.0, gt=0)
    average: float = limited(0.998, ge=0, lt=1)
    rate: tuple[float, float] = (0.0, 0.0)
    prior_steps: int = limited(0, ge=0)
    fit_transform: bool = True
    distil: float = 1.0
    distil_maps: float = 1.0
    distil_disparity: float = 4.0
    matching: float = 0.5
    guided_steps: int = limited(0, ge=0)
    mixed_precision: bool = False
    device: str = "cpu"
    workers: int = limited(1, ge=0)
    threads: int = limited(2, ge=1)
    seed: int = 0
    checkpoint_every: int = limited(200, gt=0)
    validate_every: int = limited(1000, gt=0)


@dataclass(frozen=True, kw_only=True)
class PictureTrainConfig(TrainConfig):
    """The stage that trains a codec of stereo images, for benchmarks. It reads no labels, so it validates nothing.

    Attributes:
        distortion: what a mean squared error of 1 counts, white and black being 1 apart, beside bits per pixel at their
            price.
    """

    stage: Literal["pictures"]
    network: PictureCodecConfig = PictureCodecConfig()  # type: ignore[assignment]  # another network than all the others
    validation: tuple[DataSet, ...] = limited((), max_length=0)
    distortion: float = limited(400.0, gt=0)


def _read_tree(source: str) -> dict[str, Any]:
    """Return the configuration as written, over the one that it `extends`."""
    path = Path(source)
    if path.is_file():
        text = path.read_text()
    else:
        shipped = resources.files("sicm_ros.training").joinpath(f"configs/{source}.yaml")
        if not shipped.is_file():
            names = sorted(p.name[:-5] for p in resources.files("sicm_ros.training").joinpath("configs").iterdir())
            raise InputError(f"no training configuration {source!r}; expected a file or one of {', '.join(names)}")
        text = shipped.read_text()
    try:
        tree = read_yaml(text)
    except TreeError as error:
        raise InputError(f"{source}: {error}") from None
    if not isinstance(tree, dict):
        raise InputError(f"{source}: expected a mapping of settings")
    base = tree.pop("extends", None)
    return {**_read_tree(base), **tree} if base else tree


def _start_from(tree: dict[str, Any], kind: type[Config]) -> None:
    """Let the network be that of the model it starts from, in all that the configuration doesn't say otherwise."""
    try:
        start = network_config(tree["start"]) if tree.get("start") else None
        teacher = network_config(tree["teacher"]) if tree.get("teacher") else None
    except ModelError:
        return  # not trained yet, or not there: whoever reads its weights will say so
    if isinstance(start, kind):
        below = start.tree()
        if isinstance(teacher, kind):  # what follows it names what it names
            below["detector"] = teacher.tree()["detector"]
        tree["network"] = _over(below, tree.get("network", {}))


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {**below, **above}
    return both | {k: _over(below[k], v) for k, v in above.items() if isinstance(v, dict) and k in below}


def _put(node: Any, keys: list[str], value: Any) -> None:
    """Put a value where the keys lead, of which positions in lists are numbers."""
    *parents, last = keys
    try:
        for parent in parents:
            node = node[int(parent)] if isinstance(node, list) else node.setdefault(parent, {})
        node[int(last) if isinstance(node, list) else last] = value
    except (AttributeError, IndexError, TypeError, ValueError):  # no collection, or a list without such a position
        raise InputError(f"no setting {'.'.join(keys)!r}; it would be part of {node!r}") from None


def load_config(source: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """Return a configuration by path or by name (of those that ship), with `key=value` (dots reach
    inside) put over it.
    """
    tree = _read_tree(source)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise InputError(f"{override!r}: expected key=value")
        try:
            _put(tree, key.split("."), read_yaml(value))
        except TreeError as error:
            raise InputError(f"{override!r}: expected key=value, the value in YAML ({error})") from None
    pictures = tree.get("stage") == "pictures"
    _start_from(tree, PictureCodecConfig if pictures else NetworkConfig)
    try:
        return (PictureTrainConfig if pictures else TrainConfig).parse(tree)
    except ConfigError as error:
        raise InputError(f"{source}: {error}") from None
