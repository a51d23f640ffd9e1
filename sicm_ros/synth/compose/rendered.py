# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Rendered vehicles and people as layers: any heading, kind and colour, as both cameras of a scene would see them.

The renderer draws a window around the object at several times the image's resolution; its light is averaged down to
the image's pixels and goes through a camera's response, blur and noise. A patch of ground is drawn along: it says how
bright the light is, so that car and scene can be matched, and where the car's shadow falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np

from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import image_boxes
from sicm_ros.synth.camera import Camera
from sicm_ros.synth.compose.layer import Box, Layer, Sprite, two_views
from sicm_ros.synth.mesh import Mesh, Surface, merge, quad
from sicm_ros.synth.renderer import Light, Pose, Renderer
from sicm_ros.synth.skins import Skin, skins

WINDOW = (1024, 512)  # pixels that the renderer draws of each view
SURROUNDINGS = 2.5  # metres of ground around the object that are drawn along
MAX_SAMPLING = 2  # times the image's resolution, each way
OBJECT, GROUND = 1, 2  # identities
ASPHALT = (0.12, 0.12, 0.118)  # albedo, linear light


@lru_cache(maxsize=1)
def _renderer() -> Renderer:
    return Renderer(*WINDOW, skins())


def random_cameras(rng: np.random.Generator) -> tuple[Camera, Camera]:
    """Return responses of a rig's cameras; noise as in KITTI's images, which are little compressed and well lit."""
    left = replace(Camera.any(rng), noise=float(rng.uniform(0.8, 2.0)), vignette=0.0)
    return left, left.twin(rng)


def random_light(rng: np.random.Generator) -> Light:
    """Return sun and sky of one picture: from high and clear to a closed sheet of clouds."""
    overcast = float(rng.choice([0.0, rng.uniform(0.2, 1.0)], p=[0.6, 0.4]))
    sun = np.array([2.6, 2.4, 2.1]) * rng.uniform(0.6, 1.1) * (1 - 0.9 * overcast)
    return Light(
        azimuth=rng.uniform(-np.pi, np.pi),
        elevation=rng.uniform(0.35, 1.0),
        sun=tuple(sun),
        overcast=overcast,
        ambient=rng.uniform(0.4, 0.8),
        haze=0.0,
        seed=rng.random(),
    )


def rendered(
    box: Box,
    mesh: Mesh,
    kind: str,
    light: Light,
    cameras: Sequence[Camera],
    calibration: StereoCalibration,
    rng: np.random.Generator,
) -> Layer | None:
    """Return a mesh that fills a box, as a rig's two cameras see it under a light; `kind` is for the record.

    The mesh stands on z = 0 about the origin and looks along x. None where it is too near to be drawn.
    """
    window = _window(box, calibration)
    if window is None:
        return None
    left, top, right, bottom, sampling = window
    view = calibration.resized(calibration.width * sampling, calibration.height * sampling)
    view = view.cropped(left * sampling, top * sampling, *WINDOW)
    # The ground is the world's, at height 0; the camera hangs as high above it as the box lies below the camera.
    height = float(box.location[1])
    renderer = _renderer()
    renderer.load(_on_floor(mesh, box), eye=(0.0, 0.0, height))
    drawn = renderer.render(view, Pose(position=(0.0, 0.0, height)), light)

    used = slice(0, (bottom - top) * sampling), slice(0, (right - left) * sampling)
    sprites, brightness = [], []
    for index, (picture, camera) in enumerate(zip((drawn.left, drawn.right), cameras, strict=True)):
        name, depth = drawn.identity[index][used], drawn.depth[index][used]
        light_here = (picture[used][..., :3] * np.float32(1 / 255)) ** 2
        mine_here, floor_here = (name == OBJECT).astype(np.float32), (name == GROUND).astype(np.float32)
        planes = [light_here[..., i] * mine_here for i in range(3)]
        planes += [np.where(name == OBJECT, depth, 0), mine_here, floor_here, light_here[..., 1] * floor_here]
        means = _averaged(planes, sampling)
        cover, floor = means[..., 4], means[..., 5]

        paint = _continued(means[..., :3], cover)
        depth = np.maximum(_continued(means[..., 3:4], cover)[..., 0], 1.0)  # far from the object nothing is known
        colour = camera.develop(np.rint(255 * np.sqrt(paint)).clip(0, 255).astype(np.uint8), rng)
        alpha = cv2.GaussianBlur(cover, (3, 3), camera.blur)
        # The floor beside the car against the brightest of it, which the sun reaches.
        seen = floor > 0.5
        floor_light = np.sqrt(means[..., 6] / np.maximum(floor, 1e-3))
        lit = float(np.percentile(floor_light[seen], 90)) if seen.any() else 0.4
        shade = np.where(seen, floor_light / max(lit, 1e-3), 1.0).clip(0, 1).astype(np.float32)
        grey = camera.develop(np.full((8, 8, 3), np.clip(255 * lit, 0, 255), np.uint8), rng)
        brightness.append(float(grey.mean()))
        shade = cv2.GaussianBlur(shade, (0, 0), 0.8)
        sprites.append(Sprite(top, left, colour.astype(np.float32), alpha, depth, shade))
    return Layer(box, two_views(sprites), f"rendered {kind}", float(np.mean(brightness)))


