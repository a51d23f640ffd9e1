# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Whether boxes are as far off as they say: the share within one standard deviation of their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sicm_ros.benchmark.association import overlapping
from sicm_ros.geometry import LIKELY, Detections
from sicm_ros.geometry.boxes import CLASSES, centres, wrap_angle
from sicm_ros.kitti import Labels

ERRORS = ("depth", "sideways", "vertical", "heading")  # columns of Detections.errors
NORMAL = 0.6827  # share of a normal distribution within one standard deviation


@dataclass(frozen=True)
class Coverage:
    """Of the boxes that are likely and have a label.

    Attributes:
        count: of them.
        inside: share whose error is below its standard deviation, by ERRORS; None without any box.
        factor: what the standard deviations would have to be multiplied by for a share of NORMAL; None without any.
    """

    count: int
    inside: dict[str, float | None]
    factor: dict[str, float | None]


def coverage(labels: Sequence[Labels], detections: Sequence[Detections]) -> Coverage:
    """Compare the errors of boxes with what `Detections.errors` says, of the same frames.

    Which box is which label is decided in the image, so that depth itself has no say; boxes below LIKELY, which nobody
    gets, and those of unknown error are left out.
    """
    parts = [_ratios(*pair) for pair in zip(labels, detections, strict=True)]
    ratios = np.concatenate([np.zeros((0, len(ERRORS))), *parts])
    if not len(ratios):
        return Coverage(0, dict.fromkeys(ERRORS), dict.fromkeys(ERRORS))
    inside, factor = (ratios < 1).mean(0), np.quantile(ratios, NORMAL, axis=0)
    return Coverage(
        len(ratios), dict(zip(ERRORS, map(float, inside), strict=True)), dict(zip(ERRORS, map(float, factor)))
    )


def _ratios(labels: Labels, found: Detections) -> np.ndarray:
    """Return (M, 4): errors over their standard deviations, of a frame's M boxes that have a label."""
    labels = labels[labels.has_box & np.isin(labels.names, CLASSES)]
    found = found.take((np.asarray(found.scores) >= LIKELY) & np.isfinite(found.errors).all(1))
    taken = overlapping(found.image_boxes, labels.image_boxes)
    found, labels = found.take(taken >= 0), labels[taken[taken >= 0]]
    centre = centres(found.location, found.dimensions)
    off = centre - centres(labels.location, labels.dimensions)
    # What is left of the error across the viewing ray, once that along it is taken away.
    across = off - centre / centre[:, 2:] * off[:, 2:]
    errors = np.stack([off[:, 2], across[:, 0], across[:, 1], wrap_angle(found.rotation_y - labels.rotation_y)], 1)
    return np.abs(errors) / found.errors
