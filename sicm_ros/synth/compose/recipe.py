# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What is put into a scene, and where: vehicles and people, real and rendered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import corners, wrap_angle
from sicm_ros.synth.compose.composition import Composition, compose
from sicm_ros.synth.compose.cutout import Cutout, ground_light
from sicm_ros.synth.compose.grading import graded, greyed
from sicm_ros.synth.compose.layer import Box, Layer, two_views
from sicm_ros.synth.compose.placement import Stage
from sicm_ros.synth.compose.scene import Scene
from sicm_ros.synth.compose.standee import Standee

if TYPE_CHECKING:
    from sicm_ros.synth.mesh import Mesh
    from sicm_ros.synth.renderer import Light

CUT, CUT_BESIDE = 0.6, 0.97  # shares that the image's border may cut off
OWN_WIDTH = 2.0  # metres that our own vehicle takes
ENLARGED = 0.35  # least ratio of a real car's depth beside us to its old one; networks see smaller images
AHEAD = 1.2  # metres: no part of a real car may come nearer than this to the camera's plane, where images explode
VEHICLES = {"van": 0.08, "minibus": 0.07, "truck": 0.12, "bus": 0.05, "tram": 0.04}  # shares among rendered vehicles
MOST = 50  # of one kind in a scene
LONG = 6.5  # metres; longer ones mostly stand along the road


@dataclass(frozen=True)
class Recipe:
    """What is put into a pair.

    Attributes:
        cars: mean number of vehicles to try for, at least one; below one, the chance of one.
        attempts: places that are tried for each.
        nearer, farther: least and largest ratio of a real car's new depth to its old one.
        turn: largest change of a real car's bearing, radians; what its sides show changes little within it.
        rendered: share of rendered ones among all that is put in, 0 to 1.
        crossing: share of the rendered vehicles that stand across the road, besides those whose heading is uniform.
        near: mean number of vehicles beside us, most of them cut by the image's border.
        people: mean number of people of each class, Pedestrian or Cyclist.
        furniture: mean number of rendered signs, posts, bins and the like, which have no label.
    """

    cars: float = 3.0
    attempts: int = 60
    nearer: float = 0.7
    farther: float = 1.7
    turn: float = 0.6
    rendered: float = 0.0
    crossing: float = 0.35
    near: float = 0.0
    people: Mapping[str, float] = field(default_factory=dict)
    furniture: float = 0.0

    def __post_init__(self) -> None:
        means = {"cars": self.cars, "near": self.near, "furniture": self.furniture, **self.people}
        for name, mean in means.items():
            if not 0 <= mean <= MOST:
                raise InputError(f"{name}: {mean} on average; expected 0 to {MOST}")
        if not 0 <= self.rendered <= 1:
            raise InputError(f"rendered: {self.rendered}; expected a share, 0 to 1")


def rarity(cars: Sequence[Cutout]) -> np.ndarray:
    """Return the probability (N,) to take each car: the rarer the side that it shows, the more often,
    so that all come up.
    """
    alpha = np.array([car.box.rotation_y - car.box.bearing for car in cars])
    likeness = np.exp(8 * (np.cos(alpha[:, None] - alpha[None]) - 1))  # about 20 degrees wide
    weight = 1 / likeness.sum(1)
    return weight / weight.sum()


def composed(
    scene: Scene,
    cars: Sequence[Cutout],
    recipe: Recipe,
    rng: np.random.Generator,
    standees: Sequence[Standee] = (),
) -> Composition:
    """Return a scene with randomly chosen vehicles and people at random places that are free."""
    stage, layers = Stage(scene), []
    sun: list[Light] = []  # one a scene, and none where nothing is rendered

    def light() -> Light:
        from sicm_ros.synth.compose.rendered import random_light  # panda3d only where it is asked for

        if not sun:
            sun.append(random_light(rng))
        return sun[0]

    def put(layer: Layer | None) -> None:
        if layer is not None:
            stage.add(layer.box)
            layers.append(greyed(layer) if scene.looks[0].grey else layer)

    for _ in range(rng.poisson(recipe.near)):
        if cars and rng.random() >= recipe.rendered:
            put(_real_car(stage, cars, recipe, rng, beside=True))
        else:
            put(_rendered_vehicle(stage, light(), recipe, rng, beside=True))
    for _ in range(1 + rng.poisson(recipe.cars - 1) if recipe.cars >= 1 else int(rng.random() < recipe.cars)):
        if rng.random() < recipe.rendered:
            put(_rendered_vehicle(stage, light(), recipe, rng))
        elif cars:
            put(_real_car(stage, cars, recipe, rng))
    for name in sorted(recipe.people):
        mine = [one for one in standees if one.name == name]
        for _ in range(rng.poisson(recipe.people[name])):
            if rng.random() < recipe.rendered:
                put(_rendered_person(stage, name, light(), recipe, rng))
            elif mine:
                put(_standee(stage, mine, recipe, rng))
    for _ in range(rng.poisson(recipe.furniture)):
        put(_rendered_furniture(stage, light(), recipe, rng))
    return compose(scene, layers, shade=rng.uniform(0.4, 0.7))


