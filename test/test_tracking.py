# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The tracker on scenes whose truth is known: who is who, how fast, where after a delay."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sicm_ros.errors import InputError
from sicm_ros.geometry import Detections
from sicm_ros.geometry.boxes import CLASSES, wrap_angle
from sicm_ros.geometry.pose import FramePose
from sicm_ros.tracking import Tracker, TrackingConfig
from sicm_ros.tracking.association import FORBIDDEN, assign
from sicm_ros.tracking.tracks import CameraMotion

STEP = 0.1  # seconds between pairs
CAR, PEDESTRIAN = CLASSES.index("Car"), CLASSES.index("Pedestrian")
SIZES = {CAR: (1.5, 1.6, 4.0), PEDESTRIAN: (1.75, 0.65, 0.8)}


def boxes(places, score: float | list = 0.9, kind: int | list = CAR, heading: float | list = -np.pi / 2) -> Detections:
    places = np.asarray(places, float).reshape(-1, 3)
    count = len(places)
    kinds = np.broadcast_to(kind, count).copy()
    errors = np.stack([0.03 * places[:, 2], *np.full((3, count), 0.1)], 1)
    return Detections(
        kinds, np.broadcast_to(score, count).astype(float), places, np.array([SIZES[k] for k in kinds]).reshape(-1, 3),
        np.broadcast_to(heading, count).astype(float), np.zeros((count, 4)), errors,
    )  # fmt: skip


def drive(positions, pairs: int, noise: float = 0.05, seed: int = 0) -> list[Detections]:
    """Boxes of objects at positions(seconds) -> (N, 3), with noise in metres."""
    random = np.random.default_rng(seed)
    truth = [np.asarray(positions(i * STEP), float) for i in range(pairs)]
    return [boxes(t + noise * random.standard_normal(t.shape)) for t in truth]


def crossing(seconds: float) -> list[list[float]]:
    """One car ahead that draws away at 5 m/s, one that comes at 10 m/s, one that stands."""
    return [[0, 1.6, 15 + 5 * seconds], [-4, 1.6, 60 - 10 * seconds], [6, 1.6, 30]]


def test_objects_keep_their_ids_and_get_their_velocities_within_what_is_said_of_them():
    tracker = Tracker()
    for index, found in enumerate(drive(crossing, 30)):
        result = tracker.update(found, index * STEP)
        assert result.ids.tolist() == [1, 2, 3]
    tracks = result.tracks.take(np.argsort(result.tracks.ids))
    off = tracks.velocity - [[0, 0, 5], [0, 0, -10], [0, 0, 0]]
    assert np.abs(off).max() < 1.0
    assert (np.abs(off) < 3 * np.sqrt(np.diagonal(tracks.covariance, axis1=1, axis2=2)[:, 3:])).all()
    assert tracks.ages == pytest.approx(29 * STEP)
    np.testing.assert_allclose(tracks.trails[1][0], [-4, 1.6, 60], atol=0.3)


def test_after_a_delay_boxes_are_where_the_objects_are_by_then():
    tracker = Tracker()
    for index, found in enumerate(drive(crossing, 30)):
        tracks = tracker.update(found, index * STEP).tracks
    later = tracks.after(0.4).take(np.argsort(tracks.ids))
    truth = np.array(crossing(29 * STEP + 0.4))
    assert np.linalg.norm(later.boxes.location - truth, axis=1).max() < 0.6
    assert (np.linalg.det(later.covariance) > np.linalg.det(tracks.covariance)).all()
    scores = [tracks.after(seconds).boxes.scores for seconds in (0.0, 0.2, 1.0)]
    np.testing.assert_array_equal(scores[0], tracks.boxes.scores)
    assert (scores[1] < scores[0]).all()
    assert (scores[2] < scores[1]).all()  # places are less and less certain


def test_a_lost_pair_a_missed_object_and_a_late_packet_leave_ids_as_they_are():
    found = drive(crossing, 20)
    tracker = Tracker()
    for index in range(10):
        tracker.update(found[index], index * STEP)
    assert tracker.update(found[11], 11 * STEP).ids.tolist() == [1, 2, 3]  # 10 is late
    before = tracker.tracks()
    late = tracker.update(found[10], 10 * STEP)
    assert late.ids.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(late.tracks.boxes.location, before.boxes.location)
    missed = tracker.update(found[12].take([0, 2]), 12 * STEP)
    gone = missed.tracks.take(missed.tracks.ids == 2)
    assert gone.silent == pytest.approx(STEP)
    assert gone.boxes.location[0, 2] == pytest.approx(60 - 12, abs=0.8)  # it goes on where it isn't seen
    assert tracker.update(found[13], 13 * STEP).ids.tolist() == [1, 2, 3]


