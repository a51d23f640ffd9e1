"""MVSFC-Net: the stages of arXiv 2502.14190, one module each.

    backbone -> disparity, smfc, compensation: the encoder -> (entropy) -> the decoder -> detector

`mvsfc.MVSFCNet` shows how they follow each other.
"""

from sicm_ros.network.config import NetworkConfig, PictureCodecConfig
from sicm_ros.network.mvsfc import MVSFCNet

__all__ = ["MVSFCNet", "NetworkConfig", "PictureCodecConfig"]
