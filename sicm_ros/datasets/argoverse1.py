# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Argoverse 1, its rectified stereo pairs at 5 Hz (argoverse.org; argoverse-api's `calibration` and `camera_stats`).

| files of a log | what |
|---|---|
| `stereo_front_left_rect/stereo_front_left_rect_<ns>.jpg`, the same of right | images |
| `vehicle_calibration_stereo_info.json` | both rectified cameras: pinhole, pose on the vehicle |
| `per_sweep_annotations_amodal/tracked_object_labels_<ns>.json` | boxes on the vehicle, at the lidar's sweeps, 10 Hz |

Images and labels come in different archives, which may lie in one folder: a log has the same name in both.
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sicm_ros.datasets.cuboids import Cuboid, labels_of, nearest
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry.pose import FramePose
from sicm_ros.kitti import KittiCalibration, KittiFrames, Labels, StereoFrame, Tree
from sicm_ros.kitti.calibration import check_projections
from sicm_ros.kitti.frames import FrameFiles

LEFT, RIGHT = "stereo_front_left_rect", "stereo_front_right_rect"
CALIBRATION, LABELS = "vehicle_calibration_stereo_info.json", "per_sweep_annotations_amodal"
TOGETHER = 20_000_000  # ns between both images of a pair at most
APART = 60_000_000  # ns between an image and its labels at most: a bit more than half of the sweeps' period
CLASSES = {
    "VEHICLE": "Car",
    "EMERGENCY_VEHICLE": "Van",
    "LARGE_VEHICLE": "Truck",
    "BUS": "Truck",
    "SCHOOL_BUS": "Truck",
    "TRAILER": "Misc",
    "PEDESTRIAN": "Pedestrian",
    "BICYCLIST": "Cyclist",
    "MOTORCYCLIST": "Cyclist",
}


class Argoverse1(KittiFrames):
    """Frames of logs, named <log>_<ns>; a root may be the set, a split, or one log."""

    @classmethod
    def recognises(cls, tree: Tree) -> bool:
        return any(f"{LEFT}/" in path for path in tree) and any(f"{RIGHT}/" in path for path in tree)

    def scan(self, split: str | Path | None) -> dict[str, FrameFiles]:
        images: dict[PurePosixPath, dict[str, list[tuple[int, str]]]] = {}
        labels: dict[str, list[tuple[int, str]]] = {}
        for path in self.tree:
            place, stamp = PurePosixPath(path), re.search(r"_(\d+)\.(?:jpg|png|json)$", path)
            if stamp and place.parent.name in (LEFT, RIGHT):
                found = images.setdefault(place.parents[1], {LEFT: [], RIGHT: []})
                found[place.parent.name].append((int(stamp[1]), path))
            elif stamp and place.parent.name == LABELS:
                labels.setdefault(self._log(place.parents[1]), []).append((int(stamp[1]), path))
        files = {}
        for folder, sides in images.items():
            right, boxes = sorted(sides[RIGHT]), sorted(labels.get(self._log(folder), []))
            times = [np.array([stamp for stamp, _ in some], np.int64) for some in (right, boxes)]
            for moment, path in sorted(sides[LEFT]):
                partner, sweep = nearest(times[0], moment, TOGETHER), nearest(times[1], moment, APART)
                if partner is None:
                    raise InputError(f"{self.tree.root / folder / RIGHT}: no image within 20 ms of {path}")
                files[f"{self._log(folder)}_{moment}"] = FrameFiles(
                    path,
                    right[partner][1],
                    str(folder / CALIBRATION),
                    labels=None if sweep is None else boxes[sweep][1],
                    stamp=moment,
                )
        if not files:
            raise InputError(f"{self.tree.root} holds no {LEFT}/*.jpg; expected Argoverse 1's rectified stereo images")
        return files

    def _log(self, folder: PurePosixPath) -> str:
        return folder.name or self.tree.root.resolve().name

    def read_calibration(self, path: str) -> KittiCalibration:
        left, right = self._camera(path, LEFT), self._camera(path, RIGHT)
        baseline = (left[1].inverse() @ right[1]).translation[0]
        p2, p3 = (np.hstack([camera, np.zeros((3, 1))]) for camera, _ in (left, right))
        p3[0, 3] = -p3[0, 0] * baseline
        check_projections(p2, p3, self.tree.where(path))
        return KittiCalibration(p2, p3, np.eye(3), disparity_offset=float(p3[0, 2] - p2[0, 2]))

    def _camera(self, path: str, name: str) -> tuple[np.ndarray, FramePose]:
        """Return a rectified camera's pinhole (3, 3) and its pose on the vehicle."""
        try:
            cameras = json.loads(self.tree.text(path))["camera_data_"]
            about = next(camera["value"] for camera in cameras if name in camera["key"])
            focal, centre = "focal_length_{}_px_", "focal_center_{}_px_"
            fx, fy, cx, cy = (float(about[part.format(axis)]) for part in (focal, centre) for axis in "xy")
            pose = about["vehicle_SE3_camera_"]
            w, x, y, z = pose["rotation"]["coefficients"]
            place = FramePose.of(np.array(pose["translation"], np.float64), np.array([x, y, z, w], np.float64))
        except (ValueError, KeyError, TypeError, StopIteration) as error:
            raise CalibrationError(
                f"{self.tree.where(path)}: no usable camera {name} ({error!r}); expected Argoverse 1's calibration"
            ) from None
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), place

    def labels_of(self, frame: StereoFrame) -> Labels:
        _, camera = self._camera(frame.files.calibration, LEFT)
        path = frame.files.labels or ""
        try:
            cuboids = [_cuboid(label, camera.inverse()) for label in json.loads(self.tree.text(path))]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.tree.where(path)}: {error!r}; expected Argoverse 1's tracked objects") from None
        return labels_of(cuboids, CLASSES, frame.calibration)


def _cuboid(label: Any, vehicle: FramePose) -> Cuboid:
    """Return a labelled object; `vehicle` is the vehicle's pose in the left camera's frame."""
    centre, turn = label["center"], label["rotation"]
    pose = vehicle @ FramePose.of(np.array([centre[k] for k in "xyz"]), np.array([turn[k] for k in "xyzw"]))
    size = float(label["length"]), float(label["width"]), float(label["height"])
    return Cuboid(str(label["label_class"]), pose.translation, pose.rotation, size)
