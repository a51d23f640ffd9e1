"""The vehicle's network in OpenVINO: it gives what PyTorch gives, and what is said where it isn't installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import sicm_ros
from sicm_ros.cli import UsageError, parser_of
from sicm_ros.errors import DependencyError, InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.network import engine as engines
from sicm_ros.nodes.parameters import ENCODER

RIG = StereoCalibration(180.0, 180.0, 152.0, 43.0, 0.54, 310, 94)


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    world = np.random.default_rng(1).integers(0, 256, (94, 322, 3), np.uint8)
    return world[:, :310], world[:, 12:]


def test_openvino_gives_the_latents_of_torch_up_to_rounding(small_model, pair):
    if not engines.installed():
        pytest.skip("OpenVINO is not installed: pip install 'sicm_ros[openvino]'")
    torch_, openvino = (sicm_ros.load(small_model, engine=name) for name in ("torch", "openvino"))
    assert openvino.describe()["engine"] == "openvino"
    assert sys.modules["openvino_telemetry"] is None  # nothing is told to anybody
    for quality in (0.2, 1.0):
        sent = [torch_.decode(model.encode(*pair, RIG, quality)).symbols for model in (torch_, openvino)]
        assert np.ptp(sent[0]) > 2
        different = sent[0] != sent[1]
        assert different.mean() < 0.01
        assert np.abs(sent[0] - sent[1]).max() <= 1
    assert set(openvino.last_timings) == {"resize", "backbone and feature encoder", "entropy coding"}


def test_every_place_that_names_engines_names_the_same():
    """The command line and the nodes say their names without importing them, which takes a second."""
    node = next(p for p in ENCODER if p.name == "engine").choices
    parser = parser_of()
    line = parser.parse_args(["bench", "speed", "--engine", "auto"]).engine
    assert set(node) == set(engines.ENGINES)
    assert line in engines.ENGINES
    with pytest.raises(UsageError):
        parser.parse_args(["bench", "speed", "--engine", "another"])
    for name in engines.ENGINES:
        assert parser.parse_args(["bench", "stages", "--engine", name]).engine == name


def test_auto_is_torch_where_there_is_no_other(small_model, pair, monkeypatch):
    monkeypatch.setattr(engines, "installed", lambda: False)
    model = sicm_ros.load(small_model, engine="auto")
    assert model.engine == "torch"
    model.encode(*pair, RIG)
    with pytest.raises(DependencyError, match="sicm_ros\\[openvino\\]"):
        sicm_ros.load(small_model, engine="openvino")


def test_an_engine_that_there_is_not_is_refused(small_model):
    with pytest.raises(InputError, match="openvino, auto"):
        sicm_ros.load(small_model, engine="tensorrt")
