# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What stands beside a street: houses, trees, hedges, fences, posts, signs, far woods, and the sky."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from sicm_ros.synth.furniture import anything
from sicm_ros.synth.mesh import Mesh, Surface, box, build, cross, ellipsoid, merge, quad, tube
from sicm_ros.synth.skins import FACADES, LEAVES, Skin
from sicm_ros.synth.street import BEHIND, Side, Street

TREES = 28

# What a side of the street is lined with, by the street's style.
_THEMES = {
    "residential": {"houses": 0.5, "gardens": 0.32, "trees": 0.13, "open": 0.05},
    "urban": {"houses": 0.4, "gardens": 0.15, "trees": 0.35, "open": 0.1},
    "country": {"houses": 0.04, "gardens": 0.06, "trees": 0.6, "open": 0.3},
}
_SETBACK = {"houses": (0.5, 3), "gardens": (3, 8), "trees": (10, 30), "open": (25, 60)}  # metres from the pavement


def furnish(street: Street, rng: np.random.Generator, taken: np.ndarray, furniture: float = 0.0) -> Mesh:
    """Return everything beside the street.

    Args:
        taken: (N, 3), x, y and radius of places in the world that stay clear, since someone stands there.
        furniture: mean number of further things on each side that could be taken for people; all else stays the same.
    """
    parts = []
    for side in street.sides():
        theme = _THEMES[street.style]
        roadside = _Roadside(street, side, str(rng.choice(list(theme), p=list(theme.values()))), taken)
        for plant in (_houses, _hedges, _trees, _undergrowth, _posts):
            plant(roadside, rng)
        _furniture(roadside, copy.deepcopy(rng), furniture)  # a copy: what comes next is drawn as without furniture
        parts += roadside.parts
    return merge([*parts, *_horizon(street, rng)])


@dataclass
class _Roadside:
    """One side of the street, being furnished."""

    street: Street
    side: Side
    theme: str
    taken: np.ndarray
    parts: list[Mesh] = field(default_factory=list)

    @property
    def turn(self) -> float:
        """What takes a front at -y towards the street."""
        return 0.0 if self.side.sign > 0 else np.pi

    def clear(self, s: float, t: float, half_length: float, half_width: float) -> bool:
        """Return whether a rectangle about (s, t) meets neither the side street nor anyone."""
        if not self.street.free(s, half_length):
            return False
        x, y = self.street.point(s, t)
        along, across = np.abs(self.taken[:, 0] - float(x)), np.abs(self.taken[:, 1] - float(y))
        return not ((along < half_length + self.taken[:, 2]) & (across < half_width + self.taken[:, 2])).any()

    def put(self, mesh: Mesh, s: float, t: float, turn: float = 0.0) -> None:
        x, y = self.street.point(s, t)
        z = float(self.street.height(x, y)) + self.side.raised
        self.parts.append(mesh.placed((float(x), float(y), z), self.street.heading(s) + turn))


def _houses(road: _Roadside, rng: np.random.Generator) -> None:
    """Build a row of houses, in a terrace or apart."""
    if road.theme not in ("houses", "gardens") and rng.random() < 0.5:
        return
    setback = rng.uniform(*_SETBACK[road.theme])
    terrace = road.theme == "houses" and rng.random() < 0.5
    urban = road.street.style == "urban"
    s = BEHIND + rng.uniform(0, 5)
    while s < 110:
        length, deep = rng.uniform(8, 17), rng.uniform(7, 12)
        if urban and rng.random() < 0.3:
            length *= 1.6
        storeys = int(rng.integers(2, 6) if urban else rng.integers(1, 4))
        middle, front = s + length / 2, road.side.beyond + road.side.sign * (setback + rng.uniform(0, 1.0))
        if road.clear(middle, front + road.side.sign * deep / 2, length / 2 + 0.5, deep / 2 + 0.5):
            road.put(_house(rng, length, deep, storeys), middle, front, road.turn)
        s += length + (0.0 if terrace and rng.random() < 0.8 else rng.uniform(1.5, 10))


def _hedges(road: _Roadside, rng: np.random.Generator) -> None:
    """Build hedges, fences and walls along the pavement."""
    if road.theme != "gardens" and (road.theme == "houses" or rng.random() < 0.6):
        return
    s = BEHIND
    while s < 80:
        length = rng.uniform(4, 12)
        middle, t = s + length / 2, road.side.beyond + road.side.sign * rng.uniform(0.5, 1.0)
        if rng.random() < 0.75 and road.clear(middle, t, length / 2, 0.6):
            hedge = rng.random() < 0.6
            thing = _hedge(rng, length, rng.uniform(0.7, 2.2), rng.uniform(0.6, 1.1)) if hedge else _fence(rng, length)
            road.put(thing, middle, t, road.turn)
        s += length + rng.choice([0.0, rng.uniform(1, 4)])


