# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Seeing Through Fog (DENSE): stereo in fog, snow and rain.

Source: github.com/princeton-computational-imaging/SeeingThroughFog, its DatasetViewer.

| file | what |
|---|---|
| `cam_stereo_{left,right}_lut/<frame>.png` | rectified images of 8 bits |
| `calib_cam_stereo_{left,right}.json` | their camera_info, from the data set's tools |
| `gt_labels/cam_left_labels_TMP/<frame>.txt` | KITTI's columns, then angles, a quaternion and others |
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import numpy as np

from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.kitti import KittiCalibration, KittiFrames, Labels, Tree
from sicm_ros.kitti.calibration import check_projections
from sicm_ros.kitti.frames import FrameFiles
from sicm_ros.kitti.labels import parse_labels

LEFT, RIGHT, LABELS = "cam_stereo_left_lut", "cam_stereo_right_lut", "cam_left_labels_TMP"
CALIBRATION = "calib_cam_stereo_{}.json"
COLUMNS = 15  # KITTI's, which the lines begin with
CLASSES = {
    "PassengerCar": "Car",
    "LargeVehicle": "Truck",
    "Vehicle": "Misc",
    "Pedestrian": "Pedestrian",
    "RidableVehicle": "Cyclist",
}


class SeeingThroughFog(KittiFrames):
    """Frames named as their files, 2018-02-06_14-25-51_00400."""

    @classmethod
    def recognises(cls, tree: Tree) -> bool:
        return any(PurePosixPath(path).parent.name == LEFT for path in tree)

    def scan(self, split: str | Path | None) -> dict[str, FrameFiles]:
        files = {}
        labels = {PurePosixPath(p).stem: p for p in self.tree if PurePosixPath(p).parent.name == LABELS}
        for path in self.tree:
            place = PurePosixPath(path)
            if place.parent.name != LEFT:
                continue
            right = str(place.parent.parent / RIGHT / place.name)
            if right not in self.tree:
                raise InputError(f"{self.tree.root / right} is missing; expected the right image of {path}")
            files[place.stem] = FrameFiles(path, right, CALIBRATION.format("left"), labels.get(place.stem))
        if not files:
            raise InputError(f"{self.tree.root} holds no {LEFT}/*.png; expected Seeing Through Fog's stereo images")
        return files

    def read_calibration(self, path: str) -> KittiCalibration:
        left, right = (self._projection(CALIBRATION.format(side)) for side in ("left", "right"))
        check_projections(left, right, self.tree.where(path))
        return KittiCalibration(left, right, np.eye(3), disparity_offset=float(right[0, 2] - left[0, 2]))

    def _projection(self, name: str) -> np.ndarray:
        path = next((path for path in self.tree if PurePosixPath(path).name == name), None)
        if path is None:
            raise CalibrationError(
                f"{self.tree.root}: no {name}; copy it from the data set's tools (github.com/princeton-computational-"
                "imaging/SeeingThroughFog) into the folder"
            )
        try:
            return np.array(json.loads(self.tree.text(path))["P"], np.float64).reshape(3, 4)
        except (ValueError, KeyError, TypeError) as error:
            raise CalibrationError(f"{self.tree.where(path)}: {error!r}; expected a camera_info with P") from None

    def read_labels(self, path: str) -> Labels:
        lines = []
        for line in self.tree.text(path).splitlines():
            name, *words = line.split()[:COLUMNS] or [""]
            if not name:
                continue
            # A group of people or bicycles has one box: what is found in it is neither right nor wrong.
            known = CLASSES.get(name, "DontCare" if name.endswith("_is_group") or name == "DontCare" else "")
            if known == "DontCare":
                words = ["-1", "-1", "-10", *words[3:7], *["-1"] * 3, *["-1000"] * 3, "-10"]
            if known:
                lines.append(" ".join([known, *words]))
        return parse_labels("\n".join(lines), self.tree.where(path))
