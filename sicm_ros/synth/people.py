"""Pedestrians and cyclists of tubes and ellipsoids, clothed, in mid-stride."""

from __future__ import annotations

from functools import cache

import numpy as np

from sicm_ros.synth.mesh import SKIN, Mesh, Surface, ellipsoid, merge, tube
from sicm_ros.synth.skins import Skin

_SKIN_TONES = ((0.55, 0.36, 0.26), (0.45, 0.28, 0.19), (0.25, 0.14, 0.09), (0.62, 0.43, 0.33))
_HAIR = ((0.02, 0.015, 0.01), (0.08, 0.045, 0.02), (0.2, 0.13, 0.05), (0.3, 0.3, 0.3))
_CLOTHES = (
    (0.02, 0.02, 0.025),
    (0.03, 0.05, 0.12),
    (0.1, 0.1, 0.1),
    (0.35, 0.35, 0.36),
    (0.6, 0.6, 0.58),
    (0.3, 0.02, 0.03),
    (0.05, 0.12, 0.05),
    (0.22, 0.16, 0.1),
    (0.05, 0.12, 0.35),
    (0.4, 0.28, 0.05),
)


def _cloth(rng) -> np.ndarray:
    return np.clip(
        np.asarray(_CLOTHES[rng.integers(len(_CLOTHES))]) * np.exp(0.3 * rng.normal(size=3) * 0.5), 0.01, 0.8
    )


def _limb(points, radii, colour, skin=Skin.CLOTH, sides: int = 8) -> Mesh:
    return tube(points, radii, sides, (1, 2), tint=colour, skin=skin)


def _head(x: float, z: float, rng) -> list[Mesh]:
    face, hair = _SKIN_TONES[rng.integers(4)], _HAIR[rng.integers(4)]
    return [
        ellipsoid((x + 0.01, 0, z), (0.092, 0.075, 0.12), 8, 10, tint=face, skin=Skin.FACE),
        ellipsoid((x - 0.015, 0, z + 0.03), (0.095, 0.083, 0.105), 8, 10, tint=hair, skin=Skin.CLOTH),
    ]


PEDESTRIANS, CYCLISTS = 60, 30


@cache
def _person(number: int, rides: bool) -> tuple[Mesh, np.ndarray]:
    rng = np.random.default_rng((number, int(rides), 55))
    return cyclist(rng) if rides else pedestrian(rng)


def anyone(rng: np.random.Generator, rides: bool = False) -> tuple[Mesh, np.ndarray]:
    """A pedestrian or cyclist out of a fixed crowd, stretched a little, and height, width, length."""
    mesh, size = _person(int(rng.integers(CYCLISTS if rides else PEDESTRIANS)), rides)
    stretch = np.exp(np.array([0.03, 0.12, 0.1]) * np.clip(rng.normal(size=3), -2, 2))
    mesh = mesh.transformed(np.diag(stretch[[2, 1, 0]]))
    cloth = mesh.vertices[:, SKIN] == Skin.CLOTH
    mesh.vertices[cloth, 8:11] *= np.exp(0.15 * rng.normal(size=3))
    return mesh, size * stretch


def pedestrian(rng: np.random.Generator) -> tuple[Mesh, np.ndarray]:
    """Someone walking towards x (or standing), and height, width, length of the box that fits."""
    top, trousers, shoe = _cloth(rng), _cloth(rng) * 0.7, np.array([0.03, 0.025, 0.02])
    face = _SKIN_TONES[rng.integers(4)]
    stride = rng.choice([0.05, rng.uniform(0.2, 0.38)], p=[0.3, 0.7])
    broad = rng.uniform(0.9, 1.15)
    parts = []
    for side, phase in ((-1, 1), (1, -1)):
        y = side * 0.09 * broad
        ankle = np.array([phase * stride, y, 0.09 + max(-phase, 0) * stride * 0.25])
        knee = np.array([phase * stride * 0.45 + 0.05, y, 0.5])
        hip = np.array([0, y, 0.92])
        parts.append(_limb([hip, knee, ankle], [0.095 * broad, 0.068 * broad, 0.05], trousers))
        parts.append(
            ellipsoid(ankle + np.array([0.06, 0, -0.045]), (0.13, 0.048, 0.05), 6, 8, tint=shoe, skin=Skin.PLAIN)
        )
        shoulder = np.array([0, side * 0.19 * broad, 1.42])
        elbow = np.array([-phase * stride * 0.35, side * 0.25 * broad, 1.15])
        hand = np.array([-phase * stride * 0.7 + 0.1, side * 0.25 * broad, 0.93])
        parts.append(_limb([shoulder, elbow, hand], [0.06, 0.05, 0.04], top))
        parts.append(ellipsoid(hand, (0.045, 0.04, 0.06), 5, 6, tint=face, skin=Skin.FACE))
    skirt = rng.random() < 0.2
    coat = rng.uniform(0.85, 0.95) if not skirt else 0.6
    torso = tube(
        [(0, 0, coat), (0, 0, 0.95), (0, 0, 1.1), (0.01, 0, 1.35), (0, 0, 1.48), (0, 0, 1.52)],
        [0.2 if skirt else 0.165, 0.16, 0.145, 0.175, 0.12, 0.05],
        12,
        (2, 2),
        tint=top,
        skin=Skin.CLOTH,
    )
    parts.append(torso.transformed(np.diag([0.72 * broad, 1.12 * broad, 1])))
    parts.append(_limb([(0, 0, 1.48), (0.01, 0, 1.58)], [0.055, 0.05], face, Skin.FACE))
    parts += _head(0.02, 1.65, rng)
    if rng.random() < 0.35:  # a bag
        parts.append(ellipsoid((-0.17, 0, 1.2), (0.1, 0.15, 0.2), 6, 8, tint=_cloth(rng), skin=Skin.CLOTH))
    body = merge(parts)
    scale = np.clip(1.76 + 0.11 * rng.normal(), 1.2, 1.98) / (body.positions[:, 2].max() - body.positions[:, 2].min())
    return _boxed(body.transformed(np.eye(3) * scale))


