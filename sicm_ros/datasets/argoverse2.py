# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Argoverse 2, sensor data set: its grey stereo pair at 20 Hz, rectified here (argoverse.github.io/user-guide).

| files of a log | what |
|---|---|
| `sensors/cameras/stereo_front_{left,right}/<ns>.jpg` | images, not rectified |
| `calibration/intrinsics.feather` | per camera: fx_px ... cy_px, k1, k2, k3, width_px, height_px |
| `calibration/egovehicle_SE3_sensor.feather` | its pose on the vehicle: qw ... qz, tx_m, ty_m, tz_m |
| `annotations.feather` | boxes on the vehicle at the lidar's sweeps, 10 Hz |
"""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sicm_ros.datasets.cuboids import UNKNOWN, Cuboid, labels_of, nearest
from sicm_ros.errors import CalibrationError, DependencyError, InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.calibration_file import rectified
from sicm_ros.geometry.pose import FramePose
from sicm_ros.geometry.rectification import Lens, Rectification
from sicm_ros.kitti import KittiCalibration, KittiFrames, Labels, StereoFrame, Tree
from sicm_ros.kitti.frames import FrameFiles

LEFT, RIGHT = "stereo_front_left", "stereo_front_right"
TOGETHER = 5_000_000  # ns between both images of a pair at most
APART = 26_000_000  # ns between an image and its labels at most: half of the images' period
CLASSES = {
    "REGULAR_VEHICLE": "Car",
    "LARGE_VEHICLE": "Truck",
    "BOX_TRUCK": "Truck",
    "TRUCK": "Truck",
    "TRUCK_CAB": "Truck",
    "BUS": "Truck",
    "SCHOOL_BUS": "Truck",
    "ARTICULATED_BUS": "Truck",
    "RAILED_VEHICLE": "Tram",
    "VEHICULAR_TRAILER": "Misc",
    "PEDESTRIAN": "Pedestrian",
    "OFFICIAL_SIGNALER": "Pedestrian",
    "BICYCLIST": "Cyclist",
    "MOTORCYCLIST": "Cyclist",
    "WHEELED_RIDER": "Cyclist",
}
Table = dict[str, list[Any]]


class Argoverse2(KittiFrames):
    """Frames of logs, named <log>_<ns>; a root may be the set, a split, or one log."""

    @classmethod
    def recognises(cls, tree: Tree) -> bool:
        return any(f"cameras/{LEFT}/" in path for path in tree)

    def scan(self, split: str | Path | None) -> dict[str, FrameFiles]:
        self._rigs: dict[str, tuple[Rectification, FramePose]] = {}
        self._boxes: dict[str, tuple[np.ndarray, Table]] = {}
        images: dict[PurePosixPath, dict[str, list[tuple[int, str]]]] = {}
        for path in self.tree:
            place = PurePosixPath(path)
            if place.parent.name in (LEFT, RIGHT) and place.parent.parent.name == "cameras" and place.stem.isdigit():
                found = images.setdefault(place.parents[3], {LEFT: [], RIGHT: []})
                found[place.parent.name].append((int(place.stem), path))
        files = {}
        for folder, sides in images.items():
            right = sorted(sides[RIGHT])
            times = np.array([stamp for stamp, _ in right], np.int64)
            labelled = str(folder / "annotations.feather") in self.tree
            swept = self._annotations(str(folder / "annotations.feather"))[0] if labelled else np.zeros(0, np.int64)
            log = folder.name or self.tree.root.resolve().name
            for stamp, path in sorted(sides[LEFT]):
                partner = nearest(times, stamp, TOGETHER)
                if partner is None:
                    continue  # of 20 Hz: a camera that lost one image has others
                sweep = nearest(swept, stamp, APART)
                files[f"{log}_{stamp}"] = FrameFiles(
                    path,
                    right[partner][1],
                    str(folder),
                    labels=None if sweep is None else str(folder / "annotations.feather"),
                    stamp=stamp,
                )
        if not files:
            raise InputError(f"{self.tree.root} holds no pairs; expected sensors/cameras/{LEFT} and {RIGHT} of a log")
        return files

    def _table(self, path: str) -> Table:
        """Return columns by name."""
        try:
            from pyarrow import ArrowInvalid, feather
        except ImportError:
            raise DependencyError(
                "Argoverse 2's .feather files need pyarrow: pip install 'sicm_ros[argoverse]'"
            ) from None
        try:
            return feather.read_table(io.BytesIO(self.tree.read(path))).to_pydict()
        except (ArrowInvalid, OSError) as error:
            raise InputError(f"{self.tree.where(path)} is no feather file ({error}); fetch it again") from None

    def _annotations(self, path: str) -> tuple[np.ndarray, Table]:
        """Return the times of the sweeps, sorted, and the table of all boxes."""
        if path not in self._boxes:
            table = self._table(path)
            self._boxes[path] = np.unique(np.array(self._column(table, "timestamp_ns", path), np.int64)), table
        return self._boxes[path]

    def _column(self, table: Table, name: str, path: str) -> list[Any]:
        if name not in table:
            raise InputError(f"{self.tree.where(path)}: no column {name}; it has {', '.join(table)}")
        return table[name]

    def _cameras(self, log: str) -> tuple[Rectification, FramePose]:
        """Return what rectifies a log's images, and the pose of the rectified left camera on the vehicle."""
        if log not in self._rigs:
            lenses, poses = [], []
            for camera in (LEFT, RIGHT):
                about = self._row(f"{log}/calibration/intrinsics.feather".removeprefix("./"), camera)
                fx, fy, cx, cy = (about[f"{name}_px"] for name in ("fx", "fy", "cx", "cy"))
                bent = (about["k1"], about["k2"], 0.0, 0.0, about["k3"])
                size = int(about["width_px"]), int(about["height_px"])
                flat = (fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0)
                lenses.append(Lens(*size, "plumb_bob", bent, flat, (0.0,) * 9, (0.0,) * 12))
                pose = self._row(f"{log}/calibration/egovehicle_SE3_sensor.feather".removeprefix("./"), camera)
                place = np.array([pose[name] for name in ("tx_m", "ty_m", "tz_m")])
                poses.append(FramePose.of(place, np.array([pose[name] for name in ("qx", "qy", "qz", "qw")])))
            between = poses[1].inverse() @ poses[0]
            try:
                left, right = rectified(lenses[0], lenses[1], between.rotation, between.translation)
            except ValueError as error:
                raise CalibrationError(f"{self.tree.root / log}: {error}") from None
            p, baseline = left.p, -right.p[3] / right.p[0]
            rig = StereoCalibration(p[0], p[5], p[2], p[6], baseline, left.width, left.height)
            turn = FramePose(np.array(left.r).reshape(3, 3), np.zeros(3))
            self._rigs[log] = Rectification(left, right, rig, (LEFT, RIGHT)), poses[0] @ turn.inverse()
        return self._rigs[log]

    def _row(self, path: str, camera: str) -> dict[str, float]:
        """Return a camera's row of a calibration table."""
        table = self._table(path)
        names = self._column(table, "sensor_name", path)
        if camera not in names:
            raise CalibrationError(f"{self.tree.where(path)}: no sensor {camera}; it has {', '.join(map(str, names))}")
        row = {name: values[names.index(camera)] for name, values in table.items()}
        return {name: float(value) for name, value in row.items() if name != "sensor_name"}

    def read_calibration(self, path: str) -> KittiCalibration:
        rig = self._cameras(path)[0].calibration
        left = np.array([[rig.fx, 0, rig.cx, 0], [0, rig.fy, rig.cy, 0], [0, 0, 1.0, 0]])
        right = left.copy()
        right[0, 3] = -rig.fx * rig.baseline
        return KittiCalibration(left, right, np.eye(3), disparity_offset=0.0)

    def read_image(self, path: str, side: int) -> np.ndarray:
        rectification = self._cameras(str(PurePosixPath(path).parents[3]))[0]
        image, lens = super().read_image(path, side), rectification.lenses[side]
        if image.shape[:2] != (lens.height, lens.width):
            raise InputError(
                f"{self.tree.where(path)} is {image.shape[1]} x {image.shape[0]} pixels; its calibration says "
                f"{lens.width} x {lens.height}"
            )
        return rectification.view(side, image)

    def labels_of(self, frame: StereoFrame) -> Labels:
        path = frame.files.labels or ""
        times, table = self._annotations(path)
        vehicle = self._cameras(frame.files.calibration)[1].inverse()
        swept = nearest(times, frame.files.stamp or 0, APART)
        assert swept is not None, "the frame is labelled"
        rows = np.flatnonzero(np.array(table["timestamp_ns"], np.int64) == times[swept])
        columns = {
            name: self._column(table, name, path)
            for name in ("tx_m", "ty_m", "tz_m", "qx", "qy", "qz", "qw", "length_m", "width_m", "height_m", "category")
        }
        points = table.get("num_interior_pts")
        cuboids = []
        for row in rows:
            numbers = [float(columns[name][row]) for name in list(columns)[:10]]
            pose = vehicle @ FramePose.of(np.array(numbers[:3]), np.array(numbers[3:7]))
            size = numbers[7], numbers[8], numbers[9]
            hidden = UNKNOWN if points is not None and not points[row] else 0
            cuboids.append(Cuboid(str(columns["category"][row]), pose.translation, pose.rotation, size, hidden))
        return labels_of(cuboids, CLASSES, frame.calibration)
