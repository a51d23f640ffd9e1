# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The rendered world: its labels against its own pixels, its files, its cars and its streets."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sicm_ros.errors import DependencyError, InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.boxes import corners, image_boxes, project
from sicm_ros.kitti import KittiObjects
from sicm_ros.synth import furniture, people, vehicles
from sicm_ros.synth.bodies import bodies
from sicm_ros.synth.bodies.skeleton import NAMES, turned
from sicm_ros.synth.dataset import FOLDERS, WorldRecipe, generate
from sicm_ros.synth.labels import annotate, silhouette
from sicm_ros.synth.mesh import SKIN, SURFACE, Mesh, Surface, box, merge
from sicm_ros.synth.renderer import Light, Pose, Renderer
from sicm_ros.synth.roadside import furnish
from sicm_ros.synth.scene import KITTI, any_scene
from sicm_ros.synth.sheet import WIDTH, contact_sheet
from sicm_ros.synth.skins import Skin
from sicm_ros.synth.statistics import statistics
from sicm_ros.synth.street import lay_out
from sicm_ros.synth.traffic import _overlap, populate

SMALL = StereoCalibration(fx=240.5, fy=240.5, cx=203.2, cy=57.6, baseline=0.5327, width=416, height=125)
LEVEL = Pose((0.0, 0.0, 1.65))


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """One renderer for all tests: its textures take seconds. Skips where nothing can be drawn."""
    pytest.importorskip("panda3d", reason="panda3d is not installed: pip install 'sicm-ros[synth]'")
    from sicm_ros.synth.skins import skins

    try:
        return Renderer(SMALL.width, SMALL.height, skins())
    except DependencyError as error:
        pytest.skip(str(error))


# Geometry of an image ------------------------------------------------------------------------------------------------


def test_depth_of_flat_ground_is_that_of_its_rows(renderer):
    ground = box((400, 400, 1), (100, 0, -0.5), tint=(0.3, 0.3, 0.3)).placed((0, 0, 0), identity=1)
    renderer.load(ground)
    seen = renderer.render(SMALL, LEVEL, Light())
    rows = np.arange(65, 125)
    expected = SMALL.fy * 1.65 / (rows - SMALL.cy)
    for depth in seen.depth:
        np.testing.assert_allclose(depth[rows, 200], expected, rtol=2e-4)


def test_a_wall_is_seen_where_it_projects_to_in_both_views(renderer):
    wall = box((0.2, 2.0, 1.5), (12.1, 1.0, 1.5), tint=(0.8, 0.2, 0.2)).placed((0, 0, 0), identity=7)
    renderer.load(wall)
    seen = renderer.render(SMALL, LEVEL, Light())
    for view, mask in enumerate(seen.identity == 7):
        low = project(np.array([-2.0 - view * SMALL.baseline, 1.65 - 2.25, 12.0]), SMALL)
        high = project(np.array([0.0 - view * SMALL.baseline, 1.65 - 0.75, 12.0]), SMALL)
        rows, columns = np.where(mask)
        # The centres of the pixels that it covers lie within its outline, and no further than one pixel from it.
        assert np.abs(np.array([columns.min(), rows.min()]) - low).max() <= 1
        assert np.abs(np.array([columns.max(), rows.max()]) - high).max() <= 1


def test_disparity_offset_moves_the_right_view(renderer):
    wall = box((0.2, 2.0, 1.5), (12.1, 0.0, 1.5), tint=(0.8, 0.2, 0.2)).placed((0, 0, 0), identity=7)
    renderer.load(wall)
    shifted = StereoCalibration(**{**SMALL.__dict__, "disparity_offset": 3.0})
    plain, moved = (renderer.render(k, LEVEL, Light()).identity[1] == 7 for k in (SMALL, shifted))
    np.testing.assert_array_equal(np.roll(plain, 3, axis=1), moved)


# Scenes ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[3, 8])
def rendered(request, renderer):
    """A scene, and what was seen of it: (scene, placed actors, rendering, frame)."""
    rng = np.random.default_rng(request.param)
    scene = any_scene(rng, SMALL)
    pose = scene.pose(0.0)
    placed = []
    for number, actor in enumerate(scene.actors, 1):
        position, yaw = actor.at(scene.street, 0.0)
        placed.append((actor, position, yaw, actor.mesh.placed(position, yaw, number)))
    renderer.load(merge([scene.static, *(mesh for *_, mesh in placed)]), pose.position)
    seen = renderer.render(SMALL, pose, scene.light)
    return scene, placed, seen, scene.render(renderer, 0.0, rng)


