# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Cameras and bags as people have them: layouts, pixel formats, lenses, calibration files, videos."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import raw_cameras as cameras
import yaml
from raw_cameras import START, STEP, lens, rows, street, through, write

from sicm_ros.bags import PRESETS, open_stereo
from sicm_ros.bags import serialization as ros
from sicm_ros.bags.images import LAYOUTS, PixelDepth, reducible, rgb_from_compressed, rgb_from_image
from sicm_ros.bags.presets import read_preset
from sicm_ros.bags.rig import camera_rig
from sicm_ros.bitstream import unpack
from sicm_ros.cli import main
from sicm_ros.cli.options import SHIPPED
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry import ImagePair, ModelView, StereoCalibration
from sicm_ros.geometry.calibration_file import read_calibration_file
from sicm_ros.geometry.drawing import write_picture
from sicm_ros.geometry.rectification import EpipolarCheck, Lens, says_rectified

INNER = np.s_[30:-30, 60:-60]  # of an image of the street: what every lens sees
RAW_TOPICS = {"image_topics": ("/left/image_raw", "/right/image_raw"), "info_topics": ("left info", "right info")}


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one[INNER].astype(int) - other[INNER]).mean())


# ---------------------------------------------------------------------------------------------------------------------
# Rectification


@pytest.mark.parametrize("model", cameras.LENSES)
def test_what_a_lens_bends_is_straight_again(model: str):
    (pair,) = street(1)
    lenses = [lens(pair.calibration, side, model) for side in (0, 1)]
    raw = [through(view, one) for view, one in zip((pair.left, pair.right), lenses)]
    rig = camera_rig(*lenses, **RAW_TOPICS)
    assert rig.calibration == pair.calibration
    seen = rig.rectification.apply(*raw)
    assert difference(seen.left, pair.left) < 6 < 30 < difference(raw[0], pair.left)
    assert difference(seen.right, pair.right) < 6
    before, after = EpipolarCheck(), EpipolarCheck()
    before.add(ImagePair(*raw, pair.calibration))
    after.add(seen)
    assert after.error.pixels < 0.3
    assert not after.error.complaint()
    assert before.error.pixels > 3
    assert "set rectify to always" in before.error.complaint()
    assert "set rectify to never" in before.error.complaint(rectified_here=True)


@pytest.mark.parametrize("width", [864, 320, 96])
def test_one_step_to_the_models_window_shows_what_two_steps_do(width: int):
    """At any scale: a window that skipped pixels would differ, by aliasing, from one that averages them."""
    (pair,) = street(1)
    lenses = [lens(pair.calibration, side) for side in (0, 1)]
    raw = [through(view, one) for view, one in zip((pair.left, pair.right), lenses)]
    rig = camera_rig(*lenses, **RAW_TOPICS)
    view = ModelView.fit(rig.calibration, width, width // 4)
    seen = rig.rectification.apply(*raw, view.calibration)
    assert seen.left.shape == (width // 4, width, 3)
    inner = np.s_[width // 20 : -width // 20, width // 8 : -width // 8]
    apart = np.abs(seen.left[inner].astype(int) - view.apply(pair.left)[inner]).mean()
    assert apart < 6
    # The model looks at the window as it is: its own view of it changes nothing.
    again = ModelView.fit(view.calibration, width, width // 4)
    assert again.calibration == view.calibration
    np.testing.assert_array_equal(again.apply(seen.left), seen.left)


def test_whether_to_rectify_goes_by_the_calibration_and_the_names():
    (pair,) = street(1)
    lenses = [lens(pair.calibration, side) for side in (0, 1)]
    named = {"info_topics": ("l", "r")}
    raw, rect = ("/a/image_raw", "/b/image_raw"), ("/a/image_rect", "/b/image_rect")
    assert camera_rig(*lenses, image_topics=raw, **named).rectification
    left_alone = camera_rig(*lenses, image_topics=rect, **named)
    assert left_alone.rectification is None
    assert left_alone.ignored
    assert camera_rig(*lenses, image_topics=rect, rectify="always", **named).rectification
    assert camera_rig(*lenses, image_topics=raw, rectify="never", **named).rectification is None
    good = [cameras._rectified(one) for one in lenses]
    assert camera_rig(*good, image_topics=raw, **named).rectification is None
    askew = [replace(one, d=(0.0,) * 5) for one in lenses]
    assert camera_rig(*askew, image_topics=raw, **named).rectification
    assert says_rectified("/zed/zed_node/left/color/rect/image")
    assert not says_rectified("/direct/left/image_raw")


def test_principal_points_that_differ_are_made_one():
    (pair,) = street(1)
    lenses = [lens(pair.calibration, side) for side in (0, 1)]
    shifted = replace(lenses[1], p=(*lenses[1].p[:2], lenses[1].p[2] + 12, *lenses[1].p[3:]))
    rig = camera_rig(lenses[0], shifted, disparity_offset=0.5, **RAW_TOPICS)
    assert rig.calibration.disparity_offset == 0.5
    seen = rig.rectification.apply(*(through(v, one) for v, one in zip((pair.left, pair.right), lenses)))
    assert difference(seen.right, pair.right) < 6


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"distortion_model": "ftheta"}, "left info: distortion model 'ftheta' is not known"),
        ({"d": (0.1, 0.2, 0.3)}, "left info: 3 distortion coefficients; plumb_bob has 4 or 5"),
        ({"k": (0.0,) * 9}, "left info: focal lengths 0, 0 in k"),
        ({"r": (2.0, 0, 0, 0, 1, 0, 0, 0, 1)}, "left info: r is not a rotation"),
        ({"d": (0.1, float("nan"), 0, 0)}, "left info: .* not finite"),
    ],
)
def test_a_camera_that_no_lens_is_is_refused(change: dict, match: str):
    (pair,) = street(1)
    left, right = (lens(pair.calibration, side) for side in (0, 1))
    with pytest.raises(CalibrationError, match=match):
        camera_rig(replace(left, **change), right, rectify="always", **RAW_TOPICS)


