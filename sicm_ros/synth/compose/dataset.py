"""Composes many pairs and writes them in KITTI's object layout."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from tqdm import tqdm

from sicm_ros.errors import InputError
from sicm_ros.geometry.boxes import wrap_angle
from sicm_ros.geometry.sgbm import sgbm_disparity, write_disparity
from sicm_ros.kitti import KittiCalibration, KittiObjects
from sicm_ros.kitti.writing import new_folder, write_pair
from sicm_ros.synth.compose.composition import Composition, compose
from sicm_ros.synth.compose.cutout import Cutout, cutouts, ground_light
from sicm_ros.synth.compose.layer import Box, Layer, Sprite
from sicm_ros.synth.compose.placement import Stage
from sicm_ros.synth.compose.scene import Scene

if TYPE_CHECKING:
    from sicm_ros.synth.renderer import Light


@dataclass(frozen=True)
class Recipe:
    """What is put into a pair.

    Attributes:
        cars: mean number of cars to try for; at least one.
        attempts: places that are tried for each.
        nearer, farther: least and largest ratio of a real car's new depth to its old one.
        turn: largest change of a real car's bearing, radians; what its sides show changes little within it.
        rendered: share of rendered cars among those put in, 0 to 1.
        vans: share of vans among the rendered ones.
        crossing: share of the rendered cars that stand across the road, besides those whose heading is uniform.
    """

    cars: float = 3.0
    attempts: int = 60
    nearer: float = 0.85
    farther: float = 1.7
    turn: float = 0.6
    rendered: float = 0.0
    vans: float = 0.07
    crossing: float = 0.35


def rarity(cars: Sequence[Cutout]) -> np.ndarray:
    """Probability (N,) to take each car: the rarer the side that it shows, the more often, so that all come up."""
    alpha = np.array([car.box.rotation_y - car.box.bearing for car in cars])
    likeness = np.exp(8 * (np.cos(alpha[:, None] - alpha[None]) - 1))  # about 20 degrees wide
    weight = 1 / likeness.sum(1)
    return weight / weight.sum()


def composed(scene: Scene, cars: Sequence[Cutout], recipe: Recipe, rng: np.random.Generator) -> Composition:
    """A scene with randomly chosen cars at random places that are free."""
    stage, layers, light = Stage(scene), [], None
    for _ in range(1 + rng.poisson(max(recipe.cars - 1, 0))):
        if rng.random() < recipe.rendered:
            from sicm_ros.synth.compose.rendered import random_light  # panda3d only where it is asked for

            light = light or random_light(rng)  # one sun a scene
            layer = _rendered_car(stage, light, recipe, rng)
        else:
            layer = _real_car(stage, cars, recipe, rng)
        if layer is not None:
            stage.add(layer.box)
            layers.append(layer)
    return compose(scene, layers, shade=rng.uniform(0.4, 0.7))


def _real_car(stage: Stage, cars: Sequence[Cutout], recipe: Recipe, rng: np.random.Generator) -> Layer | None:
    """A real car set down at a free place, lit like the ground there; None where no place was found."""
    scene = stage.scene
    calibration, chances = scene.calibration, rarity(cars)
    for _ in range(recipe.attempts):
        car = cars[rng.choice(len(cars), p=chances)]
        if car.source.startswith(scene.name + ":"):
            continue  # a car beside itself
        ratio = np.exp(rng.uniform(np.log(recipe.nearer), np.log(recipe.farther)))
        reach = np.hypot(car.box.location[0], car.box.location[2]) * ratio
        edge = np.arctan((np.array([0, calibration.width]) - calibration.cx) / calibration.fx)
        bearing = rng.uniform(*edge)
        if abs(bearing - car.box.bearing) > recipe.turn or reach * np.cos(bearing) < 5:
            continue
        x, z = reach * np.sin(bearing), reach * np.cos(bearing)
        place = np.array([x, scene.ground_y(x, z), z])
        if not stage.fits(car.standing(place)):
            continue
        layer = car.moved(place, calibration)
        return _lit(layer, ground_light(scene, place), rng)
    return None


def _rendered_car(stage: Stage, light: Light, recipe: Recipe, rng: np.random.Generator) -> Layer | None:
    """A rendered car at a free place, lit like the ground there; None where no place was found."""
    from sicm_ros.synth.compose.rendered import random_cameras, rendered
    from sicm_ros.synth.vehicles import car_kind, car_size

    scene = stage.scene
    calibration = scene.calibration
    for _ in range(recipe.attempts):
        van = rng.random() < recipe.vans
        kind = str(rng.choice(["van", "minibus"])) if van else car_kind(rng)
        # Near cars are rarer on streets, but they teach the most: depths are uniform in their logarithm.
        z = np.exp(rng.uniform(np.log(6.0), np.log(55.0)))
        x = (rng.uniform(0, calibration.width) - calibration.cx) / calibration.fx * z
        angle = rng.uniform(-np.pi, np.pi)
        if rng.random() < recipe.crossing:
            angle = rng.choice([0.0, np.pi]) + rng.normal(0, 0.3)
        place = np.array([x, scene.ground_y(x, z), z])
        box = Box("Van" if van else "Car", place, car_size(kind, rng), float(wrap_angle(angle)))
        if not stage.fits(box):
            continue
        layer = rendered(box, kind, light, random_cameras(rng), calibration, rng)
        if layer is not None:
            return _lit(layer, ground_light(scene, place), rng)
    return None


def _lit(layer: Layer, light: float, rng: np.random.Generator) -> Layer:
    """The car as bright as the ground where it now stands asks for, half believed: grounds differ in colour, too."""
    gain = 1.0 if layer.ground_light is None else (light / max(layer.ground_light, 1)) ** 0.5
    gain = float(np.clip(gain, 0.6, 1.7) * np.exp(rng.normal(0, 0.08)))
    return replace(layer, views=tuple(_brighter(sprite, gain) for sprite in layer.views))


def _brighter(sprite: Sprite, gain: float) -> Sprite:
    return replace(sprite, colour=(sprite.colour * gain).clip(0, 255))


def write_dataset(
    source: str | Path,
    output: str | Path,
    frames: int,
    seed: int,
    split: str | None = None,
    recipe: Recipe | None = None,
    workers: int = 1,
    jpeg: bool = True,
) -> None:
    """Writes `frames` composed pairs of a labelled KITTI folder to a new folder in KITTI's object layout.

    Beside image_2, image_3, calib, label_2 and disparity (of the left view, where known), `frames.csv` says for each
    frame which scene it is and which cars were put in. The same arguments give the same files, however many workers.
    The folder appears under its name when it is complete. Raises InputError where it exists already.
    """
    with new_folder(Path(output)) as unfinished:
        pairs = KittiObjects(source, split=split, labelled=True)
        if not pairs:
            raise InputError(
                f"{source} has no labelled frames in split {split!r}; cars are only put into labelled frames"
            )
        scenes, cars = _prepared(pairs, source)
        job = _Job(unfinished, scenes, cars, recipe or Recipe(), seed, jpeg)
        lines = list(tqdm(_run(job, frames, workers), total=frames, desc="compose", unit="pair"))
        header = "frame,scene,cars\n"
        (unfinished / "frames.csv").write_text(header + "".join(lines))


def write_disparities(source: str | Path, output: str | Path, split: str | None = None) -> None:
    """Writes <name>.png, KITTI's 16-bit disparity, of every pair of a KITTI folder by semi-global matching."""
    for frame in tqdm(KittiObjects(source, split=split), desc="disparity", unit="pair"):
        write_disparity(Path(output) / f"{frame.name}.png", sgbm_disparity(frame.left, frame.right))


