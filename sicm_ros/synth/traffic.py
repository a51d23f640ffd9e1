"""Who is on the street: cars parked, driving, oncoming, crossing; vans, lorries, trams; people on foot and bicycles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sicm_ros.synth import people, vehicles
from sicm_ros.synth.mesh import Mesh
from sicm_ros.synth.street import BEHIND, Street

COARSE = 28.0  # metres; beyond, cars have fewer triangles


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
        """Position (3,) on the ground and yaw after so many seconds."""
        if self.along and self.speed:
            sign = 1.0 if abs(self.yaw) < np.pi / 2 else -1.0
            s = self.x + sign * self.speed * time
            x, y = street.point(s, self.lane)
            yaw = street.heading(s) + (0.0 if sign > 0 else np.pi)
        else:
            x, y = self.x + self.speed * time * np.cos(self.yaw), self.y + self.speed * time * np.sin(self.yaw)
            yaw = self.yaw
        raised = 0.12 if self.kind == "Pedestrian" and self._on_pavement(street) else 0.0
        return np.array([float(x), float(y), float(street.height(x, y)) + raised]), yaw

    def _on_pavement(self, street: Street) -> bool:
        crossing = street.crossing is not None and self.x in street.crossing
        right, left = street.right - street.parking_right, street.left + street.parking_left
        t = self.y - 0.5 * street.curvature * self.x**2
        return not crossing and (t < right or t > left) and (street.pavement[0] if t < 0 else street.pavement[1]) > 0

    def footprint(self, margin: float = 0.0) -> np.ndarray:
        """(4, 2) corners on the ground at time 0."""
        _, w, length = self.size
        a = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * [length / 2 + margin, w / 2 + margin]
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return a @ np.array([[c, s], [-s, c]]) + [self.x, self.y]


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two convex quadrilaterals meet (separating axes)."""
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
        self.street, self.rng, self.moving, self.actors = street, rng, moving, []
        self._taken = [np.array([[3.0, 1.2], [3.0, -1.2], [-3.5, -1.2], [-3.5, 1.2]])]  # our own car

    def add(self, kind: str, s: float, t: float, turn: float, speed: float = 0.0, along: bool = False) -> bool:
        rng = self.rng
        near = s < COARSE or self.moving
        if kind == "Car":
            mesh, size = vehicles.any_car(rng, fine=near)
        elif kind == "Van":
            mesh, size = vehicles.any_car(rng, van=True, fine=near)
        elif kind == "Truck":
            size = np.array(
                [rng.uniform(2.7, 3.8), rng.uniform(2.3, 2.7), rng.choice([rng.uniform(5.5, 8.5), rng.uniform(9, 14)])]
            )
            mesh = vehicles.truck(size, rng)
        elif kind == "Tram":
            size = np.array([3.4, rng.uniform(2.3, 2.6), rng.uniform(12, 24)])
            mesh = vehicles.tram(size, rng)
        elif kind == "Misc":  # a bus, as KITTI has it
            size = np.array([3.0, 2.5, rng.uniform(10, 12.5)])
            mesh = vehicles.tram(size, rng, wheels=True)
        else:
            mesh, size = people.anyone(rng, rides=kind == "Cyclist")
        x, y = self.street.point(s, t)
        actor = Actor(kind, mesh, size, float(x), float(y), self.street.heading(s) + turn, speed, along, float(t))
        shape = actor.footprint(0.25 if kind not in ("Pedestrian",) else 0.1)
        if any(_overlap(shape, other) for other in self._taken):
            return False
        self._taken.append(shape)
        self.actors.append(actor)
        return True


