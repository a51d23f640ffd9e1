# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Every data set that is read, behind one interface, `sicm_ros.kitti.KittiFrames`: KITTI's layouts and those of others.

`argoverse1`, `argoverse2`, `cityscapes3d`, `kitti360` and `seeing_through_fog` are one file each; `cuboids` makes
KITTI's labels of their boxes. `open_dataset` finds which it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sicm_ros.datasets.argoverse1 import Argoverse1
from sicm_ros.datasets.argoverse2 import Argoverse2
from sicm_ros.datasets.cityscapes3d import Cityscapes3D
from sicm_ros.datasets.kitti360 import Kitti360
from sicm_ros.datasets.seeing_through_fog import SeeingThroughFog
from sicm_ros.errors import InputError
from sicm_ros.extensions import Registry
from sicm_ros.kitti import KittiFrames, KittiObjects, KittiOdometry, KittiRaw, Tree
from sicm_ros.kitti.frames import reader_at_fault

__all__ = ["LAYOUTS", "open_dataset"]

# A layout of your own is an entry point of this group that names a subclass of KittiFrames (CONTRIBUTING.md).
_SHIPPED: dict[str, type[KittiFrames]] = {
    "kitti raw": KittiRaw,
    "kitti odometry": KittiOdometry,
    "kitti": KittiObjects,
    "argoverse 1": Argoverse1,
    "argoverse 2": Argoverse2,
    "cityscapes 3d": Cityscapes3D,
    "kitti-360": Kitti360,
    "seeing through fog": SeeingThroughFog,
}
LAYOUTS: Registry[type[KittiFrames]] = Registry("sicm_ros.datasets", _SHIPPED, KittiFrames, classes=True)


def open_dataset(
    root: str | Path,
    split: str | Path | None = None,
    names: Iterable[str] | None = None,
    labelled: bool = False,
) -> KittiFrames:
    """Open the frames of whatever layout root is; see KittiFrames.

    Raises:
        InputError: two readers recognise the root, or what the one that does raises.
    """
    tree = Tree(root)
    found = {}
    for name, layout in LAYOUTS.items():
        with reader_at_fault(layout, f"while it looks at {tree.root}"):
            if layout is not KittiObjects and layout.recognises(tree):
                found[name] = layout
    if len(found) > 1:
        raise InputError(
            f"{tree.root}: recognised as {' and as '.join(found)} ({_places(found.values())}); name a folder that "
            "holds one data set, or mend the reader that takes it wrongly"
        )
    name, layout = next(iter(found.items()), ("kitti", KittiObjects))
    frames = layout(tree, split, names, labelled)
    frames.layout = name
    return frames


def _places(layouts: Iterable[type[KittiFrames]]) -> str:
    return ", ".join(f"{layout.__module__}.{layout.__qualname__}" for layout in layouts)
