# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""KITTI's object lines: labels (15 columns) and detections (16), in files and in arrays.

Columns: type, truncated, occluded, alpha, left, top, right, bottom, height, width, length, x, y, z, rotation_y and, of
detections, score.
Files measure from rectified camera 0; `Labels.moved` takes them to another camera. (KITTI object devkit, readme.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sicm_ros.errors import InputError
from sicm_ros.files import write_text
from sicm_ros.geometry import Detections


@dataclass(frozen=True)
class Labels:
    """N objects of one image, in file order.

    Attributes:
        names: str (N,), classes as written: Car, Van, Truck, Pedestrian, Person_sitting, Cyclist, Tram, Misc, DontCare.
        truncated: float (N,), share of the object outside the image, 0 to 1; the tracking set writes grades 0, 1, 2
            instead, which are kept as they are (KITTI's evaluation too then takes any truncated object as hopeless);
            -1 where it does not apply.
        occluded: int (N,), 0 visible, 1 partly, 2 largely occluded, 3 unknown, -1 where it does not apply.
        alpha: float (N,), observation angle, radians; -10 where unknown.
        image_boxes: float (N, 4), left, top, right, bottom, pixels of the left image.
        dimensions: float (N, 3), height, width, length, metres; negative where there is no 3D box.
        location: float (N, 3), centre of the bottom face, metres.
        rotation_y: float (N,), radians; -10 where unknown.
        scores: float (N,) of detections, None for labels.
    """

    names: np.ndarray
    truncated: np.ndarray
    occluded: np.ndarray
    alpha: np.ndarray
    image_boxes: np.ndarray
    dimensions: np.ndarray
    location: np.ndarray
    rotation_y: np.ndarray
    scores: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: slice | np.ndarray) -> Labels:
        """Return the objects of a slice, index array or mask."""
        scores = None if self.scores is None else self.scores[index]
        return Labels(
            self.names[index],
            self.truncated[index],
            self.occluded[index],
            self.alpha[index],
            self.image_boxes[index],
            self.dimensions[index],
            self.location[index],
            self.rotation_y[index],
            scores,
        )

    @classmethod
    def empty(cls, scored: bool = False) -> Labels:
        return _labels([], [], scored)

    @property
    def certainty(self) -> np.ndarray:
        """The scores (N,) of detections. Raises ValueError for labels, which have none."""
        if self.scores is None:
            raise ValueError("labels have no scores; expected detections")
        return self.scores

    @property
    def has_box(self) -> np.ndarray:
        """bool (N,): objects with a 3D box (DontCare regions have none)."""
        return (self.dimensions > 0).all(1)

    def moved(self, shift: np.ndarray) -> Labels:
        """Return the same objects after shift (3,), metres, was added to every 3D box; regions
        without one stay as written.
        """
        return replace(self, location=np.where(self.has_box[:, None], self.location + shift, self.location))


def _labels(names: list[str], numbers: list[list[float]], scored: bool) -> Labels:
    table = np.array(numbers, np.float64).reshape(len(names), 15 if scored else 14)
    return Labels(
        names=np.array(names, dtype=np.str_) if names else np.zeros(0, np.str_),
        truncated=table[:, 0],
        occluded=table[:, 1].astype(np.int64),
        alpha=table[:, 2],
        image_boxes=table[:, 3:7],
        dimensions=table[:, 7:10],
        location=table[:, 10:13],
        rotation_y=table[:, 13],
        scores=table[:, 14] if scored else None,
    )


def parse_labels(text: str, where: str, scored: bool = False) -> Labels:
    """Read a label file's text (a detection file's with scored); InputError names file and line at fault."""
    columns = 16 if scored else 15
    names: list[str] = []
    numbers: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != columns:
            hint = "" if scored or len(words) != 16 else " (is this a file of detections?)"
            hint = " (a detection needs its score)" if scored and len(words) == 15 else hint
            raise InputError(f"{where}, line {number}: {len(words)} columns; expected {columns}{hint}")
        try:
            values = [float(word) for word in words[1:]]
        except ValueError as error:
            raise InputError(f"{where}, line {number}: {error}; expected a class and {columns - 1} numbers") from None
        if not all(np.isfinite(values)):
            raise InputError(f"{where}, line {number}: a number is not finite")
        if not scored and values[1] != int(values[1]):
            raise InputError(f"{where}, line {number}: occlusion is {words[2]}; expected 0, 1, 2, 3 or -1")
        names.append(words[0])
        numbers.append(values)
    return _labels(names, numbers, scored)


def read_labels(path: str | Path, scored: bool = False) -> Labels:
    """Read the labels of a file (detections with scored), as written there: rectified camera 0."""
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: {error}; expected a KITTI {'detection' if scored else 'label'} file") from None
    return parse_labels(text, str(path), scored)


def format_labels(labels: Labels) -> str:
    """Write labels as lines of a KITTI file: pixels, metres and radians to 4 decimals, scores to 6."""
    lines = []
    for i in range(len(labels)):
        numbers = np.concatenate(
            [
                labels.alpha[i, None],
                labels.image_boxes[i],
                labels.dimensions[i],
                labels.location[i],
                labels.rotation_y[i, None],
            ]
        )
        words = [str(labels.names[i]), f"{labels.truncated[i]:.2f}", str(int(labels.occluded[i]))]
        words += [f"{value:.4f}" for value in numbers]
        if labels.scores is not None:
            words.append(f"{labels.scores[i]:.6f}")
        lines.append(" ".join(words) + "\n")
    return "".join(lines)


def write_labels(path: str | Path, labels: Labels, shift: np.ndarray | Sequence[float] = (0.0, 0.0, 0.0)) -> None:
    """Write a KITTI label file, or a detection file where there are scores.

    shift (3,), metres, is KittiCalibration.left_origin_shift when labels are in the left colour camera's frame, so that
    the file is in rectified camera 0, as KITTI's are; zeros when the two are one.
    """
    write_text(path, format_labels(labels.moved(-np.asarray(shift, np.float64))))


def from_detections(detections: Detections) -> Labels:
    """Return detections as scored Labels in the same frame, with the observation angle alpha that KITTI asks for."""
    location = np.asarray(detections.location, np.float64).reshape(-1, 3)
    bearing = np.arctan2(location[:, 0], location[:, 2])
    count = len(detections)
    return Labels(
        names=np.array(detections.names, np.str_) if count else np.zeros(0, np.str_),
        truncated=np.full(count, -1.0),
        occluded=np.full(count, -1),
        alpha=(detections.rotation_y - bearing + np.pi) % (2 * np.pi) - np.pi,
        image_boxes=np.asarray(detections.image_boxes, np.float64).reshape(-1, 4),
        dimensions=np.asarray(detections.dimensions, np.float64).reshape(-1, 3),
        location=location,
        rotation_y=np.asarray(detections.rotation_y, np.float64),
        scores=np.asarray(detections.scores, np.float64),
    )


def write_detections(
    path: str | Path, detections: Detections, shift: np.ndarray | Sequence[float] = (0.0, 0.0, 0.0)
) -> None:
    """Write detections (left camera's frame) as a KITTI detection file; shift as in write_labels."""
    write_labels(path, from_detections(detections), shift)
