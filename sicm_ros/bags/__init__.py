# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Drives in stereo, read and written without ROS.

`bag` and `serialization` know files and messages; `source` makes pairs of messages, which `recording` reads in a bag
and `frames` in a data set's folder; `stereo` opens either. `presets` knows the layouts of drivers, `features` and
`results` what our nodes send; `kitti` writes a KITTI drive as a bag.
"""

from sicm_ros.bags.bag import Bag, BagMessage, BagWriter
from sicm_ros.bags.kitti import from_kitti
from sicm_ros.bags.presets import PRESETS
from sicm_ros.bags.source import RecordedPair, StereoSource
from sicm_ros.bags.stereo import open_stereo

__all__ = ["PRESETS", "Bag", "BagMessage", "BagWriter", "RecordedPair", "StereoSource", "from_kitti", "open_stereo"]
