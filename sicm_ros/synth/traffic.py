# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Who is on the street: cars parked, driving, oncoming, crossing; vans, lorries, trams; people on foot and bicycles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sicm_ros.synth import people, vehicles
from sicm_ros.synth.mesh import Mesh
from sicm_ros.synth.street import BEHIND, KERB, Crossing, Side, Street

COARSE = 28.0  # metres; beyond, cars have fewer triangles
FARTHEST = 85.0  # metres; nobody drives beyond
MOST_PARKED = 7  # on one side


@dataclass
class Actor:
    """Something with a label.

    kind: KITTI's name of its class; size: height, width, length; x, y, yaw: in the world, metres and radians;
    speed: along its heading, m/s; along: whether it follows the street (else it goes straight on).
    """

    kind: str
    mesh: Mesh
    size: np.ndarray
    x: float
    y: float
    yaw: float
    speed: float = 0.0
    along: bool = False
    lane: float = 0.0  # t of the lane's centre

    def at(self, street: Street, time: float) -> tuple[np.ndarray, float]:
        """Return position (3,) on the ground and yaw after so many seconds."""
        if self.along and self.speed:
            sign = 1.0 if abs(self.yaw) < np.pi / 2 else -1.0
            s = self.x + sign * self.speed * time
            x, y = street.point(s, self.lane)
            yaw = street.heading(s) + (0.0 if sign > 0 else np.pi)
        else:
            x, y = self.x + self.speed * time * np.cos(self.yaw), self.y + self.speed * time * np.sin(self.yaw)
            yaw = self.yaw
        raised = KERB if self.kind in ("Pedestrian", "Person_sitting") and self._on_pavement(street) else 0.0
        return np.array([float(x), float(y), float(street.height(x, y)) + raised]), yaw

    def _on_pavement(self, street: Street) -> bool:
        side = street.sides()[int(self.lane > 0)]
        return bool(side.pavement) and side.sign * (self.lane - side.kerb) > 0 and street.free(self.x, 0.0)

    def footprint(self, margin: float = 0.0) -> np.ndarray:
        """Return (4, 2) corners on the ground at time 0."""
        _, w, length = self.size
        a = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * [length / 2 + margin, w / 2 + margin]
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return a @ np.array([[c, s], [-s, c]]) + [self.x, self.y]


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Return whether two convex quadrilaterals meet (separating axes)."""
    for p in (a, b):
        for i in range(4):
            edge = p[(i + 1) % 4] - p[i]
            axis = np.array([-edge[1], edge[0]])
            pa, pb = a @ axis, b @ axis
            if pa.max() < pb.min() or pb.max() < pa.min():
                return False
    return True


class _Crowd:
    """Actors that don't stand in each other."""

    def __init__(self, street: Street, rng: np.random.Generator, moving: bool) -> None:
        self.street, self.rng, self.moving = street, rng, moving
        self.actors: list[Actor] = []
        self._taken = [np.array([[3.0, 1.2], [3.0, -1.2], [-3.5, -1.2], [-3.5, 1.2]])]  # our own car

    def add(self, kind: str, s: float, t: float, turn: float, speed: float = 0.0, along: bool = False) -> bool:
        rng = self.rng
        near = s < COARSE or self.moving
        if kind == "Car":
            mesh, size = vehicles.any_car(rng, fine=near)
        elif kind == "Van":
            mesh, size = vehicles.any_car(rng, van=True, fine=near)
        elif kind in ("truck", "bus", "tram"):
            size = vehicles.vehicle_size(kind, rng)
            mesh, kind = vehicles.vehicle(kind, size, rng), vehicles.LABELS[kind]
        else:
            mesh, size = people.anyone(rng, kind)
        x, y = self.street.point(s, t)
        actor = Actor(kind, mesh, size, float(x), float(y), self.street.heading(s) + turn, speed, along, float(t))
        shape = actor.footprint(0.1 if kind in ("Pedestrian", "Person_sitting") else 0.25)
        if any(_overlap(shape, other) for other in self._taken):
            return False
        self._taken.append(shape)
        self.actors.append(actor)
        return True


