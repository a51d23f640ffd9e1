# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Configurations: what is read, what is refused and where, and what is written back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import pytest
import yaml

from sicm_ros.benchmark.config import BenchmarkConfig
from sicm_ros.config import Config, ConfigError, limited
from sicm_ros.errors import InputError, ModelError
from sicm_ros.model.folder import MODELS, change_config, create, fingerprint, read_model
from sicm_ros.network import NetworkConfig
from sicm_ros.training.config import load_config


@dataclass(frozen=True, kw_only=True)
class Wheel(Config):
    radius: float = limited(gt=0)
    spokes: int = limited(32, ge=3, multiple_of=2)


@dataclass(frozen=True, kw_only=True)
class Bicycle(Config):
    kind: Literal["road", "cargo"] = "road"
    name: str | None = None
    bell: bool = True
    front: Wheel = Wheel(radius=0.35)
    spares: tuple[Wheel, ...] = ()
    gears: tuple[int, int] = (2, 11)
    pressures: dict[Literal["front", "rear"], float] = limited({}, max_length=1)
    manual: Path | None = None

    def check(self) -> None:
        if self.kind == "cargo" and self.spares:
            raise ValueError("a cargo bicycle carries no spares")


WHOLE = {
    "kind": "road",
    "name": "old one",
    "bell": False,
    "front": {"radius": 0.3, "spokes": 8},
    "spares": [{"radius": 1.0, "spokes": 32}],
    "gears": [1, 7],
    "pressures": {"rear": 6.5},
    "manual": "docs/manual.md",
}


def test_a_tree_comes_back_as_it_was_read():
    bicycle = Bicycle.parse(WHOLE)
    assert bicycle.spares == (Wheel(radius=1),)
    assert bicycle.manual == Path("docs/manual.md")
    assert bicycle.tree() == WHOLE
    assert json.loads(json.dumps(bicycle.tree())) == WHOLE
    assert Bicycle.parse(bicycle.tree()) == bicycle
    assert pickle.loads(pickle.dumps(bicycle)) == bicycle  # sent to worker processes


def test_defaults_are_read_too_and_what_is_none_can_be_left_out():
    tree = Bicycle().tree(exclude_none=True)
    assert set(tree) == set(WHOLE) - {"name", "manual"}
    assert tree["front"] == {"radius": 0.35, "spokes": 32}
    assert Bicycle().tree()["manual"] is None


def test_numbers_have_the_kind_that_is_asked_for():
    radius = Wheel(radius=1).radius
    assert isinstance(radius, float)
    assert Wheel.parse(yaml.safe_load("radius: 5e-1")).radius == 0.5  # YAML 1.1 takes that for a text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"front": {"radius": 0}}, "front.radius: 0.0; expected above 0"),
        ({"front": {"radius": float("nan")}}, "front.radius: nan; expected a number"),
        ({"front": {"radius": True}}, "front.radius: True; expected a number"),
        ({"front": {}}, "front.radius: missing; it has no default"),
        ({"front": 3}, "front: 3; expected a mapping of radius, spokes"),
        ({"front": None}, "front: None; expected a mapping of radius, spokes"),
        (
            {"spares": [{"radius": 1}, {"radius": 1, "spokes": 5}]},
            "spares.1.spokes: 5; expected at least 3, a multiple of 2",
        ),
        ({"spares": {"radius": 1}}, "spares: {'radius': 1}; expected a list"),
        ({"spares": [{"radius": 1, "spoke": 5}]}, "spares.0.spoke: unknown; did you mean spokes?"),
        ({"wings": 2}, "wings: unknown; expected some of kind, name, bell"),
        ({3: 2}, "3: unknown; expected some of kind"),
        ({"gears": [1]}, "gears: [1]; expected 2 values"),
        ({"gears": [1, 1.5]}, "gears.1: 1.5; expected an integer"),
        ({"gears": [1, False]}, "gears.1: False; expected an integer"),
        ({"gears": "12"}, "gears: '12'; expected a list"),
        ({"bell": "no"}, "bell: 'no'; expected true or false"),
        ({"name": 3}, "name: 3; expected a string"),
        ({"manual": 3}, "manual: 3; expected a string"),
        ({"kind": "race"}, "kind: 'race'; expected 'road' or 'cargo'"),
        ({"kind": ["road"]}, "kind: ['road']; expected 'road' or 'cargo'"),
        ({"pressures": {"middle": 1}}, "pressures.middle: 'middle'; expected 'front' or 'rear'"),
        ({"pressures": {"rear": "much"}}, "pressures.rear: 'much'; expected a number"),
        ({"pressures": {"front": 1, "rear": 1}}, "pressures: 2 given; expected at most 1 of them"),
        ({"pressures": [1]}, "pressures: [1]; expected a mapping"),
        ({"kind": "cargo"}, "a cargo bicycle carries no spares"),
    ],
)
def test_what_is_wrong_is_told_with_the_way_to_it(change, message):
    with pytest.raises(InputError) as caught:
        Bicycle.parse(WHOLE | change)
    assert str(caught.value).startswith(message)


