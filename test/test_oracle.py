# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What limits average precision: boxes whose depth, size, heading or direction is put right from their labels."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sicm_ros.benchmark.oracle import OVERLAPS, PARTS, oracle, put_right
from sicm_ros.cli import main
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import image_boxes
from sicm_ros.kitti import Labels, write_labels

RIG = StereoCalibration(720.0, 720.0, 610.0, 173.0, 0.54, 1242, 375)
COUNT = 3


def scene(pair: float) -> Labels:
    location = np.array([[-6.0, 1.7, 14.0 + pair], [0.5, 1.6, 22.0 + pair], [7.0, 1.8, 30.0 + pair]])
    dimensions = np.array([[1.5, 1.6, 3.9], [1.4, 1.7, 4.2], [1.6, 1.6, 3.6]])
    heading = np.full(COUNT, -1.5)
    boxes = image_boxes(location, dimensions, heading, RIG)
    names, zeros = np.array(["Car"] * COUNT), np.zeros(COUNT)
    return Labels(names, zeros, zeros.astype(int), heading, boxes, dimensions, location, heading)


def centres(boxes: Labels) -> np.ndarray:
    return boxes.location - [[0, 0.5, 0]] * boxes.dimensions[:, :1]


def found(labels: Labels, **wrong: np.ndarray) -> Labels:
    """Detections where the labels are in the image, the nearest first; in space as said."""
    return replace(labels, scores=1 / (1 + 0.01 * labels.location[:, 2]), **wrong)


def too_far(labels: Labels, share: float = 1.1) -> Labels:
    """The centre of each box moved along its ray."""
    location = centres(labels) * share
    location[:, 1] += labels.dimensions[:, 0] / 2
    return found(labels, location=location)


def test_wrong_depths_are_named_and_nothing_else():
    labels = [scene(pair) for pair in np.linspace(0, 12, 60)]
    told = oracle(labels, [too_far(of) for of in labels])
    assert set(told) == set(PARTS)
    for part, metrics in told.items():
        least = 100 if "depth" in PARTS[part] else 0
        assert all(metrics[name][overlap] == pytest.approx(least, abs=1) for name in metrics for overlap in OVERLAPS)


def test_wrong_sizes_and_headings_limit_by_themselves():
    labels = [scene(pair) for pair in np.linspace(0, 12, 60)]
    large = oracle(labels, [found(of, dimensions=of.dimensions * 1.2) for of in labels])
    assert large["nothing"]["AP3D"]["0.70"] < 1 < 99 < large["sizes"]["AP3D"]["0.70"]
    turned = oracle(labels, [found(of, rotation_y=of.rotation_y + 1.0) for of in labels])
    assert turned["sizes"]["APBEV"]["0.50"] < 1 < 99 < turned["headings"]["APBEV"]["0.50"]


@given(
    st.lists(st.floats(0.7, 1.4), min_size=COUNT, max_size=COUNT),
    st.lists(st.floats(-1.5, 1.5), min_size=COUNT, max_size=COUNT),
    st.floats(0.6, 1.5),
    st.permutations(range(COUNT)),
)
def test_a_box_put_right_in_part_keeps_its_other_parts(
    shares: list[float], shifts: list[float], size: float, order: list[int]
):
    labels = scene(0)
    location = labels.location * np.array(shares)[:, None] + np.array(shifts)[:, None] * [1, 0, 0]
    detections = found(labels, location=location, dimensions=labels.dimensions * size)[order]
    right = {name: put_right(labels, detections, parts) for name, parts in PARTS.items()}
    best_first = detections[np.argsort(-detections.certainty)]
    for field in ("location", "dimensions", "rotation_y", "scores"):
        np.testing.assert_allclose(getattr(right["nothing"], field), getattr(best_first, field), atol=1e-9)
    of = np.argsort(np.array(order)[np.argsort(-detections.certainty)])  # a label's detection
    whole = right["all of these"][of]
    np.testing.assert_allclose(whole.location, labels.location, atol=1e-9)
    np.testing.assert_allclose(whole.dimensions, labels.dimensions)
    deep = right["depths"]
    np.testing.assert_allclose(deep[of].location[:, 2], labels.location[:, 2])
    before, after = centres(best_first), centres(deep)
    np.testing.assert_allclose(after / after[:, 2:], before / before[:, 2:], atol=1e-9)  # on the same ray
    aimed = right["directions"][of]
    np.testing.assert_allclose(aimed.location[:, 2], best_first[of].location[:, 2])
    np.testing.assert_allclose(
        centres(aimed) / centres(aimed)[:, 2:], centres(labels) / centres(labels)[:, 2:], atol=1e-9
    )


def test_what_overlaps_no_label_stays_as_it_is():
    labels = scene(0)
    beside = found(labels, image_boxes=labels.image_boxes + 400, location=labels.location + 3)
    np.testing.assert_array_equal(put_right(labels, beside, ("depth", "size")).location, beside.location)
    nobody = labels[:0]
    assert len(put_right(nobody, beside, ("depth",))) == COUNT
    assert len(put_right(labels, found(nobody), ("depth",))) == 0


def test_the_command_tells_it_of_files(tmp_path: Path, capsys):
    for folder in ("labels", "found"):
        (tmp_path / folder).mkdir()
    for pair in range(60):
        for folder, boxes in (("labels", scene(pair)), ("found", too_far(scene(pair)))):
            write_labels(tmp_path / folder / f"{pair:06d}.txt", boxes)
    words = ["evaluate", "--labels", str(tmp_path / "labels"), "--detections", str(tmp_path / "found"), "--oracle"]
    out = tmp_path / "told.json"
    assert main([*words, "--json", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "what limits AP, 60 frames" in shown
    told = json.loads(out.read_text())["oracle"]
    assert told["nothing"]["AP3D"]["0.50"] < 1 < 99 < told["depths"]["AP3D"]["0.50"]