def test_exchanged_cameras_are_noticed():
    (pair,) = street(1)
    check = EpipolarCheck()
    check.add(ImagePair(pair.right, pair.left, pair.calibration))
    assert "left and right seem to be exchanged" in check.error.complaint()


def test_a_wall_without_features_says_nothing():
    check = EpipolarCheck()
    blank = np.full((96, 312, 3), 90, np.uint8)
    for _ in range(10):
        check.add(ImagePair(blank, blank, street(1)[0].calibration))
    assert check.done
    assert check.error is None


# ---------------------------------------------------------------------------------------------------------------------
# Calibration files


def relative(lenses: list[Lens]) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation from the left camera's frame to the right one's."""
    left, right = (np.array(one.r).reshape(3, 3) for one in lenses)
    baseline = -lenses[1].p[3] / lenses[1].p[0]
    rotation = right.T @ left
    return rotation, right.T @ np.array([-baseline, 0, 0])


def kalibr(folder: Path, lenses: list[Lens]) -> Path:
    rotation, translation = relative(lenses)
    tree = {
        f"cam{i}": {
            "camera_model": "pinhole",
            "distortion_model": "equidistant" if one.distortion_model == "equidistant" else "radtan",
            "distortion_coeffs": list(one.d),
            "intrinsics": [one.k[0], one.k[4], one.k[2], one.k[5]],
            "resolution": [one.width, one.height],
            "rostopic": f"/cam{i}/image_raw",
        }
        for i, one in enumerate(lenses)
    }
    tree["cam1"]["T_cn_cnm1"] = np.vstack([np.c_[rotation, translation], [0, 0, 0, 1]]).tolist()
    (folder / "camchain.yaml").write_text(yaml.safe_dump(tree))
    return folder / "camchain.yaml"


def euroc(folder: Path, lenses: list[Lens]) -> Path:
    rotation, translation = relative(lenses)
    body = np.eye(4)
    body[:3, :3] = cv2.Rodrigues(np.array([0.3, -1.2, 0.4]))[0]
    body[:3, 3] = 0.1, -0.2, 0.3
    moved = np.vstack([np.c_[rotation, translation], [0, 0, 0, 1]])
    for i, (one, pose) in enumerate(zip(lenses, (body, body @ np.linalg.inv(moved)))):
        (folder / f"mav0/cam{i}").mkdir(parents=True)
        numbers = ", ".join(f"{v:.12g}" for v in pose.reshape(-1))
        (folder / f"mav0/cam{i}/sensor.yaml").write_text(
            f"sensor_type: camera\nT_BS:\n  cols: 4\n  rows: 4\n  data: [{numbers}]\nrate_hz: 20\n"
            f"resolution: [{one.width}, {one.height}]\ncamera_model: pinhole\n"
            f"intrinsics: [{one.k[0]}, {one.k[4]}, {one.k[2]}, {one.k[5]}] #fu, fv, cu, cv\n"
            f"distortion_model: radial-tangential\ndistortion_coefficients: {list(one.d)}\n"
        )
    return folder


def opencv(folder: Path, lenses: list[Lens]) -> Path:
    rotation, translation = relative(lenses)

    def save(name: str, **matrices: np.ndarray) -> None:
        file = cv2.FileStorage(str(folder / name), cv2.FILE_STORAGE_WRITE)
        for key, matrix in matrices.items():
            file.write(key, matrix)
        file.release()

    inner = {f"M{i + 1}": np.array(one.k).reshape(3, 3) for i, one in enumerate(lenses)}
    inner |= {f"D{i + 1}": np.array(one.d).reshape(1, -1) for i, one in enumerate(lenses)}
    save("intrinsics.yml", **inner)
    save("extrinsics.yml", R=rotation, T=translation.reshape(3, 1))
    return folder / "intrinsics.yml"


def ros_files(folder: Path, lenses: list[Lens]) -> Path:
    for one, name in zip(lenses, ("left", "right")):
        matrix = {"camera_matrix": (3, 3, one.k), "distortion_coefficients": (1, len(one.d), one.d)}
        matrix |= {"rectification_matrix": (3, 3, one.r), "projection_matrix": (3, 4, one.p)}
        tree = {"image_width": one.width, "image_height": one.height, "camera_name": name}
        tree |= {k: {"rows": r, "cols": c, "data": list(data)} for k, (r, c, data) in matrix.items()}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(tree | {"distortion_model": one.distortion_model}))
    return folder / "right.yaml"


@pytest.mark.parametrize(
    ("make", "model"),
    [
        (kalibr, "plumb_bob"),
        (kalibr, "equidistant"),
        (euroc, "plumb_bob"),
        (opencv, "plumb_bob"),
        (opencv, "rational_polynomial"),
        (ros_files, "rational_polynomial"),
        (ros_files, "equidistant"),
    ],
)
def test_calibration_files_rectify(tmp_path: Path, make, model: str):
    (pair,) = street(1)
    lenses = [lens(pair.calibration, side, model) for side in (0, 1)]
    path = make(tmp_path, lenses)
    read = read_calibration_file(path, (pair.calibration.width, pair.calibration.height))
    rig = camera_rig(*read, **RAW_TOPICS)
    assert rig.calibration.baseline == pytest.approx(pair.calibration.baseline, rel=1e-6)
    seen = rig.rectification.apply(*(through(v, one) for v, one in zip((pair.left, pair.right), lenses)))
    check = EpipolarCheck()
    check.add(seen)
    assert check.error.pixels < 0.35
    # A point anywhere has one row in both, and the depth that its disparity tells.
    rotation, translation = relative(lenses)
    point = np.array([1.5, -0.4, 14.0])  # in the left camera's frame, metres
    places = [
        np.array(one.p).reshape(3, 4)[:, :3] @ np.array(one.r).reshape(3, 3) @ seen_from
        for one, seen_from in zip(read, (point, rotation @ point + translation))
    ]
    (u, v), (other_u, other_v) = (place[:2] / place[2] for place in places)
    assert v == pytest.approx(other_v, abs=1e-3)
    assert rig.calibration.depth(u - other_u) == pytest.approx((np.array(read[0].r).reshape(3, 3) @ point)[2], rel=1e-4)


def test_the_command_line_rectifies_by_a_file(tmp_path: Path, small_model: Path):
    (pair,) = street(1)
    lenses = [lens(pair.calibration, side) for side in (0, 1)]
    names = [str(tmp_path / f"{side}.png") for side in ("left", "right")]
    for name, view, one in zip(names, (pair.left, pair.right), lenses):
        write_picture(name, through(view, one))
    out = tmp_path / "a.sicm"
    words = ["encode", *names, "--calib", str(ros_files(tmp_path, lenses)), "--out", str(out)]
    assert main([*words, "--model", str(small_model)]) == 0
    assert unpack(out.read_bytes()).calibration.baseline == pytest.approx(pair.calibration.baseline)


# A few lines that stand for 9 ** 9 values.
BOMB = "a: &a [1]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise("abcdefghij"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "has no settings"),
        ("a: [1", "no YAML"),
        ("cam0: {resolution: [1, 2]}\n", "cam1 is missing"),
        ("M1: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\nimageSize: [640, 480]\n", "M1 or D1 is missing"),
        ("cam0: 3\ncam1: 4\n", "expected Kalibr"),
        (BOMB, "more than 20000 values"),
    ],
)
def test_calibration_files_that_are_none_say_so(tmp_path: Path, text: str, match: str):
    (tmp_path / "calib.yaml").write_text(text)
    with pytest.raises(CalibrationError, match=rf"calib\.yaml: .*{match}"):
        read_calibration_file(tmp_path / "calib.yaml")
    with pytest.raises(CalibrationError, match="no such calibration file"):
        read_calibration_file(tmp_path / "nothing.yaml")


def test_a_preset_that_stands_for_more_than_it_says_is_refused(tmp_path: Path):
    (tmp_path / "mine.yaml").write_text(BOMB)
    with pytest.raises(InputError, match=r"mine\.yaml: no preset \(more than 20000 values\)"):
        read_preset(tmp_path / "mine.yaml")


def test_exchanged_cameras_in_a_file_are_refused(tmp_path: Path):
    lenses = [lens(street(1)[0].calibration, side) for side in (0, 1)]
    path = kalibr(tmp_path, lenses)
    tree = yaml.safe_load(path.read_text())
    tree["cam1"]["T_cn_cnm1"] = np.linalg.inv(np.array(tree["cam1"]["T_cn_cnm1"])).tolist()
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(CalibrationError, match=r"camchain.yaml: .*left and right are exchanged"):
        read_calibration_file(path)


# ---------------------------------------------------------------------------------------------------------------------
# Layouts


def sibling(topic: str) -> str:
    return topic.rpartition("/")[0] + "/camera_info"


ZED = "/zed/zed_node"
# Layout, what is in the bag, and the name that is found.
RECTIFIED = {
    "zed": ("zed", rows(f"{ZED}/left/color/rect/image", f"{ZED}/right/color/rect/image", cameras.bgra)),
    "zed_before_5_1": (
        "zed_before_5_1",
        rows(f"{ZED}/left/image_rect_color", f"{ZED}/right/image_rect_color", cameras.bgra)
        + rows(f"{ZED}/left_raw/image_raw_color", f"{ZED}/right_raw/image_raw_color", cameras.bgra, raw="plumb_bob"),
    ),
    "realsense": (
        "realsense",
        rows("/camera/camera/infra1/image_rect_raw", "/camera/camera/infra2/image_rect_raw", cameras.grey),
    ),
    "oak": (
        "oak",
        rows("/oak/left/image_rect", "/oak/right/image_rect", cameras.grey, leftover=True)
        + rows("/oak/left/image_raw", "/oak/right/image_raw", cameras.grey, raw="plumb_bob", infos=None),
    ),
    "isaac_rectified": (
        "isaac_rectified",
        rows(
            "/front_stereo_camera/left/image_rect",
            "/front_stereo_camera/right/image_rect",
            infos=lambda topic: topic.rpartition("/")[0] + "/camera_info_rect",
        )
        + rows("/front_stereo_camera/left/image_raw", "/front_stereo_camera/right/image_raw", raw="plumb_bob"),
    ),
    "multisense": (
        "multisense",
        rows("/multisense/left/image_rect_color", "/multisense/right/image_rect", (cameras.rgb, cameras.grey)),
    ),
    "nerian": (
        "nerian",
        rows(
            "/nerian_stereo/left_image",
            "/nerian_stereo/right_image",
            cameras.grey,
            infos=lambda topic: topic.replace("image", "camera_info"),
        ),
    ),
    "image_pipeline": (
        "stereo_color",
        rows("/front/left/image_rect_color", "/front/right/image_rect_color", leftover=True)
        + rows("/front/left/image_rect", "/front/right/image_rect", cameras.grey, infos=None),
    ),
    "orbbec": ("orbbec", rows("/camera/left_ir/image_raw", "/camera/right_ir/image_raw", cameras.grey)),
}


@pytest.mark.parametrize("case", RECTIFIED)
def test_rectified_cameras_are_found_and_read(tmp_path: Path, case: str):
    name, recorded = RECTIFIED[case]
    with open_stereo(write(tmp_path / "a.mcap", recorded)) as source:
        assert source.layout == name
        pairs = list(source.pairs())
    assert len(pairs) == len(street())
    expected = street()[0].calibration
    for pair, shown in zip(pairs, street()):
        assert pair.calibration.baseline == pytest.approx(expected.baseline)
        assert pair.calibration.cx == pytest.approx(expected.cx)
        assert np.abs(pair.left.mean(2) - shown.left.mean(2)).mean() < 4


@pytest.mark.parametrize(
    ("layout", "left", "right"),
    [
        ("oak_raw", "/oak/left/image_raw", "/oak/right/image_raw"),
        ("stereo_namespace", "/stereo/left/image_raw", "/stereo/right/image_raw"),
        ("stereo_raw", "/left/image_raw", "/right/image_raw"),
        ("isaac_raw", "/front_stereo_camera/left/image_raw", "/front_stereo_camera/right/image_raw"),
        ("auto", "/rig/camera0/pictures", "/rig/camera1/pictures"),
    ],
)
def test_cameras_that_are_not_rectified_are_rectified(tmp_path: Path, layout: str, left: str, right: str):
    path = write(tmp_path / "a.mcap", rows(left, right, cameras.jpeg, raw="plumb_bob"))
    with open_stereo(path) as source:
        assert source.layout == layout
        assert not source.compressed  # what is played is rectified, and raw
        pair = next(source.pairs())
    assert pair.calibration == street(1)[0].calibration
    assert difference(pair.left, street(1)[0].left) < 8
    with open_stereo(path, rectify="never") as source:
        assert difference(next(source.pairs()).left, street(1)[0].left) > 20


def test_euroc_needs_one_argument(tmp_path: Path):
    recorded = rows("/cam0/image_raw", "/cam1/image_raw", cameras.grey, raw="plumb_bob", infos=None)
    path = write(tmp_path / "a.mcap", recorded)
    with pytest.raises(InputError, match=r"no calibration of /cam0/image_raw: .*--calibration-file"):
        open_stereo(path)
    lenses = [lens(street(1)[0].calibration, side) for side in (0, 1)]
    with open_stereo(path, calibration_file=euroc(tmp_path, lenses)) as source:
        assert source.layout == "euroc"
        pairs = list(source.pairs())
    check = EpipolarCheck()
    check.add(pairs[0])
    assert len(pairs) == 3
    assert check.error.pixels < 0.35


def test_four_pairs_are_listed_with_the_argument_that_takes_each(tmp_path: Path):
    places = ("front", "back", "left", "right")
    recorded = [row for p in places for row in rows(*(f"/{p}_stereo_camera/{s}/image_raw" for s in ("left", "right")))]
    path = write(tmp_path / "a.mcap", sorted(recorded, key=lambda row: row[1]))
    with pytest.raises(InputError) as raised:
        open_stereo(path)
    for place in places:
        one, other = (f"/{place}_stereo_camera/{side}/image_raw" for side in ("left", "right"))
        assert f"--left {one} --right {other}" in str(raised.value)
    with open_stereo(path, left="/left_stereo_camera/left/image_raw") as source:
        assert source.named == ("/left_stereo_camera/left/image_raw", "/left_stereo_camera/right/image_raw")


def test_views_side_by_side_are_taken_apart(tmp_path: Path):
    lenses = [lens(street(1)[0].calibration, side) for side in (0, 1)]
    made = []
    for index, pair in enumerate(street()):
        both = np.hstack([through(view, one) for view, one in zip((pair.left, pair.right), lenses)])
        made.append(("/image_raw", START + index * STEP, cameras.jpeg(both, START + index * STEP)))
        made[-1] = ("/image_raw/compressed", *made[-1][1:])
    path = write(tmp_path / "a.mcap", made)
    with open_stereo(path, "side_by_side", calibration_file=ros_files(tmp_path, lenses)) as source:
        pairs = list(source.pairs())
    assert len(pairs) == 3
    for pair, shown in zip(pairs, street()):
        assert difference(pair.left, shown.left) < 8
        assert difference(pair.right, shown.right) < 8
    with pytest.raises(InputError, match="--calibration-file"):
        open_stereo(path, left="/image_raw", right="/image_raw")


def test_a_preset_of_ones_own_is_a_file(tmp_path: Path):
    (tmp_path / "rover.yaml").write_text('left: "*/port/picture"\nright: "*/starboard/picture"\n')
    path = write(tmp_path / "a.mcap", rows("/rover/port/picture", "/rover/starboard/picture"))
    with open_stereo(path, preset=str(tmp_path / "rover.yaml")) as source:
        assert source.layout == "rover"
        assert source.named == ("/rover/port/picture", "/rover/starboard/picture")
    (tmp_path / "wrong.yaml").write_text("left: /a\nright: /b\nrectifed: true\n")
    with pytest.raises(InputError, match=r"wrong\.yaml: rectifed; a preset has"):
        open_stereo(path, preset=str(tmp_path / "wrong.yaml"))


def test_every_preset_names_its_two_topics_alike():
    for preset in PRESETS.values():
        assert preset.left.startswith("*") == preset.right.startswith("*")
        assert preset.about


def test_binned_pictures_are_rectified_by_the_whole_sensors_calibration(tmp_path: Path):
    (pair,) = street(1)
    small = pair.calibration.resized(pair.calibration.width // 2, pair.calibration.height // 2)
    whole = [lens(pair.calibration, side) for side in (0, 1)]
    made = []
    for side, (topic, one) in enumerate(zip(("/left/image_raw", "/right/image_raw"), whole)):
        raw = through((pair.left, pair.right)[side], one)
        raw = cv2.resize(raw, (small.width, small.height), interpolation=cv2.INTER_AREA)
        made.append((sibling(topic), START, cameras.info(one, START, binning_x=2, binning_y=2)))
        made.append((topic, START, cameras.rgb(raw, START)))
    with open_stereo(write(tmp_path / "a.mcap", made)) as source:
        seen = next(source.pairs())
    assert (seen.calibration.width, seen.calibration.height) == (310, 93)
    expected = cv2.resize(pair.left, (310, 93), interpolation=cv2.INTER_AREA)
    assert difference(seen.left, expected) < 10


# ---------------------------------------------------------------------------------------------------------------------
# Pixels


def coded(view: np.ndarray, encoding: str) -> tuple[np.ndarray, int]:
    """An image's bytes in an encoding, and its step; written down here, not by OpenCV's conversions back."""
    height, width = view.shape[:2]
    yuv = cv2.cvtColor(view, cv2.COLOR_RGB2YUV_I420)
    y, u, v = yuv[:height], *(p.reshape(height // 2, width // 2) for p in np.split(yuv[height:].reshape(-1), 2))
    if encoding in ("yuv420", "i420"):
        return yuv, width
    if encoding in ("nv12", "nv21"):
        return np.vstack([y, np.stack([u, v] if encoding == "nv12" else [v, u], -1).reshape(height // 2, width)]), width
    colours = np.stack([u, v], -1).repeat(2, axis=0).reshape(height, width)  # u v u v, one pair to two pixels
    if encoding in ("uyvy", "yuv422"):
        return np.stack([colours, y], -1), 2 * width
    if encoding in ("yuyv", "yuv422_yuy2"):
        return np.stack([y, colours], -1), 2 * width
    raise AssertionError(encoding)


@pytest.mark.parametrize("encoding", ["nv12", "nv21", "yuv420", "i420", "uyvy", "yuv422", "yuyv", "yuv422_yuy2"])
def test_yuv_becomes_rgb(encoding: str):
    view = cv2.GaussianBlur(street(1)[0].left[:, :618], (0, 0), 3)  # colours lie at half of the resolution
    data, step = coded(view, encoding)
    message = cameras.image(data, encoding, 0, 618, 186, step)
    assert np.abs(rgb_from_image(message).astype(int) - view).mean() < 3
    message.data = message.data[:-20]
    with pytest.raises(InputError, match=f"bytes are not a 618 x 186 {encoding} image"):
        rgb_from_image(message)


def test_nv12_with_padded_rows():
    view = cv2.GaussianBlur(street(1)[0].left[:, :618], (0, 0), 3)
    for encoding in ("nv12", "yuv420"):
        data, _ = coded(view, encoding)
        if encoding == "nv12":
            padded = np.pad(data, ((0, 0), (0, 22)))
        else:
            planes = np.split(data.reshape(-1), [186 * 618, 186 * 618 * 5 // 4])
            wide = [np.pad(p.reshape(186 // h, 618 // h), ((0, 0), (0, 22 // h))) for p, h in zip(planes, (1, 2, 2))]
            padded = np.concatenate([p.reshape(-1) for p in wide])
        message = cameras.image(padded, encoding, 0, 618, 186, 640)
        assert np.abs(rgb_from_image(message).astype(int) - view).mean() < 3


@pytest.mark.parametrize("encoding", ["nv12", "nv21", "yuv420"])
@pytest.mark.parametrize(("width", "height"), [(618, 185), (617, 186), (617, 185)])
def test_planes_of_odd_sides_are_rounded_up(encoding: str, width: int, height: int):
    whole = cameras.street(1)[0].left[:186, :618]
    yuv = cv2.cvtColor(np.ascontiguousarray(whole), cv2.COLOR_RGB2YUV_I420).reshape(-1)
    light, u, v = np.split(yuv, [186 * 618, 186 * 618 * 5 // 4])
    light = light.reshape(186, 618)[:height]
    colours = [np.stack([u, v] if encoding == "nv12" else [v, u], 1)] if encoding != "yuv420" else [u, v]
    data = np.concatenate([plane.reshape(-1) for plane in (light, *colours)])
    message = ros.image(whole, 0, "")
    message.encoding, message.width, message.height, message.step, message.data = encoding, width, height, 618, data
    shown = rgb_from_image(message)
    assert shown.shape == (height, width, 3)
    assert np.abs(shown.astype(int) - whole[:height, :width]).mean() < 4
    message.data = data[:-1]
    with pytest.raises(InputError, match=f"are not a {width} x {height} {encoding} image"):
        rgb_from_image(message)


def test_encodings_may_be_spelt_otherwise():
    whole = cameras.street(1)[0].left
    message = ros.image(whole, 0, "")
    for spelling in ("RGB8", "Rgb8 "):
        message.encoding = spelling
        assert np.array_equal(rgb_from_image(message), whole)
    message.encoding = "8uc3"
    assert np.array_equal(rgb_from_image(message), whole[..., ::-1])


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_sixteen_bits_are_read_by_those_that_count(bits: int):
    view = cv2.cvtColor(street(1)[0].left, cv2.COLOR_RGB2GRAY)
    deep = (view.astype(np.uint16) << (bits - 8)) | (1 << (bits - 1) >> 8)
    assert deep.max() >= 1 << (bits - 1)
    for encoding, pixels in (("mono16", deep), ("16UC1", deep), ("rgb16", np.dstack([deep] * 3))):
        message = cameras.image(pixels, encoding, 0, 620, 186)
        np.testing.assert_array_equal(rgb_from_image(message)[..., 1], view)
        message.data, message.is_bigendian = pixels.byteswap().view(np.uint8).reshape(-1), 1
        np.testing.assert_array_equal(rgb_from_image(message)[..., 1], view)
    png = SimpleNamespace(data=cv2.imencode(".png", deep)[1].tobytes(), format="mono16; png compressed ")
    np.testing.assert_array_equal(rgb_from_compressed(png)[..., 0], view)


def test_a_dark_picture_after_a_bright_one_stays_dark():
    depth = PixelDepth()
    bright, dark = np.full((40, 40), 4000, np.uint16), np.full((40, 40), 400, np.uint16)
    shown = [rgb_from_image(cameras.image(p, "mono16", 0, 40, 40), depth=depth)[0, 0, 0] for p in (bright, dark)]
    assert shown == [250, 25]


@pytest.mark.parametrize("encoding", [name for name in LAYOUTS if name.startswith("bayer")])
def test_mosaics_become_colours(encoding: str):
    """An image in one colour, red above all: each pixel of the mosaic holds what its letter says."""
    colour = {"r": 200, "g": 100, "b": 40}
    a, b, c, d = encoding.split("_")[1][:4]
    cell = np.array(
        [[colour[a], colour[b]], [colour[c], colour[d]]], np.uint16 if encoding.endswith("16") else np.uint8
    )
    mosaic = np.tile(cell, (20, 30)) * (257 if encoding.endswith("16") else 1)
    seen = rgb_from_image(cameras.image(mosaic.astype(cell.dtype), encoding, 0, 60, 40))
    np.testing.assert_allclose(seen[10, 10], [200, 100, 40], atol=1)
    png = SimpleNamespace(
        data=cv2.imencode(".png", mosaic.astype(cell.dtype))[1].tobytes(), format=f"{encoding}; png compressed "
    )
    np.testing.assert_allclose(rgb_from_compressed(png)[10, 10], [200, 100, 40], atol=1)


def test_compressed_pictures_are_read_as_their_format_says():
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 2] = 200  # in OpenCV's order
    data = cv2.imencode(".png", red)[1].tobytes()
    for format, expected in (
        ("rgb8; png compressed bgr8", [200, 0, 0]),
        ("rgb8; png compressed rgb8", [0, 0, 200]),
        ("png", [200, 0, 0]),
    ):
        assert rgb_from_compressed(SimpleNamespace(data=data, format=format))[5, 5].tolist() == expected
    four = cv2.imencode(".png", cv2.cvtColor(red, cv2.COLOR_BGR2BGRA))[1].tobytes()
    assert rgb_from_compressed(SimpleNamespace(data=four, format="png"))[5, 5].tolist() == [200, 0, 0]


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_jpegs_are_decoded_smaller(reduction: int):
    """By the mean of what a pixel covers, whatever EXIF says, grey ones and those whose format names RGB as well."""
    random = np.random.default_rng(0)
    picture = cv2.resize(random.integers(0, 256, (8, 12, 3), np.uint8), (192, 128), interpolation=cv2.INTER_CUBIC)
    expected = cv2.resize(picture, (192 // reduction, 128 // reduction), interpolation=cv2.INTER_AREA)

    def jpeg(view: np.ndarray) -> bytes:
        return cv2.imencode(".jpg", view, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()

    turned = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    plain = jpeg(picture[..., ::-1])
    exif = plain[:2] + b"\xff\xe1" + (len(turned) + 2).to_bytes(2, "big") + turned + plain[2:]
    for data, form in (
        (plain, "jpeg"),
        (exif, "bgr8; jpeg compressed bgr8"),
        (jpeg(picture), "rgb8; jpeg compressed rgb8"),
    ):
        message = SimpleNamespace(data=data, format=form)
        assert reducible(message) == (192, 128)
        found = rgb_from_compressed(message, reduction=reduction)
        assert found.shape == expected.shape
        assert np.abs(found.astype(int) - expected).mean() < 4
    grey = SimpleNamespace(data=jpeg(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)), format="mono8; jpeg compressed ")
    found = rgb_from_compressed(grey, reduction=reduction)
    assert found.shape == expected.shape
    assert (found == found[..., :1]).all()


def test_what_cannot_be_decoded_smaller():
    picture = np.zeros((64, 64, 3), np.uint8)
    jpeg, png = (cv2.imencode(kind, picture)[1].tobytes() for kind in (".jpg", ".png"))
    assert reducible(SimpleNamespace(data=png, format="png")) is None
    assert reducible(SimpleNamespace(data=jpeg, format="bayer_rggb8; jpeg compressed bgr8")) is None
    assert reducible(SimpleNamespace(data=jpeg[:8], format="jpeg")) is None
    assert reducible(cameras.image(picture, "rgb8", 0, 64, 64)) is None


@pytest.mark.parametrize(
    ("size", "fx", "reduction"),
    [
        ((1242, 375), 721, 1),
        ((1726, 1000), 1000, 1),
        ((1728, 1000), 1000, 2),
        ((1729, 1000), 1000, 1),
        ((1920, 1080), 1100, 2),
        ((3840, 2160), 2200, 4),
        ((3840, 2162), 2200, 2),
        ((8192, 2048), 4700, 8),
        ((1920, 1080), 4500, 8),  # a narrow angle: a few columns of the window
    ],
)
def test_images_are_reduced_as_far_as_the_window_loses_no_pixel(size: tuple[int, int], fx: float, reduction: int):
    width, height = size
    view = ModelView.fit(StereoCalibration(fx, fx, width / 2, height / 2, 0.5, width, height), 864, 192)
    assert view.reduction() == reduction
    assert view.apply(np.zeros((height // reduction, width // reduction, 3), np.uint8)).shape == (192, 864, 3)
    assert reduction == 1 or width // reduction >= view.resized_width


def test_a_rig_of_twelve_bits_is_not_dark(tmp_path: Path):
    def deep(view: np.ndarray, stamp: int):
        pixels = cv2.cvtColor(view, cv2.COLOR_RGB2GRAY).astype(np.uint16) << 4
        return cameras.image(pixels, "mono16", stamp, view.shape[1], view.shape[0])

    with open_stereo(write(tmp_path / "a.mcap", rows("/left/image_raw", "/right/image_raw", deep))) as source:
        pair = next(source.pairs())
    assert abs(float(pair.left.mean()) - float(street(1)[0].left.mean())) < 8


# ---------------------------------------------------------------------------------------------------------------------
# Shapes


@pytest.fixture(scope="module")
def model():
    import sicm_ros

    return sicm_ros.load("default")


@pytest.fixture(scope="module")
def car(model) -> tuple[ImagePair, np.ndarray]:
    """A pair of the drive that ships, and where a car is that is seen whole: (x, y, z), metres."""
    with open_stereo(SHIPPED) as source:
        pair = next(source.pairs())
    found = model.detect_uncompressed(pair).detections.above(0.6)
    c = pair.calibration
    near = [p for p in found.location if 8 < p[2] < 30 and 200 < c.fx * p[0] / p[2] + c.cx < c.width - 200]
    return pair, near[0]


@pytest.mark.parametrize(("width", "height"), [(640, 375), (480, 360), (360, 360), (240, 320)])
def test_depth_is_right_whatever_the_pictures_shape(model, car, width: int, height: int):
    pair, place = car
    c = pair.calibration
    left = int(np.clip(c.fx * place[0] / place[2] + c.cx - width / 2, 0, c.width - width))
    window = np.s_[c.height - height :, left : left + width]
    crop = ImagePair(
        np.ascontiguousarray(pair.left[window]),
        np.ascontiguousarray(pair.right[window]),
        c.cropped(left, c.height - height, width, height),
    )
    assert not model.view(crop.calibration).expectation
    found = model.detect_uncompressed(crop).detections.above(0.3).location
    nearest = found[np.linalg.norm(found - place, axis=1).argmin()]
    assert nearest[2] == pytest.approx(place[2], rel=0.02)


def test_cameras_unlike_those_of_the_training_are_told_what_to_expect():
    wide = StereoCalibration(300, 300, 639.5, 359.5, 0.12, 1280, 720)
    assert "the camera sees 130 degrees: things look 2.5 times smaller" in ModelView.fit(wide, 864, 192).expectation
    small = StereoCalibration(93, 93, 79.5, 59.5, 0.12, 160, 120)
    assert "near things only" in ModelView.fit(small, 864, 192).expectation
    for usual in (StereoCalibration(700, 700, 639.5, 359.5, 0.12, 1280, 720), street(1)[0].calibration):
        assert not ModelView.fit(usual, 864, 192).expectation
