# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""Bags whose images are features: a stereo bag compressed, and expanded to what a decoder sees, without ROS.

`compression` writes the messages that the encoder node publishes, `expansion` those of the decoder node; `many` does so
with folders of bags, by several processes or a Ray cluster.
"""

from sicm_ros.archive.compression import Compression, compress
from sicm_ros.archive.expansion import Expansion, expand

__all__ = ["Compression", "Expansion", "compress", "expand"]
