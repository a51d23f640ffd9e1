# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The camera's own motion, from the features of pairs that follow each other: direct visual odometry.

Features of an earlier pair, placed in space by its disparities, are laid on those of a later one; the motion that makes
them agree best is the camera's (Engel, Koltun, Cremers, Direct Sparse Odometry, 2018, with features for intensities).
What may move by itself is left out where it is detected, and counts less where it disagrees. Features of what moves
along with the camera, and of streets as such, are nearly the same in every pair and would say that it stands: their
running mean is taken off.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sicm_ros.geometry import Detections, ModelView, StereoCalibration
from sicm_ros.geometry.pose import FramePose
from sicm_ros.tracking.config import OdometryConfig
from sicm_ros.tracking.tracks import CameraMotion

# Values lie two cells of stride 4 apart and are means of four by four: one cell of a latent's. What transforms draw
# into every one of those alike stands still in the image, and would say that the camera does.
APART = 2
SPREAD = 0.7548776662, 0.5698402910  # shares of 1 whose multiples fill a square evenly (Roberts, R2 sequence, 2018)
NEAREST = 1.0  # metres; what is nearer is not looked at
_SPEEDS = np.arange(-4.0, 40.5, 1.0)  # m/s, and
_TURNS = np.array([-0.3, 0.0, 0.3])  # rad/s about the vertical axis: where an unknown motion is looked for
BORDER = 5  # cells at the left and right border whose features know of it
LEAST_DISPARITY = 0.1  # pixels
_COARSE = 4  # every how many-th point says how well such a motion fits
_UNRELATED = 2.0  # mean squared difference of values that have nothing to do with each other
_FORWARD, _YAW = 5, 1  # places in a motion: turns about x, y, z, then velocities


