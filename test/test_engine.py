# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What computes the network: engines and types of number give what float32 in PyTorch gives, or are refused."""

from __future__ import annotations

import logging
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import sicm_ros
from sicm_ros.cli import UsageError, parser_of
from sicm_ros.errors import DependencyError, InputError, VerificationError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.model import codec
from sicm_ros.network import engine as engines
from sicm_ros.network.layers import PatchConv
from sicm_ros.network.runtime import NUMBER_TYPES
from sicm_ros.network.verification import checked_layers
from sicm_ros.nodes.parameters import DECODER, ENCODER

RIG = StereoCalibration(180.0, 180.0, 152.0, 43.0, 0.54, 310, 94)


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    world = np.random.default_rng(1).integers(0, 256, (94, 322, 3), np.uint8)
    return world[:, :310], world[:, 12:]


@pytest.fixture
def float32(small_model):
    return sicm_ros.load(small_model, engine="torch", number_type="float32")


class Slow:
    """Both sides in another engine, which is right and takes its time."""

    def __init__(self, network) -> None:
        self.vehicle, self.network = engines.VehicleGraph(network), network

    def __call__(self, inputs: np.ndarray, quality: float, rigs=None):
        time.sleep(0.05)
        with torch.inference_mode():
            if rigs is None:
                return self.vehicle(torch.from_numpy(inputs), torch.tensor([quality]))
            features = self.network.synthesise(torch.from_numpy(inputs).float(), torch.tensor([quality]))
            return features, self.network.detect(features, rigs)


class Wrong(Slow):
    """One that swaps channels, or signs."""

    def __call__(self, inputs: np.ndarray, quality: float, rigs=None):
        result = super().__call__(inputs, quality, rigs)
        if rigs is None:
            return result.roll(1, 1)
        return result[0], codec.Maps(**vars(result[1]) | {"heat": -result[1].heat})


@pytest.fixture
def engine_of(monkeypatch):
    """Puts other engines in OpenVINO's place, whether or not that is installed."""

    def put(**sides: type) -> None:
        monkeypatch.setattr(engines, "installed", lambda: True)
        monkeypatch.setattr(codec, "_COMPILED", {"vehicle": Slow, "server": Slow} | sides)

    return put


@pytest.fixture
def wrong_in_bfloat16(monkeypatch):
    """As oneDNN is on processors with AMX: a convolution that returns nonsense in bfloat16, silently."""
    right = PatchConv.forward

    def forward(self, x):
        output = right(self, x)
        return output.flip(1) if torch.is_autocast_enabled("cpu") else output

    monkeypatch.setattr(PatchConv, "forward", forward)


# Types of number


@pytest.mark.parametrize("channels", [8, 16, 24, 40])
@pytest.mark.parametrize("side", [1, 2, 4, 8])
def test_patches_are_convolved_rightly_in_both_types(channels, side):
    """Kernel = stride = 4 or 8 of 16 or 24 channels is where oneDNN is wrong in bfloat16, on processors with AMX."""
    torch.manual_seed(0)
    layer, plain = PatchConv(channels, 32, side), nn.Conv2d(channels, 32, side, side)
    plain.load_state_dict(layer.state_dict())
    x = torch.randn(2, channels, 48, 216)
    with torch.no_grad():
        expected = plain(x)
        assert torch.allclose(layer(x), expected, atol=1e-4)
        for layout in (torch.contiguous_format, torch.channels_last):
            with torch.autocast("cpu", torch.bfloat16):
                found = layer.to(memory_format=layout)(x.to(memory_format=layout))
            assert found.dtype == torch.bfloat16
            assert (found - expected).abs().mean() < 0.01 * expected.abs().mean()


def test_bfloat16_agrees_with_float32_on_the_model_that_ships(pair):
    model = sicm_ros.load("default", number_type="bfloat16")
    assert model.describe()["number_type"] == "bfloat16"
    assert "from torch in float32" in model.describe()["verified"]
    reference = sicm_ros.load("default")
    sent = [reference.decode(m.encode(*pair, RIG)).symbols for m in (reference, model)]
    assert 0 < (sent[0] != sent[1]).mean() < 0.2
    assert np.abs(sent[0] - sent[1]).mean() < 0.03 * np.abs(sent[0]).mean()


def test_float32_is_what_nobody_asked_for(small_model, float32, pair):
    """However quick another type would be here."""
    model = sicm_ros.load(small_model)
    assert (model.number_type, model.engine) == ("float32", "torch")
    assert model.encode(*pair, RIG) == float32.encode(*pair, RIG)
    for table in (ENCODER, DECODER):
        assert next(p for p in table if p.name == "number_type").default == "float32"


def test_a_type_that_is_wrong_here_is_refused_with_the_layer_named(small_model, wrong_in_bfloat16):
    with pytest.raises(VerificationError, match=r"layer .*encoder\.linear\.scales\.0 by .* use number_type float32"):
        sicm_ros.load(small_model, number_type="bfloat16")
    sicm_ros.load(small_model, number_type="float32")