@dataclass(frozen=True)
class _Job:
    """All that a worker needs."""

    output: Path
    scenes: list[tuple[Scene, KittiCalibration]]
    cars: list[Cutout]
    recipe: Recipe
    seed: int
    jpeg: bool

    def write(self, index: int) -> str:
        rng = np.random.default_rng([self.seed, index])
        # Every scene comes in turn, so that each is used as often as the others.
        scene, calibration = self.scenes[index % len(self.scenes)]
        result = composed(scene, self.cars, self.recipe, rng)
        name = f"{index:06d}"
        write_pair(self.output, name, result.images, calibration, result.labels, self.jpeg)
        write_disparity(self.output / "disparity" / f"{name}.png", result.disparity)
        return f"{name},{scene.name},{'; '.join(result.sources).replace(',', ' ')}\n"


_job: _Job | None = None


def _adopt(job: _Job) -> None:
    global _job
    _job = job
    cv2.setNumThreads(1)


def _write(index: int) -> str:
    return _job.write(index)


def _run(job: _Job, frames: int, workers: int) -> Iterator[str]:
    """The frames' lines, in order."""
    if workers <= 1:
        yield from map(job.write, range(frames))
        return
    fresh = multiprocessing.get_context("spawn")  # a fork could inherit a lock that some thread holds
    with ProcessPoolExecutor(workers, fresh, initializer=_adopt, initargs=(job,)) as pool:
        yield from pool.map(_write, range(frames), chunksize=4)


def _prepared(pairs: KittiObjects, source: str | Path) -> tuple[list, list[Cutout]]:
    """Scenes with their calibration files' content, and the cars that can be cut out of them, mirrored ones too."""
    scenes, cars = [], []
    for frame in tqdm(pairs, desc="scenes", unit="pair"):
        try:
            scene = Scene.of(frame)
        except InputError as error:
            tqdm.write(f"left out: {error}")
            continue
        scenes.append((scene, frame.source))
        cars += cutouts(scene) + cutouts(scene.mirrored())
    if not scenes or not cars:
        raise InputError(
            f"{source}: {len(scenes)} scenes and {len(cars)} cars were found to compose; expected some of both"
        )
    return scenes, cars
