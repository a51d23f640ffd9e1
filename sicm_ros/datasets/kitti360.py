# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""KITTI-360: its rectified perspective pair (cvlibs.net/datasets/kitti-360; kitti360Scripts' `annotation`).

| file | what |
|---|---|
| `data_2d_raw/<drive>/image_0{0,1}/data_rect/<frame>.png` | images |
| `calibration/perspective.txt` | P_rect_00, P_rect_01 |
| `data_poses/<drive>/cam0_to_world.txt` | frame, and 4 x 4 of the rectified left camera in the world |
| `data_3d_bboxes/train/<drive>.xml` | boxes in the world: of a range of frames, or of one if they move |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import numpy as np

from sicm_ros.datasets.cuboids import Cuboid, labels_of
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry.pose import FramePose
from sicm_ros.kitti import KittiCalibration, KittiFrames, Labels, StereoFrame, Tree
from sicm_ros.kitti.calibration import check_projections
from sicm_ros.kitti.frames import FrameFiles

CAMERAS, POSES = "perspective.txt", "cam0_to_world.txt"
FARTHEST = 100.0  # metres; boxes farther away are not looked at
CLASSES = {
    "car": "Car",
    "caravan": "Van",
    "truck": "Truck",
    "bus": "Truck",
    "train": "Tram",
    "trailer": "Misc",
    "person": "Pedestrian",
    "rider": "Cyclist",
}
_IMAGE = re.compile(r"(?:^|/)([^/]+)/image_00/data_rect/(\d+)\.png$")


@dataclass(frozen=True)
class _WorldBox:
    """A box in the world, and the frames that it is of: first to last."""

    name: str
    centre: np.ndarray
    axes: np.ndarray
    size: tuple[float, float, float]
    first: int
    last: int


class Kitti360(KittiFrames):
    """Frames named <drive>_<frame>; a root is the set, or anything that holds its folders."""

    @classmethod
    def recognises(cls, tree: Tree) -> bool:
        return any(_IMAGE.search(path) for path in tree)

    def scan(self, split: str | Path | None) -> dict[str, FrameFiles]:
        self._known: dict[str, tuple[dict[int, FramePose], list[_WorldBox]]] = {}
        paths = list(self.tree)
        cameras = next((path for path in paths if PurePosixPath(path).name == CAMERAS), None)
        if cameras is None:
            raise InputError(f"{self.tree.root}: no {CAMERAS}; expected KITTI-360's calibration/ beside its images")
        self._poses = {PurePosixPath(p).parent.name: p for p in paths if PurePosixPath(p).name == POSES}
        self._boxes = {PurePosixPath(p).stem: p for p in paths if "data_3d_bboxes/" in p and p.endswith(".xml")}
        files = {}
        for path in paths:
            found = _IMAGE.search(path)
            if not found:
                continue
            drive, number = found[1], found[2]
            right = path.replace("/image_00/", "/image_01/")
            if right not in self.tree:
                raise InputError(f"{self.tree.root / right} is missing; expected the right image of {path}")
            labels = self._boxes.get(drive) if drive in self._poses else None
            if labels is not None and int(number) not in self._drive(drive)[0]:
                labels = None  # where it stood is not known
            files[f"{drive.removesuffix('_sync')}_{number}"] = FrameFiles(path, right, cameras, labels)
        if not files:
            raise InputError(f"{self.tree.root} holds no image_00/data_rect/*.png; expected KITTI-360's data_2d_raw")
        return files

    def read_calibration(self, path: str) -> KittiCalibration:
        found = {}
        for line in self.tree.text(path).splitlines():
            key, _, values = line.partition(":")
            if key in ("P_rect_00", "P_rect_01"):
                try:
                    found[key] = np.array([float(value) for value in values.split()]).reshape(3, 4)
                except ValueError:
                    raise CalibrationError(f"{self.tree.where(path)}: {key}: expected 12 numbers") from None
        if len(found) < 2:
            raise CalibrationError(f"{self.tree.where(path)}: no P_rect_00 and P_rect_01; expected {CAMERAS}")
        left, right = found["P_rect_00"], found["P_rect_01"]
        check_projections(left, right, self.tree.where(path))
        return KittiCalibration(left, right, np.eye(3), disparity_offset=float(right[0, 2] - left[0, 2]))

    def labels_of(self, frame: StereoFrame) -> Labels:
        found = _IMAGE.search(frame.files.left)
        assert found is not None
        drive, number = found[1], int(found[2])
        poses, boxes = self._drive(drive)
        camera = poses[number].inverse()
        cuboids = [
            Cuboid(box.name, camera.points(box.centre), camera.rotation @ box.axes, box.size)
            for box in boxes
            if box.first <= number <= box.last and np.linalg.norm(box.centre - poses[number].translation) <= FARTHEST
        ]
        return labels_of(cuboids, CLASSES, frame.calibration)

    def _drive(self, drive: str) -> tuple[dict[int, FramePose], list[_WorldBox]]:
        """Return the left camera's pose in the world by frame, and all boxes, of a drive."""
        if drive not in self._known:
            self._known[drive] = self._read_poses(self._poses[drive]), self._read_boxes(self._boxes[drive])
        return self._known[drive]

    def _read_poses(self, path: str) -> dict[int, FramePose]:
        poses = {}
        for number, line in enumerate(self.tree.text(path).splitlines(), 1):
            try:
                values = [float(word) for word in line.split()]
                matrix = np.array(values[1:13]).reshape(3, 4)
                poses[int(values[0])] = FramePose(matrix[:, :3], matrix[:, 3])
            except (ValueError, IndexError):
                raise InputError(
                    f"{self.tree.where(path)}, line {number}: expected a frame and 4 x 4 numbers"
                ) from None
        return poses

    def _read_boxes(self, path: str) -> list[_WorldBox]:
        where = self.tree.where(path)
        try:
            root = ElementTree.fromstring(self.tree.read(path))
        except ElementTree.ParseError as error:
            raise InputError(f"{where}: {error}; expected KITTI-360's boxes") from None
        boxes = []
        for item in root:
            if item.find("transform") is None:
                continue
            try:
                boxes.append(_world_box(item))
            except (ValueError, AttributeError, TypeError) as error:
                raise InputError(f"{where}: {item.tag}: {error!r}; expected one of KITTI-360's boxes") from None
        return boxes


def _world_box(item: ElementTree.Element) -> _WorldBox:
    """Return a box: a matrix takes its vertices, a cube's, to the world."""
    transform, vertices = _matrix(item, "transform"), _matrix(item, "vertices")
    low, high = vertices.min(0), vertices.max(0)
    stretched = transform[:3, :3]
    scale = np.linalg.norm(stretched, axis=0)
    length, width, height = (scale * (high - low)).tolist()
    moment = int(_text(item, "timestamp"))
    first, last = (moment, moment) if moment >= 0 else (int(_text(item, "start_frame")), int(_text(item, "end_frame")))
    centre = stretched @ ((low + high) / 2) + transform[:3, 3]
    return _WorldBox(_text(item, "label"), centre, stretched / scale, (length, width, height), first, last)


def _text(item: ElementTree.Element, name: str) -> str:
    text = item.findtext(name)
    if text is None:
        raise ValueError(f"no {name}")
    return text.strip()


def _matrix(item: ElementTree.Element, name: str) -> np.ndarray:
    """Return a matrix as OpenCV writes it."""
    matrix = item.find(name)
    if matrix is None:
        raise ValueError(f"no {name}")
    shape = int(_text(matrix, "rows")), int(_text(matrix, "cols"))
    return np.array([float(word) for word in _text(matrix, "data").split()]).reshape(shape)
