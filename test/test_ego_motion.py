# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The camera's own motion from features, on streets whose features and distances are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sicm_ros.geometry import Detections, ModelView, StereoCalibration
from sicm_ros.geometry.pose import FramePose
from sicm_ros.tracking import Odometry, Tracker
from sicm_ros.tracking.tracks import CameraMotion

STEP = 0.1  # seconds between pairs
RIG = StereoCalibration(720.0, 720.0, 610.0, 173.0, 0.54, 1242, 375, 0.5)
VIEW = ModelView.fit(RIG, 864, 192)
CHANNELS, HEIGHT, WIDTH = 12, 48, 216
GROUND, WALLS, END = 1.65, 7.0, 70.0  # metres below, aside, ahead of where the camera began
WAVES = np.random.default_rng(5).normal(0, 1.2, (3, CHANNELS))  # of each feature in the world, radians to the metre
NOTHING = Detections.empty()
NOISE = 0.3  # of features, whose own deviation is 0.7


def street(camera: FramePose, seed: int = 0, noise: float = NOISE) -> tuple[np.ndarray, np.ndarray]:
    """Features (C, h, w) and disparity (h, w) of a street between two walls, seen by a camera."""
    rig, (row, column) = VIEW.calibration, np.mgrid[:HEIGHT, :WIDTH]
    u, v = (column + 0.5) * 4 - 0.5, (row + 0.5) * 4 - 0.5
    rays = np.stack([(u - rig.cx) / rig.fx, (v - rig.cy) / rig.fy, np.ones(u.shape)], -1) @ camera.rotation.T
    x, y, z = np.moveaxis(rays, -1, 0)
    origin = camera.translation
    with np.errstate(divide="ignore"):
        lengths = [(GROUND - origin[1]) / y, (WALLS - origin[0]) / x, (-WALLS - origin[0]) / x, (END - origin[2]) / z]
    depth = np.min([np.where(length > 0, length, np.inf) for length in lengths], 0)
    points = origin + rays * depth[..., None]
    # Far away a cell holds several waves.
    features = np.sin(points @ WAVES) * np.exp(-((depth / 40)[..., None] ** 2))
    features += noise * np.random.default_rng(seed).standard_normal(features.shape)
    return features.transpose(2, 0, 1).astype(np.float32), RIG.disparity(depth)


def followed(motion: CameraMotion, pairs: int = 8, odometry: Odometry | None = None, spoil=None) -> CameraMotion | None:
    """What is told after some pairs of a camera that moves so."""
    odometry = odometry or Odometry()
    told = None
    for pair in range(pairs):
        features, disparity = street(motion.over(pair * STEP), pair)
        if spoil is not None:
            spoil(features, disparity, pair)
        told = odometry.update(features, disparity, VIEW, pair * STEP, NOTHING)
    return told


def driving(speed: float, turn: float = 0.0) -> CameraMotion:
    return CameraMotion(np.array([0.0, turn, 0.0]), np.array([0.0, 0.0, speed]))


@settings(max_examples=8, deadline=None)
@given(speed=st.floats(3.0, 20.0), turn=st.floats(-0.15, 0.15))
def test_speed_and_turn_are_told_from_a_few_pairs(speed: float, turn: float):
    told = followed(driving(speed, turn))
    assert told is not None
    assert told.velocity[2] == pytest.approx(speed, abs=0.3 + 0.03 * speed)
    assert told.turn[1] == pytest.approx(turn, abs=0.02)
    assert np.abs(told.velocity[:2]).max() < 0.4


def test_a_camera_that_stands_is_said_to_stand():
    told = followed(driving(0.0))
    assert told is not None
    assert np.abs(told.velocity).max() < 0.1
    assert np.abs(told.turn).max() < 0.005


def test_what_moves_along_with_the_camera_counts_for_little():
    """A tenth of the image shows what is always the same, 15 m ahead: the back of a truck that nothing detects."""
    truck = street(FramePose.identity())[0][:, 15:33, 90:146]

    def spoil(features, disparity, pair):
        features[:, 15:33, 90:146], disparity[15:33, 90:146] = truck, RIG.disparity(15.0)

    told = followed(driving(10.0), spoil=spoil)
    assert told is not None
    assert told.velocity[2] == pytest.approx(10.0, abs=0.7)


