# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The anchors are real codecs: what goes in comes out, each image in its place."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sicm_ros.benchmark import ffmpeg
from sicm_ros.benchmark.codecs import PictureCodec
from sicm_ros.benchmark.feature_anchor import Tiling
from sicm_ros.errors import DependencyError, InputError

pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed: pip install '.[bench]'")

WIDTH, HEIGHT = 131, 75  # odd, as KITTI's images may be
QUALITY = {"jpeg": 80, "webp": 80, "jxl": 1, "avif": 20, "x265": 20, "svtav1": 20, "vvc": 20}
FASTEST = {"x265": "ultrafast", "svtav1": "10", "vvc": "faster", "avif": "8", "jxl": "3"}
CASES = [(codec, "intra") for codec in QUALITY]
CASES += [(codec, mode) for codec in ("x265", "svtav1", "vvc") for mode in ("two_view", "interleaved", "stacked")]


def pair(shift: int = 0) -> np.ndarray:
    """Left and right of a textured wall, uint8 (2, HEIGHT, WIDTH, 3); the right one also lighter."""
    wall = np.random.default_rng(0).integers(0, 200, (HEIGHT, WIDTH + 40, 3), np.uint8)
    wall = cv2.GaussianBlur(wall, (0, 0), 3)
    return np.stack([wall[:, shift : shift + WIDTH], wall[:, shift + 12 : shift + 12 + WIDTH] + 40])


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize(("codec", "mode"), CASES)
def test_pictures_come_back_in_their_places(codec, mode):
    sent = np.concatenate([pair(shift) for shift in ((0,) if mode in ("intra", "two_view") else (0, 9, 18))])
    coder = PictureCodec(codec, mode, FASTEST.get(codec, ""))
    streams = coder.encode(sent, QUALITY[codec])
    received = coder.decode(streams, WIDTH, HEIGHT)
    assert received.shape == sent.shape
    assert received.dtype == np.uint8
    assert 0 < sum(map(len, streams)) < sent.nbytes / 4
    for index, picture in enumerate(received):
        errors = [error(picture, other) for other in sent]
        assert errors[index] == min(errors) < 6


def test_vvc_codes_the_left_view_first_and_best():
    sent = pair()
    coder = PictureCodec("vvc", "two_view", "faster")
    received = coder.decode(coder.encode(sent, 45), WIDTH, HEIGHT)
    assert error(received[0], sent[0]) <= error(received[1], sent[1])


def test_two_views_of_one_scene_cost_less_than_twice_one():
    sent = pair()
    alone, together = (PictureCodec("vvc", mode, "faster").encode(sent, 30) for mode in ("intra", "two_view"))
    assert sum(map(len, together)) < 0.8 * sum(map(len, alone))


def test_no_message_of_an_encoder_is_counted():
    (stream,) = PictureCodec("vvc", "intra", "faster").encode(pair(), 40)
    assert stream.startswith(b"\0\0\0\1")
    (stream,) = PictureCodec("x265", "two_view", "ultrafast").encode(pair(), 40)
    assert b"x265" not in stream


def test_what_an_encoder_refuses_is_told():
    with pytest.raises(InputError, match="quality 64; expected 0 to 63"):
        PictureCodec("vvc").encode(pair(), 64)
    with pytest.raises(InputError, match="has no mode two_view"):
        PictureCodec("jpeg", "two_view")
    with pytest.raises(InputError, match="libvvenc failed"):
        PictureCodec("vvc", "intra", "no such preset").encode(pair(), 40)
    with pytest.raises(DependencyError, match="no encoder libnothing"):
        ffmpeg.need_encoder("libnothing")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 8)), min_size=1, max_size=3))
def test_tiles_come_back(shapes):
    tiling = Tiling.of(tuple(shapes))
    rng = np.random.default_rng(0)
    scales = [rng.integers(0, 1024, shape).astype(np.uint16) for shape in shapes]
    picture = tiling.pack(scales)
    assert picture.shape == (tiling.height, tiling.width)
    assert tiling.height % 2 == tiling.width % 2 == 0
    for sent, received in zip(scales, tiling.unpack(picture)):
        np.testing.assert_array_equal(sent, received)


def test_features_come_back_nearly():
    torch = pytest.importorskip("torch")
    from sicm_ros.benchmark.feature_anchor import FeatureCodec

    rows = torch.linspace(-2, 3, 24)[:, None] * torch.ones(24, 96)
    features = tuple(
        torch.stack([rows[:: 2**i, :: 2**i] + c for c in range(4)]).repeat(2, 1, 1, 1) for i in range(3)
    )  # fmt: skip
    features = tuple(f + torch.arange(2).view(2, 1, 1, 1) for f in features)  # the views differ
    codec = FeatureCodec()
    received = codec.decode(codec.encode(features, 4), tuple(f.shape[1:] for f in features))
    for sent, got in zip(features, received):
        assert np.abs(sent.numpy() - got).max() < 0.15
