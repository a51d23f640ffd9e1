# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Drives as streams: identities of labels, HOTA, precision at arrival, what the past is worth; on known scenes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("motrics", reason="motrics is not installed: `pip install 'sicm_ros[bench]'`")

from rendered_drive import write_objects

from sicm_ros.benchmark.delay import arrivals
from sicm_ros.benchmark.drive import Drive
from sicm_ros.benchmark.identity import identity
from sicm_ros.benchmark.rescoring import recall
from sicm_ros.benchmark.stream import asked
from sicm_ros.cli import main
from sicm_ros.errors import InputError
from sicm_ros.geometry import Detections, StereoCalibration
from sicm_ros.geometry.boxes import image_boxes
from sicm_ros.kitti import Labels
from sicm_ros.kitti.identities import identities
from sicm_ros.tracking import Tracker

RIG = StereoCalibration(720.0, 720.0, 610.0, 173.0, 0.54, 1242, 375)
SIZES = np.array([[1.5, 1.6, 4.0], [1.5, 1.7, 3.9], [1.45, 1.6, 4.2]])
PAIRS = 36


def places(pair: int) -> np.ndarray:
    """Three cars that the camera passes at 10 m/s, one behind the other."""
    return np.stack([[-4.0, 3.0, -4.0], [1.6] * 3, np.array([48.0, 63.0, 78.0]) - pair], 1)


def labels_of(pair: int) -> Labels:
    location, count = places(pair), len(SIZES)
    return Labels(
        np.array(["Car"] * count), np.zeros(count), np.zeros(count, int), np.zeros(count),
        image_boxes(location, SIZES, np.full(count, -np.pi / 2), RIG), SIZES, location, np.full(count, -np.pi / 2),
    )  # fmt: skip


def found_in(labels: Labels, score: float = 0.9) -> Detections:
    count = len(labels)
    errors = np.stack([0.02 * labels.location[:, 2], *np.full((3, count), 0.05)], 1)
    return Detections(
        np.zeros(count, int), np.full(count, score), labels.location, labels.dimensions, labels.rotation_y,
        labels.image_boxes, errors,
    )  # fmt: skip


@pytest.fixture(scope="module")
def drive() -> Drive:
    labels, seconds = [labels_of(i) for i in range(PAIRS)], [0.1 * i for i in range(PAIRS)]
    return Drive("made", seconds, labels, identities(labels, seconds), [RIG] * PAIRS, [found_in(x) for x in labels])


def test_labels_of_one_size_are_one_object_and_two_of_one_size_are_told_by_their_places(drive: Drive):
    assert all(objects.tolist() == [0, 1, 2] for objects in drive.objects)
    twins = [replace(labels, dimensions=np.repeat(SIZES[:1], 3, 0)) for labels in drive.labels[:20]]
    shuffled = [labels[np.roll(np.arange(3), pair)] for pair, labels in enumerate(twins)]
    numbers = identities(shuffled, drive.seconds[:20])
    assert all(np.roll(objects, -pair).tolist() == [0, 1, 2] for pair, objects in enumerate(numbers))
    region = replace(drive.labels[0], dimensions=np.full((3, 3), -1000.0))
    assert identities([region], [0.0])[0].tolist() == [-1] * 3


def test_perfect_tracks_are_perfect_and_an_id_that_changes_is_a_switch(drive: Drive):
    followed = [Tracker().update(*pair).tracks for pair in zip(drive.found, drive.seconds)]  # a new tracker each time
    same = identity([drive], [followed])
    assert (same.hota, same.mota, same.switches, same.false) == (pytest.approx(100), pytest.approx(100), 0, 0)
    assert same.matched == same.objects == 3 * PAIRS
    changed = [replace(t, ids=t.ids + 10) if pair >= PAIRS // 2 else t for pair, t in enumerate(followed)]
    other = identity([drive], [changed])
    assert other.switches == 3
    assert other.switches_per_100 == pytest.approx(100 / PAIRS)
    assert other.association < 60
    assert other.detection == pytest.approx(100)


def test_after_a_delay_extrapolated_boxes_are_right_and_others_are_not(drive: Drive):
    rows = {(row.way, row.delay): row for row in arrivals([drive], (0.0, 0.2))}
    most = rows["detections", 0.0].bev
    assert most > 90
    assert rows["detections", 0.2].bev < 20
    assert rows["still", 0.2].bev < 20
    assert rows["extrapolated", 0.2].bev > most - 20  # what has just been seen for the first time has no velocity yet
    assert {row.frames for row in rows.values()} == {PAIRS - 2}
    with pytest.raises(InputError, match="longer drive"):
        arrivals([replace(drive, seconds=[10.0 * i for i in range(PAIRS)])], (0.0, 0.2))


def test_a_car_whose_score_falls_for_a_moment_is_found_by_what_was_known_of_it(drive: Drive):
    weak = [
        replace(found, scores=np.where(np.arange(3) == pair % 3, 0.4, found.scores)) if pair > 10 else found
        for pair, found in enumerate(drive.found)
    ]
    alone, rescored, tracks = recall([replace(drive, found=weak)])
    assert alone.far < alone.far_of
    assert rescored.far > alone.far
    assert tracks.far > alone.far
    assert alone.false_alarms == rescored.false_alarms == 0


def test_a_planner_finds_among_tracks_what_detections_miss_for_a_moment(drive: Drive):
    one = [found.take(np.arange(3) != pair % 3) if pair > 10 else found for pair, found in enumerate(drive.found)]
    missed = replace(drive, found=one)
    tables = asked([missed], [missed.followed()])
    rows = {name: table.rows["cars 25 to 40 m"] for name, table in tables.items()}
    assert rows["detections"].total == rows["tracks"].total == 15 + 12
    assert rows["detections"].found < rows["tracks"].found == rows["tracks"].total
    assert tables["tracks"].false_alarms == 0
    assert tables["detections"].frames == PAIRS


def test_the_command_prints_tables_and_writes_figures(tmp_path: Path, tiny_model: Path, capsys):
    write_objects(tmp_path / "drive", 6)
    out, curve = tmp_path / "tracks.json", tmp_path / "delay.png"
    words = ["bench", "tracks", str(tmp_path / "drive"), "--model", str(tiny_model), "--threads", "1"]
    assert main([*words, "--json", str(out), "--picture", str(curve)]) == 0
    told = json.loads(out.read_text())
    assert told["drives"] == {"drive": 6}
    assert told["identity"]["objects"] == 6
    assert {row["way"] for row in told["delays"]} == {"detections", "still", "extrapolated"}
    assert set(told["planner"]) == {"detections", "tracks"}
    assert told["planner"]["tracks"]["frames"] == 6
    assert curve.stat().st_size > 1000
    shown = capsys.readouterr().out
    assert "identities: drive (6)" in shown
    assert "what a planner asks: drive (6)" in shown
    assert "400 ms" in shown
