"""MVSFC-Net: the stages of arXiv 2502.14190, one module each.

    backbone -> stereo, smfc, compensation: the encoder -> (entropy) -> the decoder -> detector

`mvsfc.MVSFCNet` shows how they follow each other. Beside it, `pictures.StereoPictureNetwork` codes pictures.
"""

from sicm_ros.network.config import NetworkConfig, PictureCodecConfig
from sicm_ros.network.mvsfc import MVSFCNet
from sicm_ros.network.pictures import StereoPictureNetwork

__all__ = ["MVSFCNet", "NetworkConfig", "PictureCodecConfig", "StereoPictureNetwork"]