def populate(street: Street, rng: np.random.Generator, moving: bool = False) -> list[Actor]:
    """Fill a street with traffic; `moving` gives speeds that suit an ego car that drives on."""
    crowd = _Crowd(street, rng, moving)
    _beside_us(crowd, street, rng)
    _driving(crowd, street, rng)
    for side in street.sides():
        _parked(crowd, street, side, rng)
    if street.crossing is not None:
        _crossing(crowd, street, street.crossing, rng)
    _askew(crowd, street, rng)
    _pedestrians(crowd, street, rng)
    _cyclists(crowd, street, rng)
    return [actor for actor in crowd.actors if actor.x > BEHIND]


def _car_or_van(rng: np.random.Generator) -> str:
    return "Van" if rng.random() < 0.1 else "Car"


def _motor(rng: np.random.Generator) -> str:
    return str(rng.choice(["Car", "Van", "truck", "bus"], p=[0.79, 0.12, 0.06, 0.03]))


def _beside_us(crowd: _Crowd, street: Street, rng: np.random.Generator) -> None:
    """Add who passes us, is passed or parked so near that the image's border cuts it: what a
    planner needs to know.
    """
    for side in street.sides():
        if rng.random() < 0.5:
            kind = str(rng.choice(["Car", "Van", "truck", "bus"], p=[0.74, 0.15, 0.07, 0.04]))
            half = 1.3 if kind in ("truck", "bus") else 0.95
            s, t = rng.uniform(1.0, 9.0), side.sign * (1.2 + half + abs(rng.normal(0.3, 0.8)))
            towards = rng.random() < (0.65 if side.sign > 0 else 0.15)
            speed = 0.0 if rng.random() < 0.4 else rng.uniform(3, 12)
            crowd.add(kind, s, t, (np.pi if towards else 0.0) + 0.06 * rng.normal(), speed, along=speed > 0)
        elif rng.random() < 0.25:
            s, t = rng.uniform(3.2, 8.0), side.sign * rng.uniform(1.6, 5.0)
            kind = "Cyclist" if rng.random() < 0.35 else "Pedestrian"
            crowd.add(kind, s, t, rng.choice([0, np.pi]) + 0.3 * rng.normal(), rng.uniform(0.8, 1.6), kind == "Cyclist")


def _driving(crowd: _Crowd, street: Street, rng: np.random.Generator) -> None:
    """Add cars ahead of us and towards us; rarely a tram beside."""
    busy, pace = rng.choice([0.2, 0.5, 1.1], p=[0.35, 0.4, 0.25]), rng.uniform(6, 13)
    for t, direction in street.lanes:
        ahead = direction > 0
        s = rng.uniform(6, 20) if ahead else rng.uniform(4, 16)
        s += rng.exponential(16 / busy)
        while s < FARTHEST:
            speed = pace * rng.uniform(0.8, 1.2)
            yaw = (0.0 if ahead else np.pi) + 0.025 * rng.normal()
            crowd.add(_motor(rng), s, t + rng.normal(0, 0.15), yaw, speed, along=True)
            s += rng.uniform(7, 12) + rng.exponential(26 / busy)
    if rng.random() < 0.12:
        t = street.left + rng.uniform(2, 5)
        crowd.add("tram", rng.uniform(15, 70), t, rng.choice([0, np.pi]), speed=rng.uniform(0, 10))


def _parked(crowd: _Crowd, street: Street, side: Side, rng: np.random.Generator) -> None:
    """Park a row along the kerb, or across it where there is room."""
    if not side.parking:
        return
    occupied = rng.choice([rng.uniform(0.1, 0.4), rng.uniform(0.4, 0.95)])
    step = 2.55 if side.perpendicular else 5.6
    parked = 0
    for s in np.arange(rng.uniform(0, step) - 2, rng.uniform(20, 65), step):
        if rng.random() > occupied or parked == MOST_PARKED or not street.free(s, 2.5):
            continue
        if side.perpendicular:
            t = 0.5 * (side.edge + side.kerb) + rng.normal(0, 0.2)
            yaw = np.pi / 2 * rng.choice([1, 1, 1, -1]) * side.sign
        else:
            t = side.edge + side.sign * (1.05 + rng.normal(0, 0.12))
            against = rng.random() < (0.25 if side.sign > 0 else 0.05)
            yaw = 0.0 if (side.sign < 0) != against else np.pi
        parked += crowd.add(_car_or_van(rng), s + rng.normal(0, 0.25), t, yaw + 0.04 * rng.normal())


