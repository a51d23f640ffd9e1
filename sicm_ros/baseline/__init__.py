# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""What others send instead of features: a learned codec of stereo images, to compare with in benchmarks.

`network` is the transform, `codec` gives packets and images, `load` reads a folder. Importing this package lets model
folders be of kind images; `sicm_ros.training.picture_step` trains one.
"""

from sicm_ros.baseline.codec import PictureModel, load
from sicm_ros.baseline.config import PictureCodecConfig

__all__ = ["PictureCodecConfig", "PictureModel", "load"]
