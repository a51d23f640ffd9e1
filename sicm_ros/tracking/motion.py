# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A Kalman filter of constant velocity, for many objects at once, in the camera's frame.

States (..., 6) are location and velocity: x, y, z in metres, then m/s. The camera may move under them: `moved` takes
states to its new frame, so that velocities are those over ground, written along the camera's axes of now.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sicm_ros.geometry.pose import FramePose

# Objects stay on the ground: heights wander, as the camera nods, but don't go on rising.
NODDING = 0.1  # m^2/s, density of the noise of heights
CLIMB = 0.3  # m/s, standard deviation of an object's vertical velocity
GROUND = [0, 2]  # places of x and z, which say what is near what: a camera that nods lifts and lowers everything


def predict(
    means: np.ndarray, covariances: np.ndarray, seconds: float, noise: np.ndarray, wander: ArrayLike = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """States and covariances (..., 6, 6) some seconds later, or earlier.

    Args:
        noise: (...), density of the acceleration's white noise, m^2/s^3 (Bar-Shalom, Li, Kirubarajan 2001, 6.2.2).
        wander: (...), density of the white noise of places along the ground, m^2/s.
    """
    step = np.eye(6)
    step[:3, 3:] = seconds * np.eye(3)
    span = abs(seconds)
    block = np.array([[span**3 / 3, span * seconds / 2], [span * seconds / 2, span]])
    added: np.ndarray = np.asarray(noise)[..., None, None] * np.kron(block, np.diag([1.0, 0.0, 1.0]))
    added[..., 1, 1] += NODDING * span
    for axis in GROUND:
        added[..., axis, axis] += np.asarray(wander) * span
    return means @ step.T, step @ covariances @ step.T + added


def innovations(
    means: np.ndarray, covariances: np.ndarray, places: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Squared Mahalanobis distances (N, M) of N states from M measured places, and log determinants: on the ground.

    Args:
        places: (M, 3), metres.
        errors: (M, 3, 3), their covariances.
    """
    spread = covariances[:, None, :3, :3] + errors[None]
    spread = spread[..., GROUND, :][..., GROUND]
    apart = (places[None] - means[:, None, :3])[..., GROUND]
    squared = (apart[..., None, :] @ np.linalg.solve(spread, apart[..., None]))[..., 0, 0]
    return squared, np.linalg.slogdet(spread)[1]


def likelihoods(means: np.ndarray, covariances: np.ndarray, places: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Log likelihoods (...) of states, each measured at a place (..., 3) with covariance (..., 3, 3): on the ground."""
    spread = (covariances[..., :3, :3] + errors)[..., GROUND, :][..., GROUND]
    apart = (places - means[..., :3])[..., GROUND]
    squared = (apart * np.linalg.solve(spread, apart[..., None])[..., 0]).sum(-1)
    return -(squared + np.linalg.slogdet(spread)[1]) / 2


def update(
    means: np.ndarray, covariances: np.ndarray, places: np.ndarray, errors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """States after each was measured at a place (..., 3) with covariance (..., 3, 3)."""
    gain = np.linalg.solve(covariances[..., :3, :3] + errors, covariances[..., :3, :]).swapaxes(-1, -2)
    means = means + (gain @ (places - means[..., :3])[..., None])[..., 0]
    # Joseph's form stays symmetric and positive whatever is rounded.
    left = np.eye(6) - np.concatenate([gain, np.zeros_like(gain)], -1)
    return means, left @ covariances @ left.swapaxes(-1, -2) + gain @ errors @ gain.swapaxes(-1, -2)


def moved(means: np.ndarray, covariances: np.ndarray, motion: FramePose) -> tuple[np.ndarray, np.ndarray]:
    """The same states seen from a camera that has moved: `motion` is its new pose in its old frame."""
    back = motion.inverse()
    turn = np.kron(np.eye(2), back.rotation)
    means = means @ turn.T
    means[..., :3] += back.translation
    return means, turn @ covariances @ turn.T


def turned(headings: np.ndarray, motion: FramePose) -> np.ndarray:
    """rotation_y (N,) of upright boxes, seen from a camera that has moved so."""
    forward = np.stack([np.cos(headings), np.zeros_like(headings), -np.sin(headings)], -1) @ motion.rotation
    return np.arctan2(-forward[..., 2], forward[..., 0])