def test_a_gradient_that_is_wrong_is_found():
    class WrongBackward(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return -gradient

    class Layer(nn.Linear):
        def forward(self, x):
            y = F.linear(x, self.weight, self.bias)
            return WrongBackward.apply(y) if torch.is_autocast_enabled("cpu") else y

    network = nn.Sequential(nn.Linear(16, 16), Layer(16, 16))
    with torch.autocast("cpu", torch.bfloat16):
        with checked_layers(network):
            network(torch.randn(4, 16))
        with pytest.raises(VerificationError, match="layer 1 by"), checked_layers(network, gradients=True):
            network(torch.randn(4, 16))


def test_a_type_that_there_is_not_is_refused(small_model):
    with pytest.raises(InputError, match="float32, bfloat16"):
        sicm_ros.load(small_model, number_type="float16")
    with pytest.raises(InputError, match="engine torch for number_type bfloat16"):
        sicm_ros.load(small_model, engine="openvino", number_type="bfloat16")


# Engines


def test_openvino_gives_what_torch_gives_up_to_rounding(small_model, float32, pair):
    if not engines.installed():
        pytest.skip("OpenVINO is not installed: pip install 'sicm_ros[openvino]'")
    openvino = sicm_ros.load(small_model, engine="openvino", number_type="float32")
    assert openvino.describe()["engine"] == "openvino"
    assert sys.modules["openvino_telemetry"] is None  # nothing is told to anybody
    for quality in (0.2, 1.0):
        packets = [model.encode(*pair, RIG, quality) for model in (float32, openvino)]
        sent = [float32.decode(packet).symbols for packet in packets]
        assert np.ptp(sent[0]) > 2
        different = sent[0] != sent[1]
        assert different.mean() < 0.01
        assert np.abs(sent[0] - sent[1]).max() <= 1
        # Each decodes the other's, to the same symbols and nearly the same boxes.
        results = [model.decode(packets[1]) for model in (float32, openvino)]
        assert np.array_equal(results[0].symbols, results[1].symbols)
        assert np.allclose(results[0].disparity, results[1].disparity, atol=0.01)
        for a, b in zip(results[0].features, results[1].features):
            assert torch.allclose(a, b, atol=1e-3)
    assert set(openvino.last_timings) == {"resize", "backbone and feature encoder", "entropy coding"}
    assert set(results[1].timings) == {"entropy decoding", "feature decoder and detector", "boxes"}
    batch = openvino.decode_many(packets, [None, None])
    assert np.array_equal(batch[1].symbols, results[1].symbols)
    assert np.allclose(batch[1].disparity, results[1].disparity, atol=0.01)


@pytest.mark.parametrize("side", engines.SIDES)
def test_an_engine_that_is_wrong_here_is_refused(small_model, float32, pair, engine_of, side, caplog):
    engine_of(**{side: Wrong})
    with pytest.raises(VerificationError, match=r"engine openvino in float32 on cpu .* use engine torch"):
        sicm_ros.load(small_model, engine="openvino")
    with caplog.at_level(logging.WARNING, "sicm_ros"):
        model = sicm_ros.load(small_model, engine="auto")
    assert model.engine == "torch"
    assert "engine torch takes its place" in caplog.text
    assert model.encode(*pair, RIG) == float32.encode(*pair, RIG)
    # What a process doesn't run needn't be right in it.
    other = next(s for s in engines.SIDES if s != side)
    assert sicm_ros.load(small_model, engine="auto", sides=(other,)).engine == "openvino"


def test_an_engine_that_cannot_compile_here_is_refused(small_model, monkeypatch, caplog):
    """As OpenVINO with some networks where ONEDNN_MAX_CPU_ISA is AVX2 on a processor that has more."""
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'sicm_ros[openvino]'")
    asked = []

    def compile_model(self, model, device, settings):
        asked.append(settings["INFERENCE_PRECISION_HINT"])
        raise RuntimeError("Exception from plugin.cpp:54:\nobject is not initialized\n\n")

    monkeypatch.setattr(openvino.Core, "compile_model", compile_model)
    with pytest.raises(VerificationError, match=r"cannot compile .* \(object is not initialized\); use engine torch"):
        sicm_ros.load(small_model, engine="openvino")
    with caplog.at_level(logging.WARNING, "sicm_ros"):
        assert sicm_ros.load(small_model, engine="auto").engine == "torch"
    assert "engine torch takes its place" in caplog.text
    assert set(asked) == {"f32"}


def test_auto_goes_by_what_is_right_and_not_by_time(small_model, engine_of):
    engine_of()
    assert sicm_ros.load(small_model, engine="auto").engine == "openvino"
    assert sicm_ros.load(small_model, engine="auto", number_type="bfloat16").engine == "torch"


def test_every_place_that_names_engines_and_types_names_the_same():
    """The command line and the nodes say their names without importing them, which takes a second."""
    parser = parser_of()
    for option, known in (("engine", engines.ENGINES), ("number_type", NUMBER_TYPES)):
        flag = "--" + option.replace("_", "-")
        for table in (ENCODER, DECODER):
            assert set(next(p for p in table if p.name == option).choices) == set(known)
        for name in known:
            assert getattr(parser.parse_args(["bench", "stages", flag, name]), option) == name
        with pytest.raises(UsageError):
            parser.parse_args(["bench", "speed", flag, "another"])


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
