# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Writing labelled pairs as KITTI's object layout, to be read like any other data set."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.files import write_text
from sicm_ros.geometry.drawing import write_image
from sicm_ros.kitti.calibration import KittiCalibration
from sicm_ros.kitti.labels import Labels, write_labels

# Colours at full resolution, where OpenCV leaves the choice; Ubuntu 24.04's 4.6 always halves it.
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]
if hasattr(cv2, "IMWRITE_JPEG_SAMPLING_FACTOR"):
    _JPEG += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Give a place to write to that gets the name `output` when the block is done: what has the name is complete.

    Nothing is left of it where the block raises. Raises InputError where `output` exists already.
    """
    if output.exists():
        raise InputError(f"{output} exists; expected a new folder: choose another name, or remove the existing one")
    unfinished = output.with_name(output.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        unfinished.rename(output)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def write_pair(
    folder: Path,
    name: str,
    images: Sequence[np.ndarray] | np.ndarray,
    calibration: KittiCalibration,
    labels: Labels,
    jpeg: bool = True,
) -> None:
    """Write left and right image (uint8 (H, W, 3) RGB), calibration and labels of a pair below `folder`.

    Labels are in the left camera's frame; the files are in rectified camera 0, as KITTI's are. Raises OSError where
    a file can't be written.
    """
    for part, image in zip(("image_2", "image_3"), images, strict=True):
        _write_image(folder / part / name, image, jpeg)
    write_text(folder / "calib" / f"{name}.txt", _calibration_text(calibration))
    write_labels(folder / "label_2" / f"{name}.txt", labels, calibration.left_origin_shift)


def _write_image(path: Path, image: np.ndarray, jpeg: bool) -> None:
    path = path.with_name(path.name + (".jpg" if jpeg else ".png"))
    write_image(path, image[..., ::-1], _JPEG if jpeg else [cv2.IMWRITE_PNG_COMPRESSION, 3])


def _calibration_text(calibration: KittiCalibration) -> str:
    """Return KITTI's calibration file of the colour cameras; the labels' axes are left as they were."""
    matrices = {"P2": calibration.p2, "P3": calibration.p3, "R0_rect": calibration.r0_rect}
    lines = [f"{key}: " + " ".join(f"{value:.12e}" for value in matrix.ravel()) for key, matrix in matrices.items()]
    if calibration.disparity_offset is not None:
        lines.append(f"disparity_offset: {calibration.disparity_offset}")
    return "\n".join(lines) + "\n"
