# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What detectors make of the same pairs at equal bits: labels blue, detections red, in the image and from above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from sicm_ros.benchmark.coders import CodedPictures, LearnedPictures
from sicm_ros.benchmark.results import HEADLINE, DatasetResults, Measured
from sicm_ros.benchmark.settings import OURS
from sicm_ros.benchmark.store import frames_of, stream_files
from sicm_ros.geometry import LIKELY
from sicm_ros.geometry.drawing import DETECTION, LABEL, birds_eye, draw_boxes
from sicm_ros.kitti import Labels, StereoFrame, read_labels

WIDTH, ABOVE = 980, (240, 290)  # pixels: of the image, and of the view from above


@dataclass(frozen=True)
class Panel:
    """One codec on one frame: its image with boxes, and the view from above, uint8 RGB; bytes of this pair."""

    anchor: str
    variant: str
    size: float
    picture: np.ndarray
    above: np.ndarray


def equal_bits(results: DatasetResults, count: int = 3) -> list[Measured]:
    """Return a point of ours and, of the best `count` anchors there, the points with about as many bytes.

    Ours is the cheapest that lies within a point of uncompressed images, or else its best one. An anchor that needs
    more bytes than that at its least stands with its least.
    """
    ours = sorted(results.curves[OURS], key=lambda m: m.size)
    best = max(ours, key=lambda m: m.ap("AP3D"))
    goal = results.uncompressed.ap("AP3D") - 1 if results.uncompressed else best.ap("AP3D")
    chosen = next((m for m in ours if m.ap("AP3D") >= goal), best)
    size = chosen.size
    rivals = []
    for name in results.anchors:
        if any(m.setting.video for m in results.curves[name]):
            continue  # a pair of a video has no bytes of its own
        points = results.curves[name]
        affordable = [m for m in points if m.size <= 1.1 * size]
        rivals.append(
            max(affordable, key=lambda m: m.ap("AP3D", HEADLINE)) if affordable else min(points, key=lambda m: m.size)
        )
    rivals.sort(key=lambda m: (m.size > 1.1 * size, -m.ap("AP3D", HEADLINE)))
    return [chosen, *rivals[:count]]


def busiest(results: DatasetResults, count: int) -> list[StereoFrame]:
    """Return the frames with most labelled cars, of different drives where names tell them."""
    frames = [frames_of(results.config.path, results.config.split).frame(name) for name in results.names]
    frames.sort(key=lambda frame: -int(((frame.truth.names == "Car") & (frame.truth.occluded < 2)).sum()))
    chosen: dict[str, StereoFrame] = {}
    for frame in frames:
        drive = frame.name.rpartition("_")[0] or frame.name
        chosen.setdefault(drive, frame)
    return list(chosen.values())[:count]


def panels(results: DatasetResults, frame: StereoFrame, points: Sequence[Measured], out: Path) -> list[Panel]:
    """Return panels of one frame through each point's codec, from the files of a run's folder."""
    return [_panel(frame, m, out / results.name / m.setting.folder) for m in points]


def _panel(frame: StereoFrame, measured: Measured, folder: Path) -> Panel:
    coder = measured.setting.coder()
    files = stream_files(folder, measured.setting, (frame.name,), coder.suffixes)
    streams = [path.read_bytes() for path in files]
    detections = read_labels(folder / measured.setting.key(measured.detector) / f"{frame.name}.txt", scored=True)
    detections = detections.moved(frame.source.left_origin_shift)
    detections = detections[detections.certainty >= LIKELY]
    picture, calibration = frame.left, frame.calibration
    if isinstance(coder, (CodedPictures, LearnedPictures)):
        (pair,) = coder.decode([frame], streams)
        picture, calibration = pair.left, pair.calibration
    else:  # no image is sent: the camera's own, pale, behind the boxes
        picture = cv2.addWeighted(picture, 0.6, np.full_like(picture, 255), 0.4, 0)
    labels = _boxes(frame.truth)
    height = round(picture.shape[0] * WIDTH / picture.shape[1])
    picture = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_LINEAR)
    picture = draw_boxes(picture, labels, calibration, LABEL)
    picture = draw_boxes(picture, detections, calibration, DETECTION)
    above = birds_eye([(labels, LABEL), (detections, DETECTION)], frame.calibration, ABOVE)
    return Panel(measured.setting.anchor, measured.setting.variant, sum(map(len, streams)), picture, above)


def _boxes(labels: Labels) -> Labels:
    known = np.isin(labels.names, ("Car", "Van", "Pedestrian", "Person_sitting", "Cyclist"))
    return labels[labels.has_box & known]


def jpeg(picture: np.ndarray, quality: int = 82) -> bytes:
    """Encode uint8 RGB as JPEG."""
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