def test_nothing_is_told_of_one_pair_of_pictures_of_nothing_and_of_pairs_that_have_nothing_in_common():
    assert followed(driving(10.0), pairs=1) is None

    def nowhere(features, disparity, pair):
        disparity[:] = 0.0

    def unrelated(features, disparity, pair):
        features[:] = np.random.default_rng(100 + pair).standard_normal(features.shape)

    def blank(features, disparity, pair):
        features[:] = 1.0

    for spoil in (nowhere, unrelated, blank):
        assert followed(driving(10.0), pairs=4, spoil=spoil) is None, spoil.__name__


def test_a_packet_of_no_numbers_or_a_long_pause_begins_anew_and_a_late_pair_changes_nothing():
    odometry = Odometry()
    told = followed(driving(8.0), odometry=odometry)
    features, disparity = street(FramePose.identity())
    assert odometry.update(features, disparity, VIEW, 0.2, NOTHING) is told
    assert odometry.update(np.full_like(features, np.nan), disparity, VIEW, 0.8, NOTHING) is None
    assert odometry.update(features, disparity, VIEW, 0.9, NOTHING) is None
    again = followed(driving(12.0), odometry=Odometry())
    assert again is not None
    assert odometry.update(features, disparity, VIEW, 9.0, NOTHING) is None


def cars(pair: int, camera: CameraMotion, places, velocities) -> Detections:
    """Cars at places (N, 3) of the world that move, 0.1 m off, seen from the camera."""
    world = np.asarray(places, float) + np.asarray(velocities, float) * pair * STEP
    seen = camera.over(pair * STEP).inverse().points(world)
    seen = seen + np.random.default_rng(pair).normal(0, 0.1, seen.shape)
    count = len(seen)
    errors = np.stack([0.03 * seen[:, 2], *np.full((3, count), 0.1)], 1)
    return Detections(
        np.zeros(count, int), np.full(count, 0.9), seen, np.tile([1.5, 1.6, 4.0], (count, 1)),
        np.full(count, -np.pi / 2), np.zeros((count, 4)), errors,
    )  # fmt: skip


def test_with_the_cameras_motion_what_is_parked_stands_at_once_and_what_drives_does_not():
    camera, tracker, plain = driving(10.0), Tracker(), Tracker()
    places, velocities = [[-4, 1.6, 40], [4, 1.6, 30], [0, 1.6, 20]], [[0, 0, 0], [0, 0, 0], [0, 0, 8.0]]
    for pair in range(12):
        found = cars(pair, camera, places, velocities)
        tracks = tracker.update(found, pair * STEP, camera_motion=camera if pair else None).tracks
        relative = plain.update(found, pair * STEP).tracks
        if pair == 2:  # two pairs after the first
            young, unaided = (t.take(np.argsort(t.ids)) for t in (tracks, relative))
    truth = np.array(velocities)
    assert np.abs(young.velocity[:2, 2]).max() < 0.5
    off = np.abs(unaided.velocity[:2, 2] + 10.0)
    assert (off > 2 * np.abs(young.velocity[:2, 2])).all()
    tracks = tracks.take(np.argsort(tracks.ids))
    np.testing.assert_allclose(tracks.velocity, truth, atol=1.0)
    later = camera.over(11 * STEP + 0.3).inverse().points(np.array(places) + truth * (11 * STEP + 0.3))
    assert np.abs(tracks.after(0.3).boxes.location - later).max() < 0.5


def test_what_starts_to_drive_is_soon_seen_to():
    camera, tracker = driving(0.0), Tracker()
    for pair in range(40):
        speed = 0.0 if pair < 20 else 5.0
        place = [0, 1.6, 20 + max(0, pair - 20) * STEP * speed]
        tracks = tracker.update(cars(pair, camera, [place], [[0, 0, 0]]), pair * STEP, camera_motion=camera).tracks
        if pair == 19:
            assert np.abs(tracks.velocity).max() < 0.2
    assert tracks.ids.tolist() == [1]
    assert tracks.velocity[0, 2] == pytest.approx(5.0, abs=1.0)
