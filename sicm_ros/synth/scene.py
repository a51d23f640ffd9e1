# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""One scene: a street, its traffic, the light, the rig and its cameras, and how they look at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sicm_ros.geometry import StereoCalibration
from sicm_ros.synth.camera import Camera
from sicm_ros.synth.labels import Label, annotate
from sicm_ros.synth.mesh import Mesh, merge
from sicm_ros.synth.renderer import Light, Pose, Renderer
from sicm_ros.synth.roadside import furnish
from sicm_ros.synth.street import AHEAD, Street, ground, lay_out
from sicm_ros.synth.traffic import Actor, populate

KITTI = StereoCalibration(fx=721.5377, fy=721.5377, cx=609.5593, cy=172.854, baseline=0.5327, width=1242, height=375)
CAMERA_HEIGHT = 1.65
SPEEDS = 4.0, 12.0  # m/s, of our own car in a sequence


@dataclass(frozen=True)
class Frame:
    """A stereo pair with its truth.

    left, right: uint8 (H, W, 3) RGB; disparity: float32 (H, W), pixels, 0 where nothing is (sky);
    labels: of the left view.
    """

    left: np.ndarray
    right: np.ndarray
    disparity: np.ndarray
    calibration: StereoCalibration
    labels: list[Label]


@dataclass(frozen=True)
class DrawnScene:
    """Everything that is the same in all frames of a sequence."""

    street: Street
    static: Mesh
    actors: list[Actor]
    light: Light
    cameras: tuple[Camera, Camera]
    calibration: StereoCalibration
    camera_height: float
    speed: float
    jitter: tuple[float, float, float]  # yaw, pitch, roll of the rig, radians
    skew: tuple[float, float]  # error of the right image's rectification, pixels
    brightness: float  # the automatic exposure's aim for what isn't sky, grey levels

    def pose(self, time: float) -> Pose:
        """Return the left camera after so many seconds."""
        x, y = (float(value) for value in self.street.point(self.speed * time, 0.0))
        ahead = float(self.street.height(x + 1.5, y) - self.street.height(x - 1.5, y)) / 3
        yaw, pitch, roll = self.jitter
        sway = 0.003 * np.sin(7.3 * time + 100 * yaw) if self.speed else 0.0
        return Pose(
            (x, y, float(self.street.height(x, y)) + self.camera_height),
            self.street.heading(x) + yaw,
            float(np.arctan(ahead)) + pitch + sway,
            roll,
        )

    def render(self, renderer: Renderer, time: float, rng: np.random.Generator) -> Frame:
        """Return the frame at a time in seconds; rng makes its noise."""
        pose = self.pose(time)
        placed = []
        for number, actor in enumerate(self.actors, 1):
            position, yaw = actor.at(self.street, time)
            placed.append((actor, position, yaw, number, actor.mesh.placed(position, yaw, number)))
        renderer.load(merge([self.static, *(mesh for *_, mesh in placed)]), pose.position)
        seen = renderer.render(self.calibration, pose, self.light, self.skew)
        labels = []
        pixels = np.bincount(seen.identity[0].ravel(), minlength=len(placed) + 1)
        for actor, position, yaw, number, mesh in placed:
            if not pixels[number]:
                continue
            label = annotate(
                actor.kind, actor.size, position, yaw, number, mesh, seen.identity[0], pose, self.calibration
            )
            if label is not None:
                labels.append(label)
        depth = seen.depth[0]
        disparity = np.where(depth > 0, self.calibration.disparity(np.maximum(depth, 0.1)), 0).astype(np.float32)
        left, right = self.cameras
        bright = (
            self.brightness / max(float(seen.left[::4, ::4][depth[::4, ::4] > 0].mean()), 1.0)
            if (depth > 0).any()
            else 1.0
        )
        gain = float(np.clip(bright, 0.6, 3.0))
        return Frame(
            left.develop(seen.left[..., :3], rng, gain),
            right.develop(seen.right[..., :3], rng, gain),
            disparity,
            self.calibration,
            labels,
        )


