# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Whether a detection's score is what it should be: the chance that the detection is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sicm_ros.benchmark.association import nearest_free
from sicm_ros.benchmark.drift import NEAR
from sicm_ros.kitti import Labels
from sicm_ros.kitti.evaluation import NEIGHBOURS
from sicm_ros.kitti.overlap import image_areas, image_intersections

EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_IGNORED = 0.5  # share of a detection's image box in a DontCare region, from which it is neither right nor wrong


@dataclass(frozen=True)
class Reliability:
    """Of one class, by bins of the score (EDGES).

    Attributes:
        count: detections in each bin.
        score: their mean score; None in an empty bin.
        right: share of them that are right; None in an empty bin.
        error: expected calibration error, mean of |score - right| over the detections (Naeini et al., AAAI 2015); None
            without any.
    """

    count: list[int]
    score: list[float | None]
    right: list[float | None]
    error: float | None


def reliability(labels: Sequence[Labels], detections: Sequence[Labels], of_class: str = "Car") -> Reliability:
    """Compare scores with labels of the same frames, both measured from the same camera.

    A detection is right if a label of its class that no better one took lies at most 2 m away, centres seen from above
    (as nuScenes matches); left out if only a label of KITTI's similar class does, or a DontCare region covers it.
    """
    pairs = [_judged(frame, found, of_class) for frame, found in zip(labels, detections, strict=True)]
    scores, right = (np.concatenate([pair[i] for pair in pairs]) if pairs else np.zeros(0) for i in (0, 1))
    bins = np.clip(np.digitize(scores, EDGES) - 1, 0, len(EDGES) - 2)
    chosen = [bins == i for i in range(len(EDGES) - 1)]
    count = [int(mask.sum()) for mask in chosen]
    score = [float(scores[mask].mean()) if mask.any() else None for mask in chosen]
    share = [float(right[mask].mean()) if mask.any() else None for mask in chosen]
    gaps = [n * abs(s - r) for n, s, r in zip(count, score, share) if s is not None and r is not None]
    return Reliability(count, score, share, sum(gaps) / len(scores) if len(scores) else None)


def _judged(labels: Labels, found: Labels, of_class: str) -> tuple[np.ndarray, np.ndarray]:
    """Return scores of the detections that count, and whether each is right."""
    found = found[found.names == of_class]
    found = found[np.argsort(-found.certainty, kind="stable")]
    apart = _distances(found, labels[labels.names == of_class])
    right = nearest_free(np.where(apart <= NEAR, apart, np.inf)) >= 0
    alike = labels[np.char.lower(labels.names) == NEIGHBOURS.get(of_class, "")]
    alike = (_distances(found, alike) <= NEAR).any(1)
    counts = right | ~(alike | _in_regions(found, labels[labels.names == "DontCare"]))
    return found.certainty[counts], right[counts]


def _distances(a: Labels, b: Labels) -> np.ndarray:
    """Return (N, M) metres between centres, seen from above."""
    return np.linalg.norm(a.location[:, None, [0, 2]] - b.location[None][:, :, [0, 2]], axis=2)


def _in_regions(found: Labels, regions: Labels) -> np.ndarray:
    """Return bool (N,): mostly inside one of the regions."""
    a = np.repeat(found.image_boxes, len(regions), axis=0)
    shared = image_intersections(a, np.tile(regions.image_boxes, (len(found), 1))).reshape(len(found), len(regions))
    return (shared > _IGNORED * image_areas(found.image_boxes)[:, None]).any(1)
