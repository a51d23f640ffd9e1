# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How far boxes say that they may be off, against how far they are: known errors, then real labels."""

from __future__ import annotations

import numpy as np
import pytest

from sicm_ros.benchmark.coverage import ERRORS, coverage
from sicm_ros.geometry import Detections, StereoCalibration
from sicm_ros.geometry.boxes import CLASSES, image_boxes
from sicm_ros.kitti import Labels, open_kitti
from sicm_ros.model import load

RIG = StereoCalibration(700.0, 700.0, 620.0, 180.0, 0.54, 1242, 375)


def objects(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cars in a row from left to right, far enough apart that none hides another."""
    random = np.random.default_rng(seed)
    z = random.uniform(20, 30, count)
    x = np.linspace(-0.7, 0.7, count) * z
    location = np.stack([x, np.full(count, 1.6), z], 1)
    return location, np.tile([1.5, 1.6, 3.9], (count, 1)), random.uniform(-0.1, 0.1, count)


def labels_of(location: np.ndarray, dimensions: np.ndarray, rotation_y: np.ndarray) -> Labels:
    n = len(location)
    boxes = image_boxes(location, dimensions, rotation_y, RIG)
    zeros = np.zeros(n)
    return Labels(np.full(n, "Car"), zeros, zeros.astype(int), zeros, boxes, dimensions, location, rotation_y)


def detected(location, dimensions, rotation_y, errors) -> Detections:
    n = len(location)
    boxes = image_boxes(location, dimensions, rotation_y, RIG)
    return Detections(np.zeros(n, int), np.full(n, 0.9), location, dimensions, rotation_y, boxes, errors)


def test_errors_along_and_across_the_ray_are_told_apart():
    location, dimensions, rotation_y = objects(9)
    labels = labels_of(location, dimensions, rotation_y)
    # Every box further along its ray by half a metre, then to the right by 0.1 m; turned by 0.05 rad.
    centre = location - [0, 0.75, 0]
    moved = centre * (1 + 0.5 / centre[:, 2:]) + [0, 0.75, 0] + [0.1, 0, 0]
    for deviation, inside in ((1.05, 1.0), (0.95, 0.0)):
        errors = np.tile([0.5, 0.1, 0.02, 0.05], (9, 1)) * deviation
        found = detected(moved, dimensions, rotation_y + 0.05, errors)
        result = coverage([labels], [found])
        assert result.count == 9
        expected = {"depth": inside, "sideways": inside, "vertical": 1.0, "heading": inside}
        assert result.inside == expected
        assert result.factor["depth"] == pytest.approx(1 / deviation)
        assert result.factor["sideways"] == pytest.approx(1 / deviation, rel=0.03)  # the ray is the moved box's


def test_two_thirds_of_normal_errors_are_within_one_deviation():
    random = np.random.default_rng(3)
    frames, found = [], []
    for seed in range(60):
        location, dimensions, rotation_y = objects(9, seed)
        sigma = random.uniform(0.02, 0.2, (9, 4))
        off = random.normal(size=(9, 4)) * sigma
        ray = (location - [0, 0.75, 0]) / location[:, 2:]
        moved = location + ray * off[:, :1]
        moved[:, :2] += off[:, 1:3]
        frames.append(labels_of(location, dimensions, rotation_y))
        found.append(detected(moved, dimensions, rotation_y + off[:, 3], sigma))
    result = coverage(frames, found)
    assert result.count > 500
    for name in ERRORS:
        assert result.inside[name] == pytest.approx(0.68, abs=0.06)
        assert result.factor[name] == pytest.approx(1, abs=0.12)


def test_what_nobody_gets_or_knows_is_left_out():
    location, dimensions, rotation_y = objects(3)
    found = detected(location, dimensions, rotation_y, np.array([[1.0] * 4, [np.nan] * 4, [1.0] * 4]))
    found.scores[2] = 0.1
    assert coverage([labels_of(location, dimensions, rotation_y)], [found]).count == 1
    empty = coverage([], [])
    assert (empty.count, empty.inside) == (0, dict.fromkeys(ERRORS))


def test_of_real_boxes_half_to_four_fifths_are_within_one_deviation(kitti):
    """Test drives, which no weight and no factor was fitted on; every third frame of one and those of the others."""
    model = load("default")
    names = "sequence_0056", "frames"
    frames = [frame for name in names for frame in open_kitti(kitti / name, "test", labelled=True)][::3]
    found = [model.decode(model.encode(frame, quality=0.5)).detections for frame in frames]
    result = coverage([frame.labels for frame in frames], found)
    assert result.count > 25
    for name, share in result.inside.items():
        assert 0.5 <= share <= 0.8, (name, share)
    assert {name for f in found for name in f.names} <= set(CLASSES)
