# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""CompressAI and MVSFC-Net: ours as its model, its entropy models as our prior, its image codecs as anchors."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rendered_drive import write_objects
from safetensors.torch import load_file

import sicm_ros
from sicm_ros.benchmark import priors
from sicm_ros.benchmark.codecs import PictureCodec
from sicm_ros.benchmark.config import AnchorConfig, BenchmarkConfig
from sicm_ros.benchmark.settings import settings as points_of
from sicm_ros.bitstream import HEADER_BYTES, unpack
from sicm_ros.config import ConfigError
from sicm_ros.entropy import PriorConfig
from sicm_ros.entropy.choice import coder_of, prior_of
from sicm_ros.errors import BitstreamError, DependencyError, InputError, ModelError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.model.folder import fingerprint, load_weights, network_config
from sicm_ros.network import NetworkConfig

pytest.importorskip("sicm_ros.entropy.library", reason="CompressAI is not installed: pip install '.[compressai]'")

from sicm_ros.compressai.image_codecs import ZooCodec, load_network, new_network, zoo_codec
from sicm_ros.compressai.image_training import ImageTraining, train_images
from sicm_ros.compressai.model import StereoFeatureModel

from compressai.models import CompressionModel  # isort: skip
from compressai.optimizers import net_aux_optimizer  # isort: skip
from compressai.registry import CRITERIONS, MODELS, OPTIMIZERS  # isort: skip

PRIOR = PriorConfig(channels=8, right_channels=3, hyper_channels=4, hyper_width=8, features=8, hidden=8)
FLOAT = replace(PRIOR, entropy_models="compressai")
RATES = {"net": {"type": "Adam", "lr": 2e-3}, "aux": {"type": "Adam", "lr": 1e-2}}


def small(prior: PriorConfig) -> dict:
    """A network that is quick, as a configuration holds it."""
    return {
        "input_width": 192,
        "input_height": 64,
        "codec": {"width": 16, "search": 8, "prior": prior.tree(exclude_none=True)},
        "detector": {"width": 16, "matching_width": 8, "groups": 2, "disparities": 8, "head_width": 16},
    }


def images(batch: int = 2) -> torch.Tensor:
    """Pairs of the small network's size, (B, 6, 64, 192), of whole grey levels."""
    grey = torch.randint(0, 256, (batch, 6, 8, 24), generator=torch.Generator().manual_seed(0)).float()
    return torch.nn.functional.interpolate(grey, size=(64, 192), mode="bilinear").round() / 255


@pytest.fixture(scope="module", params=[PRIOR, FLOAT], ids=["integers", "compressai"])
def trained(request: pytest.FixtureRequest):
    """A small model after some steps with CompressAI's own loss and optimisers, and the losses of the steps."""
    torch.manual_seed(0)
    model = MODELS["mvsfc-net"](small(request.param)).train()
    criterion = CRITERIONS["FeatureRateDistortionLoss"](lmbda=1.0)
    if request.param is FLOAT:
        optimisers = net_aux_optimizer(model, RATES)
    else:  # no quantiles to learn
        optimisers = {"net": OPTIMIZERS["Adam"](model.parameters(), lr=2e-3)}
    x, losses = images(), []
    for _ in range(12):
        for optimiser in optimisers.values():
            optimiser.zero_grad()
        loss = criterion(model(x, quality=0.5), x)
        loss["loss"].backward()
        optimisers["net"].step()
        if "aux" in optimisers:
            auxiliary = model.aux_loss()
            auxiliary.backward()
            optimisers["aux"].step()
            loss["aux"] = auxiliary
        losses.append({name: value.item() for name, value in loss.items()})
    assert model.update(force=True)
    return model.eval(), losses


