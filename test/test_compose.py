# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Cars put into stereo pairs: where they stand, how their views agree, who hides whom, and what the labels say.

A small ray caster draws textured boxes on a textured plane, exactly, so that no real frame is needed.
"""

from __future__ import annotations

import filecmp
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import wrap_angle
from sicm_ros.geometry.sgbm import sgbm_disparities, write_disparity
from sicm_ros.kitti import KittiObjects, Labels, splits
from sicm_ros.synth import vehicles
from sicm_ros.synth.compose.composition import compose
from sicm_ros.synth.compose.cutout import Cutout, cutouts
from sicm_ros.synth.compose.dataset import spread, write_dataset
from sicm_ros.synth.compose.grading import Look, blur_of, graded, greyed, noise_of
from sicm_ros.synth.compose.layer import Box, Layer, Sprite
from sicm_ros.synth.compose.placement import Stage, truncation
from sicm_ros.synth.compose.recipe import Recipe, composed, rarity
from sicm_ros.synth.compose.scene import Scene, fit_ground, plane_disparity
from sicm_ros.synth.compose.standee import Standee, read_standees, standee

RIG = StereoCalibration(360.0, 360.0, 310.0, 90.0, 0.54, 620, 190, disparity_offset=0.26)
GROUND = np.array([0.012, 0.99985, -0.012, 1.62])
GROUND[:3] /= np.linalg.norm(GROUND[:3])
CAR = np.array([1.5, 1.65, 3.9])


def standing(x: float, z: float, angle: float, dimensions=CAR, name="Car") -> Box:
    y = (GROUND[3] - GROUND[0] * x - GROUND[2] * z) / GROUND[1]
    return Box(name, np.array([x, y, z]), np.asarray(dimensions, float), angle)


@lru_cache
def noise(seed: int, size: int = 256) -> np.ndarray:
    """A texture (size, size) that tiles, with detail at several scales, 0 to 1."""
    rng = np.random.default_rng(seed)
    texture = sum(
        cv2.GaussianBlur(np.tile(rng.standard_normal((size, size)), (3, 3)), (0, 0), sigma)[
            size : 2 * size, size : 2 * size
        ]
        * sigma
        for sigma in (1.5, 4, 12)
    )
    return ((texture - texture.min()) / np.ptp(texture)).astype(np.float32)


def look_up(texture: np.ndarray, a: np.ndarray, b: np.ndarray, scale: float) -> np.ndarray:
    """The texture at coordinates a, b in metres, `scale` texels a metre."""
    size = texture.shape[0]
    wrapped = np.pad(texture, ((0, 1), (0, 1)), mode="wrap")
    return cv2.remap(
        wrapped, (a * scale % size).astype(np.float32), (b * scale % size).astype(np.float32), cv2.INTER_LINEAR
    )


def entered(box: Box, view: int, rig: StereoCalibration = RIG) -> tuple[np.ndarray, np.ndarray]:
    """Depth (H, W) at which a view's rays enter a box, inf where they miss it, and the point in the box's own axes."""
    u = (np.arange(rig.width) - rig.cx - view * rig.disparity_offset) / rig.fx
    v = (np.arange(rig.height) - rig.cy) / rig.fy
    ray = np.stack(np.broadcast_arrays(u[None], v[:, None], 1.0), -1)
    cos, sin = np.cos(box.rotation_y), np.sin(box.rotation_y)
    axes = np.array([[cos, 0, -sin], [sin, 0, cos], [0, 1, 0]])
    height, width, length = box.dimensions
    centre = box.location - [view * rig.baseline, height / 2, 0]
    half = np.array([length, width, height]) / 2
    direction, origin = ray @ axes.T, -axes @ centre
    with np.errstate(divide="ignore"):
        one, two = (-half - origin) / direction, (half - origin) / direction
    near, far = np.minimum(one, two).max(-1), np.maximum(one, two).min(-1)
    depth = np.where((near < far) & (near > 0), near, np.inf)
    return depth, origin + np.where(np.isfinite(depth), depth, 0)[..., None] * direction


def painted(box: Box, view: int, colour, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Depth (H, W) and colour (H, W, 3) of a textured box, ray by ray."""
    depth, point = entered(box, view)
    texture = noise(seed)
    shade = 0.55 + 0.6 * look_up(texture, point[..., 0] + 0.7 * point[..., 1] + 9, point[..., 2] + 5, 60)
    return depth, shade[..., None] * np.asarray(colour, float)


