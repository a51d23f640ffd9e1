# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Writing rendered frames as a KITTI object data set, on several processes; every frame depends on its number alone."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from sicm_ros.errors import InputError, SicmError
from sicm_ros.files import write_text
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.drawing import write_image
from sicm_ros.synth.scene import CAMERA_HEIGHT, KITTI, SPEEDS, Frame, any_scene

FOLDERS = ("image_2", "image_3", "calib", "label_2", "disparity")
DEATHS = 5  # of rendering processes, that a data set survives
PERIOD = 0.1  # seconds between the frames of a sequence, as KITTI's


@dataclass(frozen=True)
class WorldRecipe:
    """What to render.

    frames: how many pairs; sequences: frames of one drive (1: every frame its own scene); jpeg: quality, None for PNG.
    baseline, focal, camera_height: metres, pixels, metres; each scene draws from the range.
    speed: m/s, of our own car in sequences, drawn likewise; at 0 it stands while traffic moves.
    furniture: mean number of signs, posts, bins and the like that are added on each side of a street.
    """

    frames: int
    seed: int = 0
    sequences: int = 1
    baseline: tuple[float, float] = (KITTI.baseline, KITTI.baseline)
    focal: tuple[float, float] = (KITTI.fx, KITTI.fx)
    camera_height: tuple[float, float] = (CAMERA_HEIGHT, CAMERA_HEIGHT)
    speed: tuple[float, float] = SPEEDS
    furniture: float = 0.0
    width: int = KITTI.width
    height: int = KITTI.height
    jpeg: int | None = None

    def __post_init__(self) -> None:
        for name in ("frames", "sequences"):
            if getattr(self, name) < 1:
                raise InputError(f"synth: {name} is {getattr(self, name)}; expected at least 1")
        for name, low, high in (
            ("baseline", 0.05, 2.0),
            ("focal", 50, 10000),
            ("camera_height", 0.3, 5.0),
            ("speed", 0, 40),
        ):
            a, b = getattr(self, name)
            if not low <= a <= b <= high:
                raise InputError(f"synth: {name} {a} to {b}; expected a range within {low} to {high}, lower end first")
        if not 0 <= self.furniture <= 50:
            raise InputError(f"synth: furniture {self.furniture} on average; expected 0 to 50")
        if self.jpeg is not None and not 1 <= self.jpeg <= 100:
            raise InputError(f"synth: JPEG quality {self.jpeg}; expected 1 to 100")

    def scenes(self) -> int:
        return -(-self.frames // self.sequences)

    def rig(self, rng: np.random.Generator) -> tuple[StereoCalibration, float]:
        """Return a calibration and a camera height from the ranges."""
        focal = float(rng.uniform(*self.focal))
        sx, sy = self.width / KITTI.width, self.height / KITTI.height
        calibration = replace(
            KITTI,
            fx=focal,
            fy=focal,
            cx=(KITTI.cx + 0.5) * sx - 0.5,
            cy=(KITTI.cy + 0.5) * sy - 0.5,
            baseline=float(rng.uniform(*self.baseline)),
            width=self.width,
            height=self.height,
        )
        return calibration, float(rng.uniform(*self.camera_height))


def calibration_text(k: StereoCalibration) -> str:
    """Return a KITTI calibration file; camera 0 is the left one. The last line is ours: what a
    measured disparity lacks.
    """
    left = f"{k.fx:.12e} 0 {k.cx:.12e} 0 0 {k.fy:.12e} {k.cy:.12e} 0 0 0 1 0"
    right = f"{k.fx:.12e} 0 {k.cx:.12e} {-k.fx * k.baseline:.12e} 0 {k.fy:.12e} {k.cy:.12e} 0 0 0 1 0"
    return (
        f"P0: {left}\nP1: {right}\nP2: {left}\nP3: {right}\nR0_rect: 1 0 0 0 1 0 0 0 1\n"
        "Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27\nTr_imu_to_velo: 1 0 0 -0.81 0 1 0 0.32 0 0 1 -0.8\n"
        f"disparity_offset: {k.disparity_offset:.6f}\n"
    )


def write_frame(frame: Frame, folder: Path, name: str, jpeg: int | None) -> None:
    """Write one pair with all that belongs to it."""
    suffix, options = (
        (".png", [cv2.IMWRITE_PNG_COMPRESSION, 3]) if jpeg is None else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, jpeg])
    )
    for where, image in (("image_2", frame.left), ("image_3", frame.right)):
        write_image(folder / where / (name + suffix), image[..., ::-1], options)
    disparity = np.rint(np.clip(frame.disparity * 256, 0, 65535)).astype(np.uint16)
    write_image(folder / "disparity" / f"{name}.png", disparity, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    write_text(folder / "calib" / f"{name}.txt", calibration_text(frame.calibration))
    # Last, and whole: where it is, the frame is.
    write_text(folder / "label_2" / f"{name}.txt", "".join(label.line() + "\n" for label in frame.labels))


_renderer = None


def _render_scene(task: tuple[WorldRecipe, Path, int]) -> int:
    """Render one scene's frames that aren't there yet; return how many frames it holds."""
    global _renderer
    from sicm_ros.synth.renderer import Renderer
    from sicm_ros.synth.skins import skins

    recipe, folder, number = task
    first = number * recipe.sequences
    count = min(recipe.sequences, recipe.frames - first)
    names = [f"{first + i:06d}" for i in range(count)]
    if all((folder / "label_2" / f"{name}.txt").exists() for name in names):
        return count
    if _renderer is None or (_renderer.width, _renderer.height) != (recipe.width, recipe.height):
        _renderer = Renderer(recipe.width, recipe.height, skins())
    rng = np.random.default_rng((recipe.seed, number))
    calibration, camera_height = recipe.rig(rng)
    duration = 0.0 if recipe.sequences == 1 else count * PERIOD
    scene = any_scene(rng, calibration, camera_height, duration, recipe.speed, recipe.furniture)
    for i, name in enumerate(names):
        noise = np.random.default_rng((recipe.seed, number, i))
        write_frame(scene.render(_renderer, i * PERIOD, noise), folder, name, recipe.jpeg)
    return count


def _polite(threads: str) -> None:
    os.environ["LP_NUM_THREADS"] = threads
    cv2.setNumThreads(1)


def generate(recipe: WorldRecipe, folder: Path, workers: int = 1) -> Iterator[int]:
    """Render a data set, yielding the number of frames done since the last time; goes on where it was stopped.

    The files are the same whatever `workers` is.

    Raises:
        OSError: the folder can't be written.
        DependencyError: panda3d or OpenGL is missing.
        SicmError: rendering processes die again and again.
    """
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    tasks = [(recipe, folder, number) for number in range(recipe.scenes())]
    if workers <= 1:
        _polite("1")
        yield from map(_render_scene, tasks)
        return
    yield from _on_processes(tasks, workers)


def _on_processes(tasks: list[tuple[WorldRecipe, Path, int]], workers: int) -> Iterator[int]:
    """Yield what _render_scene returns, as it comes. OpenGL's drivers crash now and then: what was
    lost is done again.
    """
    left = {task[2]: task for task in tasks}
    for _ in range(1 + DEATHS):
        context = multiprocessing.get_context("spawn")  # a fork would share the driver's state
        with ProcessPoolExecutor(workers, context, initializer=_polite, initargs=("1",)) as pool:
            scenes = {pool.submit(_render_scene, task): number for number, task in left.items()}
            try:
                for scene in as_completed(scenes):
                    yield scene.result()
                    del left[scenes[scene]]
                return
            except BrokenProcessPool:
                warnings.warn(f"a rendering process died; {len(left)} scenes go to new ones", stacklevel=2)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    raise SicmError(
        f"rendering processes died {1 + DEATHS} times, {len(left)} scenes are missing: is there enough memory?"
    )