def cyclist(rng: np.random.Generator) -> tuple[Mesh, np.ndarray]:
    """A bicycle and its rider, heading towards x, and height, width, length of the box that fits."""
    frame, top, trousers = _cloth(rng), _cloth(rng), _cloth(rng) * 0.6
    face = _SKIN_TONES[rng.integers(4)]
    black, steel = np.array([0.015, 0.015, 0.015]), np.array([0.3, 0.3, 0.3])
    parts = []
    for axle in (-0.52, 0.53):
        angle = np.linspace(0, 2 * np.pi, 25)
        ring = np.stack([axle + 0.325 * np.cos(angle), np.zeros(25), 0.345 + 0.325 * np.sin(angle)], -1)
        parts.append(_limb(ring, [0.02] * 25, black, Skin.PLAIN, 6))
        hub = np.array([axle, 0, 0.345])
        for turn in np.linspace(0, np.pi, 7)[:-1]:
            d = 0.32 * np.array([np.cos(turn), 0, np.sin(turn)])
            parts.append(_limb([hub - d, hub + d], [0.004, 0.004], steel, Skin.PLAIN, 3))
    for a, b, r in (
        ((-0.52, 0, 0.345), (-0.05, 0, 0.3), 0.015),
        ((-0.05, 0, 0.3), (-0.2, 0, 0.9), 0.02),
        ((-0.18, 0, 0.8), (0.35, 0, 0.85), 0.02),
        ((-0.05, 0, 0.3), (0.35, 0, 0.8), 0.022),
        ((0.53, 0, 0.345), (0.35, 0, 0.98), 0.02),
        ((-0.52, 0, 0.345), (-0.18, 0, 0.8), 0.013),
    ):
        parts.append(_limb([a, b], [r, r], frame, Skin.PLAIN, 6))
    parts.append(_limb([(0.33, -0.27, 1.04), (0.38, 0, 1.0), (0.33, 0.27, 1.04)], [0.015] * 3, black, Skin.PLAIN, 6))
    parts.append(ellipsoid((-0.22, 0, 0.93), (0.13, 0.07, 0.035), 6, 8, tint=black, skin=Skin.PLAIN))
    phase = rng.uniform(0, 2 * np.pi)
    lean = rng.uniform(0.1, 0.35)
    shoulder_x, shoulder_z = -0.18 + np.sin(lean) * 0.55, 0.97 + np.cos(lean) * 0.52
    for side in (-1, 1):
        turn = phase + (np.pi if side > 0 else 0)
        pedal = np.array([-0.05 + 0.16 * np.cos(turn), side * 0.12, 0.32 + 0.16 * np.sin(turn)])
        hip = np.array([-0.2, side * 0.09, 0.97])
        knee = 0.5 * (hip + pedal) + [0.2, 0, 0.1]
        parts.append(_limb([hip, knee, pedal], [0.09, 0.065, 0.045], trousers))
        parts.append(
            ellipsoid(pedal + np.array([0.05, 0, -0.02]), (0.13, 0.045, 0.04), 6, 8, tint=black, skin=Skin.PLAIN)
        )
        shoulder = np.array([shoulder_x, side * 0.18, shoulder_z])
        hand = np.array([0.32, side * 0.25, 1.05])
        parts.append(
            _limb([shoulder, 0.5 * (shoulder + hand) + [0, side * 0.04, -0.06], hand], [0.055, 0.045, 0.035], top)
        )
        parts.append(ellipsoid(hand, (0.05, 0.04, 0.04), 5, 6, tint=face, skin=Skin.FACE))
    spine = [
        (-0.2, 0, 0.92),
        (-0.19 + 0.3 * (shoulder_x + 0.18), 0, 1.1),
        (shoulder_x, 0, shoulder_z),
        (shoulder_x + 0.03, 0, shoulder_z + 0.06),
    ]
    parts.append(tube(spine, [0.15, 0.15, 0.17, 0.06], 12, (2, 2), tint=top, skin=Skin.CLOTH))
    head_x, head_z = shoulder_x + 0.08, shoulder_z + 0.22
    parts.append(_limb([(shoulder_x + 0.02, 0, shoulder_z), (head_x, 0, head_z - 0.1)], [0.055, 0.05], face, Skin.FACE))
    parts += _head(head_x, head_z, rng)
    if rng.random() < 0.5:
        parts.append(
            ellipsoid(
                (head_x - 0.01, 0, head_z + 0.05),
                (0.125, 0.095, 0.1),
                6,
                10,
                tint=_cloth(rng),
                skin=Skin.PLAIN,
                surface=Surface.PAINT,
                gloss=0.3,
            )
        )
    return _boxed(merge(parts))


def _boxed(mesh: Mesh) -> tuple[Mesh, np.ndarray]:
    """The mesh centred over the origin and set on the ground, and its height, width, length."""
    low, high = mesh.positions.min(0), mesh.positions.max(0)
    size = high - low
    return mesh.placed((-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2])), size[[2, 1, 0]].astype(np.float64)
