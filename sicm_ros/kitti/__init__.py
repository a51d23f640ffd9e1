# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""KITTI in, KITTI's own figures out: readers of its layouts, its label format, and its official evaluation.

A layout is a module: `objects`, `raw`, `odometry`, on `frames` and `tree`; `open_kitti` finds which. `labels`,
`calibration` and `writing` know its files, `evaluation` and `overlap` its figures, `splits` what trains and what tests.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sicm_ros.extensions import Registry
from sicm_ros.kitti.calibration import KittiCalibration, parse_calibration, read_calibration
from sicm_ros.kitti.evaluation import bootstrap, evaluate
from sicm_ros.kitti.frames import KittiFrames, StereoFrame
from sicm_ros.kitti.labels import Labels, from_detections, read_labels, write_detections, write_labels
from sicm_ros.kitti.objects import KittiObjects
from sicm_ros.kitti.odometry import KittiOdometry
from sicm_ros.kitti.raw import KittiRaw
from sicm_ros.kitti.tree import Tree

__all__ = [
    "LAYOUTS",
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

# A layout of your own is an entry point of this group that names a subclass of KittiFrames (CONTRIBUTING.md).
_SHIPPED = {"raw": KittiRaw, "odometry": KittiOdometry, "objects": KittiObjects}
LAYOUTS: Registry[type[KittiFrames]] = Registry("sicm_ros.datasets", _SHIPPED, KittiFrames, classes=True)


def open_kitti(
    root: str | Path,
    split: str | Path | None = None,
    names: Iterable[str] | None = None,
    labelled: bool = False,
) -> KittiFrames:
    """Open the frames of whatever layout root is; see KittiFrames."""
    tree = Tree(root)
    others = [layout for name, layout in LAYOUTS.items() if name != "objects" and layout.recognises(tree)]
    return (others[0] if others else KittiObjects)(tree, split, names, labelled)
