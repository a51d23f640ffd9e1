# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Tracks: objects with an identity, a velocity and a past, at one moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from sicm_ros.geometry import Detections
from sicm_ros.geometry.pose import FramePose
from sicm_ros.tracking import motion

HALVES = 1 / 3  # of its length: a box that is off by that much overlaps its object by 0.5


@dataclass(frozen=True)
class Tracks:
    """N objects in the left camera's optical frame, best first.

    Attributes:
        ids: int (N,), never given twice by one tracker.
        boxes: where they are; `scores` are the chances that they exist, `image_boxes` those of the last detection.
        velocity: float (N, 3), m/s along the camera's axes: over ground if the tracker knows how the camera moves, else
            relative to it.
        covariance: float (N, 6, 6) of location and velocity.
        noise: float (N,), density of the acceleration's noise, m^2/s^3: what the covariance grows by.
        ages: float (N,), seconds since the first detection.
        silent: float (N,), seconds since the last detection.
        trails: positions (M, 3) of each, oldest first, in the same frame.
        camera: the camera's velocity, per second: how its frame turns and moves in its own; None where nobody knows.
    """

    ids: np.ndarray
    boxes: Detections
    velocity: np.ndarray
    covariance: np.ndarray
    noise: np.ndarray
    ages: np.ndarray
    silent: np.ndarray
    trails: tuple[np.ndarray, ...]
    camera: CameraMotion | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, chosen: np.ndarray) -> Tracks:
        """Those that a mask (N,) or an array of indices chooses, in its order."""
        index = np.arange(len(self))[chosen]
        return Tracks(
            self.ids[index],
            self.boxes.take(index),
            self.velocity[index],
            self.covariance[index],
            self.noise[index],
            self.ages[index],
            self.silent[index],
            tuple(self.trails[i] for i in index),
            self.camera,
        )

    def above(self, chance: float) -> Tracks:
        """Those whose chance to exist is at least `chance`."""
        return self.take(self.boxes.scores >= chance)

    def after(self, seconds: float) -> Tracks:
        """Return where the same objects are some seconds later, seen from where the camera is by then.

        Scores fall as places become less certain: they are chances that a box is where its object is.
        """
        means, covariance = motion.predict(
            np.concatenate([self.boxes.location, self.velocity], 1), self.covariance, seconds, self.noise
        )
        heading, trails = self.boxes.rotation_y, self.trails
        if self.camera is not None:
            ego = self.camera.over(seconds)
            means, covariance = motion.moved(means, covariance, ego)
            heading = motion.turned(heading, ego)
            trails = tuple(ego.inverse().points(trail) for trail in trails)
        right = _placed(covariance, heading, self.boxes.dimensions)
        right = right / np.maximum(_placed(self.covariance, self.boxes.rotation_y, self.boxes.dimensions), 1e-9)
        boxes = replace(
            self.boxes,
            location=means[:, :3],
            rotation_y=heading,
            scores=self.boxes.scores * right.clip(0, 1),
            chances=self.boxes.chances * right.clip(0, 1)[:, None],
        )
        return replace(
            self,
            boxes=boxes,
            velocity=means[:, 3:],
            covariance=covariance,
            ages=self.ages + seconds,
            silent=self.silent + seconds,
            trails=trails,
        )


def _placed(covariance: np.ndarray, heading: np.ndarray, dimensions: np.ndarray) -> np.ndarray:
    """Return chances (N,) that boxes are off along their length by less than what halves their overlap."""
    forward = np.stack([np.cos(heading), np.zeros_like(heading), -np.sin(heading)], -1)
    variance = np.einsum("ni,nij,nj->n", forward, covariance[:, :3, :3], forward)
    within = HALVES * dimensions[:, 2] / np.sqrt(2 * np.maximum(variance, 1e-9))
    return np.array([math.erf(share) for share in within])


@dataclass(frozen=True)
class CameraMotion:
    """A camera's motion of constant speed and turn rate.

    Attributes:
        turn: float (3,), axis times radians per second, in the camera's frame.
        velocity: float (3,), m/s, in the camera's frame.
    """

    turn: np.ndarray
    velocity: np.ndarray

    @classmethod
    def between(cls, earlier: FramePose, later: FramePose, seconds: float) -> CameraMotion:
        """The motion that led from one pose to another, in one still frame."""
        step = earlier.inverse() @ later
        quaternion = step.quaternion
        sine = float(np.linalg.norm(quaternion[:3]))
        angle = 2 * np.arctan2(sine, quaternion[3])
        axis = quaternion[:3] / sine if sine > 1e-9 else np.zeros(3)
        turn = axis * angle
        return cls(turn / seconds, np.linalg.solve(_arc(turn), step.translation) / seconds)

    def over(self, seconds: float) -> FramePose:
        """The camera's pose in its frame of now, some seconds later."""
        turn = self.turn * seconds
        return FramePose(np.eye(3) + _cross(turn) @ _arc(turn), _arc(turn) @ self.velocity * seconds)


def _cross(vector: np.ndarray) -> np.ndarray:
    """The matrix (3, 3) that takes others to their cross product with a vector."""
    x, y, z = vector
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


def _arc(turn: np.ndarray) -> np.ndarray:
    """The mean (3, 3) of all rotations on the way to a turn (axis times radians): the left Jacobian of SO(3)."""
    angle = float(np.linalg.norm(turn))
    cross = _cross(turn)
    if angle < 1e-6:
        return np.eye(3) + cross / 2
    return np.eye(3) + (1 - np.cos(angle)) / angle**2 * cross + (angle - np.sin(angle)) / angle**3 * cross @ cross
