# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Pedestrians and cyclists: bodies of every shape (`bodies`), posed, clothed, with hair, bags and bicycles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from sicm_ros.synth.bodies import JOINTS, Body, bodies
from sicm_ros.synth.bodies.skeleton import NAMES, turned
from sicm_ros.synth.mesh import SKIN, Mesh, Surface, box, build, ellipsoid, merge, tube
from sicm_ros.synth.skins import Skin

Pose = dict[str, np.ndarray]

_SKIN_TONES = ((0.55, 0.36, 0.26), (0.45, 0.28, 0.19), (0.25, 0.14, 0.09), (0.12, 0.065, 0.04), (0.62, 0.43, 0.33))
_HAIR = ((0.02, 0.015, 0.01), (0.08, 0.045, 0.02), (0.2, 0.13, 0.05), (0.45, 0.33, 0.15), (0.3, 0.3, 0.3))
_CLOTHES = (
    (0.02, 0.02, 0.025),
    (0.03, 0.05, 0.12),
    (0.1, 0.1, 0.1),
    (0.35, 0.35, 0.36),
    (0.7, 0.7, 0.68),
    (0.35, 0.02, 0.03),
    (0.05, 0.12, 0.05),
    (0.22, 0.16, 0.1),
    (0.05, 0.12, 0.35),
    (0.4, 0.28, 0.05),
    (0.25, 0.45, 0.6),
    (0.5, 0.2, 0.25),
)
_TROUSERS = (
    (0.02, 0.02, 0.025),
    (0.03, 0.05, 0.12),
    (0.06, 0.1, 0.2),
    (0.1, 0.1, 0.1),
    (0.3, 0.24, 0.16),
    (0.4, 0.4, 0.4),
)
_BLACK, _STEEL = (0.015, 0.015, 0.015), (0.3, 0.3, 0.3)

ROOM = 0.05  # metres that KITTI's annotators left around pedestrians, at each side
PEDESTRIANS, SITTING, CYCLISTS = 96, 12, 48


def anyone(rng: np.random.Generator, kind: str = "Pedestrian") -> tuple[Mesh, np.ndarray]:
    """Return someone out of a fixed crowd, stretched a little and dyed anew, and height, width, length.

    `kind` is KITTI's name: Pedestrian, Person_sitting or Cyclist.
    """
    count = {"Pedestrian": PEDESTRIANS, "Person_sitting": SITTING, "Cyclist": CYCLISTS}[kind]
    mesh, size = _person(kind, int(rng.integers(count)))
    stretch = np.exp(np.array([0.03, 0.05, 0.05]) * np.clip(rng.normal(size=3), -2, 2))
    mesh = mesh.transformed(np.diag(stretch[[2, 1, 0]]))
    cloth = mesh.vertices[:, SKIN] == Skin.CLOTH
    mesh.vertices[cloth, 8:11] *= np.exp(0.2 * rng.normal() + 0.12 * rng.normal(size=3))
    return mesh, size * stretch


@cache
def _person(kind: str, number: int) -> tuple[Mesh, np.ndarray]:
    """Return the one of that number; the same in every process."""
    rng = np.random.default_rng((number, len(kind), 55))
    return {"Pedestrian": pedestrian, "Person_sitting": sitting, "Cyclist": cyclist}[kind](rng)


def pedestrian(rng: np.random.Generator) -> tuple[Mesh, np.ndarray]:
    """Return someone walking towards x, or standing, and height, width, length of the box that fits."""
    body = _anybody(rng)
    pose = (walking if rng.random() < 0.75 else standing)(body, rng)
    return _boxed(merge(_dressed(body, pose, _Clothes.any(rng, body), rng)), room=ROOM)


def sitting(rng: np.random.Generator) -> tuple[Mesh, np.ndarray]:
    """Return someone on a stool, facing x, and height, width, length of the box that fits."""
    body = _anybody(rng, children=False)
    knee, ankle = body.joint("shin.L")[2], body.joint("foot.L")[2]
    pose = _seated(body, rng)
    parts = _dressed(body, pose, _Clothes.any(rng, body, skirts=False), rng)
    seat = float(knee - ankle) + 0.04  # so high that the feet stand on the ground
    _, places = body.posed(pose)
    low = min(part.positions[:, 2].min() for part in parts)
    hips = places["root"]
    tint = _pick(_CLOTHES, rng)
    parts.append(box((0.34, 0.36, seat), (hips[0] + 0.05, 0, low + seat / 2), tint=tint, skin=Skin.PLAIN))
    return _boxed(merge(parts))


