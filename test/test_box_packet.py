# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Boxes without features: what comes back is what was sent, to the format's step; nothing else gets through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sicm_ros.bitstream.box_packet import BOX_BYTES, HEADER_BYTES, MAX_BOXES, pack_boxes, unpack_boxes
from sicm_ros.errors import BitstreamError, InputError
from sicm_ros.geometry import Detections

MODEL = bytes(range(8))


def boxes(count: int, seed: int = 0, **changes) -> Detections:
    random = np.random.default_rng(seed)
    values = {
        "classes": random.integers(0, 3, count),
        "scores": random.uniform(0, 1, count),
        "location": random.uniform(-90, 90, (count, 3)),
        "dimensions": random.uniform(0.3, 12, (count, 3)),
        "rotation_y": random.uniform(-np.pi, np.pi, count),
        "image_boxes": np.zeros((count, 4)),
        "errors": random.uniform(0.002, 20, (count, 4)),
    }
    return Detections(**(values | changes))


@given(st.integers(0, 40), st.integers(0, 2**32), st.integers(0, 1 << 20))
def test_boxes_come_back_to_half_a_step(count, seed, sequence):
    sent = boxes(count, seed)
    data = pack_boxes(sent, MODEL, sequence, 1242, 375)
    assert len(data) == HEADER_BYTES + count * BOX_BYTES
    got, model, number = unpack_boxes(data)
    assert (model, number) == (MODEL[:4], sequence % 65536)
    assert (got.classes == sent.classes).all()
    np.testing.assert_allclose(got.scores, sent.scores, atol=0.5 / 255 + 1e-9)
    np.testing.assert_allclose(got.location, sent.location, atol=0.005 + 1e-9)
    np.testing.assert_allclose(got.dimensions, sent.dimensions, atol=0.005 + 1e-9)
    np.testing.assert_allclose(got.errors, sent.errors, rtol=0.022)  # half a step
    turn = np.remainder(got.rotation_y - sent.rotation_y + np.pi, 2 * np.pi) - np.pi
    assert (abs(turn) <= np.pi / 256 + 1e-9).all()


def test_five_boxes_are_a_few_dozen_bytes():
    assert len(pack_boxes(boxes(5), MODEL, 0, 1242, 375)) == 115


def test_errors_that_nobody_knows_stay_unknown():
    sent = boxes(2, errors=np.array([[np.nan, 1.0, np.inf, 0.1], [1e-9, 1e9, 1.0, 1.0]]))
    got, _, _ = unpack_boxes(pack_boxes(sent, MODEL, 0, 1242, 375))
    np.testing.assert_array_equal(np.isnan(got.errors), [[True, False, True, False], [False] * 4])
    np.testing.assert_allclose(got.errors[1, :2], [1e-3, 60.1], rtol=0.01)  # the least and the most that it holds


def test_more_boxes_than_it_holds_keeps_the_best():
    got, _, _ = unpack_boxes(pack_boxes(boxes(MAX_BOXES + 9), MODEL, 0, 1242, 375))
    assert len(got) == MAX_BOXES


@pytest.mark.parametrize("changes", [{"location": np.full((1, 3), 400.0)}, {"rotation_y": np.array([np.nan])}])
def test_what_it_can_not_hold_is_refused(changes):
    with pytest.raises(InputError, match="box packet"):
        pack_boxes(boxes(1, **changes), MODEL, 0, 1242, 375)


@given(st.data())
def test_any_damage_is_found(data):
    packet = bytearray(pack_boxes(boxes(data.draw(st.integers(0, 6))), MODEL, 5, 1242, 375))
    at = data.draw(st.integers(0, len(packet) - 1))
    packet[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BitstreamError):
        unpack_boxes(bytes(packet))


@given(arrays.arrays(np.uint8, st.integers(0, 200)))
def test_noise_is_no_packet(noise):
    with pytest.raises(BitstreamError):
        unpack_boxes(noise.tobytes())
    with pytest.raises(BitstreamError):
        unpack_boxes(b"SICB\x01" + noise.tobytes())


def test_every_cut_is_found():
    packet = pack_boxes(boxes(3), MODEL, 5, 1242, 375)
    for length in range(len(packet)):
        with pytest.raises(BitstreamError):
            unpack_boxes(packet[:length])
