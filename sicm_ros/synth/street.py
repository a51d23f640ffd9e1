"""A street without its traffic: ground, markings, kerbs, houses, trees, hedges, poles, signs, fences, far woods.

Along the street runs s, across it t (left positive); s and t equal x and y of the world but for the street's curvature.
The ego lane's centre is t = 0. What is on the ground follows `Street.height`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from sicm_ros.synth.mesh import Mesh, Surface, box, build, cross, ellipsoid, grid_triangles, merge, quad, tube
from sicm_ros.synth.skins import FACADES, LEAVES, Skin

BEHIND, AHEAD = -12.0, 230.0  # metres of street behind and before its origin
TREES = 28


@dataclass(frozen=True)
class Crossing:
    """A side street from `start` to `end` along s, open to both sides."""

    start: float
    end: float

    def __contains__(self, s: float) -> bool:
        return self.start < s < self.end


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

    def point(self, s, t) -> tuple[np.ndarray, np.ndarray]:
        """World x, y of street coordinates."""
        s, t = np.asarray(s, np.float64), np.asarray(t, np.float64)
        return s, t + 0.5 * self.curvature * s * s

    def heading(self, s: float) -> float:
        """Direction of the street at s, radians from x."""
        return float(np.arctan(self.curvature * s))

    def height(self, x, y):
        """Height of the bare ground at world x, y."""
        x = np.asarray(x, np.float64)
        bump = np.clip(x, -50, 110)
        return self.grade * bump + 0.5 * self.bend * bump * bump + self.bank * np.clip(y, -40, 40)


def lay_out(rng: np.random.Generator, ahead: float = AHEAD) -> Street:
    """A street's plan."""
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
    pavement = tuple(rng.uniform(1.3, 3.2) if style != "country" and rng.random() < 0.9 else 0.0 for _ in range(2))
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
        pavement,
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
        """Ground from t0 to t1 along s0 to s1, textured in metres."""
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
        """An upright edge along s."""
        rows = max(int((s1 - s0) / 2.5), 1) + 1
        s = np.linspace(s0, s1, rows)
        x, y = self.street.point(s, np.full(rows, t))
        points = np.stack([self.lift(x, y, bottom), self.lift(x, y, top)], 1)
        uv = np.stack([np.repeat(s[:, None], 2, 1) / 1.0, np.tile([0.3, 0.0], (rows, 1))], -1)
        normal = np.tile([0, facing, 0], (2 * rows, 1))
        self.parts.append(build(points, normal, uv, grid_triangles(rows, 2), **material))

    def patch(self, s, t, length, width, yaw=0.0, above=0.012, scale=None, **material) -> None:
        """A flat rectangle on the ground: a line, a mended place, a crack."""
        cells = max(int(length / 3), 1) + 1
        a, b = np.meshgrid(np.linspace(-length / 2, length / 2, cells), [-width / 2, width / 2], indexing="ij")
        sp, tp = s + a * np.cos(yaw) - b * np.sin(yaw), t + a * np.sin(yaw) + b * np.cos(yaw)
        x, y = self.street.point(sp, tp)
        uv = np.stack([sp, tp], -1) / (scale or 2.0)
        normal = np.tile([0, 0, 1.0], (2 * cells, 1))
        self.parts.append(build(self.lift(x, y, above), normal, uv, grid_triangles(cells, 2), **material))


