# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What the past is worth to detection: cars that are found, at equal false alarms, with and without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from sicm_ros.benchmark.drive import Drive
from sicm_ros.geometry import LIKELY, Detections
from sicm_ros.kitti import Labels, from_detections
from sicm_ros.kitti.planner import judged
from sicm_ros.tracking import TrackingConfig

WAYS = ("alone", "rescored", "tracks")
FAR = (25.0, 40.0)  # metres
HIDDEN = (1, 2)  # occlusion grades: partly, largely
_LEAST = 0.02  # scores below are not looked at
_PLACES = 4  # of a threshold
_NONE = 1.01  # above any score


@dataclass(frozen=True)
class Found:
    """Cars that one way finds.

    Attributes:
        way: "alone", each pair by itself; "rescored", the same boxes with scores that heed the past; "tracks", those of
            things that aren't seen at the moment among them.
        threshold: score from which boxes count: of the first way LIKELY, of the others what gives no more false alarms.
        false_alarms: per pair.
        far, far_of: cars at FAR, of occlusion 0 or 1, that are found, and that there are.
        hidden, hidden_of: cars of occlusion HIDDEN, to the farther end of FAR.
    """

    way: str
    threshold: float
    false_alarms: float
    far: int
    far_of: int
    hidden: int
    hidden_of: int

    def as_json(self) -> dict:
        return asdict(self)


def recall(drives: Sequence[Drive], config: TrackingConfig | None = None) -> list[Found]:
    """Return a row for each of WAYS."""
    labels = [labels for drive in drives for labels in drive.labels]
    widths = [float(c.width) for drive in drives for c in drive.calibrations]
    boxes: dict[str, list[Labels]] = {way: [] for way in WAYS}
    for drive in drives:
        for found, result in zip(drive.found, drive.followed(config)):
            for way, these in zip(WAYS, (found, result.detections, result.tracks.boxes)):
                boxes[way].append(_scored(these))
    rows = [_row("alone", LIKELY, labels, boxes["alone"], widths)]
    for way in WAYS[1:]:
        scores = np.unique(np.concatenate([these.scores for these in boxes[way]]).round(_PLACES))
        scores = np.append(scores, _NONE)
        low, high = 0, len(scores) - 1  # false alarms fall as the threshold rises, but for a few swaps
        while low < high:
            middle = (low + high) // 2
            row = _row(way, float(scores[middle]), labels, boxes[way], widths)
            low, high = (middle + 1, high) if row.false_alarms > rows[0].false_alarms else (low, middle)
        rows.append(_row(way, float(scores[low]), labels, boxes[way], widths))
    return rows


def _scored(boxes: Detections) -> Labels:
    return from_detections(boxes.above(_LEAST))


def _row(way: str, least: float, labels: list[Labels], boxes: list[Labels], widths: list[float]) -> Found:
    frames = []
    for truth, found, width in zip(labels, boxes, widths):
        assert found.scores is not None  # of detections
        frames.append(judged(truth, found[found.scores >= least], width, min_score=0.0))
    counts = np.zeros((2, 2), int)
    for frame in frames:
        depth, hidden = frame.labels.location[:, 2], np.isin(frame.labels.occluded, HIDDEN)
        cars = (frame.labels.names == "Car") & frame.labels.has_box
        for row, asked in enumerate((frame.counts & (FAR[0] <= depth), hidden)):
            asked = asked & cars & (depth < FAR[1])
            counts[row] += int((asked & (frame.found >= 0)).sum()), int(asked.sum())
    alarms = sum(int(frame.false.sum()) for frame in frames) / max(len(frames), 1)
    return Found(way, least, alarms, *counts.ravel().tolist())
