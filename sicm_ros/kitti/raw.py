# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""The raw layout: `<date>/<date>_drive_<nnnn>_sync/image_02/data/`, `image_03/data/`; calibrations beside the drives.

Tracklets are not read: raw drives have no labels here.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path, PurePosixPath

import numpy as np

from sicm_ros.errors import CalibrationError, InputError
from sicm_ros.kitti.calibration import KittiCalibration, check_projections
from sicm_ros.kitti.frames import PICTURES, FrameFiles, KittiFrames
from sicm_ros.kitti.tree import Tree

CAMERAS = "calib_cam_to_cam.txt"
VELODYNE = "calib_velo_to_cam.txt"
IMU = "calib_imu_to_velo.txt"
EXTRACT = "_extract"  # ends the name of a drive that isn't rectified


def _drive(path: str) -> PurePosixPath | None:
    """Return the drive's folder if path is a left image of one."""
    place = PurePosixPath(path)
    if place.suffix.lower() in PICTURES and place.parent.name == "data" and place.parent.parent.name == "image_02":
        return place.parent.parent.parent
    return None


class KittiRaw(KittiFrames):
    """Frames of raw drives, named <date>_<drive>_<frame>; a root may be the set, a date, one drive, or the archives."""

    @classmethod
    def recognises(cls, tree: Tree) -> bool:
        """Return whether images of a raw drive's left colour camera are there."""
        return any(_drive(path) is not None for path in tree)

    def scan(self, split: str | Path | None) -> dict[str, FrameFiles]:
        files: dict[str, FrameFiles] = {}
        known: dict[PurePosixPath, tuple[str, str, list[int]]] = {}
        # A drive as it was recorded lies beside the same one rectified, where both archives were unpacked.
        rectified = any(not drive.name.endswith(EXTRACT) for path in self.tree if (drive := _drive(path)) is not None)
        for path in self.tree:
            drive = _drive(path)
            if drive is None or (rectified and drive.name.endswith(EXTRACT)):
                continue
            if drive not in known:
                known[drive] = (*self._names(drive), self._times(str(drive / "image_02" / "timestamps.txt")))
            title, calibration, times = known[drive]
            place = PurePosixPath(path)
            right = str(drive / "image_03" / "data" / place.name)
            if right not in self.tree:
                raise InputError(f"{self.tree.root / right} is missing; expected the right image of {path}")
            stamp = None
            if times:
                number = int(place.stem) if place.stem.isdigit() else -1
                if not 0 <= number < len(times):
                    where = self.tree.where(str(drive / "image_02" / "timestamps.txt"))
                    raise InputError(f"{where}: {len(times)} times; expected one for frame {place.stem}")
                stamp = times[number]
            files[f"{title}_{place.stem}"] = FrameFiles(path, right, calibration, stamp=stamp)
        if not files:
            raise InputError(
                f"{self.tree.root} has no raw drive; expected <date>/<date>_drive_<nnnn>_sync/image_02/data/*.png "
                "and image_03/data"
            )
        return files

    def _names(self, drive: PurePosixPath) -> tuple[str, str]:
        """Return a drive's title (2011_09_26_0056) and the path of its cameras' calibration."""
        folder = drive.name or self.tree.root.resolve().name
        if folder.endswith(EXTRACT):
            raise InputError(f"{self.tree.root / drive} is not rectified; expected the drive's '_sync' images")
        title = folder.removesuffix("_sync").replace("_drive_", "_")
        for place in (drive.parent, drive):
            if str(place / CAMERAS) in self.tree:
                return title, str(place / CAMERAS)
        if not drive.name and (self.tree.root.parent / CAMERAS).is_file():
            return title, f"../{CAMERAS}"  # one drive was given: its date's folder lies above
        raise InputError(
            f"{self.tree.root / drive.parent / CAMERAS} is missing; expected the calibration of {folder}'s date "
            "(KITTI's <date>_calib.zip)"
        )

    def _times(self, path: str) -> list[int]:
        """Return nanoseconds since 1970 of each image, taken as UTC; empty where there is no file."""
        if path not in self.tree:
            return []
        times = []
        for number, line in enumerate(self.tree.text(path).splitlines(), 1):
            try:
                second, _, fraction = line.strip().partition(".")
                moment = datetime.strptime(second, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
                times.append(int(moment.timestamp()) * 10**9 + int(fraction[:9].ljust(9, "0")))
            except ValueError:
                raise InputError(
                    f"{self.tree.where(path)}, line {number}: {line!r}; expected a time, 2011-09-26 13:02:25.964389445"
                ) from None
        return times

    def read_calibration(self, path: str) -> KittiCalibration:
        cameras = self._matrices(path, {"P_rect_02": (3, 4), "P_rect_03": (3, 4), "R_rect_00": (3, 3)})
        check_projections(cameras["P_rect_02"], cameras["P_rect_03"], self.tree.where(path))
        rigid = []
        for name in (VELODYNE, IMU):
            other = path.removesuffix(CAMERAS) + name
            parts = self._matrices(other, {"R": (3, 3), "T": (3, 1)}) if self._exists(other) else None
            rigid.append(np.hstack([parts["R"], parts["T"]]) if parts else None)
        velodyne, imu = rigid
        return KittiCalibration(cameras["P_rect_02"], cameras["P_rect_03"], cameras["R_rect_00"], velodyne, imu)

    def _exists(self, path: str) -> bool:
        return path in self.tree or (path.startswith("../") and (self.tree.root / path).is_file())

    def _matrices(self, path: str, shapes: dict[str, tuple[int, int]]) -> dict[str, np.ndarray]:
        """Return named matrices of a calibration file."""
        text = (self.tree.root / path).read_text("utf-8-sig") if path.startswith("../") else self.tree.text(path)
        found = {}
        for number, line in enumerate(text.splitlines(), 1):
            key, _, values = line.partition(":")
            if key not in shapes:
                continue
            try:
                found[key] = np.array([float(value) for value in values.split()]).reshape(shapes[key])
            except ValueError:
                raise CalibrationError(
                    f"{self.tree.where(path)}, line {number}: expected {np.prod(shapes[key])} numbers after {key}:"
                ) from None
        for key in shapes:
            if key not in found:
                raise CalibrationError(f"{self.tree.where(path)}: no line '{key}:'; expected a raw drive's calibration")
        return found
