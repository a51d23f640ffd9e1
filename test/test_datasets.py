# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Data sets of others, in small samples made up in their formats: one known box, as each of them would state it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from sicm_ros.cli import main
from sicm_ros.datasets import LAYOUTS, open_dataset
from sicm_ros.datasets.cuboids import Cuboid, labels_of, nearest
from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.pose import FramePose
from sicm_ros.kitti import KittiCalibration, KittiFrames, Tree
from sicm_ros.kitti.frames import FrameFiles

WIDTH, HEIGHT = 240, 160
FX, CX, CY, BASELINE = 200.0, 121.5, 70.5, 0.25
RIG = StereoCalibration(FX, FX, CX, CY, BASELINE, WIDTH, HEIGHT)
# The box of every sample, in the left optical frame: its middle, its turn about the vertical axis, its size.
CENTRE, TURN, SIZE = np.array([1.5, 0.8, 12.0]), 0.4, (4.2, 1.8, 1.5)
UPRIGHT = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])  # optical frame from x ahead, y left, z up
STAMP = 315975640448534784


def turned(angle: float) -> np.ndarray:
    """Axes of a box in the optical frame: length, width, height in columns."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([[cos, 0, -sin], [sin, 0, cos], [0, -1, 0]], axis=1)


BOX = FramePose(turned(TURN), CENTRE)
CAMERA = FramePose(UPRIGHT.T, np.array([1.7, 0.2, 1.4])) @ FramePose(
    cv2.Rodrigues(np.array([0.02, 0.03, 0.01]))[0], np.zeros(3)
)


def images(*paths: Path) -> None:
    """Left and right images with texture, 4 pixels apart."""
    wall = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH + 4, 3), np.uint8), (0, 0), 2)
    for path, start in zip(paths, (0, 4)):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), wall[:, start : start + WIDTH])


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def argoverse1(root: Path) -> None:
    log = root / "rectified_stereo_images_v1.1" / "train" / "273c1883"
    names = ("stereo_front_left_rect", "stereo_front_right_rect")
    images(*(log / name / f"{name}_{STAMP + n}.jpg" for n, name in enumerate(names)))
    cameras = []
    for name, across in zip(names, (0.0, BASELINE)):
        pose = CAMERA @ FramePose(np.eye(3), np.array([across, 0.0, 0.0]))
        x, y, z, w = pose.quaternion.tolist()
        about = {
            "focal_length_x_px_": FX, "focal_length_y_px_": FX, "focal_center_x_px_": CX, "focal_center_y_px_": CY,
            "skew_": 0.0, "distortion_coefficients_": [0.0] * 3,
            "vehicle_SE3_camera_": {
                "rotation": {"coefficients": [w, x, y, z]}, "translation": pose.translation.tolist(),
            },
        }  # fmt: skip
        cameras.append({"key": f"image_raw_{name}", "value": about})
    write(log / "vehicle_calibration_stereo_info.json", {"camera_data_": cameras})
    on_vehicle = CAMERA @ BOX
    boxes = []
    for kind, place in (("VEHICLE", 0.0), ("ON_ROAD_OBSTACLE", 0.0), ("PEDESTRIAN", 500.0)):
        centre = on_vehicle.translation + np.array([place, 0, 0])
        boxes.append(
            {
                "center": dict(zip("xyz", centre.tolist())),
                "rotation": dict(zip("xyzw", on_vehicle.quaternion.tolist())),
                **dict(zip(("length", "width", "height"), SIZE)),
                "label_class": kind, "track_label_uuid": "a", "occlusion": 0, "timestamp": STAMP,
            }
        )  # fmt: skip
    sweeps = root / "argoverse-tracking" / "train1" / "273c1883" / "per_sweep_annotations_amodal"
    write(sweeps / f"tracked_object_labels_{STAMP + 40_000_000}.json", boxes)
    write(sweeps / f"tracked_object_labels_{STAMP - 60_000_000}.json", [])


def argoverse2(root: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install '.[argoverse]'")
    from pyarrow import feather

    log = root / "val" / "0a1b"
    names = ("stereo_front_left", "stereo_front_right")
    images(*(log / "sensors" / "cameras" / name / f"{STAMP}.jpg" for name in names))

    def table(path: Path, rows: list[dict]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = io.BytesIO()
        feather.write_feather(pa.Table.from_pylist(rows), data)
        path.write_bytes(data.getvalue())

    def pose_of(pose: FramePose) -> dict:
        quaternion, place = pose.quaternion.tolist(), pose.translation.tolist()
        return dict(zip(("qx", "qy", "qz", "qw"), quaternion)) | dict(zip(("tx_m", "ty_m", "tz_m"), place))

    lens = {"fx_px": FX, "fy_px": FX, "cx_px": CX, "cy_px": CY, "k1": 0.0, "k2": 0.0, "k3": 0.0}
    table(
        log / "calibration" / "intrinsics.feather",
        [{"sensor_name": name, **lens, "height_px": HEIGHT, "width_px": WIDTH} for name in names],
    )
    sides = [FramePose(np.eye(3), np.array([across, 0.0, 0.0])) for across in (0.0, BASELINE)]
    table(
        log / "calibration" / "egovehicle_SE3_sensor.feather",
        [{"sensor_name": name, **pose_of(CAMERA @ side)} for name, side in zip(names, sides)],
    )
    size = dict(zip(("length_m", "width_m", "height_m"), SIZE))
    row = {"timestamp_ns": STAMP + 1000, "track_uuid": "a", **size, **pose_of(CAMERA @ BOX)}
    table(
        log / "annotations.feather",
        [
            {**row, "category": "REGULAR_VEHICLE", "num_interior_pts": 9},
            {**row, "category": "BOLLARD", "num_interior_pts": 9},
            {**row, "category": "BUS", "num_interior_pts": 9, "timestamp_ns": STAMP + 10**8},
        ],
    )


def cityscapes(root: Path) -> None:
    frame = "val/lindau/lindau_000000_000019"
    images(root / f"leftImg8bit/{frame}_leftImg8bit.png", root / f"rightImg8bit/{frame}_rightImg8bit.png")
    lens = {"fx": FX, "fy": FX, "u0": CX, "v0": CY}
    write(root / f"camera/{frame}_camera.json", {"extrinsic": {"baseline": BASELINE}, "intrinsic": lens})
    # Its camera looks along x: from the vehicle to that frame, not to the optical one.
    sensor = FramePose(UPRIGHT.T, np.zeros(3)) @ CAMERA.inverse()
    on_vehicle = CAMERA @ BOX
    x, y, z, w = on_vehicle.quaternion.tolist()
    box = {
        "center": on_vehicle.translation.tolist(),
        "dimensions": SIZE,
        "rotation": [w, x, y, z],
        "format": "CRS_ISO8855",
    }
    write(
        root / f"gtBbox3d/{frame}_gtBbox3d.json",
        {
            "sensor": {"sensor_T_ISO_8855": np.hstack([sensor.rotation, sensor.translation[:, None]]).tolist(), **lens},
            "objects": [{"3d": box, "label": "car", "occlusion": 0.1}, {"3d": box, "label": "bicycle"}],
            "ignore": [{"2d": [10, 20, 30, 40], "label": "vehicle"}],
        },
    )


def kitti360(root: Path) -> None:
    drive = "2013_05_28_drive_0000_sync"
    images(*(root / f"data_2d_raw/{drive}/image_0{side}/data_rect/0000000250.png" for side in range(2)))
    rows = [f"P_rect_0{side}: {FX} 0 {CX} {-FX * BASELINE * side} 0 {FX} {CY} 0 0 0 1 0" for side in range(2)]
    write(root / "calibration/perspective.txt", "calib_time: now\n" + "\n".join(rows) + "\n")
    world = FramePose(cv2.Rodrigues(np.array([0.1, -0.4, 0.2]))[0], np.array([800.0, 3500.0, 115.0]))
    matrix = np.vstack([np.hstack([world.rotation, world.translation[:, None]]), [0, 0, 0, 1]])
    write(root / f"data_poses/{drive}/cam0_to_world.txt", "250 " + " ".join(map(str, matrix.reshape(-1))) + "\n")
    box = world @ BOX
    transform = np.eye(4)
    transform[:3] = np.hstack([box.rotation * np.array(SIZE), box.translation[:, None]])
    corners = [[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]

    def element(number: int, label: str, moment: int, first: int, last: int) -> str:
        def opencv(name: str, values: np.ndarray) -> str:
            data = " ".join(f"{value:.12g}" for value in values.reshape(-1))
            rows, cols = values.shape
            return f'<{name} type_id="opencv-matrix"><rows>{rows}</rows><cols>{cols}</cols><data>{data}</data></{name}>'

        about = f"<label>{label}</label><timestamp>{moment}</timestamp><start_frame>{first}</start_frame>"
        shape = opencv("transform", transform) + opencv("vertices", np.array(corners))
        return f"<object{number}>{about}<end_frame>{last}</end_frame>{shape}</object{number}>"

    objects = [
        element(1, "car", -1, 200, 300), element(2, "building", -1, 200, 300), element(3, "bus", -1, 251, 300),
        element(4, "truck", 249, 200, 300),
    ]  # fmt: skip
    text = f'<?xml version="1.0"?>\n<opencv_storage>{"".join(objects)}</opencv_storage>\n'
    write(root / f"data_3d_bboxes/train/{drive}.xml", text)


def seeing_through_fog(root: Path) -> None:
    name = "2018-02-06_14-25-51_00400"
    images(root / f"cam_stereo_left_lut/{name}.png", root / f"cam_stereo_right_lut/{name}.png")
    for side, shift in (("left", 0.0), ("right", -FX * BASELINE)):
        p = [FX, 0, CX, shift, 0, FX, CY, 0, 0, 0, 1, 0]
        write(root / f"calib_cam_stereo_{side}.json", {"P": p, "D": [-0.5] + [0.0] * 4, "width": WIDTH})
    length, width, height = SIZE
    x, y, z = CENTRE + np.array([0, height / 2, 0])
    rest = f"0 0 0.1 120 60 170 100 {height} {width} {length} {x} {y} {z} {TURN} 0 0 0 1 0 0 0 1 True True True True"
    lines = [f"PassengerCar {rest}", f"PassengerCar_is_group {rest}", f"Obstacle {rest}"]
    write(root / f"gt_labels/cam_left_labels_TMP/{name}.txt", "\n".join(lines) + "\n")


@dataclass(frozen=True)
class Sample:
    make: Callable[[Path], None]
    layout: str
    name: str
    classes: tuple[str, ...]
    exact: float = 1e-6  # pixels and metres


SAMPLES = (
    Sample(argoverse1, "argoverse 1", f"273c1883_{STAMP}", ("Car",)),
    Sample(argoverse2, "argoverse 2", f"0a1b_{STAMP}", ("Car",), 0.02),
    Sample(cityscapes, "cityscapes 3d", "lindau_000000_000019", ("Car", "DontCare")),
    Sample(kitti360, "kitti-360", "2013_05_28_drive_0000_0000000250", ("Car",)),
    Sample(seeing_through_fog, "seeing through fog", "2018-02-06_14-25-51_00400", ("Car", "DontCare")),
)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.layout.replace(" ", "_"))
def test_a_box_is_where_it_is_in_the_camera(sample: Sample, tmp_path: Path, capsys):
    sample.make(tmp_path)
    (frame,) = frames = open_dataset(tmp_path, labelled=True)
    assert (frames.layout, frame.name) == (sample.layout, sample.name)
    c = frame.calibration
    assert (c.width, c.height) == (WIDTH, HEIGHT) == frame.left.shape[1::-1] == frame.right.shape[1::-1]
    assert c.baseline == pytest.approx(BASELINE, abs=1e-6)
    assert (c.fx, c.cy) == pytest.approx((FX, CY), rel=0.01)
    labels = frame.truth
    assert tuple(labels.names) == sample.classes
    assert labels.location[0] == pytest.approx(CENTRE + np.array([0, SIZE[2] / 2, 0]), abs=max(sample.exact, 1e-5))
    assert labels.dimensions[0] == pytest.approx((SIZE[2], SIZE[1], SIZE[0]), abs=1e-6)
    assert labels.rotation_y[0] == pytest.approx(TURN, abs=max(sample.exact, 1e-5))
    if "DontCare" in sample.classes:
        assert labels.image_boxes[1].tolist() in ([10, 20, 30, 40], [120, 60, 170, 100])
        assert not labels.has_box[1]
    assert main(["info", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert f"layout {sample.layout}, 1 stereo pairs" in told
    assert "labels: of 1 of 1 pairs; of the first: 1 Car" in told


def test_any_of_them_is_evaluated(tmp_path: Path, small_model: Path):
    for sample in (SAMPLES[0], SAMPLES[2]):
        root, figures = tmp_path / sample.layout, tmp_path / "figures.json"
        sample.make(root)
        words = ["evaluate", str(root), "--model", str(small_model), "--quality", "0.5"]
        assert main([*words, "--out", str(tmp_path / "out"), "--json", str(figures)]) == 0
        assert json.loads(figures.read_text())


def test_a_drive_of_any_of_them_is_streamed(tmp_path: Path, capsys):
    SAMPLES[2].make(tmp_path / "drive")
    assert main(["bench", "stream", str(tmp_path / "drive"), "--age", "1", "--threads", "1"]) == 2
    assert "1 pairs; expected more than the 1 that a reference is old" in capsys.readouterr().err  # it was read


def test_frames_without_their_parts_are_named(tmp_path: Path):
    for part, says in (
        ("rightImg8bit", "right image of"),
        ("camera", "camera's calibration"),
    ):
        root = tmp_path / part
        cityscapes(root)
        next((root / part).rglob("*.*g*" if part != "camera" else "*.json")).unlink()
        with pytest.raises(InputError, match=says):
            open_dataset(root)
    kitti360(tmp_path / "360")
    (tmp_path / "360/calibration/perspective.txt").write_text("P_rect_00: 1 2\n")
    with pytest.raises(InputError, match="expected 12 numbers"):
        _ = open_dataset(tmp_path / "360")[0].calibration
    seeing_through_fog(tmp_path / "fog")
    (tmp_path / "fog/calib_cam_stereo_right.json").unlink()
    with pytest.raises(InputError, match="copy it from the data set's tools"):
        _ = open_dataset(tmp_path / "fog")[0].calibration


def test_two_readers_of_one_folder_are_refused_with_both_names(tmp_path: Path):
    cityscapes(tmp_path)
    seeing_through_fog(tmp_path)
    with pytest.raises(InputError, match=r"recognised as cityscapes 3d and as seeing through fog \(sicm_ros\.datasets"):
        open_dataset(tmp_path)


class Own(KittiFrames):
    """A reader whose author didn't think of everything."""

    @classmethod
    def recognises(cls, tree: Tree) -> bool:
        return "mine.txt" in tree

    def scan(self, split: str | Path | None) -> dict[str, FrameFiles]:
        return {"one": FrameFiles("left.png", "right.png", "mine.txt", labels="mine.txt")}

    def read_calibration(self, path: str) -> KittiCalibration:
        return {}["fx"]