def test_a_configuration_is_checked_however_it_is_made_and_stays_as_it_is():
    with pytest.raises(ConfigError, match=r"^spokes: 7; expected"):
        Wheel(radius=1, spokes=7)
    with pytest.raises(ConfigError, match="carries no spares"):
        dataclasses.replace(Bicycle.parse(WHOLE), kind="cargo")
    with pytest.raises(dataclasses.FrozenInstanceError):
        Wheel(radius=1).radius = 2
    with pytest.raises(ConfigError, match="expected a mapping of kind"):
        Bicycle.parse(None)


def test_the_tree_that_models_are_known_by_stays_as_it_is():
    # Its JSON is part of every model's fingerprint: another spelling of a number would make known models unknown.
    tree = {
        "input_width": 256,
        "input_height": 96,
        "codec": {"compensation": False, "width": 16, "prior": {"channels": 8, "hyper_channels": 4}},
        "detector": {"width": 16, "matching_width": 8, "groups": 4, "disparities": 8, "head_width": 16},
    }
    written = NetworkConfig.parse(tree).tree(exclude_none=True)["codec"]
    assert json.dumps(written, sort_keys=True) == (
        '{"compensation": false, "contextual_transform": true, "matching": {"disparities": 24, "groups": 4, '
        '"head_width": 32, "matching_width": 16, "refine_width": 24, "width": 24}, "prior": {"channels": 8, "context": '
        'true, "cross_view": true, "features": 32, "hidden": 64, "hyper_channels": 4, "hyper_width": 48, "hyperprior": '
        'true}, "scales_jointly": true, "search": 24, "width": 16}'
    )


# SHA-256 of the weights of models that have shipped -> their fingerprints, which packets out there carry.
SHIPPED = {
    "59cc889a40092c45": "98e60757b8b4b423",  # default of 0.8.0
    "ded128a156f88530": "4a3219fa5fefe4dd",  # free of 0.8.0
}


@pytest.mark.parametrize("name", sorted(path.parent.name for path in MODELS.glob("*/config.yaml")))
def test_models_that_have_shipped_keep_their_fingerprints(name: str):
    weights = hashlib.sha256((MODELS / name / "weights.safetensors").read_bytes()).hexdigest()[:16]
    now = fingerprint(MODELS / name).hex()
    assert now == SHIPPED.get(weights, now)


def test_a_model_of_a_wrong_configuration_is_refused_in_one_line(tmp_path):
    folder = create(tmp_path / "m", NetworkConfig(input_width=64, input_height=64))
    change_config(folder, lambda tree: tree["network"]["codec"]["prior"].update(channels=300))
    with pytest.raises(
        ModelError, match=r"config\.yaml: codec\.prior\.channels: 300; expected at least 1, at most 256"
    ):
        read_model(folder)


def test_every_configuration_that_ships_is_read_and_comes_back():
    for path in resources.files("sicm_ros.training").joinpath("configs").iterdir():
        config = load_config(path.name[:-5])
        assert type(config).parse(json.loads(json.dumps(config.tree()))) == config
    for path in resources.files("sicm_ros.benchmark").joinpath("configs").iterdir():
        config = BenchmarkConfig.parse(yaml.safe_load(path.read_text()))
        assert BenchmarkConfig.parse(json.loads(json.dumps(config.tree()))) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.codec.prior.channels=300", r"lite_codec: network\.codec\.prior\.channels: 300; expected"),
        ("learning_rate=fast", "lite_codec: learning_rate: 'fast'; expected a number"),
        ("data.0.share=0", r"lite_codec: data\.0\.share: 0\.0; expected above 0"),
        ("data.9.share=1", r"no setting 'data\.9\.share'"),
        ("data.x.share=1", r"no setting 'data\.x\.share'"),
        ("name.x=1", r"no setting 'name\.x'"),
        ("name=[", "the value in YAML"),
    ],
)
def test_a_wrong_override_is_told(override, message):
    with pytest.raises(InputError, match=message):
        load_config("lite_codec", [override])
    assert load_config("lite_codec", ["learning_rate=1e-3"]).learning_rate == 1e-3
