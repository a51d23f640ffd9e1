# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Opens a drive in stereo, whatever it lies in: a bag, or the folder of a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sicm_ros.bags.bag import is_bag
from sicm_ros.bags.frames import KittiSource
from sicm_ros.bags.pairing import TOLERANCE
from sicm_ros.bags.recording import BagSource
from sicm_ros.bags.source import StereoSource
from sicm_ros.errors import InputError
from sicm_ros.geometry import StereoCalibration
from sicm_ros.geometry.rectification import AUTO


def open_stereo(
    path: str | Path,
    preset: str = "auto",
    left: str = "",
    right: str = "",
    *,
    pair_tolerance: float = TOLERANCE * 1e-9,
    assume_rectified: bool = False,
    baseline: float = 0.0,
    rectify: str = AUTO,
    calibration_file: str | Path = "",
    window: Callable[[StereoCalibration], StereoCalibration] | None = None,
) -> StereoSource:
    """Return a bag or a KITTI folder (raw drive, object folder, odometry sequence) as a source of stereo pairs.

    Args:
        path: .mcap, .db3, .bag, a bag's folder, a KITTI folder or zip archive.
        preset: name of a bag layout (`presets.PRESETS`), `auto` finds it.
        left, right: image topics of a bag that has other names; one for both where its images hold both views, and
            one alone where the other one's name follows from it.
        pair_tolerance: seconds that the stamps of a pair may differ by, as the encoder has it.
        assume_rectified: the images of a bag are rectified although its camera_info has distortion.
        baseline: metres, in place of what camera_info says; 0 takes that.
        rectify: auto, always or never: whether a bag's images are rectified first (`geometry.rectification`).
        calibration_file: taken instead of a bag's camera_info (`geometry.calibration_file`).
        window: what is wanted of images that are rectified here, by the calibration of the whole rectified pair: they
            are drawn straight into it, as the encoder does.

    Raises:
        InputError: nothing of the kind, broken, or without a stereo pair.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{path}: no such bag or folder; expected a bag (.mcap, .db3, .bag, a folder) or a KITTI folder"
        )
    if is_bag(path):
        tolerance = round(pair_tolerance * 1e9)
        how = (tolerance, assume_rectified, baseline, rectify, calibration_file, window)
        return BagSource(path, preset, left, right, *how)
    if path.is_file() and path.suffix != ".zip":
        raise InputError(f"{path}: neither a bag (.mcap, .db3, .bag, a folder) nor a KITTI folder or .zip")
    if path.is_dir() and not any(path.iterdir()):
        raise InputError(f"{path}: an empty folder; expected a bag (.mcap, .db3, .bag) or a KITTI folder")
    from sicm_ros.datasets import open_dataset

    return KittiSource(path, open_dataset(path))
