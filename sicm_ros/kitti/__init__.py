"""KITTI in, KITTI's own figures out: readers of its layouts, its label format, and its official evaluation.

A layout is a module: `objects`, `raw`, `odometry`, on `frames` and `tree`; `open_kitti` finds which. `labels`,
`calibration` and `writing` know its files, `evaluation` and `overlap` its figures, `splits` the frames of train and test.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sicm_ros.kitti.calibration import KittiCalibration, parse_calibration, read_calibration
from sicm_ros.kitti.evaluation import bootstrap, evaluate
from sicm_ros.kitti.frames import KittiFrames, StereoFrame
from sicm_ros.kitti.labels import Labels, from_detections, read_labels, write_detections, write_labels
from sicm_ros.kitti.objects import KittiObjects
from sicm_ros.kitti.odometry import KittiOdometry, is_odometry
from sicm_ros.kitti.raw import KittiRaw, is_raw
from sicm_ros.kitti.tree import Tree

__all__ = [
    "KittiCalibration",
    "KittiFrames",
    "KittiObjects",
    "KittiOdometry",
    "KittiRaw",
    "Labels",
    "StereoFrame",
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
    """The frames of a raw drive, an odometry sequence or an object layout, whichever root is; see KittiFrames."""
    tree = Tree(root)
    layout = KittiRaw if is_raw(tree) else KittiOdometry if is_odometry(tree) else KittiObjects
    return layout(tree, split, names, labelled)