def test_it_is_a_model_of_compressai(trained):
    model, losses = trained
    assert MODELS["mvsfc-net"] is StereoFeatureModel
    assert isinstance(model, CompressionModel)
    assert all(a["loss"] == pytest.approx(a["mse_loss"] + a["bpp_loss"]) for a in losses)
    assert min(a["loss"] for a in losses[-3:]) < 0.9 * losses[0]["loss"]
    if model.config.codec.prior.entropy_models:
        assert losses[-1]["aux"] < losses[0]["aux"]
    else:
        assert model.aux_loss() == 0


def test_likelihoods_are_what_packets_cost(trained):
    model, _ = trained
    x = images(3)
    coded = model.compress(x, quality=0.5)
    assert coded["shape"] == (4, 12)
    with torch.no_grad():
        out = model.eval()(x, quality=model.model.decode(coded["strings"][0][0]).header.quality / 255)
    assert set(out["likelihoods"]) == {"y_left", "y_right", "z"}
    bits = -torch.cat([value.flatten() for value in out["likelihoods"].values()]).log2()
    # CompressAI's coder writes what lies beyond its tables as it is, for less than the 20 to 30 bits that such a
    # likelihood says; ours costs what it says.
    beyond = bits[bits > 20].sum().item() if model.config.codec.prior.entropy_models else 0.0
    payloads = 8 * sum(len(unpack(packet).payload) for packet in coded["strings"][0])
    total = bits.sum().item()
    assert 0.88 * (total - beyond) - 3 * 64 < payloads < 1.12 * total + 3 * 64
    assert out["features"][0].shape == (6, 24, 16, 48)
    assert out["maps"].heat.shape[0] == 3


def test_packets_decode_to_what_forward_sees(trained):
    model, _ = trained
    x = images(2)
    coded = model.compress(x, quality=0.6)
    seen = model.decompress(**coded)
    assert [f.shape for f in seen["features"]] == [(4, 24, 16, 48), (4, 40, 8, 24), (4, 112, 4, 12)]
    assert len(seen["detections"]) == 2
    # One by one or together: the left views come first.
    second = model.decompress([coded["strings"][0][1:]])
    torch.testing.assert_close(second["features"][2], seen["features"][2][[1, 3]], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(second["y_hat"], seen["y_hat"][[1, 3]])


def test_a_folder_of_it_codes_like_it(trained, tmp_path):
    model, _ = trained
    folder = model.save(tmp_path / "model")
    loaded = sicm_ros.load(folder, engine="torch")
    assert loaded.fingerprint == model.model.fingerprint
    packet = model.compress(images(1), 0.5)["strings"][0][0]
    np.testing.assert_array_equal(loaded.decode(packet).symbols, model.model.decode(packet).symbols)
    if model.config.codec.prior.entropy_models:
        with pytest.raises(ModelError, match="engine torch"):
            sicm_ros.model.export(folder)


def test_weights_must_be_made_ready_to_code():
    model = MODELS["mvsfc-net"](small(PRIOR)).eval()
    with pytest.raises(ModelError, match="call update"):
        model.compress(images(1))
    with pytest.raises(InputError, match="expected \\(B, 6, H, W\\)"):
        model(images(1)[:, :3])


def test_model_folders_come_in_and_go_out_unchanged(tmp_path):
    model = StereoFeatureModel.from_folder("default")
    assert model.model.fingerprint == fingerprint(Path(sicm_ros.__file__).parent / "models" / "default")
    again = StereoFeatureModel(network_config("default"))
    again.load_state_dict(model.state_dict())
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    assert fingerprint(model.save(tmp_path / "again")) == model.model.fingerprint
    plain = StereoFeatureModel(NetworkConfig())
    load_weights(plain, "default")
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in model.state_dict().items())
    calibration = StereoCalibration(500.0, 500.0, 432.0, 60.0, 0.54, 864, 192)
    x = torch.nn.functional.interpolate(images(1), size=(192, 864)).mul(255).round() / 255
    left, right = ((x[0, part] * 255).round().byte().permute(1, 2, 0).numpy() for part in (slice(3), slice(3, 6)))
    ours = sicm_ros.load("default", engine="torch").encode(
        np.ascontiguousarray(left), np.ascontiguousarray(right), calibration, quality=0.4
    )
    assert model.compress(x, 0.4, [calibration])["strings"] == [[ours]]
    with torch.no_grad():
        model.gain.coarsest += 0.1
    assert fingerprint(model.save(tmp_path / "changed")) != model.model.fingerprint