def labels_of(rendered):
    scene, placed, seen, _ = rendered
    for number, (actor, position, yaw, mesh) in enumerate(placed, 1):
        label = annotate(actor.kind, actor.size, position, yaw, number, mesh, seen.identity[0], scene.pose(0.0), SMALL)
        if label is not None and label.kind != "DontCare":
            yield label, seen.identity[0] == number


def test_pixels_of_an_object_lie_in_its_labelled_box(rendered):
    """Unprojected by the rendered depth, in the box's own axes; only a car's mirrors stick out."""
    depth = rendered[2].depth[0]
    checked = 0
    for label, mask in labels_of(rendered):
        rows, columns = np.where(mask)
        z = depth[rows, columns]
        points = np.stack([(columns - SMALL.cx) * z / SMALL.fx, (rows - SMALL.cy) * z / SMALL.fy, z], -1)
        offset = points - label.location
        cos, sin = np.cos(label.rotation_y), np.sin(label.rotation_y)
        forward, side, up = offset @ [cos, 0, -sin], offset @ [sin, 0, cos], -offset[:, 1]
        h, w, length = label.dimensions
        # Camera pitch and roll tilt the object against its upright box by up to 3 degrees.
        slack = 0.05 * max(h, length) + 0.02 * z.max() * 0.1
        assert np.abs(forward).max() < length / 2 + slack + 0.05
        assert np.abs(side).max() < w / 2 + slack + 0.22
        assert -slack - 0.05 < up.min()
        assert up.max() < h + slack + 0.05
        checked += 1
    assert checked >= 2


def test_disparity_of_a_car_agrees_with_its_labelled_depth(rendered):
    frame = rendered[3]
    for label, mask in labels_of(rendered):
        if label.kind == "Car" and mask.sum() > 30:
            z = SMALL.depth(np.median(frame.disparity[mask]))
            _h, w, length = label.dimensions
            assert abs(z - label.location[2]) < np.hypot(w, length) / 2 + 0.1


def test_image_boxes_hold_the_silhouette_tightly(rendered):
    for label, mask in labels_of(rendered):
        rows, columns = np.where(mask)
        seen = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
        labelled = np.array(label.box)
        assert (seen[:2] >= labelled[:2] - 1.5).all()
        assert (seen[2:] <= labelled[2:] + 1.5).all()
        whole = image_boxes(*(np.array([v]) for v in (label.location, label.dimensions, label.rotation_y)), SMALL)[0]
        if label.truncation:  # what is left of a cut one may be less tall than the whole
            assert (labelled[:2] >= whole[:2] - 3).all()
            assert (labelled[2:] <= whole[2:] + 3).all()
        else:
            assert np.abs(whole - labelled).max() < 0.2 * (whole[2] - whole[0]) + 3, "the 3D box's projection is near"


def test_left_pixels_are_found_in_the_right_view_at_their_disparity(rendered):
    """Photometric agreement is best at the rendered disparity, not two pixels beside it."""
    frame = rendered[3]
    left, right = frame.left.mean(-1), frame.right.mean(-1)
    rows, columns = np.mgrid[60:120, 90:400]
    d = frame.disparity[rows, columns]

    def misfit(shift: float) -> float:
        at = columns - d - shift
        whole = np.floor(at).astype(int)
        inside = (d > 0) & (whole >= 0) & (whole < SMALL.width - 1)
        share = at - whole
        whole = whole.clip(0, SMALL.width - 2)
        value = (1 - share) * right[rows, whole] + share * right[rows, whole + 1]
        difference = (left[rows, columns] - value)[inside]
        return float(np.abs(difference - np.median(difference)).mean())

    assert misfit(0.0) < 0.9 * min(misfit(-2.0), misfit(2.0))
    assert misfit(0.0) < min(misfit(-0.6), misfit(0.6))


# Occlusion and truncation ---------------------------------------------------------------------------------------------


def annotated(renderer, screen: Mesh | None, x: float = 15.0, y: float = 0.0):
    car = vehicles.car("sedan", (1.45, 1.65, 4.2), np.random.default_rng(0)).placed((x, y, 0), np.pi / 2, 1)
    renderer.load(merge([car] + ([screen] if screen is not None else [])))
    seen = renderer.render(SMALL, LEVEL, Light()).identity[0]
    return annotate("Car", (1.45, 1.65, 4.2), (x, y, 0), np.pi / 2, 1, car, seen, LEVEL, SMALL)