def test_a_track_begins_by_a_likely_box_and_ends_when_it_is_seen_no_more():
    tracker = Tracker()
    assert tracker.update(boxes([[0, 1.6, 20]], 0.2), 0.0).ids.tolist() == [-1]
    assert tracker.update(boxes([[0, 1.6, 20]], 0.6), 0.1).ids.tolist() == [1]
    assert tracker.update(boxes([[0, 1.6, 20]], 0.2), 0.2).ids.tolist() == [1]  # a weak one may continue it
    chances = []
    for index in range(3, 30):
        chances += tracker.update(Detections.empty(), index * STEP).tracks.boxes.scores.tolist()
    assert not len(tracker.tracks())
    assert chances == sorted(chances, reverse=True)
    assert len(chances) <= TrackingConfig().existence.longest / STEP
    assert tracker.update(boxes([[0, 1.6, 20]]), 3.0).ids.tolist() == [2]


def test_what_continues_a_track_is_likelier_and_what_stands_alone_less_so():
    tracker = Tracker()
    for index in range(10):
        tracker.update(boxes([[0, 1.6, 20]]), index * STEP)
    scores = tracker.update(boxes([[0, 1.6, 20], [9, 1.6, 20]], [0.4, 0.4]), 1.0).detections.scores
    assert scores[0] > 0.5
    assert scores[1] < 0.4


def test_two_boxes_in_one_body_are_one_track_and_people_side_by_side_are_two():
    found = boxes([[0, 1.6, 20], [0.3, 1.6, 20.5]], [0.9, 0.6])
    assert Tracker().update(found, 0.0).ids.tolist() == [1, -1]
    people = boxes([[0, 1.6, 12], [0.8, 1.6, 12]], kind=PEDESTRIAN)
    assert sorted(Tracker().update(people, 0.0).ids.tolist()) == [1, 2]


def test_a_vehicle_has_one_track_where_a_second_one_would_stand_in_its_body():
    """It is found 3 m off once, further than its errors allow, and not where it is."""
    tracker = Tracker()
    for index in range(10):
        assert tracker.update(boxes([[0, 1.6, 12]]), index * STEP).ids.tolist() == [1]
    wrong = boxes([[0, 1.6, 15]], 0.7)
    result = tracker.update(wrong, 10 * STEP)
    assert result.ids.tolist() == [-1]
    assert result.tracks.ids.tolist() == [1]
    behind = tracker.update(boxes([[0, 1.6, 12], [0, 1.6, 16.5], [2.2, 1.6, 12]]), 11 * STEP)  # parked close
    assert len(set(behind.ids.tolist())) == 3
    assert behind.tracks.ids[0] == 1


def test_a_person_beside_a_car_keeps_its_track_where_boxes_touch():
    tracker = Tracker()
    for index in range(5):
        result = tracker.update(
            boxes([[0, 1.6, 12], [1.5 - 0.15 * index, 1.6, 12]], kind=[CAR, PEDESTRIAN]), index * STEP
        )
    assert sorted(result.ids.tolist()) == [1, 2]
    assert sorted(result.tracks.ids.tolist()) == [1, 2]


def test_a_person_before_a_car_takes_no_track_from_it():
    tracker = Tracker()
    for index in range(5):
        tracker.update(boxes([[0, 1.6, 20]]), index * STEP)
    assert tracker.update(boxes([[0.1, 1.6, 20]], kind=PEDESTRIAN), 0.5).ids[0] != 1


def test_a_heading_that_is_the_wrong_way_round_once_turns_nothing_and_often_turns_the_track():
    tracker = Tracker()
    headings = [0.3] * 6 + [0.3 + np.pi] + [0.3] * 3
    for index, heading in enumerate(headings):
        tracks = tracker.update(boxes([[0, 1.6, 20]], heading=float(wrap_angle(heading))), index * STEP).tracks
        assert tracks.boxes.rotation_y[0] == pytest.approx(0.3, abs=1e-6)
    for index in range(10, 20):
        tracks = tracker.update(boxes([[0, 1.6, 20]], heading=0.3 - np.pi), index * STEP).tracks
    assert abs(float(wrap_angle(tracks.boxes.rotation_y[0] - (0.3 - np.pi)))) < 1e-6


def test_with_odometry_velocities_are_over_ground_and_turns_cost_no_identity():
    """The camera drives a circle of 20 m at 8 m/s; one car stands, one drives straight."""
    tracker, speed, radius = Tracker(), 8.0, 20.0

    def pose(seconds: float) -> FramePose:
        angle = speed * seconds / radius
        turn = np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
        return FramePose(turn, radius * np.array([1 - math.cos(angle), 0, math.sin(angle)]))

    def world(seconds: float) -> np.ndarray:
        return np.array([[8, 1.6, 30], [2 + 3 * seconds, 1.6, 25 + 4 * seconds]])

    random = np.random.default_rng(1)
    for index in range(20):
        camera = pose(index * STEP)
        seen = camera.inverse().points(world(index * STEP)) + 0.03 * random.standard_normal((2, 3))
        yaw = index * STEP * speed / radius
        result = tracker.update(boxes(seen, heading=float(wrap_angle(-np.pi / 2 - yaw))), index * STEP, camera)
        assert result.ids.tolist() == [1, 2]
    tracks = result.tracks.take(np.argsort(result.tracks.ids))
    over_ground = tracks.velocity @ camera.rotation.T
    np.testing.assert_allclose(over_ground, [[0, 0, 0], [3, 0, 4]], atol=0.8)
    later = tracks.after(0.3)
    then = index * STEP + 0.3
    np.testing.assert_allclose(later.boxes.location, pose(then).inverse().points(world(then)), atol=0.6)
    assert later.boxes.rotation_y == pytest.approx(-np.pi / 2 - then * speed / radius, abs=0.05)