def _standee(stage: Stage, standees: Sequence[Standee], recipe: Recipe, rng: np.random.Generator) -> Layer | None:
    """Return a standee at a free place, in the scene's light; None where no place was found."""
    scene = stage.scene
    calibration = scene.calibration
    for _ in range(recipe.attempts):
        one = standees[rng.integers(len(standees))]
        one = one.mirrored() if rng.random() < 0.5 else one
        x, z = _place(calibration, rng)
        box = one.standing(np.array([x, stage.level(x, z), z]), rng)
        if z < one.nearest(box.dimensions[0], calibration.fx) or not stage.fits(box, max_truncation=CUT):
            continue
        return graded(one.set_up(box, calibration), scene.looks, ground_light(scene, box.location), rng)
    return None


def _real_car(
    stage: Stage, cars: Sequence[Cutout], recipe: Recipe, rng: np.random.Generator, beside: bool = False
) -> Layer | None:
    """Return a real car set down at a free place, lit like the ground there; None where no place was found.

    `beside` wants it beside us, where the image's border cuts it.
    """
    scene = stage.scene
    calibration, chances = scene.calibration, rarity(cars)
    for _ in range(recipe.attempts):
        car = cars[rng.choice(len(cars), p=chances)]
        if car.source.startswith(scene.name + ":"):
            continue  # a car beside itself
        old_reach = np.hypot(car.box.location[0], car.box.location[2])
        if beside:
            x, z = _beside(car.box.dimensions, rng)
            bearing = np.arctan2(x, z)
            if not ENLARGED < np.hypot(x, z) / old_reach < recipe.farther:
                continue
        else:
            reach = old_reach * np.exp(rng.uniform(np.log(recipe.nearer), np.log(recipe.farther)))
            bearing = rng.uniform(*np.arctan((np.array([0, calibration.width]) - calibration.cx) / calibration.fx))
            x, z = reach * np.sin(bearing), reach * np.cos(bearing)
        if abs(bearing - car.box.bearing) > recipe.turn or (z < 4 and not beside):
            continue
        place = np.array([x, scene.ground_y(x, z), z])
        box = car.standing(place)
        ahead = corners(box.location[None], box.dimensions[None], np.array([box.rotation_y]))[0, :, 2].min()
        if ahead < AHEAD or not stage.fits(box, max_truncation=CUT_BESIDE if beside else CUT):
            continue
        layer = car.moved(place, calibration)
        return _lit(layer, ground_light(scene, place), rng)
    return None


def _rendered_vehicle(
    stage: Stage, light: Light, recipe: Recipe, rng: np.random.Generator, beside: bool = False
) -> Layer | None:
    """Return a rendered vehicle at a free place, lit like the ground there; None where no place was found.

    `beside` wants it beside us, where the image's border cuts it.
    """
    from sicm_ros.synth.vehicles import LABELS, car_kind, vehicle, vehicle_size

    scene = stage.scene
    calibration = scene.calibration
    # The kind is drawn once: if every try drew its own, long ones, for which places are rare, would hardly ever be met.
    kind = str(rng.choice(["car", *VEHICLES], p=[1 - sum(VEHICLES.values()), *VEHICLES.values()]))
    kind = car_kind(rng) if kind == "car" else kind
    for _ in range(recipe.attempts):
        size = vehicle_size(kind, rng)
        if beside:
            x, z = _beside(size, rng)
            angle = rng.choice([-1, 1], p=[0.7, 0.3]) * np.pi / 2 + rng.normal(0, 0.12)
        else:
            # Near vehicles are rarer on streets, but they teach the most: depths are uniform in their logarithm.
            z = np.exp(rng.uniform(np.log(6.0), np.log(55.0)))
            x = (rng.uniform(0, calibration.width) - calibration.cx) / calibration.fx * z
            angle = rng.uniform(-np.pi, np.pi)
            if size[2] > LONG and rng.random() < 0.7:
                angle = rng.choice([-1, 1]) * np.pi / 2 + rng.normal(0, 0.1)
            elif rng.random() < recipe.crossing:
                angle = rng.choice([0.0, np.pi]) + rng.normal(0, 0.3)
        box = Box(LABELS[kind], np.array([x, scene.ground_y(x, z), z]), size, float(wrap_angle(angle)))
        if not stage.fits(box, max_truncation=CUT_BESIDE if beside else CUT):
            continue
        layer = _rendered(stage, box, vehicle(kind, size, rng), kind, light, rng)
        if layer is not None:
            return layer
    return None