def cyclist(rng: np.random.Generator) -> tuple[Mesh, np.ndarray]:
    """Return a bicycle and its rider, heading towards x, and height, width, length of the box that fits."""
    body = _anybody(rng, children=False)
    crank = rng.uniform(0, 2 * np.pi)
    upright = rng.random() < 0.6
    saddle = np.array([-0.2, 0.0, 0.56 * body.joint("root")[2] + rng.uniform(0.36, 0.42)])
    bars = np.array([0.3 if upright else 0.42, 0.0, saddle[2] + (0.13 if upright else 0.0) + rng.uniform(-0.03, 0.05)])
    lean = rng.uniform(0.15, 0.35) if upright else rng.uniform(0.6, 0.85)
    pose, hips = _riding(body, saddle, bars, crank, lean)
    parts = _dressed(
        body, pose, _Clothes.any(rng, body, skirts=False, bag=0.3), rng, at=hips, helmet=rng.random() < 0.45
    )
    return _boxed(merge([*parts, *_bicycle(saddle, bars, crank, rng)]))


def _anybody(rng: np.random.Generator, children: bool = True) -> Body:
    crowd = bodies()
    if children and rng.random() < 0.1:
        body = [one for one in crowd if one.child][rng.integers(sum(one.child for one in crowd))]
        return body.scaled(rng.uniform(1.05, 1.5))
    body = [one for one in crowd if not one.child][rng.integers(sum(not one.child for one in crowd))]
    return body.scaled(float(np.clip(rng.normal(1.73, 0.09), 1.52, 1.95)))


# Poses ----------------------------------------------------------------------------------------------------------------


def _hang(body: Body, pose: Pose, name: str, ahead: float, apart: float, bend: float) -> None:
    """Let an arm hang down, `ahead` and `apart` by angles, its elbow bent by an angle."""
    side = 1 if name == "L" else -1
    upper, lower = f"arm.{name}", f"forearm.{name}"
    first = body.joint(lower) - body.joint(upper)
    second = body.joint(f"hand.{name}") - body.joint(lower)
    down = turned("x", side * apart) @ [0, 0, -1.0]
    pose[upper] = _onto(first, turned("y", -ahead) @ down)
    inward = turned("x", -0.2 * side * min(bend, 1)) @ down
    pose[lower] = _onto(second, pose[upper].T @ turned("y", -ahead - bend) @ inward)


def walking(body: Body, rng: np.random.Generator) -> Pose:
    """Return a pose in mid-stride, at any moment of it."""
    phase, stride = rng.uniform(0, 2 * np.pi), rng.uniform(0.28, 0.52)
    bend = rng.uniform(0.1, 0.6)
    pose: Pose = {
        "spine": turned("y", rng.uniform(0.0, 0.08)),
        "chest": turned("z", -0.12 * np.cos(phase)),
        "head": turned("z", rng.normal(0, 0.3)) @ turned("y", rng.uniform(-0.05, 0.25)),
    }
    for name, side in (("L", 1), ("R", -1)):
        now = phase if side > 0 else phase + np.pi
        ahead, lifted = np.cos(now), max(-np.sin(now), 0.0)  # a leg is lifted while it comes forward
        pose[f"thigh.{name}"] = turned("y", -(stride * ahead + 0.3 * lifted)) @ turned("x", -0.04 * side)
        pose[f"shin.{name}"] = turned("y", 0.08 + 0.95 * lifted**1.3 + 0.25 * max(-ahead, 0) * stride)
        pose[f"foot.{name}"] = turned("y", 0.35 * max(-ahead, 0) - 0.25 * max(ahead, 0))
        _hang(body, pose, name, -0.9 * stride * ahead, rng.uniform(0.08, 0.2), bend * (1 - 0.3 * ahead))
    _occupied(body, pose, rng)
    return pose


def standing(body: Body, rng: np.random.Generator) -> Pose:
    pose: Pose = {
        "chest": turned("z", rng.normal(0, 0.1)),
        "head": turned("z", rng.normal(0, 0.5)) @ turned("y", rng.uniform(-0.05, 0.3)),
    }
    for name, side in (("L", 1), ("R", -1)):
        pose[f"thigh.{name}"] = turned("y", rng.normal(0, 0.08)) @ turned("x", side * rng.uniform(-0.06, 0.06))
        pose[f"shin.{name}"] = turned("y", rng.uniform(0.0, 0.15))
        _hang(body, pose, name, rng.normal(0.05, 0.12), rng.uniform(0.08, 0.25), rng.uniform(0.05, 0.5))
    _occupied(body, pose, rng)
    return pose


