# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A street's plan and its ground: lanes, parking strips, kerbs, pavements, a side street, markings, wear.

Along the street runs s, across it t (left positive); s and t equal x and y of the world but for the street's curvature.
The ego lane's centre is t = 0. What is on the ground follows `Street.height`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np

from sicm_ros.synth.mesh import Mesh, Surface, build, grid_triangles, merge
from sicm_ros.synth.skins import Skin

BEHIND, AHEAD = -12.0, 230.0  # metres of street behind and before its origin
KERB = 0.12


@dataclass(frozen=True)
class Crossing:
    """A side street from `start` to `end` along s, open to both sides."""

    start: float
    end: float

    def __contains__(self, s: float) -> bool:
        return self.start < s < self.end


@dataclass(frozen=True)
class Side:
    """One side of the street, from the carriageway's edge outwards; `sign` is that of t there."""

    sign: int
    edge: float
    parking: float
    perpendicular: bool
    pavement: float

    @property
    def kerb(self) -> float:
        """t of the kerb, outside the parking strip."""
        return self.edge + self.sign * self.parking

    @property
    def beyond(self) -> float:
        """t of the pavement's far edge."""
        return self.kerb + self.sign * self.pavement

    @property
    def raised(self) -> float:
        """Height of what is outside the kerb above the carriageway, metres."""
        return KERB if self.pavement else 0.02


@dataclass(frozen=True)
class Street:
    """Where everything runs; metres.

    right, left: edges of the carriageway; lanes: (t of the centre, direction +1 away from us or -1 towards us);
    parking_right, parking_left: depth of parking strips outside the edges (0: none);
    perpendicular: cars stand across there;
    pavement: widths right, left (0: none); style: residential, urban, country.
    """

    style: str
    right: float
    left: float
    lanes: tuple[tuple[float, int], ...]
    parking_right: float
    parking_left: float
    perpendicular: tuple[bool, bool]
    pavement: tuple[float, float]
    crossing: Crossing | None
    curvature: float
    grade: float
    bend: float  # curvature of the ground along s, 1/m
    bank: float
    ahead: float = AHEAD
    skin: int = Skin.ASPHALT
    tone: tuple[float, float, float] = (0.9, 0.9, 0.9)
    mesh: Mesh | None = field(default=None, repr=False)

    def sides(self) -> tuple[Side, Side]:
        """Return right, left."""
        return (
            Side(-1, self.right, self.parking_right, self.perpendicular[0], self.pavement[0]),
            Side(1, self.left, self.parking_left, self.perpendicular[1], self.pavement[1]),
        )

    def free(self, s: float, half: float) -> bool:
        """Return whether s - half to s + half lies outside the side street."""
        c = self.crossing
        return c is None or s + half < c.start - 0.5 or s - half > c.end + 0.5

    def point(self, s, t) -> tuple[np.ndarray, np.ndarray]:
        """Return world x, y of street coordinates."""
        s, t = np.asarray(s, np.float64), np.asarray(t, np.float64)
        return s, t + 0.5 * self.curvature * s * s

    def heading(self, s: float) -> float:
        """Return direction of the street at s, radians from x."""
        return float(np.arctan(self.curvature * s))

    def height(self, x, y):
        """Return the height of the bare ground at world x, y."""
        x = np.asarray(x, np.float64)
        bump = np.clip(x, -50, 110)
        return self.grade * bump + 0.5 * self.bend * bump * bump + self.bank * np.clip(y, -40, 40)


