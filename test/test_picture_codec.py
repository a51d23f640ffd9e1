# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The benchmark's learned codec of stereo pictures: network, packets, folder, training, and a run of the benchmark."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import interrupted
from rendered_drive import write_objects
from safetensors.torch import load_file

import sicm_ros
from sicm_ros import baseline
from sicm_ros.baseline import PictureCodecConfig, PictureModel
from sicm_ros.baseline.network import StereoPictureNetwork, cosine_blocks
from sicm_ros.benchmark import run
from sicm_ros.benchmark.comparison import panels
from sicm_ros.benchmark.config import BenchmarkConfig
from sicm_ros.benchmark.results import read_results
from sicm_ros.bitstream import unpack
from sicm_ros.cli import main
from sicm_ros.entropy import PriorConfig
from sicm_ros.errors import BitstreamError, InputError, ModelError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.kitti import KittiObjects
from sicm_ros.model import Model, create
from sicm_ros.network.smfc import ContextualTransform
from sicm_ros.training.config import load_config
from sicm_ros.training.loop import train

PRIOR = PriorConfig(channels=16, hyper_channels=4, hyper_width=8, features=8, hidden=16)
SMALL = PictureCodecConfig(input_width=128, input_height=64, width=16, search=8, prior=PRIOR)
QUALITY = 0.2  # at which no symbol is beyond the reach of an untrained prior's tables


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def drive(tmp_path_factory) -> Path:
    return write_objects(tmp_path_factory.mktemp("drive"), 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return create(tmp_path_factory.mktemp("model") / "pictures", SMALL)


@pytest.fixture(scope="module")
def model(folder) -> PictureModel:
    return baseline.load(folder)


@pytest.fixture(scope="module")
def pair(drive):
    return KittiObjects(drive)[0]


@pytest.fixture(scope="module")
def packet(model, pair) -> bytes:
    return model.encode_pictures(pair.left, pair.right, pair.calibration, QUALITY)


def smooth_pair(seed: int = 0) -> torch.Tensor:
    """(2, 3, 64, 128): texture as coarse as much of a road's, 8 pixels further left in the right view."""
    coarse = torch.rand(1, 3, 8, 18, generator=torch.Generator().manual_seed(seed)) * 255
    wide = torch.nn.functional.interpolate(coarse, size=(64, 144), mode="bicubic").clamp(0, 255)
    return torch.cat([wide[..., :128], wide[..., 8:136]])


def awake(network: StereoPictureNetwork) -> StereoPictureNetwork:
    """What begins silent says something, as after some steps."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().max() == 0:
                parameter.normal_(std=0.05)
    return network


def resealed(data: bytes) -> bytes:
    """The same bytes with the checksum that they should have: damage that a checksum can't show."""
    return data[:20] + struct.pack("<I", zlib.crc32(data[24:], zlib.crc32(data[:20]))) + data[24:]


# The network


def test_shapes_and_range():
    network = awake(StereoPictureNetwork(SMALL)).eval()
    quality = torch.tensor([0.2, 0.9])
    pictures = torch.cat([smooth_pair(), smooth_pair(1)])[[0, 2, 1, 3]]  # left views first
    with torch.no_grad():
        latents = network.analyse(pictures, quality)
        assert latents.shape == (4, 16, 4, 8)
        rebuilt = network.synthesise(50 * torch.randn_like(latents).round(), quality)
        coded = network.code(pictures, quality)
    assert rebuilt.shape == pictures.shape
    assert rebuilt.min() == 0
    assert rebuilt.max() == 255
    assert coded.pictures.shape == pictures.shape
    assert coded.bits.shape == (2,)


def test_the_default_is_of_the_size_of_its_peers():
    network = StereoPictureNetwork(PictureCodecConfig())
    assert 1e6 < sum(p.numel() for p in network.parameters()) < 2.1e6
    strides = sum(isinstance(m, ContextualTransform) for m in network.modules())
    assert strides == 6  # three in the encoder, three in the decoder


def test_gradients_reach_every_parameter():
    network = awake(StereoPictureNetwork(SMALL))
    pictures = smooth_pair()
    used = torch.zeros(())
    for quality in (0.0, 0.5, 1.0):
        coded = network.code(pictures, torch.tensor([quality]))
        used = used + coded.bits.sum() / 1000 + (coded.pictures - pictures).square().mean()
    used.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if not name.startswith("prior."):  # where that is sure of a zero, some of it has nothing to learn
            assert parameter.grad.abs().max() > 0, name


def test_before_training_latents_are_about_one_and_symbols_say_something_at_every_quality():
    network = StereoPictureNetwork(PictureCodecConfig(input_width=128, input_height=64))
    pictures = smooth_pair()
    with torch.no_grad():
        latents = network.analyse(pictures, torch.zeros(1)) / network.gain(torch.zeros(1))[:, :96]
        assert 0.2 < latents.square().mean().sqrt() < 5
        for quality in (0.0, 0.5, 1.0):
            symbols = network.analyse(pictures, torch.tensor([quality])).round()
            assert symbols.abs().max() > 0


def test_before_training_it_is_a_transform_codec_whose_rate_and_error_follow_quality():
    network = StereoPictureNetwork(PictureCodecConfig(input_width=128, input_height=64))
    pictures = smooth_pair()
    bits, errors = [], []
    with torch.no_grad():
        for quality in (0.0, 0.25, 0.5, 0.75, 1.0):
            coded = network.code(pictures, torch.tensor([quality]))
            bits.append(coded.bits.item())
            errors.append((coded.pictures - pictures).square().mean().item())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.06 * pictures.var()
    assert bits == sorted(bits)


def test_cosine_blocks_are_orthonormal_and_begin_with_the_mean():
    blocks = cosine_blocks(48).flatten(1)
    torch.testing.assert_close(blocks @ blocks.T, torch.eye(48), atol=1e-5, rtol=0)
    assert blocks[0].std() < 1e-6


@pytest.mark.parametrize("view", [0, 1])
def test_each_view_looks_at_the_other(view):
    network = awake(StereoPictureNetwork(SMALL)).eval()
    pictures = smooth_pair()
    other = pictures.clone()
    other[1 - view] = smooth_pair(2)[0]
    quality = torch.ones(1)
    with torch.no_grad():
        a, b = (network.analyse(p, quality)[view] for p in (pictures, other))
        assert not torch.allclose(a, b)
        symbols = torch.randn(2, 16, 4, 8).round()
        changed = symbols.clone()
        changed[1 - view] = 0
        a, b = (network.synthesise(s, quality)[view] for s in (symbols, changed))
        assert not torch.allclose(a, b)


# Packets


def test_symbols_come_back_exactly_and_pictures_with_their_calibration(model, pair, packet):
    with torch.inference_mode():
        views = model._views_of(pair.left, pair.right, pair.calibration)
        level = unpack(packet).quality
        sent = model._rounded(model.network.analyse(views, model._quality(level)))
        reading = model.read(packet, None)
        np.testing.assert_array_equal(reading.symbols, np.stack([sent.left, sent.right]))
        assert np.abs(sent.left).max() > 0
        expected = model.network.synthesise(torch.from_numpy(reading.symbols).float(), model._quality(level))
    decoded = model.decode_pictures(packet)
    left, right, calibration = decoded.left, decoded.right, decoded.calibration
    for picture, rebuilt in zip((left, right), expected):
        assert picture.dtype == np.uint8
        assert picture.shape == (64, 128, 3)
        assert np.abs(picture - rebuilt.permute(1, 2, 0).numpy()).max() < 0.51
    # The source's calibration travels as float32.
    assert calibration.fx == pytest.approx(model.view(pair.calibration).calibration.fx, rel=1e-6)
    assert (calibration.width, calibration.height) == (128, 64)


def test_the_same_pair_gives_the_same_bytes_and_the_same_bytes_the_same_pictures(folder, model, pair, packet):
    again = baseline.load(folder)
    assert again.encode_pictures(pair.left, pair.right, pair.calibration, QUALITY) == packet
    once, twice = model.decode_pictures(packet), again.decode_pictures(packet)
    np.testing.assert_array_equal(once.left, twice.left)
    np.testing.assert_array_equal(once.right, twice.right)
    assert once.calibration == twice.calibration


def test_pictures_come_back_better_for_more_bytes(tmp_path):
    model = baseline.load(create(tmp_path / "m", PictureCodecConfig(input_width=128, input_height=64)))
    left, right = smooth_pair().permute(0, 2, 3, 1).round().to(torch.uint8).numpy()
    calibration = StereoCalibration(76.0, 76.0, 63.5, 17.0, 0.5, 128, 64)
    packets = [model.encode_pictures(left, right, calibration, quality) for quality in (0.0, 0.4)]
    errors = [np.square(model.decode_pictures(data).left.astype(float) - left).mean() for data in packets]
    assert len(packets[0]) < len(packets[1])
    assert errors[1] < 0.3 * errors[0]


def test_damaged_packets_are_refused_in_words(model, packet):
    random = np.random.default_rng(3)
    hostile = [b"", packet[:10], packet[:-1], packet + b"\0", b"JPEG" + packet[4:]]
    hostile += [packet[:at] + bytes([packet[at] ^ 1]) + packet[at + 1 :] for at in range(0, len(packet), 97)]
    hostile += [resealed(packet[:60]), resealed(packet[:48] + random.bytes(len(packet) - 48))]
    for data in hostile:
        with pytest.raises(BitstreamError):
            model.decode_pictures(data)


def test_a_packet_without_calibration_is_refused(model, pair):
    with torch.inference_mode():
        symbols = model._rounded(
            model.network.analyse(model._views_of(pair.left, pair.right, pair.calibration), torch.ones(1))
        )
    data = model.write(symbols, pair.calibration, 255, include_calibration=False)
    with pytest.raises(BitstreamError, match="no calibration in it"):
        model.decode_pictures(data)


def test_a_packet_of_a_picture_a_pixel_wide_is_refused(model, pair):
    with torch.inference_mode():
        symbols = model._rounded(
            model.network.analyse(model._views_of(pair.left, pair.right, pair.calibration), torch.ones(1))
        )
    narrow = StereoCalibration(0.5, 0.5, 0.5, 45.5, 0.54, 1, 16000)
    with pytest.raises(BitstreamError, match="no model can process"):
        model.decode_pictures(model.write(symbols, narrow, 255))


def test_packets_of_another_model_are_refused(tmp_path, tiny_model, model, pair, packet):
    features = sicm_ros.load(tiny_model)
    other = baseline.load(create(tmp_path / "other", SMALL, seed=1))
    for data in (
        other.encode_pictures(pair.left, pair.right, pair.calibration, 0.5),
        features.encode(pair.left, pair.right, pair.calibration, 0.5),
    ):
        with pytest.raises(BitstreamError, match="both sides need the same model"):
            model.decode_pictures(data)
    with pytest.raises(BitstreamError, match="both sides need the same model"):
        features.decode(packet)


def test_wrong_input_is_told(model, pair):
    with pytest.raises(InputError, match="quality is 2"):
        model.encode_pictures(pair.left, pair.right, pair.calibration, 2)
    with pytest.raises(InputError, match="as the calibration says"):
        model.encode_pictures(pair.left[1:], pair.right, pair.calibration)


# The folder


def test_the_folder_says_which_kind_of_model_it_is(folder, model, tiny_model, tmp_path):
    assert isinstance(model, PictureModel)
    assert yaml.safe_load((folder / "config.yaml").read_text())["kind"] == "pictures"
    assert sorted(p.name for p in folder.iterdir()) == [
        "MODEL_CARD.md", "SHA256SUMS", "config.yaml", "tables.safetensors", "weights.safetensors",
    ]  # fmt: skip
    old = tmp_path / "old"
    old.mkdir()
    for path in tiny_model.iterdir():
        if path.name != "SHA256SUMS":  # as in folders of before there were any
            (old / path.name).write_bytes(path.read_bytes())
    tree = yaml.safe_load((old / "config.yaml").read_text())
    del tree["kind"]  # nor kinds
    (old / "config.yaml").write_text(yaml.safe_dump(tree))
    assert isinstance(sicm_ros.load(old), Model)
    assert sicm_ros.load(old).fingerprint == sicm_ros.load(tiny_model).fingerprint
    (old / "config.yaml").write_text(yaml.safe_dump({**tree, "kind": "sound"}))
    with pytest.raises(ModelError, match="a model of sound, not of features; expected a model of features"):
        sicm_ros.load(old)


def test_info_tells_of_it(folder, capsys):
    assert main(["info", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "128 x 64" in told
    assert "parameters" in told


def test_a_folder_of_the_other_kind_is_refused_by_name_with_the_remedy(folder, tiny_model):
    with pytest.raises(ModelError, match=r"of pictures, not of features; load it with sicm_ros\.baseline\.load"):
        sicm_ros.load(folder)
    with pytest.raises(ModelError, match=r"a model of features, not of pictures; load it with sicm_ros\.load"):
        baseline.load(tiny_model)


# Training


def tiny(drive, out: Path, *more: str):
    return load_config(
        "lite_pictures",
        [
            f"data=[{{path: {drive}}}]", f"out={out}", f"cache={out.parent / 'packed'}", "network.input_width=128",
            "network.input_height=64", "network.width=16", "network.prior.channels=16", "crop_width=64", "steps=4",
            "batch=2", "workers=0", "threads=1", "prior_steps=1", "checkpoint_every=2", *more,
        ],
    )  # fmt: skip


def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(drive, tmp_path, monkeypatch):
    whole = train(tiny(drive, tmp_path / "whole"))
    config = tiny(drive, tmp_path / "interrupted")
    interrupted(monkeypatch, config, 4)
    resumed = train(config)
    a, b, start = (
        load_file(path / "weights.safetensors") for path in (whole, resumed, create(tmp_path / "start", config.network))
    )
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], start[name]) for name in a)
    model = baseline.load(resumed)
    assert "Stage pictures" in model.card


