# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A labelled drive as a stream: times, identities, and what a model finds in each pair."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.geometry import Detections, StereoCalibration
from sicm_ros.kitti import Labels, StereoFrame
from sicm_ros.kitti.identities import identities
from sicm_ros.tracking import Odometry, Tracker, Tracking, TrackingConfig
from sicm_ros.tracking.tracks import CameraMotion

if TYPE_CHECKING:
    from sicm_ros.model import Model

RATE = 10.0  # Hz, of KITTI's frame numbers
_NUMBER = re.compile(r"(\d+)$")


@dataclass(frozen=True)
class Drive:
    """N labelled pairs in their order.

    Attributes:
        name: of the drive.
        seconds: of each pair.
        labels: of each pair, in the left camera's frame.
        objects: int (M,) of each pair, which object each label is; -1 where it has no 3D box.
        calibrations: of each pair.
        found: what a model finds in each pair, the unlikely included.
        motions: the camera's own motion at each pair, as it was told from features; None where it wasn't.
    """

    name: str
    seconds: list[float]
    labels: list[Labels]
    objects: list[np.ndarray]
    calibrations: list[StereoCalibration]
    found: list[Detections]
    motions: list[CameraMotion | None] | None = None

    def __len__(self) -> int:
        return len(self.seconds)

    def followed(self, config: TrackingConfig | None = None) -> list[Tracking]:
        """Return what a new tracker makes of each pair."""
        tracker = Tracker(config)
        motions = self.motions or [None] * len(self)
        return [
            tracker.update(found, stamp, camera_motion=motion)
            for found, stamp, motion in zip(self.found, self.seconds, motions)
        ]


def observe(
    name: str,
    frames: Sequence[StereoFrame],
    model: Model,
    quality: float | None,
    progress: Callable[[Sequence[StereoFrame]], Iterable[StereoFrame]] = iter,
) -> Drive:
    """Send the frames of a drive through a model, at a quality or uncompressed (None).

    Raises:
        InputError: frames without labels, or that don't follow each other in time.
    """
    unlabelled = sum(not frame.labelled for frame in frames)
    if len(frames) < 2 or unlabelled:
        raise InputError(f"{name}: {len(frames)} frames, {unlabelled} without labels; expected a labelled drive")
    seconds = [seconds_of(frame) for frame in frames]
    if any(later <= earlier for earlier, later in itertools.pairwise(seconds)):
        raise InputError(f"{name}: frames are not in the order of their times; expected one drive")
    labels = [frame.labels for frame in frames if frame.labels is not None]
    found, motions, odometry = [], [], Odometry()
    for frame, stamp in zip(progress(frames), seconds):
        result = model.detect_uncompressed(frame) if quality is None else model.decode(model.encode(frame, quality))
        found.append(result.detections)
        motions.append(
            odometry.update(result.left_features, result.disparity, result.view, stamp, result.detections.finite())
        )
    calibrations = [frame.calibration for frame in frames]
    return Drive(name, seconds, labels, identities(labels, seconds), calibrations, found, motions)


def seconds_of(frame: StereoFrame) -> float:
    """Return when a pair was taken: its stamp, or the number that its name ends with."""
    if frame.stamp is not None:
        return frame.stamp * 1e-9
    number = _NUMBER.search(frame.name)
    if number is None:
        raise InputError(f"{frame.name}: neither a stamp nor a number at its end; expected a frame of a drive")
    return int(number[1]) / RATE
