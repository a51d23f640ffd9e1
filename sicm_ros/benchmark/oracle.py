# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What limits average precision: that of the same detections, one part of each box put right from the label it is of.

Experiments with an oracle, as of Hoiem et al. (ECCV 2012) and Bolya et al. (TIDE, ECCV 2020). Which label a detection
is of is told by the image alone, so that no part of a box chooses its own sample; scores stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sicm_ros.benchmark.association import overlapping
from sicm_ros.benchmark.results import METRICS, figure
from sicm_ros.geometry.boxes import centres
from sicm_ros.kitti import Labels, evaluate
from sicm_ros.kitti.evaluation import DIFFICULTIES

if TYPE_CHECKING:
    from rich.table import Table

# What is put right; a direction is where in the image the box's centre lies.
PARTS: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "depths": ("depth",),
    "sizes": ("size",),
    "headings": ("heading",),
    "directions": ("direction",),
    "depths and sizes": ("depth", "size"),
    "all of these": ("depth", "size", "heading", "direction"),
}
OVERLAPS = ("0.50", "0.70")
MODERATE = DIFFICULTIES.index("moderate")
Oracle = dict[str, dict[str, dict[str, float]]]
"""What is right -> metric -> overlap -> AP of moderate cars, per cent."""


def put_right(labels: Labels, detections: Labels, parts: Iterable[str]) -> Labels:
    """Return a frame's detections with those parts of each box taken from the label that it overlaps in the image.

    Args:
        labels, detections: measured from one camera.
        parts: of `depth` (the box moves along its ray), `size`, `heading` and `direction`, whatever their order.
    """
    parts = set(parts)
    detections = detections[np.argsort(-detections.certainty, kind="stable")]
    objects = labels[labels.has_box]
    of = overlapping(detections.image_boxes, objects.image_boxes)
    known = of >= 0
    truth = objects[of[known]]

    found = detections[known]
    along = truth if "direction" in parts else found
    rays = centres(along.location, along.dimensions)
    depth = (truth if "depth" in parts else found).location[:, 2:]
    location, dimensions = detections.location.copy(), detections.dimensions.copy()
    heading = detections.rotation_y.copy()
    if "size" in parts:
        dimensions[known] = truth.dimensions
    if "heading" in parts:
        heading[known] = truth.rotation_y
    location[known] = rays / rays[:, 2:] * depth
    location[known, 1] += dimensions[known, 0] / 2
    return replace(detections, location=location, dimensions=dimensions, rotation_y=heading)


def oracle(
    labels: Sequence[Labels],
    detections: Sequence[Labels],
    progress: Callable[[list[str]], Iterable[str]] = iter,
) -> Oracle:
    """Return the AP of some frames' detections with each of PARTS right."""
    told: Oracle = {}
    for name in progress(list(PARTS)):
        better = [put_right(*pair, PARTS[name]) for pair in zip(labels, detections)]
        figures = evaluate(labels, better)
        told[name] = {
            metric: {overlap: float(figure(figures, metric, overlap, "Car")[MODERATE]) for overlap in OVERLAPS}
            for metric in METRICS
        }
    return told


def oracle_view(tables: Sequence[tuple[str, Oracle]], title: str) -> Table:
    """Return a table for the terminal: a row for what is right, a column for each named set and overlap."""
    from rich.table import Table

    view = Table(
        title=title,
        title_justify="left",
        caption="AP3D / APBEV of moderate cars, R40, if that were right of every box that overlaps a label by more "
        "than half in the image",
        caption_justify="left",
    )
    view.add_column("right are")
    for name, _ in tables:
        for overlap in OVERLAPS:
            view.add_column(f"{name}, IoU {overlap}", justify="right")
    for part in PARTS:
        cells = (
            " / ".join(f"{each[part][metric][overlap]:.1f}" for metric in METRICS)
            for _, each in tables
            for overlap in OVERLAPS
        )
        view.add_row(part, *cells)
    return view