def test_what_does_not_belong_to_the_stage_is_refused(drive, tmp_path, tiny_model):
    with pytest.raises(InputError, match="validation"):
        tiny(drive, tmp_path / "x", f"validation=[{{path: {drive}}}]")
    with pytest.raises(InputError, match="backbone"):
        tiny(drive, tmp_path / "x", "network.backbone=lite")
    with pytest.raises(ModelError, match="no weights of a model of pictures"):
        train(tiny(drive, tmp_path / "x", f"start={tiny_model}"))


# The benchmark


def test_a_benchmark_counts_its_packets_and_looks_at_its_pictures(drive, tmp_path, tiny_model, folder):
    tree = {
        "model": str(tiny_model),
        "qualities": [0.5],
        "datasets": {"drive": {"what": "two frames", "path": str(drive)}},
        "anchors": {
            "stereo_image_codec": {"codec": "learned", "model": str(folder), "qualities": {"input": [0, 1]}},
        },
        "replicates": 2,
    }
    out = tmp_path / "out"
    config = run.prepare(BenchmarkConfig.parse(tree), out, {})
    assert run.run(config, out, threads=1) == []
    (results,) = read_results(config, out)
    points = results.curves["stereo_image_codec"]
    assert [m.setting.quality for m in points] == [0, 1]
    for m in points:
        files = list((out / "drive" / m.setting.folder / "streams").glob("*.sicp"))
        assert len(files) == 2
        assert m.point.bytes_per_pair * 2 == sum(path.stat().st_size for path in files)
        assert len(list((out / "drive" / m.setting.folder).glob("*/*.txt"))) == 2
    assert points[0].point.bytes_per_pair < points[1].point.bytes_per_pair
    # Its images are what the report shows, not the camera's.
    frame = KittiObjects(drive)[0]
    shown, camera = panels(results, frame, [points[1], results.curves["ours"][0]], out)
    assert shown.picture.shape[0] / shown.picture.shape[1] == pytest.approx(64 / 128, abs=0.01)
    assert camera.picture.shape[0] / camera.picture.shape[1] == pytest.approx(96 / 312, abs=0.01)