def _on_floor(mesh: Mesh, box: Box) -> Mesh:
    """Return the mesh where its box stands and the ground around it, in the renderer's axes: x ahead, y left, z up."""
    x, _, z = box.location
    yaw = -np.pi / 2 - box.rotation_y
    body = mesh.placed((z, -x, 0.0), yaw, identity=OBJECT)
    reach = 2 * (max(box.dimensions[1:]) + 2 * SURROUNDINGS)
    asphalt = {"tint": (*ASPHALT, 1.0), "skin": Skin.PLAIN, "surface": Surface.MATT}
    floor = quad((z - reach / 2, -x - reach / 2, -0.005), (reach, 0, 0), (0, reach, 0), **asphalt)
    return merge([body, floor.placed((0, 0, 0), identity=GROUND)])


def _window(box: Box, calibration: StereoCalibration) -> tuple[int, int, int, int, int] | None:
    """Return left, top, right, bottom of what is drawn, in pixels of the image, and the samples
    that each gets each way.
    """
    grown = box.dimensions + np.array([0.3, 2 * SURROUNDINGS, 2 * SURROUNDINGS])
    if box.location[2] <= 0:
        return None
    frames = [
        image_boxes(
            box.location[None] - [view * calibration.baseline, 0, 0], size[None], angle, calibration, clip=False
        )[0]
        for view in (0, 1)
        for size, angle in ((grown, np.array([box.rotation_y])), (box.dimensions * 1.1, np.array([box.rotation_y])))
    ]
    edges = np.array(frames).clip(-1e4, 1e4)
    left, top = np.floor(edges[:, :2].min(0)).astype(int) - 2
    right, bottom = np.ceil(edges[:, 2:].max(0)).astype(int) + 3
    left, right = max(left, -8), min(right, calibration.width + 8)
    top, bottom = max(top, -8), min(bottom, calibration.height + 8)
    sampling = min(WINDOW[0] // max(right - left, 1), WINDOW[1] // max(bottom - top, 1), MAX_SAMPLING)
    return (left, top, right, bottom, sampling) if sampling >= 1 and right > left and bottom > top else None


def _averaged(planes: Sequence[np.ndarray], sampling: int) -> np.ndarray:
    """Return float32 (h, w, C): pixels as means of sampling x sampling samples."""
    height, width = planes[0].shape
    size = width // sampling, height // sampling
    return np.dstack([cv2.resize(plane.astype(np.float32), size, interpolation=cv2.INTER_AREA) for plane in planes])


def _continued(weighted: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Return float32 (h, w, C): what was weighted by its cover as it is, and continued some pixels beyond the edge."""
    wide = [cv2.GaussianBlur(np.ascontiguousarray(plane), (0, 0), 2.0) for plane in np.moveaxis(weighted, 2, 0)]
    around = np.dstack(wide) / np.maximum(cv2.GaussianBlur(cover, (0, 0), 2.0), 1e-6)[..., None]
    return np.where((cover > 0.3)[..., None], weighted / np.maximum(cover, 1e-6)[..., None], around).astype(np.float32)
