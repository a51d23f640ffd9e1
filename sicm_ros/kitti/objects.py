# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The object layout: `image_2/ image_3/ calib/` and, where there are labels, `label_2/` (and `disparity/`).

A root is read as it is: such a folder, one that holds several of them (`training/`, or the shared frames' `frames/`,
`sequence_0056/`, `odometry/`), or KITTI's archives of them, zipped.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from sicm_ros.errors import InputError
from sicm_ros.kitti.calibration import KittiCalibration, parse_calibration
from sicm_ros.kitti.frames import PICTURES, FrameFiles, KittiFrames
from sicm_ros.kitti.tree import Tree

_SUFFIXES = {"image_2": PICTURES, "image_3": PICTURES, "calib": (".txt",), "label_2": (".txt",), "disparity": (".png",)}


class KittiObjects(KittiFrames):
    """Frames of an object layout, sorted by folder and name; names are the files' own.

    Where KITTI's `training` and `testing` lie beside each other, the first is taken; split='testing' takes the second.
    """

    own_splits = ("testing",)

    @classmethod
    def recognises(cls, tree: Tree) -> bool:
        """Take whatever no other layout is: what it lacks to be this one is then said."""
        return True

    def scan(self, split: str | Path | None) -> dict[str, FrameFiles]:
        folders: dict[str, dict[str, dict[str, str]]] = {}  # folder -> name -> part -> path
        for path in self.tree:
            place = PurePosixPath(path)
            part = place.parent.name
            if place.suffix.lower() in _SUFFIXES.get(part, ()):
                parts = folders.setdefault(str(place.parent.parent), {}).setdefault(place.stem, {})
                if part in parts:
                    raise InputError(
                        f"{self.tree.where(path)}: {parts[part]} is the same frame's; expected one of them"
                    )
                parts[part] = path
        # Labels and calibrations of the whole set may lie beside a part of its images.
        folders = {
            folder: {name: parts for name, parts in sorted(frames.items()) if "image_2" in parts}
            for folder, frames in sorted(folders.items())
        }
        named = {PurePosixPath(folder).name: folder for folder, frames in folders.items() if frames}
        if split == "testing":
            folders = {folder: frames for folder, frames in folders.items() if folder == named.get("testing")}
        elif "training" in named and "testing" in named:
            del folders[named["testing"]]  # KITTI counts both from 000000
        files: dict[str, FrameFiles] = {}
        for folder, frames in folders.items():
            for name, parts in frames.items():
                for part, what in (("image_3", "right image"), ("calib", "calibration")):
                    if part not in parts:
                        raise InputError(
                            f"{self.tree.root / folder}: frame {name!r} has no {part}/{name}; expected its {what}"
                        )
                if name in files:
                    raise InputError(
                        f"{self.tree.root / folder}: {files[name].left} is a frame of the same name, {name!r}; "
                        "give one folder as root"
                    )
                files[name] = FrameFiles(
                    parts["image_2"], parts["image_3"], parts["calib"], parts.get("label_2"), parts.get("disparity")
                )
        if not files:
            raise InputError(
                f"{self.tree.root} holds no {'testing/' if split == 'testing' else ''}image_2/*.png; expected a folder "
                "with image_2, image_3, calib and label_2, a folder of such folders, or KITTI's archives"
            )
        return files

    def read_calibration(self, path: str) -> KittiCalibration:
        return parse_calibration(self.tree.text(path), self.tree.where(path))
