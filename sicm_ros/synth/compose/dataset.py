# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Composes many pairs and writes them in KITTI's object layout."""

from __future__ import annotations

import csv
import io
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from sicm_ros.errors import InputError
from sicm_ros.files import write_text
from sicm_ros.geometry.sgbm import sgbm_disparity, write_disparity
from sicm_ros.kitti import KittiCalibration, KittiObjects, StereoFrame
from sicm_ros.kitti.splits import drive_of
from sicm_ros.kitti.writing import new_folder, write_pair
from sicm_ros.synth.compose.cutout import Cutout, cutouts
from sicm_ros.synth.compose.recipe import Recipe, composed
from sicm_ros.synth.compose.scene import Scene
from sicm_ros.synth.compose.standee import Standee, read_standees


def write_dataset(
    sources: Sequence[str | Path],
    output: str | Path,
    frames: int,
    seed: int,
    split: str | None = None,
    recipe: Recipe | None = None,
    workers: int = 1,
    jpeg: bool = True,
    cutout_folders: Sequence[str | Path] = (),
    per_drive: int | None = None,
) -> None:
    """Write `frames` composed pairs of labelled KITTI folders to a new folder in KITTI's object layout.

    Beside image_2, image_3, calib, label_2 and disparity (of the left view, where known), `frames.csv` says for each
    frame which scene it is and what was put in. The same arguments give the same files, however many workers.
    The folder appears under its name when it is complete. `per_drive` takes at most so many frames of a drive, evenly
    spread, since neighbours are much alike. Raises InputError where the folder exists already.
    """
    if per_drive is not None and per_drive < 1:
        raise InputError(f"{per_drive} frames per drive; expected at least one")
    recipe = recipe or Recipe()
    standees = [one for folder in cutout_folders for one in read_standees(folder)]
    for name, mean in recipe.people.items():
        if mean and recipe.rendered < 1 and not any(one.name == name for one in standees):
            raise InputError(
                f"no cut-outs of class {name} were given; expected a folder with {name.lower()}/, or rendered people"
            )
    with new_folder(Path(output)) as unfinished:
        found: dict[str, StereoFrame] = {}
        for source in sources:
            for frame in KittiObjects(source, split=split, labelled=True):
                found.setdefault(frame.name, frame)  # the same frame may lie in two of them
        pairs = list(found.values()) if per_drive is None else spread(found.values(), per_drive)
        where = ", ".join(map(str, sources))
        if not pairs:
            raise InputError(
                f"{where}: no labelled frames in split {split!r}; objects are added only to labelled frames"
            )
        scenes, cars = _prepared(pairs, where, cars=recipe.cars > 0 and recipe.rendered < 1)
        job = _Job(unfinished, scenes, cars, standees, recipe, seed, jpeg)
        rows = list(tqdm(_run(job, frames, workers), total=frames, desc="compose", unit="pair"))
        table = io.StringIO(newline="")
        csv.writer(table, lineterminator="\n").writerows([("frame", "scene", "cars"), *rows])
        write_text(unfinished / "frames.csv", table.getvalue())


def spread(frames: Iterable[StereoFrame], per_drive: int) -> list[StereoFrame]:
    """Return at most `per_drive` frames of each drive, evenly spread; all frames that don't name theirs."""
    drives: dict[str, list[StereoFrame]] = {}
    for frame in frames:
        drives.setdefault(drive_of(frame.name) or frame.name, []).append(frame)
    chosen = []
    for some in drives.values():
        count = min(len(some), per_drive)
        chosen += [some[i * len(some) // count] for i in range(count)]
    return chosen


def write_disparities(source: str | Path, output: str | Path, split: str | None = None) -> None:
    """Write <name>.png, KITTI's 16-bit disparity, of every pair of a KITTI folder by semi-global matching."""
    for frame in tqdm(KittiObjects(source, split=split), desc="disparity", unit="pair"):
        write_disparity(Path(output) / f"{frame.name}.png", sgbm_disparity(frame.left, frame.right))


@dataclass(frozen=True)
class _Job:
    """All that a worker needs."""

    output: Path
    scenes: list[tuple[Scene, KittiCalibration]]
    cars: list[Cutout]
    standees: list[Standee]
    recipe: Recipe
    seed: int
    jpeg: bool

    def write(self, index: int) -> tuple[str, str, str]:
        rng = np.random.default_rng([self.seed, index])
        # Every scene comes in turn, so that each is used as often as the others.
        scene, calibration = self.scenes[index % len(self.scenes)]
        result = composed(scene, self.cars, self.recipe, rng, self.standees)
        name = f"{index:06d}"
        write_pair(self.output, name, result.images, calibration, result.labels, self.jpeg)
        write_disparity(self.output / "disparity" / f"{name}.png", result.disparity)
        return name, scene.name, "; ".join(result.sources).replace(",", " ")


_job: _Job | None = None


def _adopt(job: _Job) -> None:
    global _job
    _job = job
    cv2.setNumThreads(1)


def _write(index: int) -> tuple[str, str, str]:
    assert _job is not None, "a worker adopts its job first"
    return _job.write(index)


def _run(job: _Job, frames: int, workers: int) -> Iterator[tuple[str, str, str]]:
    """Yield the frames' rows, in order."""
    if workers <= 1:
        yield from map(job.write, range(frames))
        return
    fresh = multiprocessing.get_context("spawn")  # a fork could inherit a lock that some thread holds
    with ProcessPoolExecutor(workers, fresh, initializer=_adopt, initargs=(job,)) as pool:
        yield from pool.map(_write, range(frames), chunksize=4)


def _prepared(
    pairs: Sequence[StereoFrame], where: str, cars: bool
) -> tuple[list[tuple[Scene, KittiCalibration]], list[Cutout]]:
    """Return scenes with their calibration files' content and, if asked for, the cars cut out of
    them, mirrored ones too.
    """
    scenes, found = [], []
    for frame in tqdm(pairs, desc="scenes", unit="pair"):
        try:
            scene = Scene.of(frame)
        except InputError as error:
            tqdm.write(f"left out: {error}")
            continue
        scenes.append((scene, frame.source))
        if cars:
            found += [twin for car in cutouts(scene) for twin in (car, car.mirrored())]
    if not scenes or (cars and not found):
        raise InputError(
            f"{where}: {len(scenes)} scenes and {len(found)} cars were found to compose; expected some of both"
        )
    return scenes, found
