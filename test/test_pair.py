# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One pair type: whatever has left, right and calibration goes wherever a pair is asked for."""

from __future__ import annotations

import cv2
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


def test_a_pair_of_a_large_camera_may_come_smaller(model, pair):
    """As large as the calibration says, or reduced as far as the network loses nothing; packets say the former."""
    views = [
        cv2.resize(view[:, :308], (4 * 308, 4 * 94), interpolation=cv2.INTER_NEAREST)
        for view in (pair.left, pair.right)
    ]
    calibration = pair.calibration.cropped(0, 0, 308, 94).resized(4 * 308, 4 * 94)
    by = model.view(calibration).reduction()
    assert by > 1
    smaller = [cv2.resize(view, (4 * 308 // by, 4 * 94 // by), interpolation=cv2.INTER_AREA) for view in views]
    whole, reduced = (model.symbols(*both, calibration) for both in (views, smaller))
    assert np.mean(whole.left != reduced.left) < 0.1
    results = [model.decode(model.encode(*both, calibration)) for both in (views, smaller)]
    assert results[0].view == results[1].view
    for wrong in (views[0][::3, ::3], views[0][:, :-1], smaller[0][1:]):
        with pytest.raises(InputError, match="left image is uint8"):
            model.encode(wrong, smaller[1], calibration)


def test_what_a_quality_may_be_is_the_same_for_all_that_take_one(model, pair):
    for wrong in (-0.1, 1.5, float("nan")):
        for asked in (model.encode, model.bits_map):
            with pytest.raises(InputError, match="expected 0 to 1"):
                asked(pair, quality=wrong)


def test_a_drive_is_paired_as_the_encoder_pairs_it():
    (tolerance,) = (p.default for p in ENCODER if p.name == "pair_tolerance")
    assert round(tolerance * 1e9) == stereo.TOLERANCE