def world(boxes: list[Box], colours=((200, 60, 40), (60, 90, 210), (220, 210, 190)), seed: int = 0) -> Scene:
    """A street: textured ground, a far wall, boxes on it, with exact disparity."""
    images, disparities = [], []
    for view in (0, 1):
        ground = plane_disparity(GROUND, RIG, view)
        z = np.where(ground > 1, RIG.depth(np.maximum(ground, 1)), np.inf)
        u = (np.arange(RIG.width) - RIG.cx - view * RIG.disparity_offset) / RIG.fx
        v = (np.arange(RIG.height) - RIG.cy) / RIG.fy
        wall = 55.0
        depth = np.minimum(z, wall)
        x, y = u[None] * depth + view * RIG.baseline, v[:, None] * depth
        paving = look_up(noise(10 + seed), x + 100, depth, 25)
        facade = look_up(noise(20 + seed), x + 100, y + 100, 10)
        grey = np.where(z < wall, 70 + 70 * paving, 60 + 140 * facade)
        image = np.repeat(grey[..., None], 3, 2) * [1, 0.98, 0.95]
        for i, box in enumerate(boxes):
            near, colour = painted(box, view, colours[i % len(colours)], seed + i)
            hit = near < depth
            depth, image = np.where(hit, near, depth), np.where(hit[..., None], colour, image)
        images.append(image.clip(0, 255).astype(np.uint8))
        disparities.append(RIG.disparity(depth).astype(np.float32).clip(0))
    return Scene("made", np.stack(images), RIG, labelled(boxes), np.stack(disparities), GROUND)


def labelled(boxes: list[Box]) -> Labels:
    from sicm_ros.geometry.boxes import image_boxes

    n = len(boxes)
    location = np.array([b.location for b in boxes]).reshape(n, 3)
    dimensions = np.array([b.dimensions for b in boxes]).reshape(n, 3)
    angle = np.array([b.rotation_y for b in boxes], float)
    alpha = wrap_angle(angle - np.arctan2(location[:, 0], location[:, 2]))
    frames = image_boxes(location, dimensions, angle, RIG)
    names = np.array([b.name for b in boxes], np.str_) if boxes else np.zeros(0, np.str_)
    return Labels(names, np.zeros(n), np.zeros(n, np.int64), alpha, frames, dimensions, location, angle)


def drawn(box: Box, colour=(40, 180, 70), seed: int = 3) -> Layer:
    """A layer of an exactly drawn box, as a renderer would give it."""
    views = []
    for view in (0, 1):
        depth, paint = painted(box, view, colour, seed)
        hit = np.isfinite(depth)
        views.append(Sprite(0, 0, paint.astype(np.float32), hit.astype(np.float32), np.where(hit, depth, 1e3)))
    return Layer(box, tuple(views), "drawn")