@pytest.mark.parametrize(("hidden", "grade"), [(0.0, 0), (0.4, 1), (0.7, 2)])
def test_occlusion_grades_follow_the_hidden_share(renderer, hidden, grade):
    length = 4.2 * 10 / 15 * hidden
    left_edge = 2.1 * 10 / 15
    screen = box((0.1, max(length, 0.01), 3), (10, left_edge - length / 2, 1.5)) if hidden else None
    label = annotated(renderer, screen)
    assert (label.kind, label.occlusion) == ("Car", grade)
    assert abs(label.rotation_y - -np.pi) < 1e-6 or abs(label.rotation_y - np.pi) < 1e-6
    np.testing.assert_allclose(label.location, (0, 1.65, 15), atol=1e-6)


def test_what_is_all_but_hidden_becomes_dont_care(renderer):
    screen = box((0.1, 4.2 * 10 / 15 * 0.97, 3), (10, 0.05, 1.5))
    label = annotated(renderer, screen)
    assert label is None or label.kind == "DontCare"


def test_truncation_is_the_share_of_the_box_outside_the_picture(renderer):
    assert annotated(renderer, None).truncation == 0
    edge = SMALL.cx / SMALL.fx * 15  # metres left of the axis where the image ends
    half = annotated(renderer, None, y=edge)
    assert half.truncation == pytest.approx(0.5, abs=0.06)
    assert half.box[0] == 0


def test_silhouette_area_is_that_of_the_visible_pixels(renderer):
    for mesh in (
        vehicles.car("hatchback", (1.5, 1.6, 3.9), np.random.default_rng(1)).placed((9, 1, 0), 0.7, 1),
        box((2, 3, 2), (14, 0, 1)).placed((0, 0, 0), identity=1),
    ):
        renderer.load(mesh)
        pixels = (renderer.render(SMALL, LEVEL, Light()).identity[0] == 1).sum()
        _, area = silhouette(mesh, LEVEL, SMALL)
        assert area == pytest.approx(pixels, rel=0.06)


# Cars -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(vehicles.PROFILES))
@pytest.mark.parametrize("fine", [True, False])
def test_every_kind_of_car_fills_its_box_exactly(kind, fine):
    rng = np.random.default_rng(5)
    height, width, length = size = vehicles.car_size(kind, rng)
    mesh = vehicles.car(kind, size, rng, fine=fine)
    low, high = mesh.positions.min(0), mesh.positions.max(0)
    np.testing.assert_allclose([low[0], high[0], low[2], high[2]], [-length / 2, length / 2, 0, height], atol=1e-5)
    assert width - 1e-5 <= high[1] - low[1] < width + 0.45, "only mirrors stick out"
    assert {Surface.PAINT, Surface.GLASS, Surface.LAMP, Surface.MATT} <= set(mesh.vertices[:, 13].astype(int))
    np.testing.assert_allclose(np.linalg.norm(mesh.vertices[:, 3:6], axis=1), 1, atol=0.05)


