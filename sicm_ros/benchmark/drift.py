# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""How far detections drift from those on uncompressed images, where there are no labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sicm_ros.benchmark.association import nearest_free
from sicm_ros.geometry import LIKELY, Detections
from sicm_ros.kitti.planner import NEAR


@dataclass(frozen=True)
class Drift:
    """Of some frames.

    Attributes:
        kept, lost, new: objects that both sides found; that only the uncompressed, or only the coded images showed.
        displacement: median distance of the kept ones' centres, metres; None where none was kept.
    """

    kept: int
    lost: int
    new: int
    displacement: float | None

    @property
    def agreement(self) -> float | None:
        """F1 of the coded side against the uncompressed one, 0 to 1; None where neither found anything."""
        all_of_both = 2 * self.kept + self.lost + self.new
        return 2 * self.kept / all_of_both if all_of_both else None


def drift(uncompressed: Sequence[Detections], coded: Sequence[Detections]) -> Drift:
    """Compare detections frame by frame: best scores first, each takes the nearest of its class that is still free."""
    kept = lost = new = 0
    distances: list[float] = []
    for a, b in zip(uncompressed, coded, strict=True):
        ours = np.flatnonzero(a.scores >= LIKELY)
        theirs = np.argsort(-b.scores, kind="stable")[: int((b.scores >= LIKELY).sum())]
        apart = np.linalg.norm(b.location[theirs][:, None, [0, 2]] - a.location[ours][None][:, :, [0, 2]], axis=2)
        different = b.classes[theirs][:, None] != a.classes[ours][None]
        taken = nearest_free(np.where(different | (apart > NEAR), np.inf, apart))
        matched = int((taken >= 0).sum())
        distances += apart[taken >= 0, taken[taken >= 0]].tolist()
        kept, lost, new = kept + matched, lost + len(ours) - matched, new + len(theirs) - matched
    return Drift(kept, lost, new, float(np.median(distances)) if distances else None)
