# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Cityscapes with the boxes of Cityscapes 3D (cityscapes-dataset.com; cityscapesScripts' `box3dImageTransform`).

| file of <split>/<city>/<frame> | what |
|---|---|
| `leftImg8bit/..._leftImg8bit.png`, `rightImg8bit/..._rightImg8bit.png` | rectified images |
| `camera/..._camera.json` | fx, fy, u0, v0, baseline |
| `gtBbox3d/..._gtBbox3d.json` | boxes of vehicles, and where the camera is |

Boxes have nine degrees of freedom and lie in the vehicle's frame: x ahead, y left, z up.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sicm_ros.datasets.cuboids import Cuboid, labels_of
from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.geometry.pose import FramePose
from sicm_ros.kitti import KittiCalibration, KittiFrames, Labels, StereoFrame, Tree
from sicm_ros.kitti.calibration import check_projections
from sicm_ros.kitti.frames import FrameFiles

LEFT, RIGHT, CAMERA, BOXES = "leftImg8bit", "rightImg8bit", "camera", "gtBbox3d"
# From a camera that looks along x, with y left and z up, to its optical frame.
OPTICAL = FramePose(np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]), np.zeros(3))
HIDDEN = (0.2, 0.5, 0.8)  # shares of occlusion up to which an object is visible, partly, largely hidden
CLASSES = {
    "car": "Car",
    "caravan": "Van",
    "truck": "Truck",
    "bus": "Truck",
    "train": "Tram",
    "trailer": "Misc",
}


class Cityscapes3D(KittiFrames):
    """Frames named as their files, <city>_<sequence>_<frame>; the splits are folders: train, val, test."""

    own_splits = ("train", "val", "test")

    @classmethod
    def recognises(cls, tree: Tree) -> bool:
        return any(path.endswith(f"_{LEFT}.png") for path in tree)

    def scan(self, split: str | Path | None) -> dict[str, FrameFiles]:
        files = {}
        for path in self.tree:
            place = PurePosixPath(path)
            if not path.endswith(f"_{LEFT}.png") or (split in self.own_splits and split not in place.parts):
                continue
            others = {part: self._beside(path, part) for part in (RIGHT, CAMERA, BOXES)}
            for part, what in ((RIGHT, "right image"), (CAMERA, "camera's calibration")):
                if others[part] not in self.tree:
                    raise InputError(f"{self.tree.root / others[part]} is missing; expected the {what} of {path}")
            boxes = others[BOXES] if others[BOXES] in self.tree else None
            files[place.name.removesuffix(f"_{LEFT}.png")] = FrameFiles(path, others[RIGHT], others[CAMERA], boxes)
        if not files:
            raise InputError(f"{self.tree.root} holds no {LEFT}/*/*/*_{LEFT}.png; expected Cityscapes' images")
        return files

    @staticmethod
    def _beside(left: str, part: str) -> str:
        path = left.replace(LEFT, part)
        return path if part == RIGHT else path.removesuffix(".png") + ".json"

    def read_calibration(self, path: str) -> KittiCalibration:
        try:
            about = json.loads(self.tree.text(path))
            fx, fy, cx, cy = (float(about["intrinsic"][name]) for name in ("fx", "fy", "u0", "v0"))
            baseline = float(about["extrinsic"]["baseline"])
        except (ValueError, KeyError, TypeError) as error:
            raise CalibrationError(f"{self.tree.where(path)}: {error!r}; expected Cityscapes' camera") from None
        left = np.array([[fx, 0, cx, 0], [0, fy, cy, 0], [0, 0, 1.0, 0]])
        right = left.copy()
        right[0, 3] = -fx * baseline
        check_projections(left, right, self.tree.where(path))
        return KittiCalibration(left, right, np.eye(3), disparity_offset=0.0)

    def labels_of(self, frame: StereoFrame) -> Labels:
        path = frame.files.labels or ""
        try:
            about = json.loads(self.tree.text(path))
            sensor = np.array(about["sensor"]["sensor_T_ISO_8855"], np.float64).reshape(3, 4)
            camera = OPTICAL @ FramePose(sensor[:, :3], sensor[:, 3])
            cuboids = [_cuboid(label, camera) for label in about["objects"]]
            ignored = [tuple(map(float, region["2d"])) for region in about.get("ignore", [])]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.tree.where(path)}: {error!r}; expected Cityscapes 3D's boxes") from None
        return labels_of(cuboids, CLASSES, frame.calibration, ignored)  # type: ignore[arg-type]


def _cuboid(label: Any, camera: FramePose) -> Cuboid:
    """Return a labelled object; `camera` takes points of the vehicle to the left optical frame."""
    box = label["3d"]
    w, x, y, z = box["rotation"]
    pose = camera @ FramePose.of(np.array(box["center"], np.float64), np.array([x, y, z, w], np.float64))
    hidden = sum(float(label.get("occlusion", 0)) > share for share in HIDDEN)
    length, width, height = map(float, box["dimensions"])
    return Cuboid(str(label["label"]), pose.translation, pose.rotation, (length, width, height), hidden)