# The prior


@st.composite
def latents(draw):
    """Latents of both views, not rounded, a hyper latent and a quality."""
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.1, 1.0, 30.0]))
    left, right = (rng.normal(0, scale, (2, PRIOR.channels, height, width))).astype(np.float32)
    z = rng.normal(0, scale, (PRIOR.hyper_channels, -(-height // 4), -(-width // 4))).astype(np.float32)
    return left, right, z, draw(st.integers(0, 255))


@pytest.fixture(scope="module")
def coder():
    torch.manual_seed(1)
    return prior_of(FLOAT).export()


@settings(max_examples=25, deadline=None)
@given(latents())
def test_latents_come_back_within_half_a_step(coder, drawn):
    left, right, z, quality = drawn
    payload = coder.compress(left, right, z, quality)
    other = coder_of(FLOAT, coder.arrays())  # of a folder's arrays
    found = other.decompress(payload, *left.shape[1:], quality)
    coded = left, right[: FLOAT.coded(1)], z
    for sent, received in zip(coded, found, strict=True):
        assert np.abs(sent - received[: len(sent)]).max() <= 0.5 + 1e-3
    assert not found[1][FLOAT.coded(1) :].any()


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 255))
def test_bytes_of_no_encoder_crash_nothing(coder, payload, quality):
    with contextlib.suppress(BitstreamError):
        left, _, _ = coder.decompress(payload, 4, 6, quality)
        assert left.shape == (FLOAT.channels, 4, 6)


def test_a_float_prior_is_a_hyperprior():
    with pytest.raises(ConfigError, match="hyperprior=true"):
        PriorConfig(entropy_models="compressai", hyperprior=False)


def test_both_priors_cost_about_the_same_and_only_one_survives_another_machine(tmp_path):
    torch.manual_seed(0)
    integer = prior_of(PRIOR)
    rng = np.random.default_rng(0)
    pairs = []
    for level in (20, 200):
        for _ in range(4):
            left, right = np.rint(rng.laplace(0, 0.2 + level / 200, (2, PRIOR.channels, 6, 8))).astype(np.int32)
            right[PRIOR.coded(1) :] = 0
            pairs.append(priors.SymbolPair(left, right, level))
    floating = priors.starting_from(integer, FLOAT)
    assert torch.equal(floating.hyper0.bias, integer.hyper0.bias)
    found, coders = [], {}
    for name, prior in (("integers", integer), ("CompressAI's", floating)):
        first = priors.expected_bits(prior.eval(), pairs).mean().item()
        priors.learn(prior, pairs, 40, 4)
        coders[name] = prior, prior.export()
        found.append(priors.rates(name, *coders[name], pairs))
        assert priors.expected_bits(prior.eval(), pairs).mean().item() < first
    for ours, theirs in zip(*found, strict=True):
        assert ours.back == theirs.back == (4, 4)
        assert theirs.distributions == pytest.approx(ours.distributions, rel=0.3)
        assert ours.payload == pytest.approx(ours.distributions, rel=0.1, abs=8)
        assert theirs.payload == pytest.approx(theirs.distributions, rel=0.15, abs=24)  # two rANS states
    own, other = priors.decoders([1], ["bfloat16"])[0], priors.decoders([1], ["bfloat16"])[-1]
    drifted = priors.drift({"CompressAI's": coders["CompressAI's"]}, pairs, [other])
    assert own.number_type == "float32"
    assert drifted[0].same < len(pairs)
    assert drifted[0].wrong > 0.01
    assert "bfloat16" in str([c._cells for c in priors.drift_table(drifted).columns])
    # Ours with sums in float64, as another machine might have them.
    coder = priors.coder_with(PRIOR, coders["integers"][1].arrays(), "float64")
    decoded = priors.decode(coder, priors.encode(*coders["integers"], pairs), pairs)
    assert all(map(np.array_equal, decoded, (pair.symbols for pair in pairs)))


def test_a_stage_trains_with_compressais_entropy_models(tmp_path, monkeypatch):
    from sicm_ros.training import loop
    from sicm_ros.training.config import load_config

    monkeypatch.setattr(loop, "FEATURE_SAMPLES", 4)
    drive = write_objects(tmp_path / "drive", 2)
    config = load_config(
        "paper_codec",
        [
            f"data=[{{path: {drive}}}]", "validation=[]", f"out={tmp_path / 'out'}", f"cache={tmp_path / 'packed'}",
            "start=null", "network.backbone=lite", "network.input_width=256", "network.input_height=64",
            "crop_width=128", "steps=3", "batch=2", "workers=0", "threads=1", "prior_steps=1", "device=cpu",
            "mixed_precision=false", "network.codec.prior.entropy_models=compressai",
        ],
    )  # fmt: skip
    folder = loop.train(config)
    model = sicm_ros.load(folder)
    assert model.engine == "torch"
    assert model.config.codec.prior.entropy_models == "compressai"
    calibration = StereoCalibration(150.0, 150.0, 128.0, 20.0, 0.54, 256, 64)
    view = np.random.default_rng(0).integers(0, 256, (64, 256, 3), np.uint8)
    packets = [model.encode(view, view, calibration, quality=quality) for quality in (0.0, 1.0)]
    assert HEADER_BYTES < len(packets[0]) <= len(packets[1])
    assert model.decode(packets[1]).symbols.dtype == np.float32
    assert model.bits_map(view, view, calibration, 0.0).sum() / 8 == pytest.approx(len(packets[0]), rel=0.25, abs=100)


# Image codecs


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """A folder of weights of a narrow codec that was hardly trained, and what it was trained on."""
    folder = tmp_path_factory.mktemp("zoo")
    rows = np.linspace(0, 255, 96)[:, None, None] * np.ones((1, 160, 3))
    picture = (rows * [1.0, 0.8, 0.6]).astype(np.uint8)
    training = ImageTraining(quality=3, channels=(8, 12), steps=25, batch=2, crop=64, learning_rate=5e-3)
    path, losses = train_images(training, [picture], folder)
    assert path.name == "bmshj2018_hyperprior-3.safetensors"
    assert losses["bpp_loss"] > 0
    return folder, picture


def test_an_image_codec_of_the_zoo_is_an_anchor(zoo):
    folder, picture = zoo
    codec = PictureCodec("bmshj2018_hyperprior", threads=1, weights=str(folder))
    codec.check()
    sent = np.stack([picture, picture[:, ::-1]])
    streams = codec.encode(sent, 3)
    assert len(streams) == 2
    received = codec.decode(streams, 160, 96)
    assert received.shape == sent.shape
    untrained = ZooCodec.__new__(ZooCodec)
    untrained.network = new_network("bmshj2018_hyperprior", 3, (8, 12)).eval()
    untrained.network.update()
    worst = np.abs(untrained.decode(untrained.encode(picture)).astype(float) - picture).mean()
    assert np.abs(received.astype(float) - sent).mean() < 0.8 * worst
    # What is decoded is what the network makes of the picture: nothing is lost on the way.
    with torch.no_grad():
        x = np.pad(picture, ((0, 32), (0, 32), (0, 0)), "edge")
        out = zoo_codec("bmshj2018_hyperprior", 3, str(folder)).network(
            torch.from_numpy(x).permute(2, 0, 1)[None] / 255
        )
    again = (out["x_hat"][0, :, :96, :160].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.abs(again.astype(int) - received[0]).max() <= 1
    with pytest.raises(InputError, match="whole number"):
        codec.encode(sent, 2.5)
    with pytest.raises(ModelError, match=r"bmshj2018_hyperprior-4.*no such file.*sicm bench zoo"):
        codec.encode(sent, 4)


def test_a_quality_goes_on_from_another(zoo, tmp_path):
    folder, picture = zoo
    shutil.copytree(folder, tmp_path / "zoo")
    training = ImageTraining(quality=4, start=3, steps=1, batch=2, crop=64, learning_rate=1e-6)
    path, _ = train_images(training, [picture], tmp_path / "zoo")
    assert path.name == "bmshj2018_hyperprior-4.safetensors"
    before, after = (load_file(path.with_name(f"bmshj2018_hyperprior-{quality}.safetensors")) for quality in (3, 4))
    assert before.keys() == after.keys()
    for name in ("g_a.0.weight", "g_s.6.weight", "h_a.0.weight"):
        assert torch.allclose(before[name], after[name], atol=1e-5)
        assert not torch.equal(before[name], after[name])
    codec = ZooCodec("bmshj2018_hyperprior", 4, tmp_path / "zoo")
    assert codec.decode(codec.encode(picture)).shape == picture.shape
    with pytest.raises(ModelError, match=r"bmshj2018_hyperprior-2.*no such file"):
        train_images(replace(training, start=2), [picture], tmp_path / "zoo")


def test_pretrained_weights_come_from_pytorchs_cache_or_are_asked_for(tmp_path, monkeypatch):
    from urllib.error import URLError

    def offline(*_):
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: offline())
    with pytest.raises(
        ModelError, match=r"mbt2018-mean at quality 1: .*mbt2018-mean-1-e522738d\.pth\.tar there, or set"
    ):
        load_network("mbt2018_mean", 1)
    narrow = new_network("mbt2018_mean", 1, (8, 12))
    (tmp_path / "checkpoints").mkdir(exist_ok=True)
    torch.save(narrow.state_dict(), tmp_path / "checkpoints" / "mbt2018-mean-1-e522738d.pth.tar")
    network = load_network("mbt2018_mean", 1)
    assert torch.equal(network.g_a[0].weight, narrow.g_a[0].weight)
    (tmp_path / "checkpoints" / "mbt2018-mean-2-e54a039d.pth.tar").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="no weights of mbt2018_mean"):
        load_network("mbt2018_mean", 2)
    with pytest.raises(InputError, match="quality 9; expected one of 1, 2"):
        load_network("mbt2018_mean", 9)
    with pytest.raises(InputError, match="no 'jpeg2000'"):
        load_network("jpeg2000", 1)


