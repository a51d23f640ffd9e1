# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What stands at the kerb as upright and as tall as a person, and is nobody: signs, beacons, posts, cabinets, bins.

Detectors take it for people unless they have seen much of it. A mesh stands on z = 0 about the origin and shows its
front to -x, as people who come towards us do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sicm_ros.synth.mesh import Mesh, Surface, box, ellipsoid, merge, quad, tube
from sicm_ros.synth.skins import Skin

# Paints of signs and of what a town puts up, linear light.
_PAINTS = np.array(
    [
        [0.6, 0.6, 0.6],
        [0.5, 0.02, 0.02],
        [0.02, 0.08, 0.4],
        [0.7, 0.5, 0.02],
        [0.02, 0.2, 0.06],
        [0.55, 0.2, 0.02],
        [0.05, 0.05, 0.05],
    ]
)
_GREYS = 0.03, 0.5  # lightest and darkest metal and concrete


def anything(rng: np.random.Generator) -> tuple[Mesh, np.ndarray]:
    """Return a thing, and its height, width and length (3,), metres."""
    kinds = list(_SHARES)
    kind = kinds[int(rng.choice(len(kinds), p=list(_SHARES.values())))]
    mesh = kind(rng)
    length, width, height = np.ptp(mesh.positions, axis=0)
    return mesh, np.array([height, width, length], float)


def _paint(rng: np.random.Generator) -> np.ndarray:
    return _PAINTS[rng.integers(len(_PAINTS))] * rng.uniform(0.6, 1.3)


def _grey(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(*_GREYS) * np.array([1, 1, 1])


def _pole(rng: np.random.Generator, height: float, radius: float = 0.035) -> Mesh:
    return tube([(0, 0, 0), (0, 0, height)], [radius, radius], 8, tint=_grey(rng), skin=Skin.CONCRETE)


def _board(rng: np.random.Generator, width: float, height: float, bottom: float) -> Mesh:
    """Return a board before a pole: a picture of the world's signs if it is square, or one paint with a bar on it."""
    corner, along, up = (-0.05, width / 2, bottom), (0, -width, 0), (0, 0, height)
    if width == height:
        cell = rng.integers(16)
        front = quad(corner, along, up, normal=(-1, 0, 0), skin=Skin.SIGNS, surface=Surface.CUTOUT)
        front.vertices[:, 6:8] = front.vertices[:, 6:8] * 0.245 + [cell % 4 / 4 + 0.0025, cell // 4 / 4 + 0.0025]
        return merge([front, front.placed((0.02, 0, 0)).dyed((0.06, 0.06, 0.065))])
    plate = box((0.03, width, height), (-0.04, 0, bottom + height / 2), tint=_paint(rng), skin=Skin.PLAIN)
    inner = rng.uniform(0.15, 0.8, 2)
    centre = (-0.057, 0, bottom + height * rng.uniform(0.4, 0.6))
    bar = box((0.004, width * inner[0], height * inner[1]), centre, tint=_paint(rng), skin=Skin.PLAIN)
    return merge([plate, bar])


def _signs(rng: np.random.Generator) -> Mesh:
    """Return a pole with one to three boards, as low as a child or higher than a head."""
    bottom = rng.uniform(0.25, 1.3) if rng.random() < 0.6 else rng.uniform(1.6, 2.4)
    boards, top = [], bottom
    for _ in range(1 + rng.binomial(2, 0.35)):
        width = rng.uniform(0.35, 0.85)
        height = width if rng.random() < 0.6 else width * rng.uniform(0.3, 1.6)
        boards.append(_board(rng, width, height, top))
        top += height + 0.03
    return merge([_pole(rng, top + rng.choice([0.0, 0.0, 0.6])), *boards])


def _beacon(rng: np.random.Generator) -> Mesh:
    """Return a striped board on a foot, as roadworks have, or an island's round one with a sign above."""
    width, height, stripes = rng.uniform(0.22, 0.4), rng.uniform(0.7, 1.2), int(rng.integers(4, 8))
    one, other = _paint(rng), np.array([0.65, 0.65, 0.65])
    step = height / stripes
    parts = [
        box((0.05, width, step), (0, 0, 0.15 + step * (i + 0.5)), tint=(one, other)[i % 2], skin=Skin.PLAIN)
        for i in range(stripes)
    ]
    parts.append(box((0.5, 0.4, 0.12), (0, 0, 0.06), tint=(0.03, 0.03, 0.03), skin=Skin.CONCRETE))
    parts.append(_pole(rng, 0.2 + height))
    if rng.random() < 0.4:
        parts.append(_board(rng, 0.45, 0.45, 0.2 + height))
    return merge(parts)


def _post(rng: np.random.Generator) -> Mesh:
    """Return a bollard, a delineator, a hydrant or a meter: a post with a head of another colour."""
    height, radius = rng.uniform(0.7, 1.4), rng.uniform(0.05, 0.16)
    paint, head = (_paint(rng), _paint(rng)) if rng.random() < 0.5 else (_grey(rng), _paint(rng))
    shaft = tube([(0, 0, 0), (0, 0, height)], [radius, radius * rng.uniform(0.7, 1)], 10, tint=paint, skin=Skin.PLAIN)
    size = rng.uniform(1.0, 1.9) * radius
    if rng.random() < 0.5:
        top = ellipsoid((0, 0, height), (size, size, size * rng.uniform(0.6, 1.5)), 8, 12, tint=head, skin=Skin.PLAIN)
    else:
        tall = rng.uniform(0.15, 0.4)
        top = box((1.4 * size, 2 * size, tall), (0, 0, height + tall / 2), tint=head, skin=Skin.PLAIN)
    return merge([shaft, top])


def _trunk(rng: np.random.Generator) -> Mesh:
    """Return a young tree's stem between stakes, or an old one's as thick as a person."""
    height, radius = rng.uniform(2.0, 3.5), rng.uniform(0.05, 0.28)
    tint = rng.uniform(0.4, 1.0) * np.ones(3)
    lean = rng.normal(0, 0.06, 2)
    stem = tube([(0, 0, 0), (*lean, height)], [1.15 * radius, 0.8 * radius], 10, (3, 0.5), tint=tint, skin=Skin.BARK)
    if radius > 0.12:
        return stem
    stakes = [_pole(rng, 1.5, 0.04).placed((x, y, 0)) for x, y in ((0.25, 0.3), (0.25, -0.3))]
    return merge([stem, *stakes, box((0.05, 0.6, 0.08), (0.25, 0, 1.45), tint=tint, skin=Skin.BARK)])


def _column(rng: np.random.Generator) -> Mesh:
    """Return a column with posters, or a thick grey one."""
    height, radius = rng.uniform(1.6, 3.2), rng.uniform(0.25, 0.6)
    wide = rng.uniform(0.5, 1.2) * radius
    parts = [tube([(0, 0, 0), (0, 0, height)], [radius, radius], 16, tint=_grey(rng), skin=Skin.CONCRETE)]
    for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(0, 6))):
        tall, low = rng.uniform(0.4, 0.9), rng.uniform(0.3, max(height - 1.0, 0.4))
        poster = box((0.02, wide, tall), (-radius, 0, low + tall / 2), tint=_paint(rng), skin=Skin.PLAIN)
        parts.append(poster.placed((0, 0, 0), angle))
    return merge(parts)