def lay_out(rng: np.random.Generator, ahead: float = AHEAD) -> Street:
    """Return a street's plan."""
    style = str(rng.choice(["residential", "urban", "country"], p=[0.45, 0.37, 0.18]))
    lane = rng.uniform(2.6, 3.2) if style == "residential" else rng.uniform(3.0, 3.7)
    each = 2 if style == "urban" and rng.random() < 0.45 else 1
    mine = int(rng.integers(each)) if each > 1 else 0
    right = -lane * (0.5 + (each - 1 - mine))
    lanes = [(right + lane * (0.5 + i), 1) for i in range(each)]
    median = rng.uniform(1.5, 4.0) if each > 1 and rng.random() < 0.3 else 0.0
    one_way = style == "residential" and rng.random() < 0.2
    left = right + lane * each
    if not one_way:
        lanes += [(left + median + lane * (0.5 + i), -1) for i in range(each)]
        left += median + lane * each
    park = {"residential": 0.72, "urban": 0.4, "country": 0.06}[style]
    perpendicular = (rng.random() < 0.28, rng.random() < 0.28)
    depth = [((5.0 if p else 2.1) if rng.random() < park else 0.0) for p in perpendicular]
    pavement_right, pavement_left = (
        rng.uniform(1.3, 3.2) if style != "country" and rng.random() < 0.9 else 0.0 for _ in range(2)
    )
    crossing = None
    if rng.random() < {"residential": 0.5, "urban": 0.6, "country": 0.3}[style]:
        start = rng.uniform(7, 40)
        crossing = Crossing(start, start + rng.uniform(6, 13))
    return Street(
        style,
        right,
        left,
        tuple(lanes),
        depth[0],
        depth[1],
        perpendicular,
        (pavement_right, pavement_left),
        crossing,
        curvature=float(rng.normal(0, 0.0012) if style != "country" else rng.normal(0, 0.002)),
        grade=float(rng.normal(0, 0.008)),
        bend=float(np.clip(rng.normal(0, 0.0003), -0.0004, 0.0006)),
        bank=float(rng.normal(0, 0.008)),
        ahead=ahead,
        skin=int(rng.choice([Skin.ASPHALT, Skin.OLD_ASPHALT])),
        tone=tuple(rng.uniform(0.55, 1.1) * np.exp(0.02 * rng.normal(size=3))),
    )