def _ground(street: Street, rng: np.random.Generator) -> list[Mesh]:
    g = _Ground(street)
    asphalt = {"skin": street.skin, "tint": street.tone, "gloss": float(rng.uniform(0.0, 0.12))}
    grass = {
        "skin": Skin.GRASS,
        "tint": rng.uniform(0.55, 1.0) * np.array([1, 1, 1]) * np.exp(0.12 * rng.normal(size=3)),
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
    strips = []  # t0, t1, height, material, kind
    edge = street.right
    strips.append((street.right, street.left, 0.0, asphalt))
    park = {
        "skin": int(rng.choice([street.skin, Skin.COBBLES])),
        "tint": np.asarray(street.tone) * rng.uniform(0.7, 1.1),
        "scale": 3.0,
    }
    for side, depth, width in (
        (-1, street.parking_right, street.pavement[0]),
        (1, street.parking_left, street.pavement[1]),
    ):
        edge = street.right if side < 0 else street.left
        if depth:
            strips.append((edge, edge + side * depth, 0.0, park))
            edge += side * depth
        raised = 0.12 if width else 0.02
        verge = rng.uniform(0.8, 2.5) if rng.random() < 0.3 else 0.0
        if width and verge:
            strips.append((edge, edge + side * verge, raised, grass))
            edge += side * verge
        if width:
            strips.append((edge, edge + side * width, raised, slabs))
            edge += side * width
        strips.append((edge, edge + side * rng.uniform(4, 12), raised, grass if rng.random() < 0.75 else slabs))
        edge = strips[-1][1]
        strips.append((edge, side * 160.0, raised, grass if rng.random() < 0.6 else dry))

    c = street.crossing
    pieces = [(BEHIND, street.ahead)] if c is None else [(BEHIND, c.start), (c.end, street.ahead)]
    kerb = {"skin": Skin.CONCRETE, "tint": rng.uniform(0.6, 0.95) * np.ones(3)}
    for s0, s1 in pieces:
        for t0, t1, height, material in strips:
            g.strip(s0, s1, t0, t1, height, rng=rng, columns=2 if abs(t1 - t0) < 30 else 5, **material)
            if height > 0.01 and min(abs(t0), abs(t1)) < 25:
                side = np.sign(t1 - t0)
                near = t0
                if not any(abs(q[1] - near) < 1e-6 and q[2] > 0.01 for q in strips):
                    g.kerb(s0, s1, near, -0.02, height, -side, **kerb)
                    if height > 0.05:
                        g.strip(s0, s1, near, near + side * 0.14, height + 0.004, **{**kerb, "scale": 1.0})
    if c is not None:
        g.strip(c.start, c.end, -150, 150, 0.0, columns=30, **asphalt)
        for t0, t1, height, _ in strips:  # kerbs along the side street
            if height > 0.01:
                for s, facing in ((c.start, 1), (c.end, -1)):
                    t = np.linspace(t0, t1, 2 if abs(t1 - t0) < 30 else 5)
                    x, y = street.point(np.full_like(t, s), t)
                    points = np.stack([g.lift(x, y, -0.02), g.lift(x, y, height)], 1)
                    uv = np.stack([np.repeat(t[:, None], 2, 1), np.tile([0.3, 0.0], (len(t), 1))], -1)
                    g.parts.append(
                        build(points, np.tile([facing, 0, 0], (2 * len(t), 1)), uv, grid_triangles(len(t), 2), **kerb)
                    )

    line = {"skin": Skin.MARKING, "surface": Surface.CUTOUT, "tint": rng.uniform(0.75, 1.0) * np.ones(3)}
    marked = street.style != "residential" or rng.random() < 0.45
    crossed = lambda s: c is not None and c.start - 1 < s < c.end + 1  # noqa: E731
    if marked:
        lanes = sorted(street.lanes)
        dash, gap, wide = rng.choice([3.0, 4.0, 6.0]), rng.choice([3.0, 6.0, 9.0]), rng.uniform(0.1, 0.16)
        for (a, da), (b, db) in itertools.pairwise(lanes):
            solid = da != db and rng.random() < 0.25
            for s in np.arange(BEHIND, 130, 3.0 if solid else dash + gap):
                if not crossed(s):
                    g.patch(s, 0.5 * (a + b), 3.0 if solid else dash, wide, **line)
        if rng.random() < (0.9 if street.style == "country" else 0.5):
            for t in (street.right + 0.2, street.left - 0.2):
                for s in np.arange(BEHIND, 130, 3.0):
                    if not crossed(s):
                        g.patch(s, t, 3.0, wide, **line)
    for side, depth, across in (
        (-1, street.parking_right, street.perpendicular[0]),
        (1, street.parking_left, street.perpendicular[1]),
    ):
        if depth and rng.random() < 0.6:
            edge = street.right if side < 0 else street.left
            for s in np.arange(BEHIND, 70, 2.5 if across else 6.0):
                if not crossed(s):
                    g.patch(s, edge + side * depth / 2, 0.1, depth, **line)
    if c is not None:
        for s in (c.start - 0.6, c.end + 0.6):
            pick = rng.random()
            if pick < 0.35:
                for t in np.arange(street.right + 0.5, street.left, 1.0):
                    g.patch(s - np.sign(s - c.start) * 0 - (2.0 if s < c.end else -2.0), t, 3.0, 0.5, **line)
            elif pick < 0.6:
                g.patch(
                    s,
                    0.5 * (street.right + (street.left + street.right) / 2),
                    0.4,
                    (street.left - street.right) / 2,
                    **line,
                )
    for _ in range(rng.poisson(5)):  # mended places
        tone = np.asarray(street.tone) * rng.choice([0.6, 0.75, 1.2])
        g.patch(
            rng.uniform(2, 50),
            rng.uniform(street.right, street.left),
            rng.uniform(0.5, 7),
            rng.uniform(0.4, 1.8),
            above=0.006,
            skin=int(rng.choice([Skin.ASPHALT, Skin.OLD_ASPHALT])),
            tint=tone,
        )
    for _ in range(rng.poisson(5)):  # seams of tar
        g.patch(
            rng.uniform(2, 45),
            rng.uniform(street.right, street.left),
            rng.uniform(3, 15),
            rng.uniform(0.04, 0.09),
            yaw=rng.choice([0, 0, 1.57]) + 0.1 * rng.normal(),
            above=0.009,
            skin=Skin.PLAIN,
            tint=(0.03, 0.03, 0.03),
        )
    for _ in range(rng.poisson(2)):  # manholes
        s, t = rng.uniform(4, 40), rng.uniform(street.right, street.left)
        x, y = street.point(s, t)
        angle = np.linspace(0, 2 * np.pi, 17)
        ring = g.lift(x + 0.33 * np.cos(angle), y + 0.33 * np.sin(angle), 0.011)
        g.parts.append(
            build(
                np.concatenate([[g.lift(x, y, 0.011)], ring]),
                np.tile([0, 0, 1.0], (18, 1)),
                np.concatenate([[[0, 0]], ring[:, :2]]),
                [[0, i, i + 1] for i in range(1, 17)],
                tint=(0.25, 0.23, 0.2),
                skin=Skin.COBBLES,
            )
        )
    return g.parts


@cache
def tree(number: int) -> Mesh:
    """Tree of that number: a trunk and a crown of leafy sprays; the same in every process."""
    rng = np.random.default_rng((number, 99))
    height, spread = rng.uniform(6, 13), rng.uniform(1.8, 3.6)
    slim = number % 4 == 3
    if slim:
        spread = rng.uniform(1.0, 1.6)
    clear = height * (rng.uniform(0.18, 0.36) if not slim else 0.06)
    leaf = Skin.LEAF + (1 if slim else int(rng.choice(LEAVES, p=[0.35, 0.25, 0.3, 0.1])))
    bend = rng.normal(0, 0.25, 2)
    trunk = tube(
        [(0, 0, -0.3), (0, 0, 0.4), (bend[0] * 0.4, bend[1] * 0.4, clear), (bend[0], bend[1], height * 0.75)],
        np.array([1.5, 1.0, 0.8, 0.25]) * rng.uniform(0.11, 0.2),
        9,
        (3, 0.5),
        tint=rng.uniform(0.4, 1.0) * np.ones(3),
        skin=Skin.BARK,
    )
    centre = np.array([bend[0], bend[1], (height + clear) / 2])
    radii = np.array([spread, spread, (height - clear) / 2])
    crown = _foliage(rng, centre, radii, int(70 + 26 * spread), leaf, rng.uniform(1.2, 1.9))
    return merge([trunk, crown])


def _foliage(rng, centre, radii, count: int, skin: int, size: float, dark: float = 1.0) -> Mesh:
    """Sprays of leaves filling an ellipsoid, lit as if it were a lumpy solid."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    depth = rng.random(count) ** 0.42
    lumps = 1 + 0.22 * np.sin(direction @ rng.normal(0, 3, (3, 4)) + rng.uniform(0, 6, 4)).mean(1)
    where = centre + direction * radii * (depth * lumps)[:, None]
    a = rng.normal(size=(count, 3)) + direction * 0.2
    a -= (a * direction).sum(1, keepdims=True) * direction * 0.6
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = cross(direction + 0.5 * rng.normal(size=(count, 3)), a)
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    half = size * rng.uniform(0.4, 0.75, (count, 1))
    corners = np.stack(
        [
            where - a * half - b * half,
            where + a * half - b * half,
            where + a * half + b * half,
            where - a * half + b * half,
        ],
        1,
    )
    normal = direction + [0, 0, 0.25] + 0.25 * rng.normal(size=(count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    shade = (0.5 + 0.5 * depth) * rng.uniform(0.75, 1.2, count) * dark
    tint = np.ones((count, 4)) * shade[:, None]
    tint[:, :3] *= np.exp(rng.normal(0, 0.06, (count, 3)))
    tint[:, 3] = np.clip((0.25 + 0.75 * depth) * (0.65 + 0.35 * direction[:, 2]), 0.1, 1)
    index = 4 * np.arange(count)[:, None]
    triangles = np.concatenate([index + np.array([0, 1, 2]), index + np.array([0, 2, 3])])
    uv = np.tile([[0, 1], [1, 1], [1, 0], [0, 0]], (count, 1))
    return build(
        corners, np.repeat(normal, 4, 0), uv, triangles, tint=np.repeat(tint, 4, 0), skin=skin, surface=Surface.LEAF
    )


def _hedge(rng, length: float, height: float, deep: float) -> Mesh:
    """A hedge along x, its middle at the origin: leafy sprays about a dark core."""
    count = int(17 * length * max(height, 0.7))
    leaf = Skin.LEAF + int(rng.integers(3))
    where = rng.uniform(-0.5, 0.5, (count, 3)) * [length, deep, height] + [0, 0, height / 2]
    face = rng.integers(3, size=count)
    where[face == 0, 1] = rng.choice([-0.5, 0.5], (face == 0).sum()) * deep
    where[face == 1, 2] = height
    normal = np.stack(
        [rng.normal(0, 0.3, count), np.sign(where[:, 1]) * 0.8, 0.25 + (where[:, 2] > 0.9 * height) * 1.0], -1
    )
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    a = rng.normal(size=(count, 3))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    b = cross(a, normal + 0.4 * rng.normal(size=(count, 3)))
    b /= np.linalg.norm(b, axis=1, keepdims=True)
    half = rng.uniform(0.22, 0.45, (count, 1))
    corners = np.stack(
        [
            where - a * half - b * half,
            where + a * half - b * half,
            where + a * half + b * half,
            where - a * half + b * half,
        ],
        1,
    )
    shade = (0.55 + 0.45 * where[:, 2] / height) * rng.uniform(0.75, 1.2, count)
    tint = np.repeat(np.stack([shade, shade, shade, 0.3 + 0.7 * where[:, 2] / height], -1), 4, 0)
    index = 4 * np.arange(count)[:, None]
    triangles = np.concatenate([index + np.array([0, 1, 2]), index + np.array([0, 2, 3])])
    leaves = build(
        corners,
        np.repeat(normal, 4, 0),
        np.tile([[0, 1], [1, 1], [1, 0], [0, 0]], (count, 1)),
        triangles,
        tint=tint,
        skin=leaf,
        surface=Surface.LEAF,
    )
    core = box(
        (length * 0.96, deep * 0.55, height * 0.9),
        (0, 0, height * 0.45),
        0.7,
        tint=(0.5, 0.52, 0.4, 0.5),
        skin=Skin.GRASS,
    )
    return merge([core, leaves])


def _house(rng, length: float, deep: float, storeys: int) -> Mesh:
    """A house along x, its front at y = 0 facing -y."""
    height = 3.0 * storeys + rng.uniform(0.2, 0.8)
    wall = np.array(
        [
            [0.8, 0.76, 0.66],
            [0.75, 0.75, 0.74],
            [0.6, 0.5, 0.34],
            [0.6, 0.36, 0.26],
            [0.42, 0.42, 0.42],
            [0.62, 0.6, 0.42],
            [0.36, 0.2, 0.15],
        ]
    )[rng.integers(7)]
    wall = np.clip(wall * rng.uniform(0.6, 1.15), 0, 0.9)
    front = Skin.FACADE + int(rng.integers(FACADES))
    v = height / 6.0
    wide = rng.uniform(5.0, 7.0)
    material = {"skin": front, "tint": wall}
    x0, x1 = -length / 2, length / 2
    parts = [
        quad(
            (x0, 0, 0), (length, 0, 0), (0, 0, height), (max(round(length / wide), 1), v), normal=(0, -1, 0), **material
        ),
        quad((x1, 0, 0), (0, deep, 0), (0, 0, height), (max(round(deep / wide), 1), v), normal=(1, 0, 0), **material),
        quad(
            (x0, deep, 0), (0, -deep, 0), (0, 0, height), (max(round(deep / wide), 1), v), normal=(-1, 0, 0), **material
        ),
    ]
    roof = np.array([[0.36, 0.13, 0.08], [0.26, 0.12, 0.09], [0.1, 0.09, 0.09], [0.2, 0.18, 0.17]])[
        rng.integers(4)
    ] * rng.uniform(0.7, 1.2)
    if rng.random() < 0.75:
        rise, eaves = deep / 2 * rng.uniform(0.5, 1.0), 0.45
        tiles = {"skin": Skin.ROOF, "tint": roof}
        if rng.random() < 0.65:  # ridge along the street
            slope = np.hypot(rise, deep / 2)
            for y, sign in ((-eaves, 1), (deep + eaves, -1)):
                parts.append(
                    quad(
                        (x0 - eaves, y, height - eaves * rise / deep),
                        (length + 2 * eaves, 0, 0),
                        (0, sign * (deep / 2 + eaves), rise + eaves * rise / deep),
                        (length / 5, slope / 5),
                        normal=np.array([0, -sign * rise, deep / 2]) / slope,
                        **tiles,
                    )
                )
            for x, sign in ((x0, -1), (x1, 1)):
                points = [[x, 0, height], [x, deep, height], [x, deep / 2, height + rise]]
                parts.append(
                    build(
                        points,
                        np.tile([sign, 0, 0], (3, 1)),
                        [[0, 0], [0.1, 0], [0.05, 0.1]],
                        [[0, 1, 2]],
                        tint=wall,
                        skin=Skin.CONCRETE,
                    )
                )
            if rng.random() < 0.5:
                parts.append(
                    box(
                        (1.4, 1.6, 1.3),
                        (rng.uniform(x0 + 2, x1 - 2) if length > 5 else 0, deep * 0.2, height + rise * 0.35),
                        0.3,
                        tint=wall,
                        skin=Skin.CONCRETE,
                    )
                )
        else:  # gable towards the street
            rise = length / 2 * rng.uniform(0.5, 0.9)
            slope = np.hypot(rise, length / 2)
            for x, sign in ((x0 - eaves, 1), (x1 + eaves, -1)):
                parts.append(
                    quad(
                        (x, -eaves, height - eaves * 2 * rise / length),
                        (0, deep + 2 * eaves, 0),
                        (sign * (length / 2 + eaves), 0, rise + eaves * 2 * rise / length),
                        (deep / 5, slope / 5),
                        normal=np.array([-sign * rise, 0, length / 2]) / slope,
                        **tiles,
                    )
                )
            points = [[x0, 0, height], [x1, 0, height], [0, 0, height + rise]]
            parts.append(
                build(
                    points,
                    np.tile([0, -1, 0], (3, 1)),
                    np.array([[0, v], [1, v], [0.5, v + 0.3]]),
                    [[0, 1, 2]],
                    tint=wall,
                    skin=Skin.CONCRETE,
                )
            )
        parts.append(
            box(
                (0.6, 0.6, 1.2),
                (rng.uniform(-0.3, 0.3) * length, deep / 2 + 1.0, height + rise * 0.9),
                tint=(0.3, 0.15, 0.1),
                skin=Skin.ROOF,
            )
        )
    else:
        parts.append(
            quad(
                (x0, 0, height),
                (length, 0, 0),
                (0, deep, 0),
                (length / 4, deep / 4),
                normal=(0, 0, 1),
                tint=(0.3, 0.3, 0.3),
                skin=Skin.CONCRETE,
            )
        )
        parts.append(box((length + 0.3, deep + 0.3, 0.3), (0, deep / 2, height), tint=wall * 0.7, skin=Skin.CONCRETE))
    parts.append(
        quad(
            (x0, -0.02, 0),
            (length, 0, 0),
            (0, 0, rng.uniform(0.4, 0.9)),
            (length / 3, 0.2),
            normal=(0, -1, 0),
            tint=wall * 0.45,
            skin=Skin.CONCRETE,
        )
    )
    for _ in range(rng.integers(1, 4)):  # doors, garages, shop windows
        x = rng.uniform(x0 + 1, x1 - 2.5) if length > 5 else 0.0
        if rng.random() < 0.5:
            parts.append(
                quad(
                    (x, -0.04, 0),
                    (1.1, 0, 0),
                    (0, 0, 2.15),
                    (0.3, 1),
                    normal=(0, -1, 0),
                    tint=rng.uniform(0.03, 0.5, 3),
                    skin=Skin.PLANKS,
                )
            )
        else:
            parts.append(
                quad(
                    (x, -0.04, 0),
                    (2.4, 0, 0),
                    (0, 0, 2.2),
                    (1, 1),
                    normal=(0, -1, 0),
                    tint=rng.uniform(0.1, 0.8) * np.ones(3),
                    skin=int(rng.choice([Skin.PLANKS, Skin.PANE, Skin.GRILLE, Skin.CONCRETE])),
                )
            )
    return merge(parts)


def _lamp_post(rng) -> Mesh:
    height, grey = rng.uniform(5, 9), rng.uniform(0.1, 0.45) * np.ones(3)
    arm = rng.uniform(0.5, 2.0)
    points = [(0, 0, 0), (0, 0, height * 0.9), (0, 0.15 * arm, height * 0.98), (0, arm, height)]
    material = {"tint": grey, "skin": Skin.CONCRETE}
    return merge(
        [
            tube(points, [0.08, 0.055, 0.05, 0.04], 8, (1, 1), **material),
            box((0.25, 0.6, 0.12), (0, arm + 0.2, height), **material),
        ]
    )


def _sign(rng) -> Mesh:
    """A road sign that faces -x."""
    height, size = rng.uniform(1.9, 2.7), rng.uniform(0.55, 0.85)
    cell = int(rng.integers(16))
    u, v = cell % 4 / 4, cell // 4 / 4
    board = quad(
        (-0.05, size / 2, height),
        (0, -size, 0),
        (0, 0, size),
        normal=(-1, 0, 0),
        skin=Skin.SIGNS,
        surface=Surface.CUTOUT,
    )
    board.vertices[:, 6:8] = board.vertices[:, 6:8] * 0.245 + [u + 0.0025, v + 0.0025]
    back = board.placed((0.02, 0, 0)).dyed((0.06, 0.06, 0.065))
    pole = tube(
        [(0, 0, 0), (0, 0, height + size * 0.9)], [0.035, 0.035], 8, tint=(0.45, 0.45, 0.46), skin=Skin.CONCRETE
    )
    return merge([pole, board, back])


def _traffic_light(rng) -> Mesh:
    height = rng.uniform(2.4, 3.2)
    pole = tube([(0, 0, 0), (0, 0, height + 1.0)], [0.06, 0.06], 8, tint=(0.3, 0.3, 0.3), skin=Skin.CONCRETE)
    case = box((0.25, 0.3, 0.95), (-0.15, 0, height + 0.45), tint=(0.02, 0.03, 0.02), skin=Skin.PLAIN)
    parts = [pole, case]
    lit = rng.integers(3)
    for i, colour in enumerate(((3.0, 0.2, 0.1), (3.0, 1.6, 0.1), (0.2, 3.0, 1.0))):
        tint = np.array(colour) if i == lit else np.array(colour) * 0.03
        parts.append(
            ellipsoid((-0.28, 0, height + 0.75 - 0.3 * i), (0.03, 0.1, 0.1), 6, 10, tint=tint, skin=Skin.PLAIN)
        )
    return merge(parts)


def _bin(rng) -> Mesh:
    colour = np.array([[0.03, 0.1, 0.04], [0.02, 0.04, 0.15], [0.05, 0.05, 0.05], [0.4, 0.3, 0.02]])[rng.integers(4)]
    return merge(
        [
            box((0.6, 0.7, 1.0), (0, 0, 0.5), tint=colour, skin=Skin.PLAIN),
            box((0.65, 0.75, 0.1), (0, 0, 1.05), tint=colour * 1.2, skin=Skin.PLAIN),
        ]
    )


def _fence(rng, length: float) -> Mesh:
    pick = rng.random()
    if pick < 0.4:
        return quad(
            (-length / 2, 0, 0),
            (length, 0, 0),
            (0, 0, rng.uniform(0.9, 1.8)),
            (length / 1.5, 1),
            normal=(0, -1, 0),
            tint=rng.uniform(0.3, 1.0) * np.ones(3),
            skin=Skin.PLANKS,
        )
    if pick < 0.7:
        height = rng.uniform(1.0, 2.0)
        return quad(
            (-length / 2, 0, 0),
            (length, 0, 0),
            (0, 0, height),
            (length / height, 1),
            normal=(0, -1, 0),
            tint=(0.5, 0.6, 0.5),
            skin=Skin.MESH_FENCE,
            surface=Surface.CUTOUT,
        )
    height = rng.uniform(0.5, 1.8)
    return box(
        (length, 0.25, height),
        (0, 0, height / 2),
        0.4,
        tint=rng.uniform(0.5, 1.0) * np.ones(3),
        skin=int(rng.choice([Skin.CONCRETE, Skin.COBBLES])),
    )


def build_street(street: Street, rng: np.random.Generator) -> Mesh:
    """Everything of the street that doesn't move."""
    parts = _ground(street, rng)
    c = street.crossing

    def free(s: float, half: float) -> bool:
        return c is None or s + half < c.start - 0.5 or s - half > c.end + 0.5

    def put(mesh: Mesh, s: float, t: float, turn: float = 0.0, raised: float = 0.0) -> None:
        x, y = street.point(s, t)
        z = float(street.height(x, y)) + raised
        parts.append(mesh.placed((float(x), float(y), z), street.heading(s) + turn))

    for side, depth, pavement in (
        (-1, street.parking_right, street.pavement[0]),
        (1, street.parking_left, street.pavement[1]),
    ):
        edge = (street.right if side < 0 else street.left) + side * depth
        beyond = edge + side * pavement
        turn = 0.0 if side > 0 else np.pi  # fronts face the street
        raised = 0.12 if pavement else 0.02
        theme = str(
            rng.choice(
                ["houses", "gardens", "trees", "open"],
                p={
                    "residential": [0.5, 0.32, 0.13, 0.05],
                    "urban": [0.4, 0.15, 0.35, 0.1],
                    "country": [0.04, 0.06, 0.6, 0.3],
                }[street.style],
            )
        )
        setback = {
            "houses": rng.uniform(0.5, 3),
            "gardens": rng.uniform(3, 8),
            "trees": rng.uniform(10, 30),
            "open": rng.uniform(25, 60),
        }[theme]
        if theme in ("houses", "gardens") or rng.random() < 0.5:
            s = BEHIND + rng.uniform(0, 5)
            terrace = theme == "houses" and rng.random() < 0.5
            while s < 110:
                length, deep = rng.uniform(8, 17), rng.uniform(7, 12)
                if street.style == "urban" and rng.random() < 0.3:
                    length *= 1.6
                storeys = int(rng.integers(1, 4)) if street.style != "urban" else int(rng.integers(2, 6))
                middle = s + length / 2
                if free(middle, length / 2 + 1):
                    put(
                        _house(rng, length, deep, storeys),
                        middle,
                        beyond + side * (setback + rng.uniform(0, 1.0)),
                        turn,
                        raised,
                    )
                s += length + (0.0 if terrace and rng.random() < 0.8 else rng.uniform(1.5, 10))
        if theme == "gardens" or (theme != "houses" and rng.random() < 0.4):
            s = BEHIND
            while s < 80:
                length = rng.uniform(4, 12)
                middle = s + length / 2
                if free(middle, length / 2) and rng.random() < 0.75:
                    if rng.random() < 0.6:
                        thing = _hedge(rng, length, rng.uniform(0.7, 2.2), rng.uniform(0.6, 1.1))
                    else:
                        thing = _fence(rng, length)
                    put(thing, middle, beyond + side * rng.uniform(0.5, 1.0), turn, raised)
                s += length + rng.choice([0.0, rng.uniform(1, 4)])
        # Trees in a row along the kerb, and loose ones behind.
        if rng.random() < {"residential": 0.35, "urban": 0.55, "country": 0.4}[street.style]:
            spacing, kind = rng.uniform(6, 13), int(rng.integers(TREES))
            for s in np.arange(BEHIND + rng.uniform(0, spacing), 120, spacing):
                if free(s, 1):
                    number = kind if rng.random() < 0.6 else int(rng.integers(TREES))
                    put(
                        tree(number).transformed(np.eye(3) * rng.uniform(0.6, 1.1)),
                        s,
                        edge + side * rng.uniform(0.5, 1.0),
                        rng.uniform(0, 6.3),
                        raised,
                    )
        loose = {"houses": 3, "gardens": 9, "trees": 24, "open": 7}[theme]
        for _ in range(rng.poisson(loose)):
            s, t = rng.uniform(0, 130), beyond + side * rng.uniform(3, 30 if theme == "trees" else 22)
            if free(s, 3):
                put(
                    tree(int(rng.integers(TREES))).transformed(np.eye(3) * rng.uniform(0.6, 1.5)),
                    s,
                    t,
                    rng.uniform(0, 6.3),
                )
        for _ in range(rng.poisson(4 if theme in ("gardens", "trees") else 1)):  # bushes
            s, t = rng.uniform(2, 70), beyond + side * rng.uniform(1, 9)
            if free(s, 1):
                size = rng.uniform(0.5, 1.5)
                bush = _foliage(
                    rng,
                    np.array([0, 0, size * 0.6]),
                    np.array([size, size, size * 0.8]),
                    40,
                    Skin.LEAF + int(rng.integers(LEAVES)),
                    0.8,
                    0.8,
                )
                put(bush, s, t, raised=raised)
        # Tufts of grass where the verge is wild.
        if street.style == "country" or theme == "open":
            count = 250
            s, t = rng.uniform(1, 45, count), beyond + side * rng.exponential(4.0, count) + side * 0.3
            tall = rng.uniform(0.15, 0.5, count)
            for si, ti, hi in zip(s, t, tall, strict=True):
                if free(si, 0.5):
                    angle = rng.uniform(0, np.pi)
                    along = hi * 2.2 * np.array([np.cos(angle), np.sin(angle), 0])
                    x, y = street.point(si, ti)
                    z = float(street.height(x, y))
                    tint = rng.uniform(0.35, 0.8) * np.array([1, 1, 0.9])
                    parts.append(
                        quad(
                            np.array([float(x), float(y), z]) - along / 2,
                            along,
                            (0, 0, hi),
                            normal=(0, 0, 1),
                            tint=tint,
                            skin=Skin.TUFT,
                            surface=Surface.CUTOUT,
                        )
                    )
        # Posts: lamps, signs, lights, bins, bollards.
        where = edge + side * 0.45
        spacing = rng.uniform(18, 35)
        if rng.random() < 0.75:
            for s in np.arange(rng.uniform(0, spacing), 140, spacing):
                if free(s, 0.3):
                    put(_lamp_post(rng), s, where, turn + np.pi, raised)
        for _ in range(rng.poisson(2.0)):
            s = rng.uniform(5, 60)
            if free(s, 0.5):
                put(
                    _sign(rng),
                    s,
                    where + side * rng.uniform(0, 0.5),
                    rng.normal(0, 0.15) + (np.pi if rng.random() < 0.35 else 0),
                    raised,
                )
        if c is not None and rng.random() < 0.5:
            put(_traffic_light(rng), c.start - 0.8, where, rng.normal(0, 0.1), raised)
        for _ in range(rng.poisson(1.0)):
            s = rng.uniform(4, 40)
            if free(s, 0.5) and pavement:
                put(_bin(rng), s, beyond - side * 0.4, rng.uniform(0, 6.3), raised)
        if rng.random() < 0.2:
            for s in np.arange(rng.uniform(2, 6), 45, rng.uniform(1.5, 3)):
                if free(s, 0.3):
                    put(
                        tube(
                            [(0, 0, 0), (0, 0, 0.95)],
                            [0.06, 0.06],
                            8,
                            tint=rng.choice([0.1, 0.5, 0.8]) * np.ones(3),
                            skin=Skin.PLAIN,
                        ),
                        s,
                        where,
                        raised=raised,
                    )
    parts += _horizon(street, rng)
    return merge(parts)


def _horizon(street: Street, rng: np.random.Generator) -> list[Mesh]:
    """Woods, far houses and the dome of the sky."""
    parts = []
    for _ in range(int(rng.integers(10, 26))):
        angle, away = rng.uniform(-0.85, 0.85), rng.uniform(90, 260)
        if abs(angle) < 0.06 and rng.random() < 0.7:
            continue
        length, height = rng.uniform(25, 80), rng.uniform(6, 18) * away / 160
        x, y = away * np.cos(angle), away * np.sin(angle)
        across = np.array([-np.sin(angle), np.cos(angle), 0]) * length
        base = np.array([x, y, float(street.height(x, y)) - 1.0])
        tint = rng.uniform(0.5, 1.3) * np.array([1, 1, 1]) * np.exp(0.15 * rng.normal(size=3))
        parts.append(
            quad(
                base - across / 2,
                across,
                (0, 0, height),
                (length / height / 1.5, 1),
                normal=(-np.cos(angle), -np.sin(angle), 0.4),
                tint=tint,
                skin=Skin.FOREST,
                surface=Surface.CUTOUT,
            )
        )
    for _ in range(rng.poisson(5)):
        angle, away = rng.uniform(-0.8, 0.8), rng.uniform(110, 240)
        x, y = away * np.cos(angle), away * np.sin(angle)
        house = _house(rng, rng.uniform(10, 40), 12, int(rng.integers(2, 8)))
        parts.append(house.placed((x, y, float(street.height(x, y))), angle + np.pi / 2 + np.pi + rng.normal(0, 0.3)))
    dome = ellipsoid((0, 0, -20), (700, 700, 700), 10, 24, surface=Surface.SKY)
    parts.append(dome)
    return parts