def _crossing(crowd: _Crowd, street: Street, crossing: Crossing, rng: np.random.Generator) -> None:
    """Add cars in the side street: those in its far half drive to the left; in the middle they turn."""
    for _ in range(rng.poisson(2.3)):
        s = rng.uniform(crossing.start + 1.2, crossing.end - 1.2)
        t = float(np.clip(rng.normal(0, 15), -45, 45))
        leftwards = (s > 0.5 * (crossing.start + crossing.end)) != (rng.random() < 0.05)
        yaw = np.pi / 2 if leftwards else -np.pi / 2
        if street.right - 2 < t < street.left + 2 and rng.random() < 0.6:
            yaw = rng.uniform(-np.pi, np.pi)
        crowd.add(_motor(rng), s, t, yaw + 0.12 * rng.normal(), speed=rng.uniform(3, 9))


def _askew(crowd: _Crowd, street: Street, rng: np.random.Generator) -> None:
    """Add cars in yards and drives, turning round, in a car park: at any heading, which learning
    needs and streets lack.
    """
    for _ in range(rng.poisson(1.5)):
        s, side = rng.uniform(6, 46), street.sides()[rng.integers(2)]
        t = side.kerb + side.sign * rng.uniform(2.5, 9) if rng.random() < 0.5 else rng.uniform(-0.28, 0.28) * (s + 14)
        crowd.add(_car_or_van(rng), s, t, rng.uniform(-np.pi, np.pi))
    if rng.random() < 0.1:
        side = street.sides()[rng.integers(2)]
        t, yaw = side.kerb + side.sign * rng.uniform(4, 12), rng.uniform(-np.pi, np.pi)
        for s in np.arange(rng.uniform(8, 25), 60, 2.7):
            if rng.random() < 0.7:
                crowd.add("Car", s, t + 0.3 * rng.normal(), yaw + 0.04 * rng.normal() + rng.choice([0, np.pi]))


def _pedestrians(crowd: _Crowd, street: Street, rng: np.random.Generator) -> None:
    """Add people on pavements, some in groups; now and then someone crosses."""
    for _ in range(rng.poisson(1.6 if street.style != "country" else 0.3)):
        side = street.sides()[rng.integers(2)]
        s, yaw = 4.5 + min(rng.exponential(13), 45), rng.choice([0, np.pi]) + 0.3 * rng.normal()
        for _ in range(1 + rng.poisson(0.5)):
            t = side.kerb + side.sign * rng.uniform(0.4, max(side.pavement, 1.2))
            crowd.add("Pedestrian", s + rng.normal(0, 0.7), t, yaw + 0.2 * rng.normal(), speed=rng.uniform(0.7, 1.7))
    for _ in range(rng.poisson(0.12)):
        side = street.sides()[rng.integers(2)]
        t = side.kerb + side.sign * rng.uniform(0.6, max(side.pavement, 1.2))
        crowd.add("Person_sitting", rng.uniform(5, 25), t, rng.uniform(-np.pi, np.pi))
    if rng.random() < 0.35:
        s, t = rng.uniform(4, 30), rng.uniform(street.right, street.left)
        yaw = rng.choice([-1, 1]) * np.pi / 2 + 0.3 * rng.normal()
        crowd.add("Pedestrian", s, t, yaw, speed=rng.uniform(0.8, 1.6))


def _cyclists(crowd: _Crowd, street: Street, rng: np.random.Generator) -> None:
    """Add cyclists along the lanes' right-hand edges, some anywhere."""
    for _ in range(rng.poisson(0.8)):
        if rng.random() < 0.75:
            lane, direction = street.lanes[rng.integers(len(street.lanes))]
            yaw = (0 if direction > 0 else np.pi) + 0.06 * rng.normal()
            s = 5.5 + min(rng.exponential(18), 50)
            crowd.add("Cyclist", s, lane - 1.1 * direction, yaw, rng.uniform(3, 6), along=True)
        else:
            s, t = rng.uniform(7, 40), rng.uniform(-12, 12)
            crowd.add("Cyclist", s, t, rng.uniform(-np.pi, np.pi), rng.uniform(2, 5))
