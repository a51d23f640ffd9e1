# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What delay costs: average precision of what was published, against the labels of the moment in which it arrived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sicm_ros.benchmark.drive import RATE, Drive
from sicm_ros.errors import InputError
from sicm_ros.geometry import Detections
from sicm_ros.geometry.boxes import image_boxes
from sicm_ros.kitti import Labels, evaluate, from_detections
from sicm_ros.tracking import TrackingConfig

if TYPE_CHECKING:
    from sicm_ros.geometry import StereoCalibration

DELAYS = (0.0, 0.1, 0.2, 0.3, 0.4)  # seconds: whole pairs at 10 Hz, of whose moments there are labels
WAYS = {
    "detections": "detections",
    "still": "tracks, not extrapolated",
    "extrapolated": "tracks, extrapolated",
}
OVERLAP = "0.50"
MODERATE = 1  # of KITTI's difficulties


@dataclass(frozen=True)
class DelayFigures:
    """Cars, moderate, R40, overlap 0.5, of what arrives after a delay.

    Attributes:
        way: of WAYS.
        delay: seconds.
        bev, ap3d: AP from above and in space, per cent.
        frames: moments of arrival.
    """

    way: str
    delay: float
    bev: float
    ap3d: float
    frames: int

    def as_json(self) -> dict:
        return asdict(self)


def arrivals(
    drives: Sequence[Drive], delays: Sequence[float] = DELAYS, config: TrackingConfig | None = None
) -> list[DelayFigures]:
    """Return the figures of each way at each delay, over the same moments for all of them.

    Args:
        drives: labelled ones.
        delays: seconds; moments without a pair so long before them are left out for every delay.

    Raises:
        InputError: no moment is left.
    """
    labels: list[Labels] = []
    published: dict[tuple[str, float], list[Labels]] = {(way, delay): [] for way in WAYS for delay in delays}
    for drive in drives:
        followed = drive.followed(config)
        for moment, now in enumerate(drive.seconds):
            sources = [_pair_at(drive.seconds, now - delay) for delay in delays]
            if None in sources:
                continue
            labels.append(drive.labels[moment])
            calibration = drive.calibrations[moment]
            for source, delay in zip(sources, delays):
                assert source is not None
                tracks = followed[source].tracks
                boxes = {
                    "detections": drive.found[source],
                    "still": tracks.boxes,
                    "extrapolated": tracks.after(now - drive.seconds[source]).boxes,
                }
                for way, of in boxes.items():
                    published[way, delay].append(seen_by(of, calibration))
    if not labels:
        raise InputError(f"no pair follows another by {max(delays):g} s; expected a longer drive at {RATE:g} Hz")
    rows = []
    for (way, delay), found in published.items():
        figures = evaluate(labels, found).get("Car", {})
        bev, ap3d = (figures[metric][OVERLAP]["R40"][MODERATE] for metric in ("bev", "3d"))
        rows.append(DelayFigures(way, delay, bev, ap3d, len(labels)))
    return rows


def _pair_at(seconds: Sequence[float], when: float) -> int | None:
    """Return the pair that was taken at a time; None if there is none within half a pair."""
    nearest = int(np.abs(np.asarray(seconds) - when).argmin())
    return nearest if abs(seconds[nearest] - when) < 0.5 / RATE else None


def seen_by(boxes: Detections, calibration: StereoCalibration) -> Labels:
    """Return boxes as KITTI's evaluation takes them, in the image of the camera of now; those
    outside of it are left out, as they are of the labels.
    """
    pixels = image_boxes(boxes.location, boxes.dimensions, boxes.rotation_y, calibration)
    inside = (pixels[:, 2] - pixels[:, 0] > 1) & (pixels[:, 3] - pixels[:, 1] > 1)
    return from_detections(replace(boxes, image_boxes=pixels).take(inside & (boxes.location[:, 2] > 0)))
