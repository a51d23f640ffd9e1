# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The odometry layout: `sequences/<nn>/` with `image_2/ image_3/ calib.txt times.txt`, in colour."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from sicm_ros.errors import InputError
from sicm_ros.kitti.calibration import KittiCalibration, parse_calibration
from sicm_ros.kitti.frames import PICTURES, FrameFiles, KittiFrames
from sicm_ros.kitti.tree import Tree


def _sequence(path: str, tree: Tree) -> PurePosixPath | None:
    """Return the sequence's folder if path is a left image of one."""
    place = PurePosixPath(path)
    if place.parent.name == "image_2" and place.suffix.lower() in PICTURES:
        folder = place.parent.parent
        if str(folder / "calib.txt") in tree:
            return folder
    return None


class KittiOdometry(KittiFrames):
    """Frames of odometry sequences, named <sequence>_<frame>; a root may be the set, one sequence, or the archives."""

    @classmethod
    def recognises(cls, tree: Tree) -> bool:
        """Return whether images lie beside one calib.txt."""
        return any(_sequence(path, tree) is not None for path in tree)

    def scan(self, split: str | Path | None) -> dict[str, FrameFiles]:
        files: dict[str, FrameFiles] = {}
        times: dict[PurePosixPath, list[int]] = {}
        for path in self.tree:
            folder = _sequence(path, self.tree)
            if folder is None:
                continue
            if folder not in times:
                times[folder] = self._times(str(folder / "times.txt"))
            place = PurePosixPath(path)
            right = str(folder / "image_3" / place.name)
            if right not in self.tree:
                raise InputError(f"{self.tree.root / right} is missing; expected the right image of {path}")
            name = f"{folder.name or self.tree.root.name}_{place.stem}"
            if name in files:
                raise InputError(f"{self.tree.where(path)}: {files[name].left} is a frame of the same name, {name!r}")
            stamp = None
            if times[folder]:
                number = int(place.stem) if place.stem.isdigit() else -1
                if not 0 <= number < len(times[folder]):
                    where = self.tree.where(str(folder / "times.txt"))
                    raise InputError(f"{where}: {len(times[folder])} times; expected one for frame {place.stem}")
                stamp = times[folder][number]
            files[name] = FrameFiles(path, right, str(folder / "calib.txt"), stamp=stamp)
        if not files:
            raise InputError(
                f"{self.tree.root} has no sequence; expected sequences/<nn>/ with image_2, image_3 and calib.txt "
                "(the colour set)"
            )
        return files

    def _times(self, path: str) -> list[int]:
        """Return nanoseconds of each frame since the first; empty where there is no times.txt."""
        if path not in self.tree:
            return []
        times = []
        for number, line in enumerate(self.tree.text(path).split(), 1):
            try:
                times.append(round(float(line) * 1e9))
            except ValueError:
                raise InputError(
                    f"{self.tree.where(path)}, line {number}: {line!r}; expected seconds since the first frame"
                ) from None
        return times

    def read_calibration(self, path: str) -> KittiCalibration:
        return parse_calibration(self.tree.text(path), self.tree.where(path))
