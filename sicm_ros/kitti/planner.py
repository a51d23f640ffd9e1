# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What a planner asks of detections: which of the objects that matter are found, how near, and what is named in vain.

KITTI's average precision hardly notices the car beside the bumper, for the border cuts it; a planner does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from sicm_ros.geometry.boxes import CLASSES, LIKELY, PEOPLE, VEHICLES, class_of, from_above, least_score
from sicm_ros.kitti import Labels

BANDS = (0.0, 8.0, 25.0, 40.0, 80.0)  # metres ahead
NEAR = 2.0  # metres, seen from above, that a detection may be off to be of an object
EDGE = 6.0  # pixels: an image box that ends nearer to the image's left or right border is cut by it
SEEN = (0, 1)  # occlusion grades that count: visible, partly hidden
KITTI_WIDTH = 1242.0


@dataclass(frozen=True)
class Judged:
    """One frame's labels and detections, matched. Detections that aren't worth attention (`least_score`) aren't in it.

    Attributes:
        labels, detections: of the frame.
        found: int (N,), the detection that each label was found by, -1 for none.
        false: bool (M,), detections that nothing explains.
        counts: bool (N,), labels that count: of a class that is asked for, visible or partly hidden.
        cut: bool (N,), labels that the image's left or right border cuts.
    """

    labels: Labels
    detections: Labels
    found: np.ndarray
    false: np.ndarray
    counts: np.ndarray
    cut: np.ndarray

    @property
    def kinds(self) -> np.ndarray:
        """str (N,): the class that each label counts as."""
        return np.array([class_of(str(name)) for name in self.labels.names], np.str_)

    @property
    def missed(self) -> np.ndarray:
        """bool (N,): labels that count and weren't found."""
        return self.counts & (self.found < 0)


@dataclass(frozen=True)
class Share:
    """found of total objects."""

    found: int
    total: int


@dataclass(frozen=True)
class PlannerTable:
    """Of a set of frames.

    Attributes:
        frames: how many.
        min_score: least score of a detection that is there, 20 m away.
        rows: what is asked -> how many of how many were found.
        right_class: found objects that were called what they are.
        false_alarms: a frame.
        bands: "Car 0-8 m cut" and so on -> how many of how many were found.
    """

    frames: int
    min_score: float
    rows: dict[str, Share]
    right_class: Share
    false_alarms: float
    bands: dict[str, Share]

    def tree(self) -> dict:
        """Return a tree for JSON."""
        return asdict(self)


def judged(
    labels: Labels,
    detections: Labels,
    width: float = KITTI_WIDTH,
    min_score: float = LIKELY,
    unlabelled: np.ndarray | None = None,
) -> Judged:
    """Match one frame's detections with its labels, both measured from the same camera.

    A label is found by a detection of any class whose centre lies less than 2 m from its own, seen from above; the
    nearest of all pairs first, each once. Objects that don't count can be found as well, so that what found them is no
    false alarm; nor is what a DontCare region covers the middle of.

    Args:
        width: of the image, pixels.
        min_score: of detections that nodes would publish (`least_score`).
        unlabelled: bool (M,), detections where objects have no label, as outside of the image: no false alarms either.
    """
    assert detections.scores is not None  # of detections
    published = detections.scores >= least_score(from_above(detections.location), min_score)
    detections = detections[published]
    kinds = np.array([class_of(str(name)) for name in labels.names], np.str_)
    asked = np.isin(kinds, CLASSES)
    apart = np.linalg.norm(labels.location[:, None, [0, 2]] - detections.location[None][:, :, [0, 2]], axis=2)
    apart[~asked] = np.inf
    found = np.full(len(labels), -1)
    free = np.ones(len(detections), bool)
    for flat in np.argsort(apart, axis=None, kind="stable"):
        label, detection = np.unravel_index(flat, apart.shape)
        if apart[label, detection] >= NEAR:
            break
        if found[label] < 0 and free[detection]:
            found[label], free[detection] = detection, False
    left, top, right, bottom = labels[labels.names == "DontCare"].image_boxes.T[:, :, None]
    u, v = ((detections.image_boxes[:, i] + detections.image_boxes[:, i + 2]) / 2 for i in (0, 1))
    ignored = ((left <= u) & (u <= right) & (top <= v) & (v <= bottom)).any(0)
    if unlabelled is not None:
        ignored |= unlabelled[published]
    cut = (labels.image_boxes[:, 0] < EDGE) | (labels.image_boxes[:, 2] > width - 1 - EDGE)
    return Judged(labels, detections, found, free & ~ignored, asked & np.isin(labels.occluded, SEEN), cut)


def planner_table(frames: Sequence[Judged], min_score: float = LIKELY) -> PlannerTable:
    """Return the table of some frames, as `judged` with the same least score."""

    def join(values: Callable[[Judged], np.ndarray]) -> np.ndarray:
        return np.concatenate([np.zeros(0), *(values(frame)[frame.counts] for frame in frames)])

    kinds = np.concatenate([np.zeros(0, np.str_), *(frame.kinds[frame.counts] for frame in frames)])
    found = join(lambda frame: frame.found >= 0).astype(bool)
    cut = join(lambda frame: frame.cut).astype(bool)
    z = join(lambda frame: frame.labels.location[:, 2])
    cars, vehicles, people = kinds == "Car", np.isin(kinds, VEHICLES), np.isin(kinds, PEOPLE)

    def share(mask: np.ndarray) -> Share:
        return Share(int((found & mask).sum()), int(mask.sum()))

    near, middle, far = BANDS[1:4]
    rows = {
        f"vehicles nearer than {near:g} m that the border cuts": share(vehicles & cut & (z < near)),
        f"cars within {middle:g} m, not cut": share(cars & ~cut & (z < middle)),
        f"cars {middle:g} to {far:g} m": share(cars & (z >= middle) & (z < far)),
        f"vans, trucks, trams within {far:g} m": share(vehicles & ~cars & (z < far)),
        f"people within {middle:g} m": share(people & (z < middle)),
    }
    bands = {}
    for name in CLASSES:
        for low, high in itertools.pairwise(BANDS):
            for border in (False, True):
                mask = (kinds == name) & (z >= low) & (z < high) & (cut == border)
                if mask.any():
                    bands[f"{name} {low:g}-{high:g} m{' cut' if border else ''}"] = share(mask)
    right = sum(
        int((frame.detections.names[frame.found] == frame.kinds)[frame.counts & (frame.found >= 0)].sum())
        for frame in frames
        if len(frame.detections)
    )
    alarms = sum(int(frame.false.sum()) for frame in frames)
    return PlannerTable(
        len(frames), min_score, rows, Share(right, int(found.sum())), alarms / max(len(frames), 1), bands
    )