def test_what_an_own_reader_did_not_foresee_is_one_line_with_its_name_and_the_frames(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(LAYOUTS._all, "mine", Own)
    write(tmp_path / "mine.txt", "")
    images(tmp_path / "left.png", tmp_path / "right.png")
    frame = open_dataset(tmp_path)[0]
    says = r"frame one: calibration mine\.txt: the reader .*\.Own failed \(KeyError\('fx'\)\)"
    with pytest.raises(InputError, match=says):
        _ = frame.calibration
    with pytest.raises(InputError, match=says):
        _ = frame.labels
    monkeypatch.setattr(Own, "recognises", classmethod(lambda cls, tree: 1 / 0))
    with pytest.raises(InputError, match=r"while it looks at .*Own failed \(ZeroDivisionError"):
        open_dataset(tmp_path)


def test_boxes_outside_of_the_image_are_left_out_and_cut_ones_say_by_how_much():
    def at(x: float, z: float) -> Cuboid:
        return Cuboid("car", np.array([x, 0.8, z]), turned(TURN), SIZE)

    found = labels_of([at(0, 12), at(0, -12), at(30, 12), at(-7, 12), at(0, 0.2)], {"car": "Car"}, RIG)
    assert found.location[:, 0].tolist() == [0, -7]
    assert found.truncated[0] == 0
    assert 0.2 < found.truncated[1] < 0.95
    assert len(labels_of([], {"car": "Car"}, RIG)) == 0
    assert len(labels_of([at(0, 12)], {"bus": "Truck"}, RIG)) == 0


def test_the_nearest_stamp_is_taken_in_whole_nanoseconds():
    stamps = np.array([STAMP, STAMP + 10, STAMP + 100], np.int64)
    assert nearest(stamps, STAMP + 6, 5) == 1
    assert nearest(stamps, STAMP + 50, 45) == 1
    assert nearest(stamps, STAMP + 56, 45) == 2
    assert nearest(stamps, STAMP + 50, 5) is None
    assert nearest(stamps[:0], STAMP, 5) is None