def _rendered_person(stage: Stage, name: str, light: Light, recipe: Recipe, rng: np.random.Generator) -> Layer | None:
    """Return a rendered person of KITTI's class `name` at a free place, lit like the ground there;
    None if none was found.
    """
    from sicm_ros.synth.people import anyone

    calibration = stage.scene.calibration
    mesh, size = anyone(rng, name)
    for _ in range(recipe.attempts):
        x, z = _place(calibration, rng)
        box = Box(name, np.array([x, stage.level(x, z), z]), size, float(rng.uniform(-np.pi, np.pi)))
        if stage.fits(box, max_truncation=CUT):
            return _rendered(stage, box, mesh, name.lower(), light, rng)
    return None


def _rendered_furniture(stage: Stage, light: Light, recipe: Recipe, rng: np.random.Generator) -> Layer | None:
    """Return what could be taken for a person, with its front more or less to us, at a free place; None if none was
    found.
    """
    from sicm_ros.synth.furniture import anything

    calibration = stage.scene.calibration
    mesh, size = anything(rng)
    for _ in range(recipe.attempts):
        x, z = _place(calibration, rng)
        angle = -np.pi / 2 + np.arctan2(x, z) * rng.uniform(0, 1) + rng.normal(0, 0.4)
        box = Box("", np.array([x, stage.level(x, z), z]), size, float(wrap_angle(angle)))
        if stage.fits(box, max_truncation=CUT):
            return _rendered(stage, box, mesh, "furniture", light, rng)
    return None


def _rendered(stage: Stage, box: Box, mesh: Mesh, kind: str, light: Light, rng: np.random.Generator) -> Layer | None:
    """Return a mesh that fills a box, lit like the ground there; None where it is too near to be drawn."""
    from sicm_ros.synth.compose.rendered import random_cameras, rendered

    layer = rendered(box, mesh, kind, light, random_cameras(rng), stage.scene.calibration, rng)
    return None if layer is None else _lit(layer, ground_light(stage.scene, box.location), rng)


def _beside(size: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Return x and z, metres, of a vehicle of that size (3,) that stands or drives beside us."""
    z = rng.uniform(0.3, 9.0) + max(size[2] - 5, 0) / 2
    return rng.choice([-1, 1]) * (OWN_WIDTH / 2 + size[1] / 2 + rng.uniform(0.2, 2.5)), z


def _place(calibration: StereoCalibration, rng: np.random.Generator) -> tuple[float, float]:
    """Return x and z, metres, where someone may stand: depths uniform in their logarithm, anywhere
    across the image.
    """
    z = np.exp(rng.uniform(np.log(3.5), np.log(42.0)))
    return (rng.uniform(-0.02, 1.02) * calibration.width - calibration.cx) / calibration.fx * z, z


def _lit(layer: Layer, light: float, rng: np.random.Generator) -> Layer:
    """Return the object as bright as the ground where it now stands asks for, half believed: grounds
    differ in colour, too.
    """
    gain = 1.0 if layer.ground_light is None else (light / max(layer.ground_light, 1)) ** 0.5
    gain = float(np.clip(gain, 0.6, 1.7) * np.exp(rng.normal(0, 0.08)))
    views = two_views(replace(sprite, colour=(sprite.colour * gain).clip(0, 255)) for sprite in layer.views)
    return replace(layer, views=views)