class _Ground:
    """Collects strips and decals that follow the ground."""

    def __init__(self, street: Street) -> None:
        self.street = street
        self.parts: list[Mesh] = []

    def lift(self, x, y, above=0.0):
        return np.stack([x, y, self.street.height(x, y) + above], -1)

    def strip(self, s0, s1, t0, t1, above=0.0, scale=4.0, tint=(1, 1, 1), rng=None, columns=2, **material) -> None:
        """Lay ground from t0 to t1 along s0 to s1, textured in metres."""
        if s1 - s0 < 0.01 or abs(t1 - t0) < 0.01:
            return
        rows = max(int((s1 - s0) / 2.5), 1) + 1
        s, t = np.meshgrid(np.linspace(s0, s1, rows), np.linspace(t0, t1, columns), indexing="ij")
        x, y = self.street.point(s, t)
        points = self.lift(x, y, above)
        tone = (
            np.ones((rows, 1, 1))
            if rng is None
            else np.exp(0.06 * np.cumsum(rng.normal(size=(rows, 1, 1)), 0).clip(-3, 3))
        )
        tint = np.broadcast_to(np.asarray(tint) * tone, (rows, columns, 3)).reshape(-1, 3)
        uv = np.stack([s, t], -1) / scale
        normal = np.tile([0, 0, 1.0], (points.size // 3, 1))
        self.parts.append(build(points, normal, uv, grid_triangles(rows, columns), tint=tint, **material))

    def kerb(self, s0, s1, t, bottom, top, facing, **material) -> None:
        """Add an upright edge along s."""
        rows = max(int((s1 - s0) / 2.5), 1) + 1
        s = np.linspace(s0, s1, rows)
        x, y = self.street.point(s, np.full(rows, t))
        points = np.stack([self.lift(x, y, bottom), self.lift(x, y, top)], 1)
        uv = np.stack([np.repeat(s[:, None], 2, 1) / 1.0, np.tile([0.3, 0.0], (rows, 1))], -1)
        normal = np.tile([0, facing, 0], (2 * rows, 1))
        self.parts.append(build(points, normal, uv, grid_triangles(rows, 2), **material))

    def kerb_across(self, s, t0, t1, top, facing, columns, **material) -> None:
        """Add an upright edge across the street, where a side street begins or ends."""
        t = np.linspace(t0, t1, columns)
        x, y = self.street.point(np.full_like(t, s), t)
        points = np.stack([self.lift(x, y, -0.02), self.lift(x, y, top)], 1)
        uv = np.stack([np.repeat(t[:, None], 2, 1), np.tile([0.3, 0.0], (columns, 1))], -1)
        normal = np.tile([facing, 0, 0], (2 * columns, 1))
        self.parts.append(build(points, normal, uv, grid_triangles(columns, 2), **material))

    def patch(self, s, t, length, width, yaw=0.0, above=0.012, scale=None, **material) -> None:
        """Add a flat rectangle on the ground: a line, a mended place, a crack."""
        cells = max(int(length / 3), 1) + 1
        a, b = np.meshgrid(np.linspace(-length / 2, length / 2, cells), [-width / 2, width / 2], indexing="ij")
        sp, tp = s + a * np.cos(yaw) - b * np.sin(yaw), t + a * np.sin(yaw) + b * np.cos(yaw)
        x, y = self.street.point(sp, tp)
        uv = np.stack([sp, tp], -1) / (scale or 2.0)
        normal = np.tile([0, 0, 1.0], (2 * cells, 1))
        self.parts.append(build(self.lift(x, y, above), normal, uv, grid_triangles(cells, 2), **material))

    def dashes(self, s: np.ndarray, t: float, length: float, width: float, above=0.012, **material) -> None:
        """Add equal rectangles along the street, about many s at once."""
        a, b = np.array([-1, 1, 1, -1]) * length / 2, np.array([-1, -1, 1, 1]) * width / 2
        sp, tp = s[:, None] + a, np.broadcast_to(t + b, (len(s), 4))
        x, y = self.street.point(sp, tp)
        normal = np.tile([0, 0, 1.0], (sp.size, 1))
        corners = 4 * np.arange(len(s))[:, None, None] + np.array([[0, 1, 2], [0, 2, 3]])
        self.parts.append(build(self.lift(x, y, above), normal, np.stack([sp, tp], -1) / 2.0, corners, **material))


def ground(street: Street, rng: np.random.Generator) -> Mesh:
    """Return the street's surfaces: carriageway, parking, kerbs, pavements, grass, the side street,
    and what is on them.
    """
    g = _Ground(street)
    asphalt = {"skin": street.skin, "tint": street.tone, "gloss": float(rng.uniform(0.0, 0.12))}
    kerb = {"skin": Skin.CONCRETE, "tint": rng.uniform(0.6, 0.95) * np.ones(3)}
    strips = [_Strip(street.right, street.left, 0.0, asphalt), *_borders(street, rng)]
    crossing = street.crossing
    pieces = [(BEHIND, street.ahead)]
    if crossing is not None:
        pieces = [(BEHIND, crossing.start), (crossing.end, street.ahead)]
        g.strip(crossing.start, crossing.end, -150, 150, 0.0, columns=30, **asphalt)
    for strip in strips:
        for s0, s1 in pieces:
            g.strip(s0, s1, strip.near, strip.far, strip.height, rng=rng, columns=strip.columns, **strip.material)
            if strip.kerbed:
                side = np.sign(strip.far - strip.near)
                g.kerb(s0, s1, strip.near, -0.02, strip.height, -side, **kerb)
                if strip.height > 0.05:
                    top = strip.near + side * 0.14
                    g.strip(s0, s1, strip.near, top, strip.height + 0.004, **kerb, scale=1.0)
        if crossing is not None and strip.height:
            for s, facing in ((crossing.start, 1), (crossing.end, -1)):
                g.kerb_across(s, strip.near, strip.far, strip.height, facing, strip.columns, **kerb)
    _markings(g, street, rng)
    _wear(g, street, rng)
    return merge(g.parts)


@dataclass(frozen=True)
class _Strip:
    """Ground from `near` to `far` (t), `height` above the carriageway; kerbed where it rises from it."""

    near: float
    far: float
    height: float
    material: dict
    kerbed: bool = False

    @property
    def columns(self) -> int:
        return 2 if abs(self.far - self.near) < 30 else 5


def _borders(street: Street, rng: np.random.Generator) -> list[_Strip]:
    """Return what lies beside the carriageway, from its edges outwards."""
    grass = {
        "skin": Skin.GRASS,
        "tint": rng.uniform(0.55, 1.0) * np.exp(0.12 * rng.normal(size=3)),
        "scale": 2.5,
    }
    dry = {
        "skin": int(rng.choice([Skin.GRAVEL, Skin.FIELD, Skin.GRASS])),
        "tint": rng.uniform(0.6, 1.1) * np.array([1.05, 1, 0.85]),
        "scale": 3.0,
    }
    slabs = {
        "skin": int(rng.choice([Skin.PAVEMENT, Skin.COBBLES, Skin.CONCRETE])),
        "tint": rng.uniform(0.55, 0.95) * np.ones(3),
        "scale": 2.4,
    }
    parking = {
        "skin": int(rng.choice([street.skin, Skin.COBBLES])),
        "tint": np.asarray(street.tone) * rng.uniform(0.7, 1.1),
        "scale": 3.0,
    }
    strips = []
    for side in street.sides():
        raised = side.raised
        if side.parking:
            strips.append(_Strip(side.edge, side.kerb, 0.0, parking))
        inner, kerbed = side.kerb, True
        widths = []
        if side.pavement and rng.random() < 0.3:
            widths.append((rng.uniform(0.8, 2.5), grass))
        if side.pavement:
            widths.append((side.pavement, slabs))
        widths.append((rng.uniform(4, 12), grass if rng.random() < 0.75 else slabs))
        for width, material in widths:
            strips.append(_Strip(inner, inner + side.sign * width, raised, material, kerbed))
            inner, kerbed = inner + side.sign * width, False
        strips.append(_Strip(inner, side.sign * 160.0, raised, grass if rng.random() < 0.6 else dry))
    return strips


def _markings(g: _Ground, street: Street, rng: np.random.Generator) -> None:
    """Draw lines between lanes and along edges, parking bays, zebra crossings, stop lines."""
    line = {"skin": Skin.MARKING, "surface": Surface.CUTOUT, "tint": rng.uniform(0.75, 1.0) * np.ones(3)}
    dash, gap, wide = rng.choice([3.0, 4.0, 6.0]), rng.choice([3.0, 6.0, 9.0]), rng.uniform(0.1, 0.16)

    def along(t: float, length: float, step: float) -> None:
        g.dashes(np.array([s for s in np.arange(BEHIND, 130, step) if street.free(s, 0.5)]), t, length, wide, **line)

    if street.style != "residential" or rng.random() < 0.45:
        for (a, ahead), (b, beside) in itertools.pairwise(sorted(street.lanes)):
            solid = ahead != beside and rng.random() < 0.25
            along(0.5 * (a + b), 3.0 if solid else dash, 3.0 if solid else dash + gap)
        if rng.random() < (0.9 if street.style == "country" else 0.5):
            along(street.right + 0.2, 3.0, 3.0)
            along(street.left - 0.2, 3.0, 3.0)
    for side in street.sides():
        if side.parking and rng.random() < 0.6:
            bays = np.array(
                [s for s in np.arange(BEHIND, 70, 2.5 if side.perpendicular else 6.0) if street.free(s, 0.5)]
            )
            g.dashes(bays, 0.5 * (side.edge + side.kerb), 0.1, side.parking, **line)
    if street.crossing is not None:
        for s, outwards in ((street.crossing.start, -1), (street.crossing.end, 1)):
            pick = rng.random()
            if pick < 0.35:
                for t in np.arange(street.right + 0.5, street.left, 1.0):
                    g.patch(s + 2.6 * outwards, t, 3.0, 0.5, **line)
            elif pick < 0.6:
                half = (street.left - street.right) / 2
                g.patch(s + 0.6 * outwards, street.right + half / 2, 0.4, half, **line)


def _wear(g: _Ground, street: Street, rng: np.random.Generator) -> None:
    """Add mended places, seams of tar, manholes."""

    def anywhere() -> tuple[float, float]:
        return rng.uniform(2, 50), rng.uniform(street.right, street.left)

    for _ in range(rng.poisson(5)):
        tone = np.asarray(street.tone) * rng.choice([0.6, 0.75, 1.2])
        skin = int(rng.choice([Skin.ASPHALT, Skin.OLD_ASPHALT]))
        g.patch(*anywhere(), rng.uniform(0.5, 7), rng.uniform(0.4, 1.8), above=0.006, skin=skin, tint=tone)
    for _ in range(rng.poisson(5)):
        yaw = rng.choice([0, 0, 1.57]) + 0.1 * rng.normal()
        length, width = rng.uniform(3, 15), rng.uniform(0.04, 0.09)
        g.patch(*anywhere(), length, width, yaw, above=0.009, skin=Skin.PLAIN, tint=(0.03, 0.03, 0.03))
    for _ in range(rng.poisson(2)):
        x, y = street.point(*anywhere())
        angle = np.linspace(0, 2 * np.pi, 17)
        ring = g.lift(x + 0.33 * np.cos(angle), y + 0.33 * np.sin(angle), 0.011)
        disc = np.concatenate([[g.lift(x, y, 0.011)], ring])
        fan = [[0, i, i + 1] for i in range(1, 17)]
        normal = np.tile([0, 0, 1.0], (18, 1))
        g.parts.append(build(disc, normal, disc[:, :2], fan, tint=(0.25, 0.23, 0.2), skin=Skin.COBBLES))