def any_light(rng: np.random.Generator) -> Light:
    """Return weather and exposure of a day."""
    overcast = float(
        rng.choice([rng.uniform(0, 0.25), rng.uniform(0.25, 0.7), rng.uniform(0.7, 1.0)], p=[0.6, 0.2, 0.2])
    )
    elevation = float(np.radians(rng.uniform(16, 62)))
    warmth = np.clip(1.1 - elevation, 0, 1) * 0.35
    strength = rng.uniform(2.6, 4.2) * (1 - 0.9 * max(overcast - 0.3, 0) / 0.7)
    sun = strength * np.array([1.05, 1.0 - 0.3 * warmth, 0.95 - 0.8 * warmth])
    blue = rng.uniform(0.35, 1.0) * (1 - overcast)
    zenith = rng.uniform(0.6, 1.1) * (np.array([0.25, 0.5, 1.05]) * blue + np.array([0.75, 0.82, 0.9]) * (1 - blue))
    horizon = rng.uniform(0.5, 1.2) * np.array([0.86, 0.96, 1.1])
    return Light(
        azimuth=float(rng.uniform(-np.pi, np.pi)),
        elevation=elevation,
        sun=tuple(sun),
        zenith=tuple(zenith),
        horizon=tuple(horizon),
        ambient=float(rng.uniform(0.33, 0.62) * (1 + 0.6 * overcast)),
        haze=float(rng.exponential(0.0007)),
        overcast=overcast,
        exposure=float(0.7 * (1 + 0.8 * overcast)),
        skyline=float(rng.uniform(0.08, 0.45)),
        seed=float(rng.random()),
    )


def _meets_us(actor: Actor, street: Street, speed: float, duration: float) -> bool:
    """Return whether an actor comes so near within the drive that we would have to brake."""
    for time in np.arange(0, duration, 0.2):
        where, _ = actor.at(street, time)
        x, y = street.point(speed * time, 0.0)
        along, across = where[0] - float(x), where[1] - float(y)
        if -3 < along < 4.5 + actor.size[2] / 2 and abs(across) < 1.3 + max(
            actor.size[1] / 2, actor.size[2] / 2 * abs(np.sin(actor.yaw))
        ):
            return True
    return False


def any_scene(
    rng: np.random.Generator,
    calibration: StereoCalibration = KITTI,
    camera_height: float = CAMERA_HEIGHT,
    duration: float = 0.0,
    speeds: tuple[float, float] = SPEEDS,
    furniture: float = 0.0,
) -> DrawnScene:
    """Return a random scene; with a duration in seconds, one that we drive through at one of `speeds`, m/s, or stand
    in; with `furniture`, that many more things on each side that could be taken for people.
    """
    speed = float(rng.uniform(*speeds)) if duration else 0.0
    street = lay_out(rng, AHEAD + speed * duration)
    actors = populate(street, rng, moving=duration > 0)
    if duration:  # all go as fast as we or slower than they can
        for actor in actors:
            if actor.along and abs(actor.yaw) < np.pi / 2 and actor.kind not in ("Cyclist", "Pedestrian"):
                actor.speed = max(speed * float(rng.uniform(0.95, 1.1)), 1.0)
        actors = [actor for actor in actors if not _meets_us(actor, street, speed, duration)]
    # Parked cars and people keep their places clear; who drives keeps to the road anyway.
    taken = np.array([[a.x, a.y, 0.45 * a.size[2]] for a in actors if not a.along]).reshape(-1, 3)
    camera = Camera.any(rng)
    return DrawnScene(
        street,
        merge([ground(street, rng), furnish(street, rng, taken, furniture)]),
        actors,
        any_light(rng),
        (camera, camera.twin(rng)),
        calibration,
        camera_height + float(rng.normal(0, 0.04)),
        speed,
        tuple(rng.normal(0, [0.022, 0.012, 0.008])),
        tuple(rng.normal(0, [0.04, 0.12])),
        float(rng.uniform(112, 172)),
    )
