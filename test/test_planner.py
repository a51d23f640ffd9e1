# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""`sicm evaluate --planner`: what is found by distance, border and class, and the sheet of what isn't."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendered_drive import write_objects

from sicm_ros.benchmark.failures import failure_sheet
from sicm_ros.cli import main
from sicm_ros.geometry.boxes import least_score
from sicm_ros.geometry.drawing import read_picture
from sicm_ros.kitti import Labels, open_kitti
from sicm_ros.kitti.labels import parse_labels
from sicm_ros.kitti.planner import Share, judged, planner_table


def objects(*rows, scored: bool = False) -> Labels:
    """(class, x, z, left, right, occlusion or score) each, as KITTI's lines."""
    lines = []
    for name, x, z, left, right, last in rows:
        occluded, score = (-1, f" {last}") if scored else (last, "")
        lines.append(f"{name} 0 {occluded} 0 {left} 100 {right} 200 1.5 1.6 3.9 {x} 1.6 {z} 1.57{score}\n")
    return parse_labels("".join(lines), "rows", scored)


LABELS = objects(
    ("Car", -3, 4, 0, 200, 0),  # beside the bumper
    ("Van", 3, 6, 1100, 1241, 1),  # the border cuts it as well
    ("Car", 0, 15, 500, 600, 0),
    ("Car", 5, 30, 700, 740, 0),
    ("Tram", -8, 35, 300, 420, 1),
    ("Person_sitting", 4, 10, 800, 830, 0),
    ("Cyclist", 6, 20, 850, 870, 2),  # hidden: it doesn't count
    ("Misc", -5, 20, 400, 450, 0),
    ("DontCare", -1000, -1000, 900, 1000, -1),
)
DETECTIONS = objects(
    ("Car", -3.5, 4.5, 0, 200, 0.25),  # unsure, but so near that it counts
    ("Car", 0.5, 15.2, 500, 600, 0.8),
    ("Car", 0.1, 15.1, 500, 600, 0.7),  # nearer than the surer one, which is then alone
    ("Car", 5, 30, 700, 740, 0.3),  # too unsure
    ("Truck", -8, 34, 300, 420, 0.65),
    ("Pedestrian", 4, 12.5, 800, 830, 0.6),  # 2.5 m off
    ("Cyclist", 6, 20, 850, 870, 0.6),
    ("Car", 15, 40, 940, 960, 0.7),  # at a DontCare region
    ("Car", 20, 40, 1000, 1020, 0.6),  # too unsure for what is so far
    scored=True,
)


def test_each_object_is_found_by_the_nearest_detection_and_the_rest_is_named_in_vain():
    found = judged(LABELS, DETECTIONS)
    assert found.found[:7].tolist() == [0, -1, 2, -1, 3, -1, 5]
    assert np.flatnonzero(found.false).tolist() == [1, 4]
    assert np.flatnonzero(found.missed).tolist() == [1, 3, 5]
    table = planner_table([found])
    assert list(table.rows.values()) == [Share(1, 2), Share(1, 1), Share(0, 1), Share(1, 2), Share(0, 1)]
    assert table.right_class == Share(3, 3)
    assert table.false_alarms == 2
    assert table.bands["Truck 25-40 m"] == Share(1, 1)
    assert table.bands["Car 0-8 m cut"] == Share(1, 1)
    assert sum(share.total for share in table.bands.values()) == 6


@given(st.floats(0, 1), st.floats(0, 300), st.floats(0, 300))
def test_less_is_asked_of_what_is_nearer(likely, one, other):
    near, far = least_score(np.sort([one, other]), likely)
    assert 0 <= near <= far <= 1
    assert least_score(20.0, likely) == pytest.approx(likely)


