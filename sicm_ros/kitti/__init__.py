# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""KITTI in, KITTI's own figures out: readers of its layouts, its label format, and its official evaluation.

A layout is a module: `objects`, `raw`, `odometry`, on `frames` and `tree`; `open_kitti` finds which (and
`sicm_ros.datasets` those of others). `labels`,
`calibration` and `writing` know its files, `evaluation` and `overlap` its figures, `splits` what trains and what tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sicm_ros.kitti.calibration import KittiCalibration, parse_calibration, read_calibration
from sicm_ros.kitti.evaluation import bootstrap, evaluate
from sicm_ros.kitti.frames import KittiFrames, StereoFrame
from sicm_ros.kitti.labels import Labels, from_detections, read_labels, write_detections, write_labels
from sicm_ros.kitti.objects import KittiObjects
from sicm_ros.kitti.odometry import KittiOdometry
from sicm_ros.kitti.raw import KittiRaw
from sicm_ros.kitti.tree import Tree

__all__ = [
    "KittiCalibration",
    "KittiFrames",
    "KittiObjects",
    "KittiOdometry",
    "KittiRaw",
    "Labels",
    "StereoFrame",
    "Tree",
    "bootstrap",
    "evaluate",
    "from_detections",
    "open_kitti",
    "parse_calibration",
    "read_calibration",
    "read_labels",
    "write_detections",
    "write_labels",
]


def open_kitti(
    root: str | Path,
    split: str | Path | None = None,
    names: Iterable[str] | None = None,
    labelled: bool = False,
) -> KittiFrames:
    """Open the frames of whichever of KITTI's layouts root is; `sicm_ros.datasets` knows others as well."""
    tree = Tree(root)
    layout = next((one for one in (KittiRaw, KittiOdometry) if one.recognises(tree)), KittiObjects)
    return layout(tree, split, names, labelled)
