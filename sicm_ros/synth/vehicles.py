# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Cars, vans, trucks and trams, lofted from a side profile and a plan, each one different.

A body is a row of cross-sections along its length. The upper edge of the sections follows bonnet, windscreen, roof,
rear window and boot; the lower edge rises over the wheels; a section has a side that bulges, a shoulder, a greenhouse
leaning in and a rounded roof rail. Which face is glass, pillar or paint follows from where it lies. Bodies fill the box
that they are asked to fill exactly; only mirrors stick out, as KITTI's annotators left them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from sicm_ros.synth.mesh import (
    GLOSS,
    SKIN,
    SURFACE,
    Mesh,
    Surface,
    box,
    build,
    ellipsoid,
    grid_normals,
    grid_triangles,
    merge,
    quad,
    tube,
)
from sicm_ros.synth.skins import RIMS, Skin

BLACK = (0.012, 0.012, 0.013)


@dataclass(frozen=True)
class Profile:
    """A body's shape. Along: fractions of the length, 0 at the nose. Up: fractions of the height, from the ground.

    cowl: where bonnet and windscreen meet; roof: start and end of the roof; tail: foot of the rear window.
    nose, bonnet, boot: heights of the bonnet's front edge, the cowl and the boot lid; belt: of the windows' lower edge.
    axles: wheels' places; pillars: centres of the pillars between the side windows; wheel: diameter / height.
    """

    cowl: float
    roof: tuple[float, float]
    tail: float
    nose: float
    bonnet: float
    boot: float
    belt: float
    axles: tuple[float, float]
    pillars: tuple[float, ...]
    windows: tuple[float, float]  # where the side windows begin and end
    wheel: float = 0.42
    sill: float = 0.15
    round_nose: float = 0.10
    round_tail: float = 0.06
    tumble: float = 0.30


PROFILES = {
    "hatchback": Profile(0.24, (0.43, 0.90), 0.975, 0.52, 0.65, 0.62, 0.61, (0.19, 0.83), (0.585,), (0.30, 0.90)),
    "compact": Profile(0.20, (0.40, 0.93), 0.985, 0.52, 0.64, 0.64, 0.60, (0.17, 0.85), (0.60, 0.80), (0.26, 0.93)),
    "sedan": Profile(0.27, (0.44, 0.70), 0.86, 0.51, 0.65, 0.69, 0.62, (0.19, 0.80), (0.555,), (0.33, 0.83)),
    "estate": Profile(0.26, (0.43, 0.93), 0.985, 0.50, 0.645, 0.63, 0.61, (0.19, 0.80), (0.545, 0.75), (0.32, 0.94)),
    "suv": Profile(
        0.25, (0.41, 0.91), 0.97, 0.54, 0.64, 0.62, 0.63, (0.19, 0.82), (0.55, 0.76), (0.30, 0.91), 0.44, 0.20
    ),
    "coupe": Profile(
        0.30,
        (0.48, 0.66),
        0.88,
        0.49,
        0.64,
        0.70,
        0.66,
        (0.20, 0.80),
        (0.66,),
        (0.36, 0.84),
        0.46,
        0.14,
        0.12,
        0.08,
        0.34,
    ),
    "mpv": Profile(0.18, (0.37, 0.93), 0.985, 0.47, 0.59, 0.60, 0.57, (0.18, 0.82), (0.52, 0.74), (0.24, 0.94), 0.37),
    "van": Profile(
        0.15,
        (0.31, 0.96),
        0.99,
        0.42,
        0.52,
        0.55,
        0.52,
        (0.18, 0.78),
        (0.44,),
        (0.20, 0.44),
        0.32,
        0.14,
        0.07,
        0.02,
        0.12,
    ),
    "minibus": Profile(
        0.14,
        (0.30, 0.96),
        0.99,
        0.40,
        0.51,
        0.53,
        0.51,
        (0.18, 0.76),
        (0.40, 0.66),
        (0.19, 0.95),
        0.32,
        0.14,
        0.07,
        0.02,
        0.14,
    ),
}
CAR_SHARES = {
    "hatchback": 0.28,
    "compact": 0.17,
    "sedan": 0.19,
    "estate": 0.17,
    "suv": 0.07,
    "coupe": 0.04,
    "mpv": 0.08,
}
# KITTI's means and deviations of height, width, length per kind, so that all Cars together have its 1.53, 1.63, 3.88.
_SIZES = {
    "hatchback": (1.48, 1.63, 3.83),
    "compact": (1.50, 1.57, 3.45),
    "sedan": (1.44, 1.68, 4.25),
    "estate": (1.48, 1.67, 4.30),
    "suv": (1.72, 1.73, 4.25),
    "coupe": (1.36, 1.66, 4.0),
    "mpv": (1.68, 1.68, 4.15),
    "van": (2.25, 1.92, 5.15),
    "minibus": (2.0, 1.86, 4.8),
}

# Linear light. Silver, greys, black and white are what drives past.
_PAINTS = (
    ((0.45, 0.46, 0.47), 0.9, 0.20),
    ((0.17, 0.175, 0.18), 0.8, 0.15),
    ((0.06, 0.062, 0.066), 0.7, 0.09),
    ((0.012, 0.012, 0.014), 0.5, 0.17),
    ((0.72, 0.72, 0.70), 0.2, 0.10),
    ((0.02, 0.035, 0.11), 0.7, 0.08),
    ((0.06, 0.13, 0.30), 0.8, 0.05),
    ((0.30, 0.015, 0.012), 0.4, 0.07),
    ((0.13, 0.008, 0.012), 0.6, 0.03),
    ((0.02, 0.06, 0.03), 0.6, 0.02),
    ((0.24, 0.20, 0.14), 0.8, 0.03),
    ((0.55, 0.38, 0.03), 0.2, 0.01),
)


