# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One pair type: whatever has left, right and calibration goes wherever a pair is asked for."""

from __future__ import annotations

import numpy as np
import pytest

import sicm_ros
from sicm_ros.bags import RecordedPair, stereo
from sicm_ros.errors import InputError
from sicm_ros.geometry import ImagePair, StereoCalibration
from sicm_ros.nodes.parameters import ENCODER

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(small_model):
    return sicm_ros.load(small_model)


@pytest.fixture(scope="module")
def pair() -> ImagePair:
    world = np.random.default_rng(1).integers(0, 256, (94, 322, 3), np.uint8)
    return ImagePair(world[:, :310], world[:, 12:], StereoCalibration(180.0, 180.0, 152.0, 43.0, 0.54, 310, 94))


def test_a_pair_is_coded_as_its_three_parts_are(model, pair):
    parts = pair.left, pair.right, pair.calibration
    recorded = RecordedPair(*parts, stamp=7, labels=None)
    expected = model.encode(*parts, quality=0.7, sequence=3)
    assert model.encode(pair, quality=0.7, sequence=3) == expected
    assert model.encode(recorded, 0.7, 3) == expected
    assert (
        model.encode(left=pair.left, right=pair.right, calibration=pair.calibration, quality=0.7, sequence=3)
        == expected
    )
    np.testing.assert_array_equal(model.bits_map(pair, 0.7), model.bits_map(*parts, 0.7))
    assert model.extract(pair)[0].equal(model.extract(*parts)[0])
    one, other = model.detect_uncompressed(pair).detections, model.detect_uncompressed(*parts).detections
    np.testing.assert_array_equal(one.location, other.location)


def test_what_a_quality_may_be_is_the_same_for_all_that_take_one(model, pair):
    for wrong in (-0.1, 1.5, float("nan")):
        for asked in (model.encode, model.bits_map):
            with pytest.raises(InputError, match="expected 0 to 1"):
                asked(pair, quality=wrong)


def test_a_drive_is_paired_as_the_encoder_pairs_it():
    (tolerance,) = (p.default for p in ENCODER if p.name == "pair_tolerance")
    assert round(tolerance * 1e9) == stereo.TOLERANCE