@dataclass(frozen=True)
class Keyframe:
    """What is kept of a pair: averaged features and the points that they are of.

    Attributes:
        stamp: seconds.
        calibration: of the network's input.
        step: pixels of the network's input from one value to the next.
        values: float32 (h, w, C), of unit variance.
        points: float (N, 3), metres, in the camera's frame.
        seen: float32 (N, C), values there.
    """

    stamp: float
    calibration: StereoCalibration
    step: float
    values: np.ndarray
    points: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(
        cls, pooled: np.ndarray, depth: np.ndarray, calibration: StereoCalibration, stamp: float, far: float
    ) -> Keyframe:
        """Make one of features (h, w, C) of `_pooled`, and depths (2h, 2w), metres, of the left view's cells.

        A point lies anywhere between four values. If all lay on values, motions that lead them between values, where
        interpolation takes noise away, would fit better than none.
        """
        values = pooled[:-1] + pooled[1:]
        values = values[:, :-1] + values[:, 1:]
        values /= values.std((0, 1)) + 1e-6
        step = calibration.width / pooled.shape[1]
        v, u = _scattered(values.shape[0] - 1, values.shape[1] - 1)
        z = depth[(APART * (v + 1)).astype(np.int64), (APART * (u + 1)).astype(np.int64)]
        kept = (z > NEAREST) & (z < far)
        v, u, z = v[kept], u[kept], z[kept]
        seen, _, _ = _interpolated(values, u, v)
        x, y = (
            ((u + 1) * step - 0.5 - calibration.cx) / calibration.fx,
            ((v + 1) * step - 0.5 - calibration.cy) / calibration.fy,
        )
        return cls(stamp, calibration, step, values, np.stack([x * z, y * z, z], 1), seen)

    def places(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return columns and rows (...) of `values`, with fractions, where points (..., 3) are seen, and bool (...):
        which are seen at all. What isn't has a place at the border.
        """
        height, width, _ = self.values.shape
        camera = self.calibration
        z = np.maximum(points[..., 2], NEAREST)
        u = (camera.fx * points[..., 0] / z + camera.cx + 0.5) / self.step - 1
        v = (camera.fy * points[..., 1] / z + camera.cy + 0.5) / self.step - 1
        inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1) & (points[..., 2] > NEAREST)
        return u.clip(0, width - 1.001), v.clip(0, height - 1.001), inside

    def sampled(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return values (N, C) where points (N, 3) are seen, their changes per pixel to the right and down, and bool
        (N,): which are seen at all.
        """
        u, v, inside = self.places(points)
        values, right, down = _interpolated(self.values, u, v)
        return values, right / np.float32(self.step), down / np.float32(self.step), inside

    def nearest(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values (..., C) next to where points (..., 3) are seen, and bool (...): which are seen at all."""
        u, v, inside = self.places(points)
        index = np.rint(v).astype(np.int64) * self.values.shape[1] + np.rint(u).astype(np.int64)
        return self.values.reshape(-1, self.values.shape[2]).take(index, axis=0), inside


class Odometry:
    """Follows the camera of one vehicle.

    Args:
        config: what is assumed.
    """

    def __init__(self, config: OdometryConfig | None = None) -> None:
        self.config = config or OdometryConfig()
        self._views: deque[Keyframe] = deque(maxlen=16)
        self._motion: CameraMotion | None = None
        self._usual: np.ndarray | None = None  # features (h, w, C) that cells mostly have

    def update(
        self, features: np.ndarray, disparity: np.ndarray, view: ModelView, stamp: float, found: Detections
    ) -> CameraMotion | None:
        """Return the camera's mean motion over the last few pairs; None where it can't be told.

        Args:
            features: (C, h, w), of the left view at stride 4, as they were reconstructed.
            disparity: (h, w), pixels of the source image, of the surface that each cell sees.
            view: where the network's input, which those cells divide, lies in the source image.
            stamp: of the pair, seconds. One that isn't later than the last one changes nothing.
            found: what is detected in the pair: where something may move by itself, nothing is looked at.
        """
        config = self.config
        if self._views:
            since = stamp - self._views[-1].stamp
            if -config.longest < since <= 0:
                return self._motion
            if not 0 < since <= config.longest or self._views[-1].calibration != view.calibration:
                self._forget()
        if not np.isfinite(features).all():  # of a packet that nobody encoded
            self._forget()
            return None
        values = _pooled(np.asarray(features, np.float32))
        values -= values.mean(1, keepdims=True)
        if self._usual is None:
            self._usual = np.zeros_like(values)
        depth = view.source.depth(np.maximum(np.asarray(disparity, np.float64), LEAST_DISPARITY))
        depth[_covered(found.above(config.body), view, depth.shape)] = np.inf
        depth[:, :BORDER], depth[:, -BORDER:] = np.inf, np.inf
        seen = Keyframe.of(values - self._usual, depth, view.calibration, stamp, config.far)
        while len(self._views) > 1 and stamp - self._views[0].stamp > config.apart:
            self._views.popleft()
        if self._views:
            self._motion = self._between(self._views[0], seen)
        if self._motion is None or np.linalg.norm(self._motion.velocity) > config.moves:
            self._usual += config.usual * (values - self._usual)
        self._views.append(seen)
        return self._motion

    def _forget(self) -> None:
        self._views.clear()
        self._motion = None
        self._usual = None

    def _between(self, earlier: Keyframe, later: Keyframe) -> CameraMotion | None:
        seconds = later.stamp - earlier.stamp
        if len(earlier.points) < self.config.points:
            return None
        starts = [] if self._motion is None else [np.concatenate([self._motion.turn, self._motion.velocity])]
        # Until pairs are far enough apart, nothing that was found is sure.
        if not starts or seconds < self.config.sure * self.config.apart:
            starts.append(self._searched(earlier, later, seconds))
        found = [aligned(earlier, later, seconds, start, self.config) for start in starts]
        fitting = [one for one in found if one and one.misfit < self.config.misfit]
        best = min(fitting, key=lambda one: one.misfit, default=None)
        return best.motion if best and best.deviation < self.config.deviation else None

    def _searched(self, earlier: Keyframe, later: Keyframe, seconds: float) -> np.ndarray:
        """The motion, turns and velocities (6,), that fits best of a coarse grid."""
        grid = np.zeros((len(_SPEEDS) * len(_TURNS), 6))
        grid[:, _FORWARD], grid[:, _YAW] = np.repeat(_SPEEDS, len(_TURNS)), np.tile(_TURNS, len(_SPEEDS))
        steps = [_step(motion, seconds) for motion in grid]
        points = np.stack([step.points(earlier.points[::_COARSE]) for step in steps])
        values, inside = later.nearest(points)
        squared = ((values - earlier.seen[::_COARSE]) ** 2).mean(2).clip(max=_UNRELATED)
        misfits = (squared * inside).sum(1) / np.maximum(inside.sum(1), 1) + _UNRELATED * ~inside.any(1)
        return grid[int(misfits.argmin())]


@dataclass(frozen=True)
class Aligned:
    """A motion that lays one pair on another.

    Attributes:
        motion: of the camera.
        misfit: root mean square difference of features, of the median point; sqrt(2) if nothing fits.
        deviation: standard deviation of the forward speed, m/s.
    """

    motion: CameraMotion
    misfit: float
    deviation: float


def aligned(
    earlier: Keyframe, later: Keyframe, seconds: float, start: np.ndarray, config: OdometryConfig
) -> Aligned | None:
    """Fit a motion by Gauss-Newton, iteratively reweighted (Cauchy), with what is known of vehicles as a prior.

    Noise in features adds to the squares that a step is divided by, and makes it several times too short. How many
    times, two steps tell (Aitken's method for vectors: Irons and Tuck, 1969).

    Args:
        start: turns and velocities (6,) of the camera to begin with; its turn about y and its forward speed are those
            that are expected.
    """
    expected = np.zeros(6)
    expected[[_YAW, _FORWARD]] = start[[_YAW, _FORWARD]]
    pose = _step(start, seconds)
    prior = np.diag(1 / (np.array(config.spread) * seconds) ** 2)
    mean = _numbers(_step(expected, seconds))
    numbers = _numbers(pose)
    misfit, information = math.inf, prior
    gain, last = config.first, None
    fx, fy = later.calibration.fx, later.calibration.fy
    for _ in range(config.steps):
        points = earlier.points @ _turned(numbers[:3]).T + numbers[3:]
        values, right, down, inside = later.sampled(points)
        if inside.sum() < config.points:
            return None
        x, y, z = points[inside].T
        off, right, down = (values - earlier.seen)[inside], right[inside], down[inside]
        squared = (off * off).mean(1, dtype=np.float64)
        misfit = float(np.sqrt(np.median(squared)))
        weight = 1 / (1 + squared / max(misfit, 1e-3) ** 2)
        # How a point's place in the image, u and v, changes with the six numbers.
        u_by = np.stack([-fx * x * y / z**2, fx * (1 + (x / z) ** 2), -fx * y / z, fx / z, 0 * z, -fx * x / z**2], 1)
        v_by = np.stack([-fy * (1 + (y / z) ** 2), fy * x * y / z**2, fy * x / z, 0 * z, fy / z, -fy * y / z**2], 1)
        products = {
            name: weight * np.einsum("nc,nc->n", a, b)
            for name, a, b in (
                ("uu", right, right), ("uv", right, down), ("vv", down, down), ("u", right, off), ("v", down, off),
            )
        }  # fmt: skip
        cross = (u_by.T * products["uv"]) @ v_by
        normal = (u_by.T * products["uu"]) @ u_by + (v_by.T * products["vv"]) @ v_by + cross + cross.T
        scale = max(misfit, 1e-3) ** 2 * config.alike
        information = normal / scale + prior
        gradient = (u_by.T @ products["u"] + v_by.T @ products["v"]) / scale + prior @ (numbers - mean)
        step = np.linalg.solve(information, gradient)
        if last is not None:
            change = (last - step) @ information
            gain = float(np.clip(gain * (change @ last) / max(change @ (last - step), 1e-12), 1, config.gain))
        last = step
        numbers = numbers - gain * step
        if np.abs(step).max() < config.least_step:
            break
    rotation = _turned(numbers[:3])
    camera = FramePose(rotation.T, -rotation.T @ numbers[3:])
    deviation = math.sqrt(np.linalg.inv(information)[_FORWARD, _FORWARD]) / seconds
    return Aligned(CameraMotion.between(FramePose.identity(), camera, seconds), misfit, deviation)


@lru_cache(maxsize=8)
def _scattered(rows: int, columns: int) -> np.ndarray:
    """Return a row and a column (2, N), with fractions, in each square of four values: anywhere, evenly spread."""
    corners = np.indices((rows, columns)).reshape(2, -1)
    return corners + np.outer(SPREAD, np.arange(rows * columns)) % 1


def _interpolated(values: np.ndarray, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values (h, w, C) at columns and rows (N,) with fractions: (N, C), and their changes to the right and
    down.
    """
    width, channels = values.shape[1:]
    column, row = u.astype(np.int64), v.astype(np.int64)
    a, b = ((part - whole).astype(np.float32)[:, None] for part, whole in ((u, column), (v, row)))
    flat, first = values.reshape(-1, channels), row * width + column
    p, q, r, s = (flat.take(first + further, axis=0) for further in (0, 1, width, width + 1))
    above, below = p + a * (q - p), r + a * (s - r)
    return above + b * (below - above), (1 - b) * (q - p) + b * (s - r), below - above


def _pooled(features: np.ndarray) -> np.ndarray:
    """Return the mean features (h / 2, w / 2, C) of APART x APART cells of features (C, h, w)."""
    rows = features[:, 0::APART] + features[:, 1::APART]
    both = rows[:, :, 0::APART] + rows[:, :, 1::APART]
    return np.ascontiguousarray(both.transpose(1, 2, 0)) / np.float32(APART * APART)


def _covered(boxes: Detections, view: ModelView, shape: tuple[int, ...]) -> np.ndarray:
    """Return bool of `shape`: the cells that boxes in the source image cover."""
    covered = np.zeros(shape, bool)
    stride = view.calibration.width / shape[1]
    scale = np.tile([view.resized_width / view.source.width, view.resized_height / view.source.height], 2)
    edges = (boxes.image_boxes * scale - np.tile([view.left, view.top], 2)) / stride
    for left, top, right, bottom in np.concatenate([np.floor(edges[:, :2]), np.ceil(edges[:, 2:])], 1):
        rows, columns = (slice(max(int(low), 0), max(int(high), 0)) for low, high in ((top, bottom), (left, right)))
        covered[rows, columns] = True
    return covered


def _step(motion: np.ndarray, seconds: float) -> FramePose:
    """How points move in the camera's frame while it moves so: turns and velocities (6,)."""
    return CameraMotion(motion[:3], motion[3:]).over(seconds).inverse()


def _turned(turn: np.ndarray) -> np.ndarray:
    """The rotation (3, 3) of a turn: axis times radians."""
    return CameraMotion(turn, np.zeros(3)).over(1.0).rotation


def _numbers(step: FramePose) -> np.ndarray:
    return np.concatenate([CameraMotion.between(FramePose.identity(), step, 1.0).turn, step.translation])