def test_odometry_that_pauses_begins_or_ends_costs_no_identity():
    """The camera drives straight at 10 m/s towards a car that stands; its pose is known at some of the pairs."""
    tracker = Tracker()
    for index in range(60):
        known = 10 <= index < 40 and index not in (20, 21)
        camera = FramePose(np.eye(3), np.array([0, 0, 1.0 * index])) if known else None
        result = tracker.update(boxes([[3, 1.6, 80 - index]]), index * STEP, camera)
        assert result.ids.tolist() == [1]
        assert result.tracks.after(0.2).boxes.location[0, 2] == pytest.approx(
            80 - index - 2, abs=1.0 if index > 3 else 3
        )
        if index in (9, 22, 39, 59):
            assert result.tracks.velocity[0, 2] == pytest.approx(0 if index in (22, 39) else -10, abs=1.0)


def test_a_cameras_motion_is_carried_on_along_its_arc():
    a, b, c = (CameraMotion(np.array([0.1, 0.6, -0.2]), np.array([0.3, 0.1, 9.0])).over(s) for s in (1.0, 1.5, 2.0))
    onward = CameraMotion.between(a, b, 0.5).over(0.5)
    np.testing.assert_allclose((b @ onward).rotation, c.rotation, atol=1e-9)
    np.testing.assert_allclose((b @ onward).translation, c.translation, atol=1e-9)


def test_new_things_move_as_the_scene_does_where_nobody_knows_how_the_camera_moves():
    tracker = Tracker()
    for index in range(20):
        tracker.update(boxes([[-4, 1.6, 45 - index], [4, 1.6, 40 - index]]), index * STEP)  # parked, passed at 10 m/s
    new = tracker.update(boxes([[-4, 1.6, 25], [4, 1.6, 20], [0, 1.6, 50]]), 2.0)
    fresh = new.tracks.take(new.tracks.ids == 3)
    assert fresh.velocity[0, 2] == pytest.approx(-10, abs=1.5)


def test_a_recording_that_begins_anew_has_new_ids_and_a_stamp_must_be_one():
    tracker = Tracker()
    assert tracker.update(boxes([[0, 1.6, 20]]), 100.0).ids.tolist() == [1]
    assert tracker.update(boxes([[0, 1.6, 20]]), 0.0).ids.tolist() == [2]
    assert tracker.update(boxes([[0, 1.6, 20]]), 50.0).ids.tolist() == [3]
    with pytest.raises(InputError, match="stamp is nan"):
        tracker.update(boxes([[0, 1.6, 20]]), math.nan)
    assert tracker.update(boxes([[0, 1.6, 20]]), 50.0).ids.tolist() == [3]  # the same pair again changes nothing


def test_boxes_of_unknown_error_and_empty_pairs_are_followed_too():
    tracker = Tracker()
    found = boxes([[0, 1.6, 20]])
    unknown = Detections(**{name: getattr(found, name) for name in found.__dataclass_fields__ if name != "errors"})
    for index in range(3):
        result = tracker.update(unknown, index * STEP)
    assert result.ids.tolist() == [1]
    assert np.isfinite(result.tracks.covariance).all()
    assert len(Tracker().update(Detections.empty(), 0.0).tracks) == 0


def test_a_box_that_is_nowhere_is_no_object():
    tracker = Tracker()
    for index in range(3):
        result = tracker.update(boxes([[0, 1.6, 20], [np.nan, 1.6, 20], [3, 1.6, np.inf]]), index * STEP)
        assert result.ids.tolist() == [1, -1, -1]
        assert np.isfinite(result.tracks.covariance).all()


def test_as_many_as_are_allowed_are_paired_then_the_nearest():
    rows, columns = assign(np.array([[1.0, 2.0], [1.0, 9.0]]), np.array([[True, True], [True, False]]))
    assert list(zip(rows, columns)) == [(0, 1), (1, 0)]
    assert assign(np.zeros((0, 3)), np.zeros((0, 3), bool))[0].size == 0


def test_pairs_are_as_cheap_as_scipys():
    from scipy.optimize import linear_sum_assignment

    generator = np.random.default_rng(0)
    for _ in range(200):
        shape = tuple(generator.integers(1, 12, 2))
        costs, allowed = generator.uniform(-5, 5, shape), generator.random(shape) < generator.random()
        rows, columns = assign(costs, allowed)
        best = linear_sum_assignment(np.where(allowed, costs, FORBIDDEN))
        kept = allowed[best]
        assert len(rows) == kept.sum() == len(set(columns.tolist()))
        assert (np.diff(rows) > 0).all()
        assert costs[rows, columns].sum() == pytest.approx(costs[best][kept].sum())


def test_settings_that_contradict_are_refused():
    with pytest.raises(InputError, match="birth"):
        TrackingConfig(birth=0.05)