@pytest.mark.parametrize("kind", ["van", "minibus", "truck", "bus", "tram"])
def test_every_large_vehicle_fills_its_box_and_nothing_lies_outside(kind):
    """Each part, too: a part that stuck out would have squeezed all others when the whole was fitted to its box."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        height, width, length = size = vehicles.vehicle_size(kind, rng)
        mesh = vehicles.vehicle(kind, size, rng)
        low, high = mesh.positions.min(0), mesh.positions.max(0)
        np.testing.assert_allclose([low[0], high[0]], [-length / 2, length / 2], atol=0.02 * length)
        np.testing.assert_allclose([low[2], high[2]], [0, height], atol=0.02 * height)
        mirrors = 0.45 if kind in ("van", "minibus") else 0.02 * width
        assert -1e-4 <= high[1] - low[1] - width < mirrors
        wheels = mesh.positions[mesh.vertices[:, SKIN] == Skin.TYRE]
        if kind != "tram":
            diameter = np.ptp(wheels[:, 2])
            assert 0.5 < diameter < 1.1, "wheels keep their size"
            front = wheels[wheels[:, 0] > wheels[:, 0].max() - 1.02 * diameter]
            assert np.ptp(front[:, 0]) == pytest.approx(diameter, rel=0.06), "and are round"
            assert np.abs(wheels[:, 0]).max() > 0.25 * length, "and stand at the ends"


def test_a_lorrys_cab_is_as_long_as_cabs_are():
    """The windscreen is where the front is, a box behind it takes most of the length."""
    for seed in range(12):
        rng = np.random.default_rng(seed)
        mesh = vehicles.truck((3.4, 2.5, 9.0), rng)
        glass = mesh.positions[mesh.vertices[:, SURFACE] == Surface.GLASS]
        assert 4.5 - 2.3 < glass[:, 0].min() < glass[:, 0].max() < 4.5
        assert (mesh.positions[:, 0] < 0).mean() > 0.2


# Furniture ------------------------------------------------------------------------------------------------------------


def test_what_is_taken_for_people_stands_on_the_ground_as_tall_as_they_do_and_differs():
    sizes = []
    for seed in range(60):
        mesh, size = furniture.anything(np.random.default_rng(seed))
        assert np.isfinite(mesh.vertices).all()
        assert abs(mesh.positions[:, 2].min()) < 0.02
        sizes.append(size)
    heights, widths = np.array(sizes)[:, :2].T
    assert 0.6 < heights.min() < 1.2
    assert 3.0 < heights.max() < 4.5
    assert ((heights > 1.2) & (heights < 2.1)).mean() > 0.25, "many are as tall as people"
    assert 0.1 < widths.min() < widths.max() < 1.5
    assert len(np.unique(heights)) == 60


def test_more_furniture_is_added_to_a_street_that_stays_as_it_was():
    def street_and_roadside(mean):
        rng = np.random.default_rng(3)
        return furnish(lay_out(rng), rng, np.zeros((0, 3)), mean)

    without, few, many = map(street_and_roadside, (0.0, 2.0, 12.0))
    assert len(without.vertices) < len(few.vertices) < len(many.vertices)
    bare, full = ({row.tobytes() for row in mesh.vertices} for mesh in (without, many))
    assert bare <= full


# People ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "heights"), [("Pedestrian", (0.9, 2.15)), ("Person_sitting", (1.0, 1.6)), ("Cyclist", (1.4, 2.2))]
)
def test_people_fill_their_boxes_stand_on_the_ground_and_differ(kind, heights):
    rng = np.random.default_rng(3)
    sizes = []
    for _ in range(25):
        mesh, size = people.anyone(rng, kind)
        low, high = mesh.positions.min(0), mesh.positions.max(0)
        room = size - (high - low)[[2, 1, 0]]
        np.testing.assert_allclose(room, [0, 0.1, 0.1] if kind == "Pedestrian" else 0, atol=0.02)
        np.testing.assert_allclose([low[2], low[0] + high[0], low[1] + high[1]], 0, atol=1e-3)
        sizes.append(size)
    sizes = np.array(sizes)
    assert heights[0] < sizes[:, 0].min() < sizes[:, 0].max() < heights[1]
    assert sizes.std(0).min() > 0.02
    longest = {"Pedestrian": 1.6, "Person_sitting": 1.1, "Cyclist": 2.1}[kind]
    assert sizes[:, 2].max() < longest


def test_bodies_bend_at_their_joints_and_keep_their_limbs_length():
    body = bodies()[0].scaled(1.8)
    assert np.ptp(body.vertices[:, 2]) == pytest.approx(1.8, rel=1e-3)
    same, places = body.posed({})
    np.testing.assert_allclose(same, body.vertices, atol=1e-4)
    for side, sign in (("L", 1), ("R", -1)):
        assert sign * places[f"hand.{side}"][1] > 0.2
    bent, moved = body.posed({"thigh.L": turned("y", -np.pi / 2), "shin.L": turned("y", np.pi / 2)})
    assert moved["shin.L"][0] > places["shin.L"][0] + 0.25, "the knee comes forward"
    assert moved["foot.L"][2] > places["foot.L"][2] + 0.2, "the foot off the ground"
    for a, b in (("thigh.L", "shin.L"), ("shin.L", "foot.L"), ("arm.R", "forearm.R")):
        before, after = (np.linalg.norm(p[b] - p[a]) for p in (places, moved))
        assert after == pytest.approx(before, rel=1e-3)
    right = body.region == NAMES.index("shin.R")
    np.testing.assert_allclose(bent[right], body.vertices[right], atol=0.03)


def test_a_rider_sits_on_the_saddle_with_hands_on_the_bars_and_feet_on_the_pedals():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        body = people._anybody(rng, children=False)
        saddle, bars, crank = np.array([-0.2, 0, 0.92]), np.array([0.3, 0, 1.05]), rng.uniform(0, 6)
        pose, hips = people._riding(body, saddle, bars, crank, 0.3)
        _, places = body.posed(pose)
        places = {name: place - places["root"] + hips for name, place in places.items()}
        for side in "LR":
            assert np.linalg.norm(places[f"hand.{side}"] - bars) < 0.45
            assert abs(places[f"foot.{side}"][2] - 0.4) < 0.3
            assert places[f"shin.{side}"][0] > places[f"thigh.{side}"][0], "knees are ahead of the hips"
        assert places["head"][2] > places["chest"][2] > places["root"][2]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_nobody_stands_in_anyone_else(seed):
    rng = np.random.default_rng(seed)
    street = lay_out(rng)
    actors = populate(street, rng)
    shapes = [actor.footprint() for actor in actors]
    assert not any(_overlap(a, b) for i, a in enumerate(shapes) for b in shapes[:i])


def test_a_label_tells_heading_as_kitti_does():
    """A car that drives away from us has rotation_y -pi/2, one that crosses to the right 0."""
    for yaw, expected in ((0.0, -np.pi / 2), (-np.pi / 2, 0.0), (np.pi / 2, -np.pi), (np.pi, np.pi / 2)):
        mesh = box((4, 2, 1.5), (0, 0, 0.75)).placed((12, 0, 0), yaw, 1)
        seen = np.ones((SMALL.height, SMALL.width), np.uint8)
        label = annotate("Car", (1.5, 2, 4), (12, 0, 0), yaw, 1, mesh, seen, LEVEL, SMALL)
        assert np.cos(label.rotation_y - expected) == pytest.approx(1)
        front = corners(*(np.array([v]) for v in (label.location, label.dimensions, label.rotation_y)))[0][:2].mean(0)
        along = front - label.location
        np.testing.assert_allclose([along[2], -along[0]], [2 * np.cos(yaw), 2 * np.sin(yaw)], atol=1e-6)


def test_what_reaches_beside_us_is_labelled_by_the_angle_that_is_hidden():
    """A car from 0.4 to 4.4 m beside us: no projection tells how much of it the border cuts."""
    mesh = box((4, 1.7, 1.5), (0, 0, 0.75)).placed((2.4, -2.3, 0), 0, 1)
    seen = np.zeros((SMALL.height, SMALL.width), np.uint8)
    seen[50:, 380:] = 1
    label = annotate("Car", (1.5, 1.7, 4), (2.4, -2.3, 0), 0.0, 1, mesh, seen, LEVEL, SMALL)
    assert 0.5 < label.truncation < 0.95
    assert label.location[2] == pytest.approx(2.4)
    sliver = np.zeros_like(seen)
    sliver[60:, -1] = 1
    assert annotate("Car", (1.5, 1.7, 4), (2.4, -2.3, 0), 0.0, 1, mesh, sliver, LEVEL, SMALL).kind == "DontCare"


def test_the_2d_box_of_a_wall_that_passes_the_camera_reaches_the_pictures_border():
    """Its nearer corners lie behind the camera: what is seen of its edges counts, not the corners that are left."""
    wall = box((12, 2.5, 3), (0, 0, 1.5)).placed((4.0, 2.6, 0), 0, 1)
    seen = np.zeros((SMALL.height, SMALL.width), np.uint8)
    seen[:, :120] = 1
    label = annotate("Truck", (3, 2.5, 12), (4.0, 2.6, 0), 0.0, 1, wall, seen, LEVEL, SMALL)
    left, top, _, bottom = label.box
    assert (left, top, bottom) == (0, 0, SMALL.height - 1)


def test_traffic_has_near_vehicles_of_every_class():
    kinds, near = [], 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        actors = populate(lay_out(rng), rng)
        kinds += [actor.kind for actor in actors]
        near += sum(actor.x < 9 and abs(actor.y) < 5.5 and actor.x > -1 for actor in actors)
    assert set(kinds) >= {"Car", "Van", "Truck", "Tram", "Pedestrian", "Cyclist"}
    assert "Misc" not in kinds
    assert near > 20


# Drives and files -----------------------------------------------------------------------------------------------------


def test_a_drive_moves_us_and_the_others_steadily():
    scene = any_scene(np.random.default_rng(11), SMALL, duration=3.0)
    places = np.array([scene.pose(t).position for t in np.arange(0, 3, 0.1)])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    np.testing.assert_allclose(steps, scene.speed * 0.1, rtol=0.02)
    for actor in scene.actors:
        path = np.array([actor.at(scene.street, t)[0] for t in (0.0, 0.1, 0.2)])
        np.testing.assert_allclose(
            np.linalg.norm(np.diff(path, axis=0), axis=1), actor.speed * 0.1, rtol=0.03, atol=1e-6
        )


@pytest.fixture(scope="module")
def written(renderer, tmp_path_factory):
    """Two frames, each with a rig of its own."""
    folder = tmp_path_factory.mktemp("synth")
    recipe = WorldRecipe(
        2, seed=9, width=208, height=64, focal=(110, 130), baseline=(0.2, 0.9), camera_height=(1.2, 2.0)
    )
    assert sum(generate(recipe, folder)) == 2
    return recipe, folder


@pytest.mark.filterwarnings("ignore:a rendering process died")
def test_the_same_seed_gives_the_same_files_however_many_processes_render_and_die(written, tmp_path):
    recipe, folder = written
    rendering = generate(replace(recipe, frames=4), tmp_path, workers=2)
    done = next(rendering)
    for child in multiprocessing.active_children():
        child.kill()
    assert done + sum(rendering) == 4
    assert len(KittiObjects(tmp_path)) == 4
    for where in FOLDERS:
        ours, theirs = (sorted((root / where).iterdir()) for root in (folder, tmp_path))
        assert [p.name for p in ours] == [p.name for p in theirs[:2]]
        for a, b in zip(ours, theirs):
            assert a.read_bytes() == b.read_bytes(), f"{where}/{a.name} differs"


def test_kittis_reader_reads_what_was_written(written):
    frames = KittiObjects(written[1])
    assert len(frames) == 2
    rigs = [frames[i].calibration for i in range(2)]
    assert rigs[0].baseline != rigs[1].baseline
    for rig in rigs:
        assert 0.2 <= rig.baseline <= 0.9
        assert 110 <= rig.fx <= 130
        assert rig.disparity_offset == 0
    assert frames[0].left.shape == (64, 208, 3)


def test_the_contact_sheet_shows_every_frame(written, tmp_path):
    sheet = cv2.imread(str(contact_sheet(written[1], tmp_path / "sheet.png")))
    rows = round(64 * WIDTH / 208)
    assert sheet.shape == (2 * rows, 3 * WIDTH + rows, 3)
    assert all(part.std() > 10 for part in np.split(sheet, 2))


def test_statistics_count_what_the_labels_say(tmp_path):
    (tmp_path / "label_2").mkdir()
    line = "Car 0.30 {} 0.1 10 20 60 {} 1.5 1.6 {} 1 1.7 {} {}\n"
    lines = [line.format(0, 60, 3.8, 10, -1.57), line.format(2, 80, 4.2, 30, 0.0)]
    (tmp_path / "label_2" / "000000.txt").write_text("".join(lines))
    (tmp_path / "label_2" / "000001.txt").write_text("")
    entries = statistics(tmp_path)["Car"]
    assert entries[0] == "1.00", "per frame"
    assert entries[1] == "1.50±0.00 1.60±0.00 4.00±0.20"
    assert entries[4].split()[1] == "20.0"
    assert entries[5:] == ["50", "50 50", "50 0 50", "100"]


def test_a_folder_without_frames_is_refused(tmp_path):
    for wrong in (statistics, lambda folder: contact_sheet(folder, folder / "sheet.jpg")):
        with pytest.raises(InputError, match="label_2"):
            wrong(tmp_path)


def test_a_stopped_run_goes_on_without_rendering_twice(written):
    recipe, folder = written
    before = {p: p.stat().st_mtime_ns for where in FOLDERS for p in (folder / where).iterdir()}
    assert sum(generate(recipe, folder)) == 2
    assert before == {p: p.stat().st_mtime_ns for where in FOLDERS for p in (folder / where).iterdir()}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"frames": 0}, "frames"),
        ({"baseline": (0.9, 0.2)}, "baseline"),
        ({"focal": (1, 2)}, "focal"),
        ({"jpeg": 101}, "JPEG"),
        ({"furniture": -1}, "furniture"),
    ],
)
def test_impossible_recipes_are_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        WorldRecipe(**{"frames": 1, **wrong})


def test_kittis_rig_is_the_default():
    assert WorldRecipe(1).rig(np.random.default_rng(0))[0] == KITTI