def misalignment(
    images: np.ndarray, box: Box, rig: StereoCalibration, mask: np.ndarray, surface: np.ndarray | None = None
) -> float:
    """By how many pixels the views' disparity exceeds that of the box (or a given surface), photometrically."""
    depth = entered(box, 0, rig)[0] if surface is None else surface
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0
    v, u = np.nonzero(inner & np.isfinite(depth))
    v, u = v[:: len(v) // 20000 + 1], u[:: len(u) // 20000 + 1]
    left, right = (cv2.GaussianBlur(cv2.cvtColor(i, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1) for i in images)
    expected = rig.disparity(depth[v, u])
    shifts = np.arange(-3.0, 3.05, 0.1)
    costs = []
    for shift in shifts:
        columns = (u - expected - shift).astype(np.float32)[None]
        seen = cv2.remap(right, columns, v.astype(np.float32)[None], cv2.INTER_CUBIC)[0]
        costs.append(np.abs(seen - left[v, u]).clip(0, 40).mean())
    best = int(np.argmin(costs))
    if best in (0, len(shifts) - 1):
        return float("nan")
    before, least, after = costs[best - 1 : best + 2]
    return float(shifts[best] + 0.05 * (before - after) / max(before - 2 * least + after, 1e-9))


# Disparity ------------------------------------------------------------------------------------------------------------


def test_disparity_of_a_shifted_texture_is_its_shift_and_hidden_pixels_have_none():
    texture = (255 * noise(5)).astype(np.uint8)
    picture = np.repeat(np.tile(texture, (1, 2))[:120, :400, None], 3, 2)
    left, right = picture[:, 20:340], picture[:, 33:353]  # what is at u on the left is at u - 13 on the right
    ours, theirs = sgbm_disparities(left, right, maximum=48)
    assert np.abs(np.median(ours[ours > 0]) - 13) < 0.1
    assert np.abs(np.median(theirs[theirs > 0]) - 13) < 0.1
    assert (ours[:, 20:] > 0).mean() > 0.9
    assert (ours[:, :10] > 0).mean() < 0.1, "columns that the right view does not see"


def test_disparity_png_keeps_a_256th_of_a_pixel(tmp_path):
    disparity = np.array([[0, 0.5, 12.34567], [100.001, 200, 255.9]], np.float32)
    write_disparity(tmp_path / "d" / "x.png", disparity)
    again = cv2.imread(str(tmp_path / "d" / "x.png"), cv2.IMREAD_UNCHANGED) / 256
    assert np.abs(again - disparity).max() <= 0.5 / 256
    assert again[0, 0] == 0


def test_views_of_unequal_size_are_refused():
    with pytest.raises(InputError, match="two equal"):
        sgbm_disparities(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8))


# The stage ------------------------------------------------------------------------------------------------------------


def test_ground_plane_is_found_between_objects_and_noise():
    scene = world([standing(-3, 12, 1.4), standing(3, 20, 1.7)])
    rng = np.random.default_rng(1)
    noisy = scene.disparities[0] + rng.normal(0, 0.15, scene.disparities[0].shape)
    noisy[rng.random(noisy.shape) < 0.3] = 0
    plane = fit_ground(noisy.astype(np.float32), RIG, scene.labels.image_boxes)
    there = replace(scene, ground=plane)
    for x, z in ((0, 8), (-4, 15), (4, 30)):
        assert abs(there.ground_y(x, z) - scene.ground_y(x, z)) < 0.03


def test_a_picture_without_road_is_named():
    with pytest.raises(InputError, match="attic"):
        fit_ground(np.zeros((190, 620), np.float32), RIG, np.zeros((0, 4)), "attic")


def test_a_car_stands_only_where_the_ground_is_free():
    scene = world([standing(-3, 12, 1.4)])
    stage = Stage(scene)
    assert stage.fits(standing(2, 14, 1.5))
    assert not stage.fits(standing(-2.5, 13, 1.4)), "in the labelled car"
    assert not stage.fits(standing(-6, 22, 1.4)), "behind it, with nothing to be seen"
    assert not stage.fits(standing(2, 54, 0.0)), "in the wall"
    assert not stage.fits(standing(-13, 14, 1.5)), "out of the picture"
    stage.add(standing(2, 14, 1.5))
    assert not stage.fits(standing(2.5, 15, 0.0)), "in the car that was added"
    unlabelled = replace(scene, labels=labelled([]))
    assert not Stage(unlabelled).fits(standing(-2.5, 13, 1.4)), "in a car that only stereo knows"


def test_truncation_is_the_share_outside_the_picture():
    assert truncation(standing(0, 15, 0.3), RIG) == 0
    assert 0.2 < truncation(standing(-8.3, 10, 0.0), RIG) < 0.8
    assert truncation(standing(0, 1, 1.5), RIG) == 1, "we stand in it"
    assert truncation(standing(-2.5, -3, 1.57), RIG) == 1, "behind us"
    assert 0.8 < truncation(standing(-2.3, 0.5, 1.57), RIG) < 1, "its front is beside the bumper"


# Cars -----------------------------------------------------------------------------------------------------------------


def exact_cutout(box: Box) -> Cutout:
    """A cut-out as good as can be: exact masks and depth."""
    views = []
    for view in (0, 1):
        depth, paint = painted(box, view, (200, 60, 40))
        hit = np.isfinite(depth)
        v, u = np.nonzero(hit)
        window = slice(v.min() - 6, v.max() + 7), slice(u.min() - 6, u.max() + 7)
        full = np.where(hit, depth, np.median(depth[hit])).astype(np.float32)
        views.append(
            Sprite(
                window[0].start,
                window[1].start,
                paint[window].astype(np.float32),
                hit[window].astype(np.float32),
                full[window],
            )
        )
    return Cutout(box, RIG, tuple(views), "made:0", 100.0, 1.0)


@pytest.mark.parametrize(("x", "z"), [(-2, 12), (3, 13), (1, 18), (-4, 11)])
def test_a_moved_car_is_what_a_rigid_car_there_would_look_like(x, z):
    car = exact_cutout(standing(-2, 12, 1.1))
    layer = car.moved(standing(x, z, 0).location, RIG)
    assert abs(wrap_angle(layer.box.rotation_y - layer.box.bearing - (1.1 - car.box.bearing))) < 1e-6
    empty = world([])
    composition = compose(empty, [layer], shade=0.0)
    expected, _ = entered(layer.box, 0)
    seen = np.abs(composition.images[0].astype(int) - empty.images[0]).max(-1) > 6
    both, either = (seen & np.isfinite(expected)).sum(), (seen | np.isfinite(expected)).sum()
    assert both / either > 0.93
    assert abs(misalignment(composition.images, layer.box, RIG, np.isfinite(expected))) < 0.1
    drawn_there = np.isfinite(expected) & (np.abs(composition.disparity - RIG.disparity(expected)) < 0.15)
    assert drawn_there.sum() > 0.85 * np.isfinite(expected).sum()


def test_a_mirrored_cutout_is_the_car_as_the_mirrored_rig_sees_it():
    car = exact_cutout(standing(-2, 12, 1.1))
    once, twice = car.mirrored(), car.mirrored().mirrored()
    np.testing.assert_allclose(twice.box.location, car.box.location)
    assert wrap_angle(twice.box.rotation_y - car.box.rotation_y) == pytest.approx(0)
    for sprite, again in zip(car.views, twice.views, strict=True):
        assert (sprite.top, sprite.left) == (again.top, again.left)
        assert np.array_equal(sprite.alpha, again.alpha)
    for view in (0, 1):
        depth, _ = entered(once.box, view, once.calibration)
        sprite = once.views[view]
        seen = np.zeros(depth.shape, bool)
        place, own = sprite.window(*seen.shape)
        seen[place] = sprite.alpha[own] > 0.5
        assert (seen & np.isfinite(depth)).sum() > 0.97 * (seen | np.isfinite(depth)).sum()


def test_a_car_is_cut_out_along_its_outline_and_with_its_depth():
    scene = world([standing(-2, 11, 1.1)])
    stereo = np.stack(sgbm_disparities(*scene.images))
    (car,) = cutouts(replace(scene, disparities=stereo))
    outline, _ = entered(car.box, 0)
    sprite = car.views[0]
    mask = np.zeros(outline.shape, bool)
    place, own = sprite.window(*mask.shape)
    mask[place] = sprite.alpha[own] > 0.5
    truth = np.isfinite(outline)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.88
    inner = cv2.erode(mask.astype(np.uint8), np.ones((7, 7))) > 0
    depth = np.zeros(mask.shape)
    depth[place] = sprite.depth[own]
    assert np.abs(RIG.disparity(depth[inner]) - RIG.disparity(outline[inner])).mean() < 0.35


def test_rarer_sides_are_taken_more_often():
    cars = [exact_cutout(standing(0, 12, angle)) for angle in (1.5, 1.52, 1.55, 1.6, 0.0)]
    chances = rarity(cars)
    assert abs(chances.sum() - 1) < 1e-9
    assert chances[4] > 3 * chances[:4].max()


# Standees -------------------------------------------------------------------------------------------------------------


def pictured_person(height: int = 120, width: int = 44, facing: float | None = np.pi / 2) -> Standee:
    """A textured ellipse that stands for a person's image."""
    v, u = np.mgrid[0:height, 0:width]
    mask = ((u - width / 2 + 0.5) / (width / 2)) ** 2 + ((v - height / 2 + 0.5) / (height / 2)) ** 2 <= 1
    texture = np.repeat(60 + 120 * noise(8)[:height, :width, None], 3, 2)
    return standee(texture.astype(np.uint8), mask.astype(np.float32), "Pedestrian", facing, "made")


@pytest.mark.parametrize(("x", "z"), [(0.5, 7), (-3, 10), (2, 16)])
def test_a_standee_stands_as_tall_as_its_box_at_its_depth_in_both_views(x, z):
    rng = np.random.default_rng(0)
    one = pictured_person()
    box = one.standing(standing(x, z, 0).location, rng)
    layer = one.set_up(box, RIG)
    composition = compose(world([]), [layer], shade=0.0)
    left, top, right, bottom = composition.labels.image_boxes[0]
    expected = labelled([box]).image_boxes[0]
    scale = RIG.fy / z
    assert bottom - top == pytest.approx(box.dimensions[0] * scale, rel=0.06)
    assert right - left == pytest.approx(box.dimensions[0] * scale * 44 / 120, rel=0.1)
    feet = RIG.cy + RIG.fy * box.location[1] / z
    assert abs(bottom - feet) < 0.12 * scale + 1
    assert expected[0] - 2 < (left + right) / 2 < expected[2] + 2
    sprite = layer.views[0]
    mask, depth = np.zeros((RIG.height, RIG.width), bool), np.full((RIG.height, RIG.width), np.inf)
    place, own = sprite.window(*mask.shape)
    mask[place], depth[place] = sprite.alpha[own] > 0.95, sprite.depth[own]
    assert np.abs(depth[mask] - z).max() < 0.25
    assert abs(misalignment(composition.images, box, RIG, mask, surface=np.where(mask, depth, np.inf))) < 0.1


def test_a_standee_may_be_cut_by_the_border_and_hidden_by_what_is_nearer():
    one = pictured_person()
    edge = (RIG.width - 1 - RIG.cx) / RIG.fx
    box = one.standing(standing(6 * edge, 6, 0).location, np.random.default_rng(1))
    cut = compose(world([]), [one.set_up(box, RIG)]).labels
    assert 0.2 < cut.truncated[0] < 0.8
    assert cut.image_boxes[0, 2] == RIG.width - 1
    scene = world([standing(0.2, 8, 0.0)])
    box = one.standing(standing(0.2, 14, 0).location, np.random.default_rng(1))
    behind = compose(scene, [one.set_up(box, RIG)])
    assert behind.labels.names[1] == "DontCare" or behind.labels.occluded[1] > 0


def test_a_standees_heading_follows_its_view_and_where_it_stands():
    rng = np.random.default_rng(2)
    for facing in (np.pi / 2, -np.pi / 2, 0.0):
        one = pictured_person(facing=facing)
        for chosen, sign in ((one, 1), (one.mirrored(), -1)):
            box = chosen.standing(np.array([-4.0, 1.6, 9.0]), rng)
            seen = box.rotation_y - np.arctan2(-4.0, 9.0)
            wanted = facing if sign > 0 else np.pi - facing
            assert abs(wrap_angle(seen - wanted)) < 0.5


def test_a_standee_takes_on_the_light_sharpness_noise_and_greyness_of_the_scene():
    scene = world([])
    blurred = cv2.GaussianBlur(scene.images[0], (0, 0), 1.5)
    assert blur_of(blurred[..., 0].astype(np.float32)) > blur_of(scene.images[0][..., 0].astype(np.float32)) + 0.4
    rng = np.random.default_rng(0)
    noisy = np.clip(np.full((120, 160), 120.0) + rng.normal(0, 4, (120, 160)), 0, 255).astype(np.float32)
    assert noise_of(noisy) == pytest.approx(4, rel=0.15)

    one = pictured_person()
    layer = one.set_up(one.standing(standing(0, 8, 0).location, rng), RIG)
    layer = replace(layer, views=tuple(replace(v, colour=v.colour * [1.0, 0.5, 0.3]) for v in layer.views))
    solid = layer.views[0].alpha > 0.9
    grey = greyed(layer).views[0].colour[solid]
    assert np.ptp(grey, axis=1).max() < 1e-3
    soft = graded(layer, (Look(2.0, 0.0, False),) * 2, 100.0, np.random.default_rng(1)).views[0]
    sharp = graded(layer, (Look(0.3, 0.0, False),) * 2, 100.0, np.random.default_rng(1)).views[0]
    detail = [cv2.Laplacian(v.colour[..., 0], cv2.CV_32F)[solid].std() for v in (soft, sharp)]
    assert detail[0] < 0.7 * detail[1]
    dark = graded(layer, (Look(0.3, 0.0, False),) * 2, 30.0, np.random.default_rng(1)).views[0]
    assert dark.colour[solid].mean() < 0.8 * sharp.colour[solid].mean()


def test_whatever_is_put_into_a_grey_scene_is_grey():
    colourful = world([], seed=3)
    grey = replace(colourful, images=np.repeat(colourful.images.mean(-1, keepdims=True), 3, -1).astype(np.uint8))
    assert grey.looks[0].grey
    assert not colourful.looks[0].grey
    recipe = Recipe(cars=2, people={"Pedestrian": 6.0})
    arguments = [exact_cutout(standing(0, 12, 1.5))], recipe
    result = composed(grey, *arguments, np.random.default_rng(0), [pictured_person()])
    assert len(result.sources) >= 2
    assert np.ptp(result.images.astype(int), axis=-1).max() <= 1


def test_real_cars_are_set_beside_us_where_the_border_cuts_them():
    cars = [exact_cutout(standing(x, 9, 1.5)) for x in (-2, 2)]
    recipe = Recipe(cars=0, near=3.0, turn=1.0)
    elsewhere = replace(world([]), name="elsewhere")
    results = [composed(elsewhere, cars, recipe, np.random.default_rng(seed)) for seed in range(5)]
    labels = [result.labels for result in results]
    boxes, z = (np.concatenate([getattr(each, name) for each in labels]) for name in ("image_boxes", "location"))
    cut = (boxes[:, 0] < 1) | (boxes[:, 2] > RIG.width - 2)
    assert len(z) >= 6
    assert cut.sum() >= 2
    assert z[:, 2].max() < 9.5
    assert np.abs(z[:, 0]).min() > 1.9, "beside us, not in our way"
    for result in results:
        for box, place in zip(result.labels.image_boxes, result.labels.location):
            assert box[2] - box[0] > 4, "something of it is to be seen"
            assert place[2] > 1.2


def test_people_stand_on_pavements_and_not_inside_walls():
    scene = world([])
    raised = scene.disparities.copy()
    kerb = GROUND.copy()
    kerb[3] -= 0.14  # a pavement 14 cm above the road, right of x = 2
    for view in (0, 1):
        plane = plane_disparity(kerb, RIG, view)
        z = RIG.depth(np.maximum(plane, 1))
        x = (np.arange(RIG.width) - RIG.cx - view * RIG.disparity_offset)[None] / RIG.fx * z + view * RIG.baseline
        on_it = (x > 2) & (np.abs(raised[view] - scene.ground_disparities[view]) < 0.05)
        raised[view] = np.where(on_it, plane, raised[view])
    stage = Stage(replace(scene, disparities=raised))
    assert stage.level(-2, 10) == pytest.approx(scene.ground_y(-2, 10), abs=1e-6)
    assert stage.level(4, 10) == pytest.approx(scene.ground_y(4, 10) - 0.14, abs=0.03)
    person = np.array([1.7, 0.6, 0.8])
    assert stage.fits(Box("Pedestrian", np.array([4, stage.level(4, 10), 10]), person, 1.5))
    assert not stage.fits(Box("Pedestrian", np.array([1.0, stage.level(1, 55), 55.0]), person, 1.5))


def test_a_vehicle_beside_us_may_reach_behind_the_image_plane():
    stage = Stage(world([]))
    beside = standing(2.6, 2.4, -np.pi / 2)
    assert stage.fits(beside, max_truncation=0.95)
    assert not stage.fits(beside), "cut more than others may be"
    assert 0.5 < truncation(beside, RIG) < 0.95
    assert not Stage(world([standing(2.6, 4.5, -1.57)])).fits(beside, max_truncation=0.95), "in another one"


def cut_out_folder(root: Path) -> Path:
    one = pictured_person()
    rgba = np.dstack([one.colour[..., ::-1], 255 * one.alpha]).astype(np.uint8)
    for kind, name in (("pedestrian", "a"), ("cyclist", "b")):
        (root / kind).mkdir(parents=True)
        cv2.imwrite(str(root / kind / f"{name}.png"), rgba)
    (root / "index.csv").write_text("file,view\npedestrian/a.png,left\n")
    return root


def test_a_folder_of_cutouts_is_read_with_its_views(tmp_path):
    folder = cut_out_folder(tmp_path / "some")
    cyclist, pedestrian = read_standees(folder)
    assert (cyclist.name, pedestrian.name) == ("Cyclist", "Pedestrian")
    assert cyclist.facing is None
    assert pedestrian.facing == pytest.approx(np.pi)
    assert pedestrian.extent == (120, 44)
    with pytest.raises(InputError, match="no cut-outs"):
        read_standees(tmp_path)
    (folder / "pedestrian" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="broken"):
        read_standees(folder)


# Composition ----------------------------------------------------------------------------------------------------------


def test_a_drawn_car_agrees_in_both_views_and_is_labelled_as_it_stands():
    box = standing(1.5, 13, 0.4)
    composition = compose(world([]), [drawn(box)])
    labels = composition.labels
    assert list(labels.names) == ["Car"]
    assert labels.occluded[0] == 0
    assert labels.truncated[0] == 0
    np.testing.assert_allclose(labels.location[0], box.location)
    assert abs(labels.alpha[0] - (0.4 - np.arctan2(1.5, 13))) < 1e-9
    depth, _ = entered(box, 0)
    v, u = np.nonzero(np.isfinite(depth))
    assert np.abs(labels.image_boxes[0] - [u.min(), v.min(), u.max(), v.max()]).max() <= 1
    assert abs(misalignment(composition.images, box, RIG, np.isfinite(depth))) < 0.1


def test_the_rigs_disparity_offset_is_kept():
    """Against a rig without it the same images are off by just that much, as KITTI's are by 0.52 px."""
    box = standing(1.5, 13, 0.4)
    composition = compose(world([]), [drawn(box)])
    depth, _ = entered(box, 0)
    naive = replace(RIG, disparity_offset=0.0)
    assert abs(misalignment(composition.images, box, naive, np.isfinite(depth)) + RIG.disparity_offset) < 0.1


def test_what_stands_before_a_car_hides_it_and_its_label_says_so():
    scene = world([standing(0.4, 9, 1.57)])
    behind = standing(-0.9, 17, 0.0)
    composition = compose(scene, [drawn(behind)])
    front, _ = entered(standing(0.4, 9, 1.57), 0)
    nearer = cv2.erode(np.isfinite(front).astype(np.uint8), np.ones((5, 5))) > 0
    assert np.array_equal(composition.images[0][nearer], scene.images[0][nearer])
    own, _ = entered(behind, 0)
    visible = 1 - (np.isfinite(own) & np.isfinite(front)).sum() / np.isfinite(own).sum()
    grade = 0 if visible > 0.9 else 1 if visible > 0.5 else 2
    assert grade > 0
    assert composition.labels.occluded.tolist() == [0, grade]


def test_labels_of_covered_objects_follow_what_is_left_of_them():
    old = standing(0, 20, 1.57)
    scene = world([old])
    half = compose(scene, [drawn(standing(0.75, 11, 1.57))])
    assert half.labels.names.tolist() == ["Car", "Car"]
    assert half.labels.occluded[0] > 0
    whole = compose(scene, [drawn(standing(0.0, 10, 1.57, dimensions=(2.4, 2.2, 5)))])
    assert whole.labels.names.tolist() == ["DontCare", "Car"]
    assert not whole.labels.has_box[0]
    np.testing.assert_allclose(whole.labels.image_boxes[0], scene.labels.image_boxes[0])


def test_what_has_no_name_is_drawn_and_hides_and_has_no_label():
    """A sign is nobody to be found."""
    car = standing(0.0, 15.0, 0.3)
    sign = drawn(standing(0.2, 8.0, 0.0, (2.2, 0.6, 0.6), name=""), colour=(250, 40, 40))
    before = world([car])
    composition = compose(before, [sign])
    assert composition.labels.names.tolist() == ["Car"]
    assert composition.labels.occluded[0] > 0, "what stands behind it knows"
    changed = np.abs(composition.images[0].astype(int) - before.images[0]).max(-1) > 30
    assert changed.sum() > 300
    assert len(composition.sources) == 1


def test_nearer_cars_hide_farther_ones_whatever_their_order():
    near, far = standing(0.5, 10, 1.57), standing(-0.3, 16, 0.0)
    one = compose(world([]), [drawn(near, (200, 0, 0)), drawn(far, (0, 0, 200), 7)])
    other = compose(world([]), [drawn(far, (0, 0, 200), 7), drawn(near, (200, 0, 0))])
    assert np.array_equal(one.images, other.images)
    assert one.labels.occluded[0] == 0
    assert one.labels.occluded[1] > 0


def test_ground_below_a_car_lies_in_its_shade():
    box = standing(1.5, 13, 1.57)
    light, dark = compose(world([]), [drawn(box)], shade=0.0), compose(world([]), [drawn(box)], shade=0.6)
    bottom = int(dark.labels.image_boxes[0, 3])
    left, right = dark.labels.image_boxes[0, [0, 2]].astype(int)
    below = (slice(bottom + 1, bottom + 4), slice(left + 5, right - 5))
    for view in (0, 1):
        assert dark.images[view][below].mean() < 0.9 * light.images[view][below].mean()
    assert np.array_equal(dark.images[:, : bottom - 60], light.images[:, : bottom - 60])


# Data sets ------------------------------------------------------------------------------------------------------------


def write_kitti(root: Path, scenes: dict[str, Scene]) -> None:
    from sicm_ros.kitti import write_labels

    for folder in ("image_2", "image_3", "calib", "label_2"):
        (root / folder).mkdir(parents=True)
    k = RIG
    projection = "{} 0 {} {} 0 {} {} 0 0 0 1 0"
    for name, scene in scenes.items():
        for folder, image in zip(("image_2", "image_3"), scene.images, strict=True):
            cv2.imwrite(str(root / folder / f"{name}.png"), image[..., ::-1])
        p2, p3 = (projection.format(k.fx, k.cx, -k.fx * shift, k.fy, k.cy) for shift in (0, k.baseline))
        text = f"P2: {p2}\nP3: {p3}\nR0_rect: 1 0 0 0 1 0 0 0 1\ndisparity_offset: {k.disparity_offset}\n"
        (root / "calib" / f"{name}.txt").write_text(text)
        write_labels(root / "label_2" / f"{name}.txt", scene.labels)


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("street")
    scenes = {
        "a": world([standing(-2, 11, 1.1)]),
        "b": world([standing(2.5, 12, 1.9)], seed=40),
    }
    write_kitti(root, scenes)
    return root


def test_data_set_is_read_back_and_the_same_whoever_works_on_it(street, tmp_path):
    write_dataset([street], tmp_path / "one", frames=4, seed=3, workers=1, jpeg=False)
    write_dataset([street], tmp_path / "two", frames=4, seed=3, workers=2, jpeg=False)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert len(files) == 4 * 5 + 1
    match, wrong, broken = filecmp.cmpfiles(tmp_path / "one", tmp_path / "two", files, shallow=False)
    assert len(match) == len(files), (wrong, broken)

    frames = KittiObjects(tmp_path / "one")
    assert len(frames) == 4
    assert frames[0].calibration == KittiObjects(street)[0].calibration
    assert max(len(frame.labels) for frame in frames) >= 2
    for frame in frames:
        for i in np.flatnonzero((frame.labels.occluded == 0) & (frame.labels.truncated == 0)):
            labels = frame.labels
            box = Box("Car", labels.location[i], labels.dimensions[i], labels.rotation_y[i])
            depth, _ = entered(box, 0)
            shown = np.isfinite(depth)
            found = frame.disparity[shown]
            assert abs(np.median(found - RIG.disparity(depth[shown]))) < 0.4
    record = (tmp_path / "one" / "frames.csv").read_text().splitlines()
    assert record[0] == "frame,scene,cars"
    assert len(record) == 5


def test_people_are_put_in_from_a_folder_of_cutouts(street, tmp_path):
    recipe = Recipe(cars=0, people={"Pedestrian": 4.0, "Cyclist": 0.0})
    folder = cut_out_folder(tmp_path / "some")
    write_dataset([street, street], tmp_path / "out", 3, 1, None, recipe, cutout_folders=[folder])
    names = [name for frame in KittiObjects(tmp_path / "out") for name in frame.labels.names]
    assert names.count("Pedestrian") >= 3
    assert len((tmp_path / "out" / "frames.csv").read_text().splitlines()) == 4
    (folder / "cyclist" / "b.png").unlink()
    recipe = replace(recipe, people={"Cyclist": 1.0})
    with pytest.raises(InputError, match="Cyclist"):
        write_dataset([street], tmp_path / "other", 1, 1, None, recipe, cutout_folders=[folder])


@pytest.mark.parametrize(
    "wrong", [{"cars": -1.0}, {"near": float("nan")}, {"rendered": 1.5}, {"people": {"Cyclist": -2}}]
)
def test_recipes_that_can_not_be_are_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        Recipe(**wrong)


def test_a_few_frames_of_each_drive_are_spread_evenly():
    frames = [SimpleNamespace(name=f"2011_09_26_{drive:04d}_{i:010d}") for drive in (1, 2) for i in range(10)]
    chosen = [frame.name[-13:] for frame in spread([*frames, SimpleNamespace(name="other")], 3)]
    assert [name[-2:] for name in chosen] == ["00", "03", "06", "00", "03", "06", "er"]


def test_an_existing_folder_is_not_written_over(street, tmp_path):
    with pytest.raises(InputError, match="exists"):
        write_dataset([street], tmp_path, frames=1, seed=0)


def test_folders_without_labels_are_refused(street, tmp_path):
    bare = tmp_path / "bare"
    write_kitti(bare, {"a": world([])})
    (bare / "label_2" / "a.txt").unlink()
    with pytest.raises(InputError, match="labelled"):
        write_dataset([bare], tmp_path / "out", frames=1, seed=0)


# Rendered cars --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def renderer():
    """Skips where nothing can be rendered; the renderer is made once, since its textures take seconds."""
    pytest.importorskip("panda3d", reason="panda3d is not installed: pip install 'sicm-ros[synth]'")
    from sicm_ros.errors import DependencyError
    from sicm_ros.synth.compose import rendered

    try:
        rendered._renderer()
    except DependencyError as error:
        pytest.skip(str(error))
    return rendered


@pytest.mark.parametrize(("x", "z", "angle"), [(-2, 12, 0.2), (2.5, 13, 1.5), (0.5, 9, -2.3)])
def test_a_rendered_car_fills_its_box_and_agrees_in_both_views(renderer, x, z, angle):
    rng = np.random.default_rng(4)
    box = standing(x, z, angle)
    quiet = replace(renderer.random_cameras(rng)[0], noise=0.0)
    mesh = vehicles.car("hatchback", box.dimensions, rng)
    layer = renderer.rendered(box, mesh, "hatchback", renderer.random_light(rng), (quiet, quiet), RIG, rng)
    empty = world([])
    composition = compose(empty, [layer])
    drawn_box = composition.labels.image_boxes[0]
    whole = labelled([box]).image_boxes[0]
    assert np.abs(drawn_box - whole).max() < 0.12 * (whole[2] - whole[0]), "mirrors may stick out a little"
    sprite = layer.views[0]
    mask, depth = np.zeros((RIG.height, RIG.width), bool), np.full((RIG.height, RIG.width), np.inf)
    place, own = sprite.window(*mask.shape)
    mask[place], depth[place] = sprite.alpha[own] > 0.95, sprite.depth[own]
    nearest, _ = entered(box, 0)
    inner = (cv2.erode(mask.astype(np.uint8), np.ones((5, 5))) > 0) & np.isfinite(nearest)
    assert (depth[inner] > nearest[inner] - 0.1).mean() > 0.98, "no surface before the box"
    surface = np.where(inner, depth, np.inf)
    assert abs(misalignment(composition.images, box, RIG, inner, surface=surface)) < 0.1


def test_furniture_is_put_in_without_labels(renderer):
    scene = world([])
    composition = composed(scene, [], Recipe(cars=0.0, furniture=4.0), np.random.default_rng(2))
    assert any("furniture" in source for source in composition.sources)
    assert len(composition.labels) == 0
    assert not np.array_equal(composition.images, scene.images)


def test_a_rendered_car_too_near_to_be_drawn_is_left_out(renderer):
    rng = np.random.default_rng(0)
    arguments = renderer.random_light(rng), renderer.random_cameras(rng), RIG, rng
    assert renderer.rendered(standing(0, -2.5, 1.57), vehicles.car("sedan", CAR, rng), "sedan", *arguments) is None


def test_rendered_cars_are_the_same_for_the_same_seed(renderer):
    scene = world([])
    cars = [exact_cutout(standing(0, 12, 1.5))]
    recipe = Recipe(cars=2, rendered=1.0)
    one, other = (composed(scene, cars, recipe, np.random.default_rng(8)) for _ in range(2))
    assert one.sources == other.sources
    assert one.sources
    assert all("rendered" in source for source in one.sources)
    assert np.array_equal(one.images, other.images)


# Real frames ----------------------------------------------------------------------------------------------------------


def test_real_cars_set_down_elsewhere_align_as_they_did_where_they_were(kitti):
    """The distance between a car's surface and its box, in disparity, is the same in metres at the new place."""
    frames = KittiObjects(kitti, split="train", labelled=True)
    assert not {splits.drive_of(name) for name in frames.names} & splits.held_out_drives()
    chosen = [name for name in frames.names if "_0015_" in name or "_0028_" in name][:8:2]
    scenes = [Scene.of(frames.frame(name)) for name in chosen]
    cars = [car for scene in scenes for car in cutouts(scene)]
    assert len(cars) >= 4
    rng = np.random.default_rng(0)
    off = []
    for car in cars:
        rig = car.calibration
        reach = np.hypot(*car.box.location[[0, 2]]) * rng.uniform(1.0, 1.5)
        bearing = np.clip(car.box.bearing + rng.uniform(-0.3, 0.3), -0.5, 0.5)
        layer = car.moved(np.array([reach * np.sin(bearing), 1.65, reach * np.cos(bearing)]), rig)
        residuals, depths = [], []
        for views, box in ((car.views, car.box), (layer.views, layer.box)):
            canvas = np.full((2, rig.height, rig.width, 3), 100, np.float32)
            for view, sprite in enumerate(views):
                place, own = sprite.window(rig.height, rig.width)
                canvas[view][place] += sprite.alpha[own][..., None] * (sprite.colour[own] - canvas[view][place])
            mask = np.zeros((rig.height, rig.width), bool)
            place, own = views[0].window(rig.height, rig.width)
            mask[place] = views[0].alpha[own] > 0.9
            residuals.append(misalignment(canvas.clip(0, 255).astype(np.uint8), box, rig, mask))
            depth, _ = entered(box, 0, rig)
            depths.append(np.median(depth[mask & np.isfinite(depth)]))
        off.append(residuals[1] - residuals[0] * (depths[0] / depths[1]) ** 2)
    assert abs(np.nanmedian(off)) < 0.1
    assert np.nanmedian(np.abs(off)) < 0.1
    composition = composed(scenes[0], cars, Recipe(), np.random.default_rng(1))
    assert len(composition.labels) > len(scenes[0].labels)
