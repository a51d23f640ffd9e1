# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""A sheet of what went wrong: the nearest objects that weren't found, and the surest detections of nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from sicm_ros.geometry.boxes import image_boxes
from sicm_ros.geometry.drawing import DETECTION, LABEL, birds_eye, draw_boxes, write_picture
from sicm_ros.kitti import StereoFrame
from sicm_ros.kitti.planner import Judged

COLUMNS, ROWS = 3, 4  # panels of each half
PANEL = (420, 250)  # pixels of a panel's image
ABOVE = 130  # pixels: width of its view from above
STRIP = 26  # pixels of a caption
LEAST_WIDTH = 360  # source pixels that a panel shows, at least
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def failure_sheet(frames: Sequence[StereoFrame], judged: Sequence[Judged], path: str | Path) -> None:
    """Write the sheet as a picture: labels blue, detections red, what each panel is about in its middle.

    Args:
        judged: of each frame, in the left camera's coordinates.
    """
    missed = [(j.labels.location[i, 2], n, i) for n, j in enumerate(judged) for i in np.flatnonzero(j.missed)]
    alarms = [(-j.detections.certainty[i], n, i) for n, j in enumerate(judged) for i in np.flatnonzero(j.false)]
    count = COLUMNS * ROWS
    halves = []
    for title, cases, of_labels in (
        (f"nearest of {len(missed)} missed objects", missed, True),
        (f"surest of {len(alarms)} false alarms", alarms, False),
    ):
        panels = [_panel(frames[n], judged[n], i, of_labels) for _, n, i in sorted(cases)[:count]]
        halves.append(_half(title, panels))
    height = max(half.shape[0] for half in halves)
    halves = [np.pad(half, ((0, height - half.shape[0]), (0, 12), (0, 0))) for half in halves]
    write_picture(path, np.concatenate(halves, 1))


def _half(title: str, panels: list[np.ndarray]) -> np.ndarray:
    width = COLUMNS * (PANEL[0] + ABOVE)
    rows = [_caption(title, width, 0.7)]
    for start in range(0, len(panels), COLUMNS):
        row = panels[start : start + COLUMNS]
        row += [np.zeros_like(row[0])] * (COLUMNS - len(row))
        rows.append(np.concatenate(row, 1))
    return np.concatenate(rows)


def _caption(text: str, width: int, scale: float = 0.42) -> np.ndarray:
    strip = np.full((STRIP, width, 3), 40, np.uint8)
    cv2.putText(strip, text, (6, STRIP - 8), _FONT, scale, (235, 235, 235), 1, cv2.LINE_AA)
    return strip


def _panel(frame: StereoFrame, judged: Judged, index: int, of_labels: bool) -> np.ndarray:
    objects = judged.labels if of_labels else judged.detections
    z = objects.location[index, 2]
    text = f"{objects.names[index]} at {z:.1f} m"
    text += ", cut" if of_labels and judged.cut[index] else ""
    text += "" if of_labels else f", {objects.certainty[index]:.2f}"
    labels = judged.labels[judged.labels.has_box]
    picture = draw_boxes(frame.left, labels, frame.calibration, LABEL, thickness=1)
    picture = draw_boxes(picture, judged.detections, frame.calibration, DETECTION, captions=True, thickness=1)
    box = objects.image_boxes[index]
    if not of_labels or (box[2:] - box[:2]).min() <= 0:
        one = objects[index : index + 1]
        box = image_boxes(one.location, one.dimensions, one.rotation_y, frame.calibration)[0]
    view = _cropped(picture, box)
    above = birds_eye(
        [(labels, LABEL), (judged.detections, DETECTION)], frame.calibration, (ABOVE, PANEL[1]), max(20.0, 1.3 * z)
    )
    row = np.concatenate([view, above], 1)
    return np.concatenate([_caption(f"{text}  {frame.name}", row.shape[1]), row])


def _cropped(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Return the image around a box, as large as a panel."""
    height, width = picture.shape[:2]
    wide = min(width, max(LEAST_WIDTH, 2 * (box[2] - box[0]), 1.3 * (box[3] - box[1]) * PANEL[0] / PANEL[1]))
    high = wide * PANEL[1] / PANEL[0]
    centre = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    left = np.clip(centre[0] - wide / 2, 0, max(0, width - wide))
    top = np.clip(centre[1] - high / 2, 0, max(0, height - high))
    scale = PANEL[0] / wide
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    return cv2.warpAffine(picture, matrix, PANEL, flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