def test_a_benchmark_tells_weights_apart(zoo, tmp_path):
    folder, _ = zoo
    tree = {"codec": "bmshj2018_hyperprior", "model": str(folder), "qualities": {"input": [3]}}
    config = BenchmarkConfig.parse(
        {"qualities": [0.5], "datasets": {"d": {"path": "x"}}, "anchors": {"a": tree, "b": {**tree, "model": None}}}
    )
    points = {point.anchor: point for point in points_of(config, config.datasets["d"])}
    assert points["a"].variant.startswith("input864x192-")
    assert points["b"].variant == "input864x192"
    assert points["a"].coder().suffixes == ("left.cai", "right.cai")
    with pytest.raises(ConfigError, match="jpeg takes no weights"):
        AnchorConfig.parse({**tree, "codec": "jpeg"})
    with pytest.raises(ConfigError, match="expected 1 to 6"):
        AnchorConfig.parse({**tree, "codec": "cheng2020_attn", "qualities": {"input": [7]}})
    other = BenchmarkConfig.parse({**config.tree(), "anchors": {"a": {**tree, "model": str(tmp_path)}}})
    with pytest.raises(InputError, match="no weights in it"):
        points_of(other, other.datasets["d"])


def test_what_is_missing_is_told(monkeypatch):
    from sicm_ros.entropy import library

    monkeypatch.setitem(sys.modules, "compressai.ans", None)
    with pytest.raises(DependencyError, match=r"pip install 'sicm_ros\[compressai\]'"):
        importlib.reload(library)