def test_what_lies_where_nothing_is_labelled_finds_objects_and_is_no_false_alarm():
    before, after = judged(LABELS, DETECTIONS), judged(LABELS, DETECTIONS, unlabelled=np.ones(len(DETECTIONS), bool))
    assert before.false.any()
    assert not after.false.any()
    np.testing.assert_array_equal(before.found, after.found)
    one = np.arange(len(DETECTIONS)) == 1  # alone; the two that are too unsure don't move it
    assert judged(LABELS, DETECTIONS, unlabelled=one).false.sum() == before.false.sum() - 1


def test_the_odds_asked_for_grow_with_the_distance():
    np.testing.assert_allclose(least_score(np.array([0, 5, 10, 20, 60])), [0.2, 0.2, 1 / 3, 0.5, 0.75])
    found = least_score(np.array([5.0, 80.0]), 0.0), least_score(np.array([5.0, 80.0]), 1.0)
    assert np.array(found).tolist() == [[0, 0], [1, 1]], "all of them, and none but what is certain"


def test_fewer_detections_count_from_a_higher_score_and_the_borders_are_those_of_the_picture():
    sure = planner_table([judged(LABELS, DETECTIONS, min_score=0.8)], 0.8)
    assert sum(share.found for share in sure.bands.values()) == 1
    assert sure.false_alarms == 0
    wider = planner_table([judged(LABELS, DETECTIONS, width=1400)])
    assert next(iter(wider.rows.values())) == Share(1, 1)


@pytest.mark.parametrize("labels", [LABELS, Labels.empty()])
@pytest.mark.parametrize("detections", [DETECTIONS, Labels.empty(scored=True)])
def test_frames_without_objects_or_detections_are_counted_too(labels, detections):
    table = planner_table([judged(labels, detections), judged(Labels.empty(), Labels.empty(scored=True))])
    assert table.frames == 2
    assert table.tree()["rows"]
    assert planner_table([]).false_alarms == 0


def test_the_table_of_detection_files_and_the_sheet_of_a_model(small_model, tmp_path, capsys):
    drive = write_objects(tmp_path / "drive", 2)
    frames = open_kitti(drive, labelled=True)
    arguments = [
        "evaluate", str(drive), "--model", str(small_model), "--quality", "uncompressed", "--replicates", "1",
        "--out", str(tmp_path / "out"), "--planner", "--min-score", "0", "--sheet", str(tmp_path / "sheet.png"),
        "--json", str(tmp_path / "model.json"),
    ]  # fmt: skip
    assert main(arguments) == 0
    assert "false alarms per frame" in capsys.readouterr().out
    of_model = json.loads((tmp_path / "model.json").read_text())["points"][0]["planner"]
    assert of_model["frames"] == 2
    files = [
        "evaluate", "--labels", str(drive / "label_2"), "--detections", str(tmp_path / "out/uncompressed/detections"),
        "--planner", "--min-score", "0", "--json", str(tmp_path / "files.json"),
    ]  # fmt: skip
    assert main(files) == 0
    of_files = json.loads((tmp_path / "files.json").read_text())["planner"]
    assert of_files["false_alarms"] == of_model["false_alarms"]
    assert read_picture(tmp_path / "sheet.png").any()
    nothing = [judged(frame.labels, Labels.empty(scored=True), frame.size[0]) for frame in frames]
    assert all(frame.missed.any() for frame in nothing)
    failure_sheet(frames, nothing, tmp_path / "missed.png")
    sure = [replace(frame.labels, scores=np.ones(len(frame.labels))) for frame in frames]
    found = [judged(frame.labels, detections, frame.size[0]) for frame, detections in zip(frames, sure)]
    failure_sheet(frames, found, tmp_path / "found.png")
    missed, found = (read_picture(tmp_path / f"{name}.png") for name in ("missed", "found"))
    assert missed.shape[0] > found.shape[0], "a panel for what is missed, and none where nothing is"
    assert main([*files[:5], "--sheet", "x.png"]) == 2
    assert "DATASET" in capsys.readouterr().err