_CARGO = ((0.75, 0.75, 0.73), (0.6, 0.6, 0.6), (0.2, 0.2, 0.2), (0.05, 0.1, 0.3), (0.35, 0.03, 0.03), (0.05, 0.2, 0.08))
_LIVERIES = (
    (0.7, 0.68, 0.6),
    (0.6, 0.45, 0.03),
    (0.45, 0.02, 0.02),
    (0.05, 0.12, 0.35),
    (0.5, 0.5, 0.5),
    (0.08, 0.3, 0.1),
)


def car_kind(rng: np.random.Generator) -> str:
    """Return a kind of car, as often as it is met."""
    return str(rng.choice(list(CAR_SHARES), p=np.array(list(CAR_SHARES.values())) / sum(CAR_SHARES.values())))


def car_size(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return the height, width, length in metres of a vehicle of that kind."""
    deviation = np.array([0.07, 0.055, 0.24]) if kind not in ("van", "minibus") else np.array([0.25, 0.12, 0.5])
    return np.asarray(_SIZES[kind]) + deviation * np.clip(rng.normal(size=3), -2, 2)


LABELS = {
    **dict.fromkeys(PROFILES, "Car"),
    "van": "Van",
    "minibus": "Van",
    "truck": "Truck",
    "bus": "Truck",
    "tram": "Tram",
}


def vehicle_size(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return the height, width, length in metres of a vehicle of any kind of LABELS."""
    if kind == "truck":
        length = rng.choice([rng.uniform(5.5, 8.5), rng.uniform(8.5, 15)], p=[0.6, 0.4])
        return np.array([rng.uniform(2.6, 3.9), rng.uniform(2.3, 2.7), length])
    if kind == "bus":
        return np.array([rng.uniform(2.9, 3.3), rng.uniform(2.45, 2.6), rng.uniform(9, 13)])
    if kind == "tram":
        return np.array([rng.uniform(3.3, 3.7), rng.uniform(2.3, 2.65), rng.uniform(10, 26)])
    return car_size(kind, rng)


def vehicle(kind: str, size, rng: np.random.Generator) -> Mesh:
    """Return a vehicle of any kind of LABELS that fills its box (height, width, length)."""
    if kind == "truck":
        return truck(size, rng)
    if kind in ("bus", "tram"):
        return tram(size, rng, wheels=kind == "bus")
    return car(kind, size, rng)


def paint(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return a colour (linear light) and its gloss: metallic where high."""
    colour, gloss, _ = _PAINTS[
        rng.choice(len(_PAINTS), p=np.array([p[2] for p in _PAINTS]) / sum(p[2] for p in _PAINTS))
    ]
    colour = np.asarray(colour) * np.exp(0.18 * rng.normal()) * np.exp(0.05 * rng.normal(size=3))
    return np.clip(colour, 0.006, 0.85), float(np.clip(gloss + 0.15 * rng.normal(), 0.1, 1))


def _smooth(x: np.ndarray, points, width: float) -> np.ndarray:
    """Return a polyline through points, its corners rounded over `width`."""
    points = np.asarray(points, np.float64)
    fine = np.linspace(-0.05, 1.05, 1101)
    values = np.interp(fine, points[:, 0], points[:, 1])
    kernel = np.hanning(max(int(width * 1000), 3) | 1)
    padded = np.pad(values, len(kernel) // 2, mode="edge")
    return np.interp(x, fine, np.convolve(padded, kernel / kernel.sum(), mode="valid"))


def _varied(profile: Profile, rng: np.random.Generator) -> Profile:
    """Return the profile with every measure moved a little."""

    def move(value, scale):
        return value + scale * float(np.clip(rng.normal(), -2, 2))

    start, end = profile.windows
    return Profile(
        cowl=move(profile.cowl, 0.012),
        roof=(move(profile.roof[0], 0.014), move(profile.roof[1], 0.012)),
        tail=min(move(profile.tail, 0.008), 0.992),
        nose=move(profile.nose, 0.02),
        bonnet=move(profile.bonnet, 0.018),
        boot=move(profile.boot, 0.018),
        belt=move(profile.belt, 0.012),
        axles=(move(profile.axles[0], 0.008), move(profile.axles[1], 0.008)),
        pillars=tuple(move(p, 0.012) for p in profile.pillars),
        windows=(move(start, 0.008), move(end, 0.008)),
        wheel=move(profile.wheel, 0.012),
        sill=move(profile.sill, 0.012),
        round_nose=move(profile.round_nose, 0.012),
        round_tail=move(profile.round_tail, 0.008),
        tumble=move(profile.tumble, 0.03),
    )


class _Body:
    """The loft: stations along the length, half a ring of points each, mirrored."""

    def __init__(self, profile: Profile, size: np.ndarray, fine: bool = True) -> None:
        self.profile, self.fine = profile, fine
        p = profile
        self.height, self.width, self.length = h, w, length = size
        ends = [*p.windows, p.cowl, *p.roof, p.tail]
        sides = [q + d for q in p.pillars for d in (-0.008, 0.008)]
        regular = np.linspace(0, 1, 47 if fine else 20)
        nose = np.array([0.002, 0.007, 0.015, 0.03] if fine else [0.004, 0.02])
        self.s = s = np.unique(np.clip(np.concatenate([regular, nose, 1 - nose, ends, sides]), 0, 1))
        self.top = (
            _smooth(
                s,
                [
                    (-0.05, p.nose * 0.9),
                    (0.0, p.nose * 0.94),
                    (0.03, p.nose),
                    (p.cowl, p.bonnet),
                    (p.roof[0], 0.985),
                    (0.5 * sum(p.roof), 1.0),
                    (p.roof[1], 0.965),
                    (p.tail, p.boot),
                    (0.985, p.boot - 0.02),
                    (1.05, p.boot - 0.06),
                ],
                0.055,
            )
            * h
        )
        self.top *= h / self.top.max()
        belt = (
            _smooth(s, [(0, p.nose * 0.86), (p.cowl, p.belt - 0.02), (p.windows[1], p.belt + 0.03), (1, p.belt)], 0.08)
            * h
        )
        self.belt = np.minimum(belt, self.top - 0.035 * h)
        # Plan: full in the middle, drawn in at both ends as a superellipse.
        a, b = (
            np.clip(1 - s / max(p.round_nose * 1.6, 0.02), 0, 1),
            np.clip(1 - (1 - s) / max(p.round_tail * 1.8, 0.02), 0, 1),
        )
        self.half = w / 2 * (1 - 0.17 * a**3) * (1 - 0.12 * b**3) * (1 - 0.012 * np.cos(2 * np.pi * s))
        self.half *= w / 2 / self.half.max()
        self.radius = p.wheel * h / 2
        self.sill = np.full_like(s, p.sill * h)
        self.sill += 0.02 * h * (a**2 + b**2)
        for axle in p.axles:
            reach = (self.radius * 1.13) ** 2 - ((s - axle) * length) ** 2
            arch = self.radius + np.sqrt(np.maximum(reach, 0))
            self.sill = np.where(reach > 0, np.maximum(self.sill, arch), self.sill)
        self.sill = np.minimum(self.sill, self.belt - 0.03 * h)
        self.x = length * (0.5 - s)
        self.ring = self._rings()

    def _rings(self) -> np.ndarray:
        """Return (stations, points, 2): half width and height of the half section, from the sill to
        the middle of the roof.
        """
        half, sill, belt, top = self.half, self.sill, self.belt, self.top
        rise = np.maximum(top - belt, 0.0)
        glass = np.clip((rise / self.height - 0.04) / 0.12, 0, 1)
        lean = self.profile.tumble * rise
        foot = half * 0.955
        rail = np.where(glass > 0, foot - lean * 0.9, foot) * (1 - 0.16 * (1 - glass))
        middle = sill + 0.52 * (belt - sill)
        points = [
            (half * 0.955, sill),
            (half * 0.985, sill + 0.12 * (belt - sill)),
            (half * 1.0, middle),
            (half * 0.992, middle + 0.55 * (belt - middle)),
            (half * 0.972, belt - 0.012),
            (foot, belt + 0.004),
            (rail + 0.012, belt + rise * 0.86),
            (rail - 0.035, belt + rise * 0.965),
            (rail - 0.13 * half, belt + rise * 0.99),
            (rail * 0.5, belt + rise * 0.998),
            (np.zeros_like(half), belt + rise),
        ]
        return np.stack([np.stack(p, -1) for p in points], 1)

    def sides(self) -> np.ndarray:
        """Return (stations, 21, 3): whole sections, from the right sill over the roof to the left one."""
        half = self.ring
        right = np.stack([np.repeat(self.x[:, None], half.shape[1], 1), -half[..., 0], half[..., 1]], -1)
        left = right[:, -2::-1] * [1, -1, 1]
        return np.concatenate([right, left], 1)

    def end_x(self, y: np.ndarray, z: np.ndarray, front: bool) -> np.ndarray:
        """Return where a ray along the car's axis at (y, z) first meets the body, to place lamps and plates on it."""
        stations = np.arange(len(self.x)) if front else np.arange(len(self.x))[::-1]
        found = np.full(np.shape(y), self.x[stations[len(stations) // 3]])
        missing = np.ones(np.shape(y), bool)
        previous: tuple[float, np.ndarray] | None = None
        for station in stations[: len(stations) // 3]:
            ring = self.ring[station]
            width = np.interp(z, ring[:, 1], ring[:, 0], left=ring[0, 0], right=-1.0) - np.abs(y)
            inside = width >= 0
            new = missing & inside
            if previous is None:
                found[new] = self.x[station]
            else:
                share = width / np.maximum(width - previous[1], 1e-6)
                found = np.where(new, self.x[station] + share * (previous[0] - self.x[station]), found)
            missing &= ~inside
            previous = (self.x[station], width)
        return found

    def patch(
        self, y_range: tuple[float, float], z_range: tuple[float, float], front: bool, lift: float = 0.006, **material
    ) -> Mesh:
        """Return a decal on the nose or the tail."""
        columns, rows = (6, 3) if self.fine else (3, 2)
        (bottom, top), (right, left) = z_range, y_range
        z, y = np.meshgrid(np.linspace(bottom, top, rows), np.linspace(right, left, columns), indexing="ij")
        x = self.end_x(y, z, front) + (lift if front else -lift)
        points = np.stack([x, y, z], -1)
        v, u = np.meshgrid(np.linspace(1, 0, rows), np.linspace(0, 1, columns), indexing="ij")
        normals = grid_normals(points)
        normals *= np.sign(normals[..., :1] + 1e-9) * (1 if front else -1)
        return build(points, normals, np.stack([u, v], -1), grid_triangles(rows, columns), **material)


def _wheel(radius: float, width: float, side: float, skin: int, sides: int = 20) -> Mesh:
    """Return a wheel around the y axis, its face towards `side`."""
    tyre = tube(
        [(0, -width / 2, 0), (0, -width / 2 + 0.02, 0), (0, width / 2 - 0.02, 0), (0, width / 2, 0)],
        [radius * 0.93, radius, radius, radius * 0.93],
        sides,
        (6, 4),
        ends=False,
        tint=(1, 1, 1, 0.6),
        skin=Skin.TYRE,
    )
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    rim = np.stack(
        [radius * 0.97 * np.cos(angle), np.full(sides + 1, side * (width / 2 + 0.002)), radius * 0.97 * np.sin(angle)],
        -1,
    )
    points = np.concatenate([[[0, side * (width / 2 - 0.015), 0]], rim])
    uv = np.concatenate([[[0.5, 0.5]], 0.5 + 0.495 * np.stack([np.cos(angle), np.sin(angle)], -1)])
    fan = [[0, i, i + 1] for i in range(1, sides + 1)]
    normals = np.tile([0, side, 0], (len(points), 1)) + 0.25 * np.concatenate([[[0, 0, 0]], rim / radius * [1, 0, 1]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    face = build(points, normals, uv, fan, tint=(1, 1, 1, 0.8), skin=skin, surface=Surface.MATT, gloss=0.25)
    return merge([tyre, face])


def _panel_lines(body: _Body, colour) -> list[Mesh]:
    """Return gaps of doors, handles and a rubbing strip, a few millimetres above the paint."""
    p, s, parts = body.profile, body.s, []
    start, end = p.windows
    doors = [start + 0.01, *p.pillars[:1], min(end - 0.05, p.axles[1] - 0.01)]
    for side in (-1, 1):
        for place in doors:
            station = int(np.abs(s - place).argmin())
            ring = body.ring[station][1:6]
            x = body.x[station]
            a = np.stack([np.full(5, x - 0.007), side * (ring[:, 0] + 0.003), ring[:, 1]], -1)
            points = np.stack([a, a + np.array([0.014, 0, 0])], 1)
            parts.append(
                build(
                    points,
                    np.tile([0, side, 0], (10, 1)),
                    np.zeros((10, 2)),
                    grid_triangles(5, 2),
                    tint=BLACK,
                    skin=Skin.PLAIN,
                )
            )
        for place in doors[1:]:
            station = int(np.abs(s - (place - 0.035)).argmin())
            ring = body.ring[station]
            z = body.belt[station] - 0.07 * body.height
            y = side * (np.interp(z, ring[:6, 1], ring[:6, 0]) + 0.012)
            parts.append(
                box(
                    (0.15, 0.02, 0.03),
                    (body.x[station], y, z),
                    tint=colour * 0.7,
                    skin=Skin.PLAIN,
                    surface=Surface.PAINT,
                    gloss=0.4,
                )
            )
    return parts


def car(kind: str, size, rng: np.random.Generator, colour=None, gloss: float | None = None, fine: bool = True) -> Mesh:
    """Return a car or van that fills its box exactly.

    Args:
        kind: a key of PROFILES.
        size: height, width, length, metres.
        rng: decides details (and colour, gloss if not given: linear-light RGB, 0 to 1).
        fine: False for a car that is only seen from afar: a third of the triangles.

    Returns:
        Mesh, nose towards x, standing on z = 0 about the origin.
    """
    size = np.asarray(size, np.float64)
    profile = _varied(PROFILES[kind], rng)
    body = _Body(profile, size, fine)
    h, w, length = size
    if colour is None:
        colour, gloss = paint(rng)
    colour = np.asarray(colour, np.float64)
    gloss = 0.6 if gloss is None else gloss

    points = body.sides()
    normals = grid_normals(points)
    outward = np.sign((normals * (points - [0, 0, 0.4 * h])).sum(-1, keepdims=True))
    normals *= np.sign(np.median(outward))
    stations, ring = points.shape[:2]
    s_mid = 0.5 * (body.s[1:] + body.s[:-1])[:, None] * np.ones((1, ring - 1))
    around = np.arange(ring - 1)
    j = np.minimum(around, ring - 2 - around)[None] * np.ones((stations - 1, 1))  # 0: sills, 9: roof's middle
    tall = ((body.top - body.belt) / h)[:, None]
    tall = 0.5 * (tall[1:] + tall[:-1])
    slope_front = (s_mid > profile.cowl + 0.012) & (s_mid < profile.roof[0] - 0.006)
    slope_rear = (s_mid > profile.roof[1] + 0.006) & (s_mid < profile.tail - 0.008)
    windowless = kind == "van"
    side_window = (j == 5) & (s_mid > profile.windows[0]) & (s_mid < profile.windows[1]) & (tall > 0.05)
    pillar = np.zeros_like(side_window)
    for place in profile.pillars:
        pillar |= np.abs(s_mid - place) < 0.0075
    pillar &= side_window
    glass = (side_window & ~pillar) | ((j >= 8) & slope_front)
    glass |= (j >= 8) & slope_rear & (not windowless)
    black_trim = pillar & (rng.random() < 0.7)
    cladding = (j == 0) & (rng.random() < 0.35)
    kinds = np.zeros(glass.shape, int)
    kinds[cladding | black_trim] = 2
    kinds[glass] = 1

    triangles = grid_triangles(stations, ring)
    cells = (stations - 1) * (ring - 1)
    kind_of = np.concatenate([kinds.ravel(), kinds.ravel()])
    assert len(triangles) == 2 * cells
    uv = np.stack([points[..., 0] / length + 0.5, 1 - points[..., 2] / h], -1)
    # Windscreen and rear window show the inside of the car, side windows what is behind them.
    pane = np.stack([points[..., 1] / w + 0.5, 1 - (points[..., 2] / h - profile.belt) / (1 - profile.belt)], -1)
    across = (np.abs(np.arange(ring) - ring // 2) <= 2)[None, :, None]
    pane = np.where(across, pane, np.stack([uv[..., 0] * 2.3, pane[..., 1]], -1))
    shade = np.clip(0.45 + 0.9 * points[..., 2] / h, 0, 1)  # low parts see less sky
    parts = []
    tinted = rng.choice([0.25, 0.5, 0.8])
    materials = (
        {"tint": colour, "skin": Skin.BODY, "surface": Surface.PAINT, "gloss": gloss},
        {"tint": (tinted, tinted * 1.05, tinted * 1.1), "skin": Skin.PANE, "surface": Surface.GLASS, "gloss": 1.0},
        {"tint": (0.02, 0.02, 0.022), "skin": Skin.PLAIN, "surface": Surface.PAINT, "gloss": 0.15},
    )
    for number, material in enumerate(materials):
        chosen = triangles[kind_of == number]
        if not len(chosen):
            continue
        used, index = np.unique(chosen, return_inverse=True)
        tint = np.concatenate([np.tile(material["tint"], (len(used), 1)), shade.reshape(-1, 1)[used]], 1)
        parts.append(
            build(
                points.reshape(-1, 3)[used],
                normals.reshape(-1, 3)[used],
                (pane if number == 1 else uv).reshape(-1, 2)[used],
                index.reshape(-1, 3),
                **{**material, "tint": tint},
            )
        )

    for station, sign in ((0, 1), (-1, -1)):  # close nose and tail
        outline = points[station]
        centre = [outline[0, 0], 0, float(outline[:, 2].mean())]
        disc = np.concatenate([[centre], outline])
        fan = [[0, i, i + 1] for i in range(1, len(outline))] + [[0, len(outline), 1]]
        flat = np.tile([sign, 0, 0.05], (len(disc), 1))
        parts.append(
            build(
                disc,
                flat,
                np.full((len(disc), 2), 0.5),
                fan,
                tint=(*colour, 0.7),
                skin=Skin.BODY,
                surface=Surface.PAINT,
                gloss=gloss,
            )
        )

    # The dark underside and wheel wells.
    low = float(profile.sill * h)
    parts.append(
        box(
            (length * 0.8, w * 0.8, body.radius * 1.6),
            (0, 0, low + body.radius * 0.8),
            tint=(*BLACK, 0.1),
            skin=Skin.PLAIN,
        )
    )

    rim = Skin.RIM + int(rng.integers(RIMS))
    track = 0.205 if length > 3.7 else 0.18
    for axle in profile.axles:
        station = int(np.abs(body.s - axle).argmin())
        for side in (-1, 1):
            y = side * (body.half[station] * 0.96 - track / 2)
            turned = _wheel(body.radius, track, side, rim, 20 if fine else 10)
            parts.append(turned.placed((length * (0.5 - axle), y, body.radius)))

    parts += _panel_lines(body, colour)
    parts += _front(body, profile, rng) + _rear(body, profile, kind, rng)
    solid = merge(parts)

    low, high = solid.positions.min(0), solid.positions.max(0)
    scale = np.array([length, w, h]) / (high - low)
    offset = -np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]]) * scale
    solid = solid.transformed(np.diag(scale), offset)
    return merge([solid, *_mirrors(body, colour, gloss, rng)])


@cache
def _model(number: int, fine: bool = True) -> tuple[str, Mesh, tuple[float, float, float]]:
    """Return kind, mesh and size of the car of that number; the same in every process."""
    rng = np.random.default_rng((number, 77))
    kind = ("van" if rng.random() < 0.65 else "minibus") if number % VAN_EVERY == 0 else car_kind(rng)
    size = car_size(kind, rng)
    return kind, car(kind, size, rng, (1, 1, 1), 0.5, fine), tuple(size)


MODELS, VAN_EVERY = 180, 10


def any_car(rng: np.random.Generator, van: bool = False, fine: bool = True) -> tuple[Mesh, np.ndarray]:
    """Return a car (or van) of any body, stretched a little and painted, and its height, width and length.

    Building a body takes long; a process builds each of MODELS bodies once.
    """
    number = int(rng.integers(MODELS // VAN_EVERY)) * VAN_EVERY
    if not van:
        number += int(rng.integers(1, VAN_EVERY))
    _, mesh, size = _model(number, fine)
    stretch = np.exp(np.array([0.03, 0.02, 0.04]) * np.clip(rng.normal(size=3), -2, 2))
    colour, gloss = paint(rng)
    mesh = mesh.transformed(np.diag(stretch[[2, 1, 0]]))
    painted = (mesh.vertices[:, SURFACE] == Surface.PAINT) & (mesh.vertices[:, SKIN] == Skin.BODY)
    mesh.vertices[painted, 8:11] = colour
    mesh.vertices[painted, GLOSS] = gloss
    return mesh, np.asarray(size) * stretch


def _front(body: _Body, profile: Profile, rng) -> list[Mesh]:
    h, w = body.height, body.width
    nose = profile.nose * h
    z1 = nose * rng.uniform(0.9, 0.97)
    z0 = z1 - rng.uniform(0.09, 0.15) * h
    inner, outer = w * rng.uniform(0.2, 0.28), w * rng.uniform(0.43, 0.47)
    parts = []
    for side in (-1, 1):
        y = (side * inner, side * outer)
        parts.append(body.patch(y, (z0, z1), True, skin=Skin.HEADLAMP, surface=Surface.LAMP, gloss=1.0))
    grille = rng.uniform(0.6, 0.95) * inner
    parts.append(
        body.patch((-grille, grille), (z0 + 0.02, z1 - 0.02), True, skin=Skin.GRILLE, surface=Surface.PAINT, gloss=0.3)
    )
    intake = w * rng.uniform(0.22, 0.4)
    bottom = profile.sill * h + 0.06 * h
    parts.append(body.patch((-intake, intake), (bottom, bottom + rng.uniform(0.07, 0.12) * h), True, skin=Skin.GRILLE))
    plate = bottom + rng.uniform(0.13, 0.17) * h
    parts.append(
        quad(
            (body.end_x(np.zeros(1), np.array([plate]), True)[0] + 0.012, -0.26, plate - 0.055),
            (0, 0.52, 0),
            (0, 0, 0.11),
            normal=(1, 0, 0),
            skin=Skin.PLATE,
        )
    )
    if rng.random() < 0.5:
        for side in (-1, 1):
            y = (side * (intake + 0.03), side * (intake + 0.17))
            parts.append(
                body.patch(y, (bottom + 0.01, bottom + 0.1), True, skin=Skin.HEADLAMP, surface=Surface.LAMP, gloss=1.0)
            )
    return parts


def _rear(body: _Body, profile: Profile, kind: str, rng) -> list[Mesh]:
    h, w = body.height, body.width
    parts = []
    top = profile.boot * h
    upright = kind in ("hatchback", "compact", "estate", "suv", "mpv", "van", "minibus")
    high = top * rng.uniform(0.93, 1.0) + (0.12 * h if upright and rng.random() < 0.5 else 0)
    low = top * rng.uniform(0.72, 0.82) - (0.1 * h if kind in ("van", "minibus") else 0)
    inner = w * (rng.uniform(0.33, 0.39) if upright else rng.uniform(0.24, 0.34))
    for side in (-1, 1):
        y = (side * inner, side * w * 0.468)
        parts.append(body.patch(y, (low, high), False, lift=0.01, skin=Skin.TAILLAMP, surface=Surface.LAMP, gloss=0.9))
    if kind == "van" and rng.random() < 0.6:
        for side in (-1, 1):
            y = (side * 0.04 * w, side * 0.38 * w)
            parts.append(
                body.patch(
                    y,
                    (0.58 * h, 0.86 * h),
                    False,
                    tint=(0.5, 0.5, 0.55),
                    skin=Skin.PANE,
                    surface=Surface.GLASS,
                    gloss=1.0,
                )
            )
    if kind in ("van", "minibus"):
        parts.append(body.patch((-0.006, 0.006), (0.2 * h, 0.9 * h), False, lift=0.008, tint=BLACK, skin=Skin.PLAIN))
    bumper = profile.sill * h + 0.12 * h
    if rng.random() < 0.5:
        parts.append(
            body.patch(
                (-0.45 * w, 0.45 * w),
                (bumper - 0.03 * h, bumper + 0.05 * h),
                False,
                lift=0.012,
                tint=(0.02, 0.02, 0.022),
                skin=Skin.PLAIN,
                surface=Surface.PAINT,
                gloss=0.2,
            )
        )
    plate = rng.choice([bumper + 0.02, low + 0.3 * (high - low)])
    x = min(body.end_x(np.zeros(2), np.array([plate - 0.05, plate + 0.05]), False)) - 0.014
    parts.append(quad((x, 0.26, plate - 0.055), (0, -0.52, 0), (0, 0, 0.11), normal=(-1, 0, 0), skin=Skin.PLATE))
    if rng.random() < 0.6:  # a strip of chrome or a handle
        y = w * rng.uniform(0.12, 0.3)
        z = plate + 0.11
        parts.append(
            body.patch(
                (-y, y),
                (z, z + 0.03),
                False,
                lift=0.012,
                tint=(0.3, 0.3, 0.3),
                skin=Skin.PLAIN,
                surface=Surface.PAINT,
                gloss=0.9,
            )
        )
    return parts


def _mirrors(body: _Body, colour, gloss, rng) -> list[Mesh]:
    station = int(np.abs(body.s - (body.profile.windows[0] + 0.035)).argmin())
    tint = colour if rng.random() < 0.7 else np.array([0.02, 0.02, 0.02])
    z = body.belt[station] + 0.05
    return [
        ellipsoid(
            (body.x[station], side * (body.half[station] + 0.08), z),
            (0.06, 0.1, 0.065),
            6,
            8,
            tint=tint,
            skin=Skin.PLAIN,
            surface=Surface.PAINT,
            gloss=gloss,
        )
        for side in (-1, 1)
    ]


def truck(size, rng: np.random.Generator) -> Mesh:
    """Return a lorry with a box, an open bed, a tank or nothing but a load; fills its box (height,
    width, length) exactly.
    """
    h, w, length = (float(v) for v in size)
    cab = min(2.2, 0.3 * length)
    colour, gloss = paint(rng)
    hold = length - cab - 0.25
    rear = (-length / 2 + hold / 2, 0.0, 1.0)
    # A load that is lower than the lorry leaves the cab as its highest part.
    kind = rng.choice(["box", "bed", "tank"], p=[0.6, 0.25, 0.15])
    cab_height = min(h * rng.uniform(0.8, 0.98), 3.0) if kind == "box" else h
    parts = _cab(length / 2, w, cab, cab_height, {"tint": colour, "gloss": gloss})
    if kind == "box":
        parts.append(_cargo_box(hold, w, h - rear[2], rear, _cargo_colour(rng)))
    elif kind == "tank":
        radius = 0.5 * min(w, h - rear[2])
        material: dict[str, Any] = {
            "tint": _cargo_colour(rng), "skin": Skin.PLAIN, "surface": Surface.PAINT, "gloss": 0.6,
        }  # fmt: skip
        x, _, z = rear
        along = [(x + share * hold, 0, z + radius) for share in (-0.5, -0.47, 0.47, 0.5)]
        barrel = tube(along, [0.6 * radius, radius, radius, 0.6 * radius], 16, (2, 0.3), **material)
        parts.append(barrel.transformed(np.diag([1, w / (2 * radius), 1])))
    else:
        sides = rng.uniform(0.35, 0.9)
        parts += _bed(hold, w, sides, rear, _cargo_colour(rng) if rng.random() < 0.5 else colour)
        if rng.random() < 0.6:
            heap = (0.45 * hold, 0.4 * w, min(sides + rng.uniform(0.1, 0.5), h - rear[2]))
            gravel = ellipsoid(rear, heap, 10, 14, tint=(0.16, 0.12, 0.08), skin=Skin.GRAVEL)
            gravel.vertices[:, 2] = np.maximum(gravel.vertices[:, 2], rear[2])
            parts.append(gravel)
    for side in (-1, 1):
        parts.append(
            quad(
                (-length / 2 - 0.003, side * w * 0.3, 0.75),
                (0, side * w * 0.15, 0),
                (0, 0, 0.16),
                normal=(-1, 0, 0),
                skin=Skin.TAILLAMP,
                surface=Surface.LAMP,
                gloss=1.0,
            )
        )
    parts.append(box((length * 0.96, w * 0.5, 0.45), (-0.01 * length, 0, 0.75), tint=(*BLACK, 0.2), skin=Skin.PLAIN))
    axles = [length / 2 - 0.6 * cab, -length / 2 + 0.22 * length]
    if length > 8:
        axles[1:] = [-length / 2 + 0.2 * length, -length / 2 + 0.2 * length + 1.2]
    for axle in axles:
        for side in (-1, 1):
            wheel = _wheel(0.48, 0.3, side, Skin.RIM + int(rng.integers(RIMS)))
            parts.append(wheel.placed((axle, side * (w / 2 - 0.17), 0.48)))
    return fitted(merge(parts), h, w, length)


def _cargo_colour(rng: np.random.Generator) -> np.ndarray:
    colours = (
        [0.75, 0.75, 0.73],
        [0.6, 0.6, 0.6],
        [0.2, 0.2, 0.2],
        [0.05, 0.1, 0.3],
        [0.35, 0.03, 0.03],
        [0.05, 0.2, 0.08],
    )
    return np.clip(np.array(colours[rng.integers(len(colours))]) * np.exp(0.2 * rng.normal(size=3)), 0.02, 0.85)


def _cab(x: float, w: float, cab: float, height: float, paintwork: dict) -> list[Mesh]:
    """Return a lorry's cab whose face stands at x: windscreen, doors with windows, grille, lamps."""
    body = {"skin": Skin.BODY, "surface": Surface.PAINT, **paintwork}
    glass = {"tint": (0.5, 0.5, 0.55), "skin": Skin.PANE, "surface": Surface.GLASS, "gloss": 1.0}
    profile = [(0, 0.45), (0.05, 1.3), (0.12 * cab, height * 0.62), (0.32 * cab, height * 0.97), (cab, height)]
    across = np.linspace(-w * 0.48, w * 0.48, 5)
    face = np.array([[x - dx, y, z] for dx, z in profile for y in across]).reshape(len(profile), 5, 3)
    parts = []
    for first, last, material in ((0, 2, body), (2, 3, glass), (3, 4, body)):
        sheet = face[first : last + 1]
        normal = np.cross(sheet[-1, 0] - sheet[0, 0], [0, -1.0, 0])
        normal /= np.linalg.norm(normal)
        count = sheet.shape[0] * 5
        triangles = grid_triangles(sheet.shape[0], 5)
        parts.append(build(sheet, np.tile(normal, (count, 1)), np.full((count, 2), 0.3), triangles, **material))
    for side in (-1, 1):
        outline = np.array([[x - dx, side * w * 0.48, z] for dx, z in [*profile, (cab, 0.45)]])
        fan = [[0, i, i + 1] for i in range(1, len(outline) - 1)]
        flat, count = np.tile([0, side, 0], (len(outline), 1)), len(outline)
        parts.append(build(outline, flat, np.full((count, 2), 0.3), fan, **body))
        parts.append(
            quad(
                (x - 0.2 * cab, side * (w * 0.48 + 0.01), height * 0.6),
                (-0.45 * cab, 0, 0),
                (0, 0, height * 0.27),
                normal=(0, side, 0),
                **glass,
            )
        )
        lamp = {"skin": Skin.HEADLAMP, "surface": Surface.LAMP, "gloss": 1.0}
        parts.append(
            quad((x + 0.005, side * w * 0.28, 0.65), (0, side * w * 0.16, 0), (0, 0, 0.2), normal=(1, 0, 0.1), **lamp)
        )
    back = quad((x - cab, w * 0.48, 0.45), (0, -w * 0.96, 0), (0, 0, height - 0.45), normal=(-1, 0, 0), **body)
    grille = quad((x + 0.004, -w * 0.3, 0.9), (0, w * 0.6, 0), (0, 0, 0.35), normal=(1, 0, 0), skin=Skin.GRILLE)
    return [*parts, back, grille]


def _bed(length: float, width: float, height: float, centre, colour) -> list[Mesh]:
    """Return an open bed: a floor and four low walls."""
    x, _, z = centre
    wall = {"tint": colour, "skin": Skin.PLAIN}
    parts = [box((length, width, 0.12), (x, 0, z), tint=(0.1, 0.09, 0.08), skin=Skin.PLAIN)]
    parts += [box((length, 0.05, height), (x, side * (width / 2 - 0.025), z + height / 2), **wall) for side in (-1, 1)]
    parts += [
        box((0.05, width, height), (x + end * (length / 2 - 0.025), 0, z + height / 2), **wall) for end in (-1, 1)
    ]
    return parts


def _cargo_box(length, width, height, centre, colour) -> Mesh:
    x, _, z = centre
    material = {"tint": colour, "skin": Skin.CARGO}
    plain = {"tint": colour, "skin": Skin.PLAIN}
    repeat = (max(round(length / 4), 1), 1)
    parts = []
    for side in (-1, 1):
        corner = (x + side * length / 2, side * width / 2, z)
        parts.append(quad(corner, (-side * length, 0, 0), (0, 0, height), repeat, normal=(0, side, 0), **material))
        end = (x + side * length / 2, -side * width / 2, z)
        parts.append(quad(end, (0, side * width, 0), (0, 0, height), normal=(side, 0, 0), **plain))
    roof = (x - length / 2, -width / 2, z + height)
    parts.append(quad(roof, (length, 0, 0), (0, width, 0), normal=(0, 0, 1), **plain))
    return merge(parts)


def tram(size, rng: np.random.Generator, wheels: bool = False) -> Mesh:
    """Return a tram, or with wheels a bus; fills its box (height, width, length) exactly."""
    h, w, length = (float(v) for v in size)
    colours = (
        [0.7, 0.68, 0.6],
        [0.6, 0.45, 0.03],
        [0.45, 0.02, 0.02],
        [0.05, 0.12, 0.35],
        [0.5, 0.5, 0.5],
        [0.08, 0.3, 0.1],
    )
    colour = np.array(colours[rng.integers(len(colours))]) * np.exp(0.15 * rng.normal(size=3))
    floor = 0.3
    repeat = max(round(length / 5.0), 1)
    parts = []
    for side in (-1, 1):
        parts.append(
            quad(
                (side * length / 2, side * w / 2, floor),
                (-side * length, 0, 0),
                (0, 0, h - floor),
                (repeat, 1),
                normal=(0, side, 0),
                tint=colour,
                skin=Skin.TRAM,
                gloss=0.3,
            )
        )
        parts.append(
            quad(
                (side * length / 2, -side * w / 2, floor),
                (0, side * w, 0),
                (0, 0, h - floor),
                (0.5, 1),
                normal=(side, 0, 0),
                tint=colour,
                skin=Skin.TRAM,
                gloss=0.3,
            )
        )
        parts.append(
            quad(
                (side * (length / 2 + 0.01), -side * w * 0.43, h * 0.45),
                (0, side * w * 0.86, 0),
                (0, 0, h * 0.38),
                normal=(side, 0, 0.1),
                tint=(0.5, 0.5, 0.55),
                skin=Skin.PANE,
                surface=Surface.GLASS,
                gloss=1.0,
            )
        )
        lamp = Skin.HEADLAMP if side > 0 else Skin.TAILLAMP
        for left in (-1, 1):
            parts.append(
                quad(
                    (side * (length / 2 + 0.01), left * w * 0.28, 0.7),
                    (0, left * w * 0.14, 0),
                    (0, 0, 0.2),
                    normal=(side, 0, 0),
                    skin=lamp,
                    surface=Surface.LAMP,
                    gloss=1.0,
                )
            )
    parts.append(
        quad((-length / 2, -w / 2, h), (length, 0, 0), (0, w, 0), normal=(0, 0, 1), tint=colour * 0.7, skin=Skin.PLAIN)
    )
    parts.append(box((length * 0.9, w * 0.7, 0.5), (0, 0, 0.25), tint=(*BLACK, 0.2), skin=Skin.PLAIN))
    if wheels:
        for axle in (length / 2 - 2.6, -length / 2 + 3.0):
            for side in (-1, 1):
                parts.append(_wheel(0.48, 0.3, side, Skin.RIM).placed((axle, side * (w / 2 - 0.145), 0.48)))
    return fitted(merge(parts), h, w, length)


def fitted(mesh: Mesh, height: float, width: float, length: float) -> Mesh:
    """Return the mesh stretched to fill its box exactly, standing on z = 0 about the origin."""
    low, high = mesh.positions.min(0), mesh.positions.max(0)
    scale = np.array([length, width, height]) / (high - low)
    offset = -np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]]) * scale
    return mesh.transformed(np.diag(scale), offset)