def _occupied(body: Body, pose: Pose, rng: np.random.Generator) -> None:
    """Now and then let a hand hold a telephone, or put both in the pockets or fold them."""
    choice = rng.random()
    if choice < 0.15:
        _hang(body, pose, str(rng.choice(["L", "R"])), rng.uniform(0.2, 0.6), 0.1, rng.uniform(1.4, 2.2))
    elif choice < 0.3:
        bend = 0.6 if choice < 0.25 else 1.5
        for name in "LR":
            _hang(body, pose, name, -0.25 if choice < 0.25 else 0.2, 0.25, bend)


def _seated(body: Body, rng: np.random.Generator) -> Pose:
    pose: Pose = {"spine": turned("y", rng.uniform(-0.1, 0.25)), "head": turned("z", rng.normal(0, 0.4))}
    for name, side in (("L", 1), ("R", -1)):
        spread = rng.uniform(-0.05, 0.2)
        pose[f"thigh.{name}"] = turned("x", side * spread) @ turned("y", -1.5)
        pose[f"shin.{name}"] = turned("y", 1.5 + rng.uniform(-0.2, 0.15))
        _hang(body, pose, name, rng.uniform(0.2, 0.5), 0.15, rng.uniform(0.5, 1.1))
    return pose


def _riding(body: Body, saddle, bars, crank: float, lean: float) -> tuple[Pose, np.ndarray]:
    """Return the pose of a rider, and where the hips come to lie."""
    hips = saddle + _by(0.02, 0, 0.09)
    pose: Pose = {
        "root": turned("y", 0.25 * lean),
        "spine": turned("y", 0.5 * lean),
        "chest": turned("y", 0.3 * lean),
        "head": turned("y", -0.75 * lean),
    }
    for name, side in (("L", 1), ("R", -1)):
        turn = crank + (np.pi if side < 0 else 0)
        ankle = np.array([-0.05 + 0.17 * np.cos(turn) - 0.09, side * 0.11, 0.3 + 0.17 * np.sin(turn) + 0.1])
        _reach(body, pose, ("thigh", "shin", "foot"), name, ankle, hips, np.array([1.0, 0.15 * side, 0.1]))
        pose[f"foot.{name}"] = _turn_to(pose, f"foot.{name}").T @ turned("y", 0.15)
        wrist = bars + _by(-0.03, side * 0.26, 0.03)
        _reach(body, pose, ("arm", "forearm", "hand"), name, wrist, hips, np.array([-0.2, 0.6 * side, -1.0]))
    return pose, hips


def _turn_to(pose: Pose, name: str) -> np.ndarray:
    """Return rotation (3, 3) of what carries a joint."""
    turn, parent = np.eye(3), JOINTS[name]
    while parent is not None:
        turn, parent = pose.get(parent, np.eye(3)) @ turn, JOINTS[parent]
    return turn


def _reach(body: Body, pose: Pose, limb: tuple[str, str, str], side: str, target, hips, pole) -> None:
    """Bend a limb of two bones so that its end reaches a target, with its middle joint towards `pole`."""
    upper, lower, end = (f"{part}.{side}" for part in limb)
    _, places = body.posed(pose)
    start = places[upper] - places["root"] + hips
    first, second = body.joint(lower) - body.joint(upper), body.joint(end) - body.joint(lower)
    a, b = np.linalg.norm(first), np.linalg.norm(second)
    way = np.asarray(target) - start
    distance = float(np.clip(np.linalg.norm(way), abs(a - b) + 1e-3, 0.995 * (a + b)))
    way = way / np.linalg.norm(way)
    along = (a * a - b * b + distance * distance) / (2 * distance)
    aside = pole - (pole @ way) * way
    aside = aside / np.linalg.norm(aside)
    middle = along * way + np.sqrt(np.maximum(a * a - along * along, 0)) * aside
    carried = _turn_to(pose, upper)
    pose[upper] = _onto(first, carried.T @ middle)
    carried = carried @ pose[upper]
    pose[lower] = _onto(second, carried.T @ (distance * way - middle))