def populate(street: Street, rng: np.random.Generator, moving: bool = False) -> list[Actor]:
    """Fills a street with traffic; `moving` gives speeds that suit an ego car that drives on."""
    crowd = _Crowd(street, rng, moving)
    turn = lambda deviation: float(deviation * rng.normal())  # noqa: E731
    far = 85.0

    def motor() -> str:
        return str(rng.choice(["Car", "Van", "Truck", "Misc"], p=[0.86, 0.09, 0.035, 0.015]))

    busy = rng.choice([0.2, 0.5, 1.1], p=[0.35, 0.4, 0.25])
    pace = rng.uniform(6, 13)
    c = street.crossing
    for t, direction in street.lanes:
        s = rng.uniform(6, 20) if direction > 0 else rng.uniform(4, 16)
        s += rng.exponential(16 / busy)
        while s < far:
            speed = (pace * rng.uniform(0.9, 1.1) if moving else 0.0) if direction > 0 else pace * rng.uniform(0.8, 1.2)
            heading = 0.0 if direction > 0 else np.pi
            crowd.add(motor(), s, t + rng.normal(0, 0.15), heading + turn(0.025), speed, along=True)
            s += rng.uniform(7, 12) + rng.exponential(26 / busy)

    for side, depth, across, edge in (
        (-1, street.parking_right, street.perpendicular[0], street.right),
        (1, street.parking_left, street.perpendicular[1], street.left),
    ):
        if not depth:
            continue
        occupied = rng.choice([rng.uniform(0.1, 0.4), rng.uniform(0.4, 0.95)])
        against = 0.25 if side > 0 else 0.05
        step = 2.55 if across else 5.6
        start = rng.uniform(0, step) - 2
        parked = 0
        for s in np.arange(start, rng.uniform(20, 65), step):
            if rng.random() > occupied or parked > 6 or (c is not None and c.start - 3 < s < c.end + 3):
                continue
            kind = "Van" if rng.random() < 0.08 else "Car"
            if across:
                t = edge + side * (depth / 2 + rng.normal(0, 0.2))
                heading = side * np.pi / 2 * rng.choice([1, 1, 1, -1])
            else:
                t = edge + side * (1.05 + rng.normal(0, 0.12))
                heading = 0.0 if (side < 0) ^ (rng.random() < against) else np.pi
            parked += crowd.add(kind, s + rng.normal(0, 0.25), t, heading + turn(0.04))

    if c is not None:  # cars that cross, turn or wait
        for _ in range(rng.poisson(2.3)):
            s = rng.uniform(c.start + 1.2, c.end - 1.2)
            t = float(np.clip(rng.normal(0, 15), -45, 45))
            sign = -1.0 if s > 0.5 * (c.start + c.end) else 1.0  # keep right: the far half goes left... seen from us
            heading = -sign * np.pi / 2 if rng.random() < 0.95 else sign * np.pi / 2
            if street.right - 2 < t < street.left + 2 and rng.random() < 0.6:
                heading = rng.uniform(-np.pi, np.pi)
            crowd.add(motor(), s, t, heading + turn(0.12), speed=rng.uniform(3, 9))
    # Cars in yards, drives and car parks, turning round, askew: any heading.
    for _ in range(rng.poisson(1.5)):
        s = rng.uniform(6, 46)
        if rng.random() < 0.5:
            t = rng.uniform(-0.28, 0.28) * (s + 14)
        else:
            side = rng.choice([-1, 1])
            edge = (street.right - street.parking_right) if side < 0 else (street.left + street.parking_left)
            t = edge + side * rng.uniform(2.5, 9)
        crowd.add("Van" if rng.random() < 0.07 else "Car", s, t, rng.uniform(-np.pi, np.pi))
    if rng.random() < 0.1:  # a full car park beside the street
        side = rng.choice([-1, 1])
        edge = (street.right - street.parking_right) if side < 0 else (street.left + street.parking_left)
        t0, heading = edge + side * rng.uniform(4, 12), rng.uniform(-np.pi, np.pi)
        for s in np.arange(rng.uniform(8, 25), 60, 2.7):
            if rng.random() < 0.7:
                crowd.add("Car", s, t0 + 0.3 * rng.normal(), heading + turn(0.04) + rng.choice([0, np.pi]))
    if rng.random() < 0.06:
        crowd.add(
            "Tram",
            rng.uniform(15, 70),
            street.left + rng.uniform(2, 5),
            rng.choice([0, np.pi]),
            speed=rng.uniform(0, 10),
        )

    for _ in range(rng.poisson(1.1 if street.style != "country" else 0.15)):  # people on pavements, some in groups
        side = rng.choice([-1, 1])
        edge = (street.right - street.parking_right) if side < 0 else (street.left + street.parking_left)
        s, heading = 4.5 + min(rng.exponential(13), 45), rng.choice([0, np.pi]) + turn(0.3)
        for _ in range(1 + rng.poisson(0.5)):
            t = edge + side * rng.uniform(0.4, max(street.pavement[0], street.pavement[1], 1.2))
            crowd.add("Pedestrian", s + rng.normal(0, 0.7), t, heading + turn(0.2), speed=rng.uniform(0.7, 1.7))
    if rng.random() < 0.25:  # someone crosses
        t = rng.uniform(street.right, street.left)
        crowd.add(
            "Pedestrian",
            rng.uniform(7, 35),
            t,
            rng.choice([-1, 1]) * np.pi / 2 + turn(0.3),
            speed=rng.uniform(0.8, 1.6),
        )
    for _ in range(rng.poisson(0.55)):
        if rng.random() < 0.75:
            t, direction = street.lanes[rng.integers(len(street.lanes))]
            offset = -direction * 1.1
            crowd.add(
                "Cyclist",
                5.5 + min(rng.exponential(18), 50),
                t + offset,
                (0 if direction > 0 else np.pi) + turn(0.06),
                rng.uniform(3, 6),
                along=True,
            )
        else:
            crowd.add(
                "Cyclist", rng.uniform(7, 40), rng.uniform(-12, 12), rng.uniform(-np.pi, np.pi), rng.uniform(2, 5)
            )
    return [a for a in crowd.actors if a.x > BEHIND]
