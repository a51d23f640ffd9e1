# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How well tracks keep to objects: HOTA (Luiten et al., IJCV 2021) and CLEAR MOT, by motrics.

A track and an object are as alike as their centres are near, seen from above: 1 at no distance, 0.5 at 2 m, as in the
planner's table, 0 from 4 m on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from sicm_ros.benchmark.drive import Drive
from sicm_ros.errors import DependencyError
from sicm_ros.geometry.boxes import CLASSES, PEOPLE, class_of
from sicm_ros.kitti import Labels
from sicm_ros.kitti.planner import NEAR
from sicm_ros.tracking import Tracks

try:
    import motrics
except ImportError as error:
    raise DependencyError(f"HOTA needs motrics ({error}): pip install 'sicm_ros[bench]'") from None

SEEN = (0, 1, 2)  # occlusion grades of labels that count; what is hidden more may be followed, or not


@dataclass(frozen=True)
class Identity:
    """Of some drives.

    Attributes:
        hota, association, detection: HOTA, AssA, DetA, per cent: the mean over the drives, by their objects.
        mota: CLEAR's, per cent.
        switches: identity switches.
        fragments: times that an object was lost and found again.
        matched: object frames that a track was on.
        objects: object frames that count.
        false: track frames on no object.
    """

    hota: float
    association: float
    detection: float
    mota: float
    switches: int
    fragments: int
    matched: int
    objects: int
    false: int

    @property
    def switches_per_100(self) -> float:
        """Identity switches per 100 object frames."""
        return 100 * self.switches / max(self.objects, 1)

    def as_json(self) -> dict:
        return asdict(self) | {"switches_per_100": self.switches_per_100}


def identity(drives: Sequence[Drive], followed: Sequence[Sequence[Tracks]]) -> Identity:
    """Compare the tracks that were published for each pair with the labels of the same pair.

    What covers a hidden object or a DontCare region is left out; so are tracks there.
    """
    parts = []
    for drive, published in zip(drives, followed, strict=True):
        frames = [_frame(*pair) for pair in zip(drive.labels, drive.objects, published, strict=True)]
        ids, others, alike = [f[0] for f in frames], [f[1] for f in frames], [f[2] for f in frames]
        clear = motrics.compute_clear_from_similarity(ids, others, alike, 0.5)
        hota = motrics.compute_hota_from_similarity(ids, others, alike)
        parts.append((sum(map(len, ids)), clear, hota))
    weights = [count for count, _, _ in parts]
    clears = [clear for _, clear, _ in parts]
    objects = sum(weights)
    wrong = sum(c.num_false_positives + c.num_misses + c.num_switches for c in clears)

    def mean(name: str) -> float:
        return 100 * float(np.average([getattr(hota, name) for _, _, hota in parts], weights=weights))

    return Identity(
        mean("hota"),
        mean("assa"),
        mean("deta"),
        100 * (1 - wrong / max(objects, 1)),
        sum(c.num_switches for c in clears),
        sum(c.frag for c in clears),
        sum(c.num_matches for c in clears),
        objects,
        sum(c.num_false_positives for c in clears),
    )


def _frame(labels: Labels, objects: np.ndarray, tracks: Tracks) -> tuple[list[int], list[int], list[list[float]]]:
    """Return objects and tracks of one pair that count, and how alike they are."""
    kinds = np.array([class_of(str(name)) for name in labels.names], np.str_)
    there = labels.has_box & np.isin(kinds, CLASSES)
    counts = there & np.isin(labels.occluded, SEEN)
    ours = np.array(tracks.boxes.names, np.str_)
    apart = np.linalg.norm(labels.location[:, None, [0, 2]] - tracks.boxes.location[None][:, :, [0, 2]], axis=2)
    apart[np.isin(kinds, PEOPLE)[:, None] != np.isin(ours, PEOPLE)[None]] = np.inf
    # A track on something that doesn't count is neither right nor wrong.
    left, top, right, bottom = labels[labels.names == "DontCare"].image_boxes.T[:, :, None]
    u, v = ((tracks.boxes.image_boxes[:, i] + tracks.boxes.image_boxes[:, i + 2]) / 2 for i in (0, 1))
    excused = ((left <= u) & (u <= right) & (top <= v) & (v <= bottom)).any(0)
    excused |= (apart[there & ~counts] < NEAR).any(0)
    kept = ~excused | (apart[counts] < NEAR).any(0)
    alike = np.clip(1 - apart[counts][:, kept] / (2 * NEAR), 0, 1)
    return objects[counts].tolist(), tracks.ids[kept].tolist(), alike.tolist()
