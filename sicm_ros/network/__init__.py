# Copyright 2026 The sicm_ros developers. SPDX-License-Identifier: Apache-2.0
"""MVSFC-Net: the stages of arXiv 2502.14190, one module each.

    backbone -> disparity, smfc, compensation: the encoder -> (entropy) -> the decoder -> detector

`mvsfc.MVSFCNet` shows how they follow each other.
"""

from sicm_ros.network.config import NetworkConfig
from sicm_ros.network.mvsfc import MVSFCNet

__all__ = ["MVSFCNet", "NetworkConfig"]