def _onto(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the smallest rotation (3, 3) that takes one direction to another."""
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    axis, cosine = np.cross(one, other), float(one @ other)
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + skew + skew @ skew / max(1 + cosine, 1e-6)


# Clothes --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Clothes:
    """What someone wears.

    sleeve and leg: how far down arms and legs are covered, in bones; hem: how far below the hips the top ends, metres;
    thick: how far it stands off; skirt: length below the hips, 0 for none; bag: back, shoulder, hand or none.
    """

    top: np.ndarray
    sleeves: np.ndarray
    trousers: np.ndarray
    shoes: np.ndarray
    skin: np.ndarray
    hair: np.ndarray
    sleeve: float
    leg: float
    hem: float
    thick: float
    skirt: float
    long_hair: bool
    cap: bool
    bag: str

    @classmethod
    def any(cls, rng: np.random.Generator, body: Body, skirts: bool = True, bag: float = 0.5) -> _Clothes:
        summer = rng.random() < 0.4
        top = _pick(_CLOTHES, rng)
        return cls(
            top=top,
            sleeves=_pick(_CLOTHES, rng) if rng.random() < 0.12 else top,
            trousers=_pick(_TROUSERS, rng),
            shoes=_pick(((0.02, 0.02, 0.02), (0.08, 0.05, 0.03), (0.6, 0.6, 0.6)), rng),
            skin=_pick(_SKIN_TONES, rng),
            hair=_pick(_HAIR, rng),
            sleeve=rng.uniform(0.4, 0.9) if summer else 2.0,
            leg=rng.uniform(0.7, 1.1) if summer and rng.random() < 0.4 else 2.0,
            hem=rng.uniform(0.0, 0.08) if summer else rng.uniform(0.0, 0.2),
            thick=rng.uniform(0.006, 0.015) if summer else rng.uniform(0.012, 0.035),
            skirt=rng.uniform(0.35, 0.75) if skirts and rng.random() < 0.13 else 0.0,
            long_hair=rng.random() < 0.4,
            cap=rng.random() < 0.12,
            bag=str(rng.choice(["back", "shoulder", "hand"])) if rng.random() < bag else "",
        )


def _pick(colours, rng: np.random.Generator) -> np.ndarray:
    return np.clip(
        np.asarray(colours[rng.integers(len(colours))]) * np.exp(0.3 * rng.normal() + 0.1 * rng.normal(size=3)),
        0.008,
        0.8,
    )


def _dressed(
    body: Body, pose: Pose, clothes: _Clothes, rng: np.random.Generator, at=None, helmet: bool = False
) -> list[Mesh]:
    """Return a clothed body in a pose, its hips at `at` if given."""
    wears, rest = _worn(body, clothes)
    body = replace(body, vertices=rest)
    points, places = body.posed(pose)
    if at is not None:
        shift = np.asarray(at) - places["root"]
        points, places = points + shift.astype(np.float32), {name: p + shift for name, p in places.items()}
    normals = _normals(points, body.triangles)
    offset = np.array([0.0, clothes.thick, clothes.thick, 0.012, 0.012, 0.018, 0.0])[wears]
    points = points + offset[:, None] * normals
    tints = (
        clothes.skin,
        clothes.top,
        clothes.sleeves,
        clothes.trousers,
        clothes.shoes,
        clothes.hair,
        clothes.skin * 0.3,
    )
    skins = (Skin.FACE, Skin.CLOTH, Skin.CLOTH, Skin.CLOTH, Skin.PLAIN, Skin.CLOTH, Skin.FACE)
    uv = np.stack([np.arctan2(body.vertices[:, 1], body.vertices[:, 0]) / np.pi, body.vertices[:, 2] * 2], -1)
    # Where clothes end, faces between belong to what is below them.
    corners = _PRIORITY[wears[body.triangles]]
    of_face = np.argsort(_PRIORITY)[corners.min(1)]
    parts = []
    for number, (tint, skin) in enumerate(zip(tints, skins, strict=True)):
        used, index = np.unique(body.triangles[of_face == number], return_inverse=True)
        if len(used):
            parts.append(build(points[used], normals[used], uv[used], index.reshape(-1, 3), tint=tint, skin=skin))
    return parts + _accessories(body, pose, places, clothes, rng, helmet)


_SKIN, _TOP, _SLEEVE, _TROUSERS_WORN, _SHOE, _HAIR_WORN, _EYE = range(7)
_PRIORITY = np.array([0, 4, 3, 2, 1, 5, 6])  # which lies above which


def _worn(body: Body, clothes: _Clothes) -> tuple[np.ndarray, np.ndarray]:
    """Return what covers each vertex, int (V,), and the rest pose (V, 3) with vertices drawn to where clothes end."""
    region = body.region
    rest = body.vertices.copy()
    edges = np.concatenate([body.triangles[:, [0, 1]], body.triangles[:, [1, 2]], body.triangles[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])

    def beside(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return bool (V,): vertices of one set that have a neighbour in the other."""
        found = np.zeros(len(rest), bool)
        found[edges[one[edges[:, 0]] & other[edges[:, 1]], 0]] = True
        return found

    wears = np.full(len(rest), _SKIN)

    def of(*names: str) -> np.ndarray:
        return np.isin(region, [NAMES.index(name) for name in names])

    waist = body.joint("root")[2] + 0.03 * np.ptp(rest[:, 2])
    hem = waist - clothes.hem
    trunk = of("root", "spine", "chest", "thigh.L", "thigh.R")
    wears[trunk] = np.where(rest[trunk, 2] > hem, _TOP, _TROUSERS_WORN)
    last = beside(trunk & (rest[:, 2] > hem), trunk & (rest[:, 2] <= hem))
    rest[last, 2] = np.maximum(hem, rest[last, 2] - 0.1)
    wears[of("neck") & (rest[:, 2] < body.joint("neck")[2] + 0.02)] = _TOP
    for side in "LR":
        for upper, lower, end, reach, kind in (
            ("arm", "forearm", "hand", clothes.sleeve, _SLEEVE),
            ("thigh", "shin", "foot", clothes.leg, _TROUSERS_WORN),
        ):
            a, b, c = (body.joint(f"{part}.{side}") for part in (upper, lower, end))
            first, second = of(f"{upper}.{side}"), of(f"{lower}.{side}")
            along = np.full(len(rest), -1.0)
            along[first] = ((rest[first] - a) @ (b - a)) / ((b - a) @ (b - a))
            along[second] = 1 + ((rest[second] - b) @ (c - b)) / ((c - b) @ (c - b))
            limb = first | second
            covered = along <= reach if reach < 2 else limb
            wears[limb & covered & (wears != _TOP)] = kind
            wears[limb & ~covered] = _SKIN
            last = beside(limb & covered, limb & ~covered)
            bone = np.where((along < 1)[:, None], b - a, c - b)
            rest[last] += (reach - along[last]).clip(0, 0.4)[:, None] * bone[last]
    wears[of("foot.L", "foot.R")] = _SHOE
    if clothes.skirt:
        wears[of("thigh.L", "thigh.R", "shin.L", "shin.R") & (wears == _TROUSERS_WORN)] = _SKIN
    head = of("head")
    low, high = rest[head].min(0), rest[head].max(0)
    up = (rest[:, 2] - low[2]) / (high[2] - low[2])
    ahead = (rest[:, 0] - low[0]) / (high[0] - low[0])
    wears[head & ((up > 0.86) | ((ahead < 0.52) & (up > (0.1 if clothes.long_hair else 0.35))))] = _HAIR_WORN
    eyes = head & (np.abs(up - 0.56) < 0.035) & (ahead > 0.72) & (np.abs(np.abs(rest[:, 1]) - 0.032) < 0.014)
    wears[eyes] = _EYE
    return wears, rest.astype(np.float32)


def _normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return float (V, 3): smooth outward normals."""
    a, b, c = (points[triangles[:, i]] for i in range(3))
    faces = np.cross(b - a, c - a)
    total = np.zeros_like(points)
    for i in range(3):
        np.add.at(total, triangles[:, i], faces)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)


def _accessories(body: Body, pose: Pose, places, clothes: _Clothes, rng, helmet: bool) -> list[Mesh]:
    """Return hair that hangs, a skirt, hats and bags."""
    parts = []
    tall = float(np.ptp(body.vertices[:, 2]))
    scale = tall / 1.75
    head_turn = _turn_to(pose, "head") @ pose.get("head", np.eye(3))
    rest = body.vertices[body.region == NAMES.index("head")]
    middle = places["head"] + head_turn @ (0.5 * (rest.min(0) + rest.max(0)) - body.joint("head"))
    half = 0.5 * np.ptp(rest, axis=0)
    if clothes.long_hair:
        hair = ellipsoid(
            (-0.55 * half[0], 0, -0.55 * half[2]), half * [0.55, 0.95, 1.15], 8, 10, tint=clothes.hair, skin=Skin.CLOTH
        )
        parts.append(hair.transformed(head_turn, middle))
    if helmet or clothes.cap:
        tint = _pick(_CLOTHES, rng)
        up, high = (0.42, 0.72) if helmet else (0.55, 0.5)
        material: dict[str, Any] = {"tint": tint, "skin": Skin.PLAIN if helmet else Skin.CLOTH}
        if helmet:
            material |= {"surface": Surface.PAINT, "gloss": 0.3}
        hat = [ellipsoid((-0.02, 0, up * half[2]), half * [1.15, 1.18, high], 7, 12, **material)]
        if not helmet:
            hat.append(box((0.1, 0.15, 0.012), (half[0] + 0.03, 0, 0.5 * half[2]), **material))
        parts += [part.transformed(head_turn, middle) for part in hat]
    if clothes.skirt:
        hips = places["root"]
        broad = max(0.16 * scale, 0.5 * np.ptp(body.vertices[body.region == NAMES.index("root"), 1]))
        flare = rng.uniform(1.05, 1.5)
        length = clothes.skirt * scale
        ring = [(*(hips[:2]), hips[2] + 0.1 * scale), (*(hips[:2]), hips[2]), (*(hips[:2]), hips[2] - length)]
        skirt = tube(
            ring, [0.75 * broad, broad, flare * broad], 14, (3, 2), False, tint=clothes.trousers, skin=Skin.CLOTH
        )
        stride = max(abs(places[f"shin.{side}"][0] - hips[0]) for side in "LR") + 0.07 * scale
        deep = max(0.85, stride / (flare * broad))
        parts.append(skirt.transformed(np.diag([deep, 1, 1]), ((1 - deep) * hips[0], 0, 0)))
    chest_turn = _turn_to(pose, "head")
    if clothes.bag == "back":
        depth = rng.uniform(0.09, 0.14)
        back = body.vertices[body.region == NAMES.index("chest"), 0].min() - body.joint("chest")[0]
        bag = ellipsoid(
            (back - 0.6 * depth, 0, -0.03),
            (depth, 0.15, rng.uniform(0.19, 0.26)),
            8,
            10,
            tint=_pick(_CLOTHES, rng),
            skin=Skin.CLOTH,
        )
        parts.append(bag.transformed(chest_turn * scale, places["chest"]))
    elif clothes.bag == "shoulder":
        side = rng.choice([-1, 1])
        hip = places["root"] + _by(0, side * 0.22 * scale, 0.02)
        size = np.array([rng.uniform(0.26, 0.38), 0.09, rng.uniform(0.2, 0.3)])
        tint = _pick(_CLOTHES, rng)
        parts.append(box(size, hip, tint=tint, skin=Skin.CLOTH))
        other = places["arm.R" if side > 0 else "arm.L"] + _by(0, side * 0.03, 0.06)
        parts.append(tube([hip + _by(0, -side * 0.03, 0.1), other], 0.014, 4, tint=tint, skin=Skin.CLOTH))
    elif clothes.bag == "hand":
        hand = places[str(rng.choice(["hand.L", "hand.R"]))]
        deep = rng.uniform(0.25, 0.38) * scale
        size = np.array([rng.uniform(0.2, 0.34), rng.uniform(0.06, 0.14), deep])
        parts.append(box(size, hand - _by(0, 0, 0.15 * scale + deep / 2), tint=_pick(_CLOTHES, rng), skin=Skin.PLAIN))
    return parts


# Bicycles -------------------------------------------------------------------------------------------------------------


def _bicycle(saddle, bars, crank: float, rng: np.random.Generator) -> list[Mesh]:
    """Return a bicycle whose saddle and bars are there: wheels, frame, cranks, perhaps guards, a rack and a basket."""
    frame = np.clip(_pick(_CLOTHES, rng), 0.02, 0.6)
    radius, rear, front = 0.335, np.array([-0.53, 0, 0.335]), np.array([0.54, 0, 0.335])
    parts = []
    for hub in (rear, front):
        angle = np.linspace(0, 2 * np.pi, 29)
        ring = np.stack([np.cos(angle), np.zeros(29), np.sin(angle)], -1)
        tyre = rng.uniform(0.014, 0.024)
        parts.append(_rod(hub + (radius - tyre) * ring, tyre, _BLACK, 6))
        parts.append(_rod(hub + (radius - 0.045) * ring, 0.009, _STEEL, 4))
        for turn in np.linspace(0, np.pi, 11)[:-1] + rng.uniform(0, 0.3):
            reach = (radius - 0.04) * np.array([np.cos(turn), 0, np.sin(turn)])
            parts.append(_rod([hub - reach, hub + reach], 0.0025, _STEEL, 3))
        parts.append(_rod([hub - _by(0, 0.05, 0), hub + _by(0, 0.05, 0)], 0.025, _STEEL, 6))
    bracket, seat = np.array([-0.05, 0, 0.29]), np.array([-0.17, 0, saddle[2] - 0.14])
    head = np.array([0.36, 0, max(min(bars[2] - 0.12, 0.95), 0.78)])
    low = rng.random() < 0.35  # a frame that is stepped through
    tubes = [
        (bracket, seat),
        (bracket, head - _by(0, 0, 0.1)),
        (front, head),
        (rear, bracket),
        (rear, seat - _by(0, 0, 0.05)),
    ]
    tubes.append((bracket * 0.55 + seat * 0.45, head - _by(0, 0, 0.05)) if low else (seat - _by(0, 0, 0.04), head))
    parts += [_rod([a, b], 0.017, frame, 6) for a, b in tubes]
    stem = np.array([bars[0], 0, bars[2]])
    parts += [_rod([head, stem], 0.013, _STEEL, 5), _rod([seat, saddle], 0.013, _STEEL, 5)]
    grip = stem + _by(-0.06, 0.29, 0.02)
    parts.append(
        _rod([grip * [1, -1, 1], stem + _by(0.02, -0.12, 0), stem + _by(0.02, 0.12, 0), grip], 0.014, _BLACK, 5)
    )
    parts.append(ellipsoid(saddle + _by(-0.02, 0, 0), (0.13, 0.075, 0.035), 6, 8, tint=_BLACK, skin=Skin.PLAIN))
    for side in (-1, 1):
        turn = crank + (np.pi if side < 0 else 0)
        pedal = bracket + _by(0.17 * np.cos(turn), side * 0.07, 0.17 * np.sin(turn))
        parts.append(_rod([bracket + _by(0, side * 0.05, 0), pedal], 0.011, _STEEL, 4))
        parts.append(box((0.09, 0.08, 0.02), pedal + _by(0, side * 0.04, 0), tint=_BLACK, skin=Skin.PLAIN))
    if rng.random() < 0.6:
        for hub, first, last in ((rear, 0.3, 2.9), (front, 0.6, 2.6)):
            angle = np.linspace(first, last, 10)
            arc = np.stack([np.cos(angle), np.zeros(10), np.sin(angle)], -1)
            parts.append(_rod(hub + (radius + 0.015) * arc, 0.02, _BLACK if rng.random() < 0.6 else frame, 5))
    if rng.random() < 0.5:
        parts.append(box((0.34, 0.12, 0.015), rear + _by(-0.02, 0, 0.41), tint=_BLACK, skin=Skin.PLAIN))
        if rng.random() < 0.5:
            side, tint = rng.choice([-1, 1]), _pick(_CLOTHES, rng)
            parts.append(box((0.3, 0.12, 0.3), rear + _by(-0.02, side * 0.13, 0.24), tint=tint, skin=Skin.CLOTH))
    if rng.random() < 0.2:
        parts.append(box((0.26, 0.34, 0.24), stem + _by(0.2, 0, -0.02), tint=(0.12, 0.09, 0.05), skin=Skin.GRILLE))
    return parts


def _by(x: float, y: float, z: float) -> np.ndarray:
    return np.array([x, y, z])


def _rod(points, radius: float, tint, sides: int) -> Mesh:
    return tube(np.asarray(points, float), radius, sides, tint=tint, skin=Skin.PLAIN, ends=False)


def _boxed(mesh: Mesh, room: float = 0.0) -> tuple[Mesh, np.ndarray]:
    """Return the mesh centred over the origin and set on the ground, and height, width, length of its
    box with room around.
    """
    low, high = mesh.positions.min(0), mesh.positions.max(0)
    size = high - low + _by(2 * room, 2 * room, 0)
    return mesh.placed((-(low[0] + high[0]) / 2, -(low[1] + high[1]) / 2, -low[2])), size[[2, 1, 0]].astype(np.float64)