def _trees(road: _Roadside, rng: np.random.Generator) -> None:
    """Plant a row along the kerb, and loose ones behind the pavement."""

    def plant(number: int, s: float, t: float, scale: float) -> None:
        if road.clear(s, t, 0.6, 0.4) and (s > 5 or abs(t) > 4):
            road.put(tree(number).transformed(np.eye(3) * scale), s, t, rng.uniform(0, 2 * np.pi))

    if rng.random() < {"residential": 0.35, "urban": 0.55, "country": 0.4}[road.street.style]:
        spacing, kind = rng.uniform(6, 13), int(rng.integers(TREES))
        for s in np.arange(BEHIND + rng.uniform(0, spacing), 120, spacing):
            number = kind if rng.random() < 0.6 else int(rng.integers(TREES))
            plant(number, s, road.side.kerb + road.side.sign * rng.uniform(0.5, 1.0), rng.uniform(0.6, 1.1))
    reach = 30 if road.theme == "trees" else 22
    for _ in range(rng.poisson({"houses": 3, "gardens": 9, "trees": 24, "open": 7}[road.theme])):
        t = road.side.beyond + road.side.sign * rng.uniform(3, reach)
        plant(int(rng.integers(TREES)), rng.uniform(0, 130), t, rng.uniform(0.6, 1.5))


def _undergrowth(road: _Roadside, rng: np.random.Generator) -> None:
    """Plant bushes, and tufts of grass where the verge is wild."""
    for _ in range(rng.poisson(4 if road.theme in ("gardens", "trees") else 1)):
        s, t, size = rng.uniform(4, 70), road.side.beyond + road.side.sign * rng.uniform(1, 9), rng.uniform(0.5, 1.5)
        if road.clear(s, t, size, size):
            leaf = Skin.LEAF + int(rng.integers(LEAVES))
            radii = size * np.array([1, 1, 0.8])
            road.put(_foliage(rng, np.array([0, 0, size * 0.6]), radii, 40, leaf, 0.8, 0.8), s, t)
    if road.street.style != "country" and road.theme != "open":
        return
    for _ in range(250):
        s, t = rng.uniform(1, 45), road.side.beyond + road.side.sign * (0.3 + rng.exponential(4.0))
        tall, angle = rng.uniform(0.15, 0.5), rng.uniform(0, np.pi)
        if road.street.free(s, 0.5):
            along = 2.2 * tall * np.array([np.cos(angle), np.sin(angle), 0])
            tint = rng.uniform(0.35, 0.8) * np.array([1, 1, 0.9])
            tuft = quad(
                -along / 2, along, (0, 0, tall), normal=(0, 0, 1), tint=tint, skin=Skin.TUFT, surface=Surface.CUTOUT
            )
            road.put(tuft, s, t)


def _posts(road: _Roadside, rng: np.random.Generator) -> None:
    """Put up lamps, signs, traffic lights, bins, bollards."""
    sign, kerb = road.side.sign, road.side.kerb + road.side.sign * 0.45
    if rng.random() < 0.75:
        spacing = rng.uniform(18, 35)
        for s in np.arange(rng.uniform(3, spacing), 140, spacing):
            if road.clear(s, kerb, 0.3, 0.1):
                road.put(_lamp_post(rng), s, kerb, road.turn + np.pi)
    for _ in range(rng.poisson(2.0)):
        s, t = rng.uniform(5, 60), kerb + sign * rng.uniform(0, 0.5)
        if road.clear(s, t, 0.5, 0.1):
            road.put(_sign(rng), s, t, rng.normal(0, 0.15) + (np.pi if rng.random() < 0.35 else 0))
    if road.street.crossing is not None and rng.random() < 0.5:
        road.put(_traffic_light(rng), road.street.crossing.start - 0.8, kerb, rng.normal(0, 0.1))
    for _ in range(rng.poisson(1.0) if road.side.pavement else 0):
        s, t = rng.uniform(4, 40), road.side.beyond - sign * 0.4
        if road.clear(s, t, 0.5, 0.4):
            road.put(_bin(rng), s, t, rng.uniform(0, 2 * np.pi))
    if rng.random() < 0.2:
        grey = rng.choice([0.1, 0.5, 0.8]) * np.ones(3)
        for s in np.arange(rng.uniform(3, 6), 45, rng.uniform(1.5, 3)):
            if road.clear(s, kerb, 0.2, 0.1):
                road.put(tube([(0, 0, 0), (0, 0, 0.95)], [0.06, 0.06], 8, tint=grey, skin=Skin.PLAIN), s, kerb)


def _furniture(road: _Roadside, rng: np.random.Generator, mean: float) -> None:
    """Put up what could be taken for people, where people are."""
    for _ in range(rng.poisson(mean)):
        mesh, (_, width, length) = anything(rng)
        s = np.exp(rng.uniform(np.log(4.0), np.log(55.0)))
        t = road.side.kerb + road.side.sign * rng.uniform(0.3, max(road.side.pavement, 1.5))
        if road.clear(s, t, length / 2, width / 2):
            road.put(mesh, s, t, rng.normal(0, 0.3) + (np.pi if rng.random() < 0.25 else 0))


def _horizon(street: Street, rng: np.random.Generator) -> list[Mesh]:
    """Return woods, far houses and the dome of the sky."""
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


@cache
def tree(number: int) -> Mesh:
    """Return the tree of that number: a trunk and a crown of leafy sprays; the same in every process."""
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
    """Return sprays of leaves filling an ellipsoid, lit as if it were a lumpy solid."""
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
    """Return a hedge along x, its middle at the origin: leafy sprays about a dark core."""
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
    """Return a house along x, its front at y = 0 facing -y."""
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
    """Return a road sign that faces -x."""
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