def _cabinet(rng: np.random.Generator) -> Mesh:
    """Return a cabinet of a telephone or power company, a letter box on a leg, or a machine that sells tickets."""
    size = np.array([rng.uniform(0.25, 0.5), rng.uniform(0.35, 1.1), rng.uniform(0.7, 1.6)])
    leg = rng.uniform(0.4, 0.9) if size[2] < 1.0 and rng.random() < 0.5 else 0.05
    paint = _paint(rng) if rng.random() < 0.5 else _grey(rng) * [0.95, 1, 0.9]
    body = box(size, (0, 0, leg + size[2] / 2), tint=paint, skin=Skin.PLAIN)
    lid = box(size * [1.08, 1.08, 0.05], (0, 0, leg + size[2] * 1.025), tint=paint * 0.7, skin=Skin.PLAIN)
    inner = size[1:] * rng.uniform(0.3, 0.8, 2)
    front = box((0.01, *inner), (-size[0] / 2, 0, leg + size[2] * 0.55), tint=_paint(rng), skin=Skin.PLAIN)
    return merge([body, lid, front, _pole(rng, leg + 0.1, 0.06)])


def _bin(rng: np.random.Generator) -> Mesh:
    """Return a bin on wheels or a basket on a pole."""
    if rng.random() < 0.5:
        colour = _PAINTS[[2, 4, 6, 3]][rng.integers(4)] * rng.uniform(0.3, 0.9)
        wide, height = rng.uniform(0.5, 0.8), rng.uniform(0.9, 1.15)
        body = box((wide, wide, height), (0, 0, height / 2), tint=colour, skin=Skin.PLAIN)
        lid = box((wide * 1.1, wide * 1.1, 0.09), (0, 0, height + 0.04), tint=colour * 1.3, skin=Skin.PLAIN)
        return merge([body, lid])
    low, radius = rng.uniform(0.4, 0.8), rng.uniform(0.16, 0.26)
    basket = tube([(-radius, 0, low), (-radius, 0, low + 0.6)], [0.85 * radius, radius], 12, tint=_paint(rng))
    return merge([_pole(rng, low + 0.7, 0.04), basket])


_SHARES: dict[Callable[[np.random.Generator], Mesh], float] = {
    _signs: 0.4,
    _beacon: 0.1,
    _post: 0.14,
    _trunk: 0.1,
    _column: 0.08,
    _cabinet: 0.1,
    _bin: 0.08,
}
