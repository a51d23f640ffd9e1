# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Drives in stereo, read and written without ROS.

`bag` and `serialization` know files and messages; `source` makes pairs of messages, which `recording` reads in a bag
and `frames` in a data set's folder; `stereo` opens either. `presets` knows the layouts of drivers; `feature_messages`
and `result_messages` are what our nodes send; `kitti` writes a KITTI drive as a bag.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; see __getattr__
    from sicm_ros.bags.bag import Bag, BagMessage, BagWriter
    from sicm_ros.bags.kitti import from_kitti
    from sicm_ros.bags.presets import PRESETS
    from sicm_ros.bags.source import RecordedPair, StereoSource
    from sicm_ros.bags.stereo import open_stereo

__all__ = ["PRESETS", "Bag", "BagMessage", "BagWriter", "RecordedPair", "StereoSource", "from_kitti", "open_stereo"]

_MODULES = {
    **dict.fromkeys(("Bag", "BagMessage", "BagWriter"), "bag"),
    **dict.fromkeys(("RecordedPair", "StereoSource"), "source"),
    "PRESETS": "presets",
    "from_kitti": "kitti",
    "open_stereo": "stereo",
}


def __getattr__(name: str) -> Any:
    # Late: nodes need images and calibrations from here, and no reader of files, a third of what they would import.
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
